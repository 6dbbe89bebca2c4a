-- Put before a statement: its plan; nothing is executed, but the role's privileges are checked. MySQL has two forms of the document:
-- the first is the one that says which parts of a key are used, and close to MariaDB's, which has no such setting.
-- https://dev.mysql.com/doc/refman/8.4/en/explain.html
SET @backfilld_explain = 1 /*!80300 , SESSION explain_json_format_version = 1 */;
EXPLAIN FORMAT=JSON
