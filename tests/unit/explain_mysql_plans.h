/*
 * explain_mysql_plans.h: plans as MariaDB 10.11 and MySQL 9.7 (explain_json_format_version 1) wrote them, costs and conditions
 * left out: { name, MariaDB's, MySQL's }. The tables are those of test_explain_mysql.c.
 */
#ifndef BACKFILLD_TESTS_EXPLAIN_MYSQL_PLANS_H
#define BACKFILLD_TESTS_EXPLAIN_MYSQL_PLANS_H

#include <stddef.h>

enum { MARIADB, MYSQL, SERVERS };

static const struct {
	const char *name, *json[SERVERS];
} plans[] = {
	{"update1",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"ref\":[\"const\"],"
      "\"rows_examined_per_scan\":1000}}}"}},
	{"boundary1",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":24514,\"using_index\":true}}]}}",
      "{\"query_block\":{\"ordering_operation\":{\"using_filesort\":false,\"table\":{\"table_name\":\"k1\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\","
      "\"rows_examined_per_scan\":1,\"using_index\":true}}}}"}},
	{"boundary2",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k2\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"86\",\"used_key_parts\":[\"a\",\"b\"],\"rows\":28832,"
      "\"using_index\":true}}]}}",
      "{\"query_block\":{\"ordering_operation\":{\"using_filesort\":false,\"table\":{\"table_name\":\"k2\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"a\",\"b\"],\"key_length\":\"86\","
      "\"rows_examined_per_scan\":3,\"using_index\":true}}}}"}},
	{"update3",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k3\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"key_length\":\"28\",\"used_key_parts\":[\"a\",\"b\",\"c\"],\"rows\":17059}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k3\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"a\",\"b\",\"c\"],\"key_length\":\"28\",\"ref\":[\"const\",\"const\","
      "\"const\"],\"rows_examined_per_scan\":17098}}}"}},
	{"insert",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000,\"using_index\":true}}]}}",
      "{\"query_block\":{\"table\":{\"insert\":true,\"table_name\":\"tgt\",\"access_type\":\"ALL\"},"
      "\"insert_from\":{\"ordering_operation\":{\"using_filesort\":false,\"table\":{\"table_name\":\"k1\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\","
      "\"rows_examined_per_scan\":1,\"using_index\":true}}}}}"}},
	{"partition",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"parts\",\"partitions\":[\"p1\"],"
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"key_length\":\"4\",\"used_key_parts\":[\"id\"],\"rows\":100}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"parts\",\"partitions\":[\"p1\"],"
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"4\","
      "\"ref\":[\"const\"],\"rows_examined_per_scan\":100}}}"}},
	{"point",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"const\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"ref\":[\"const\"],\"rows\":1,"
      "\"using_index\":true}}]}}",
      "{\"query_block\":{\"table\":{\"table_name\":\"k1\",\"access_type\":\"const\",\"key\":\"PRIMARY\","
      "\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"ref\":[\"const\"],\"rows_examined_per_scan\":1,"
      "\"using_index\":true}}}"}},
	{"derived",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"<derived2>\",\"access_type\":\"ALL\","
      "\"rows\":1000,\"materialized\":{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k2\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"key_length\":\"86\",\"used_key_parts\":[\"a\",\"b\"],"
      "\"rows\":28832,\"using_index\":true}}]}}}}]}}",
      "{\"query_block\":{\"table\":{\"table_name\":\"scanned\",\"access_type\":\"ALL\",\"rows_examined_per_scan\":1000,"
      "\"materialized_from_subquery\":{\"using_temporary_table\":true,\"dependent\":false,\"cacheable\":true,"
      "\"query_block\":{\"ordering_operation\":{\"using_filesort\":false,\"table\":{\"table_name\":\"k2\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"a\",\"b\"],\"key_length\":\"86\","
      "\"rows_examined_per_scan\":30584,\"using_index\":true}}}}}}}"}},
	{"subquery",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000},"
      "\"subqueries\":[{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"other\",\"access_type\":\"ALL\","
      "\"rows\":10372}}]}}]}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"ref\":[\"const\"],"
      "\"rows_examined_per_scan\":1000},\"update_value_subqueries\":[{\"dependent\":true,\"cacheable\":false,"
      "\"query_block\":{\"table\":{\"table_name\":\"other\",\"access_type\":\"ALL\","
      "\"rows_examined_per_scan\":9931}}}]}}"}},
	{"semijoin",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000},"
      "\"subqueries\":[{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"other\",\"access_type\":\"ALL\","
      "\"rows\":10372}}]}}]}}",
      "{\"query_block\":{\"nested_loop\":[{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"rows_examined_per_scan\":1000}},"
      "{\"table\":{\"table_name\":\"<subquery2>\",\"access_type\":\"eq_ref\",\"key\":\"<auto_distinct_key>\","
      "\"key_length\":\"5\",\"ref\":[\"preflight.k1.v\"],\"rows_examined_per_scan\":1,"
      "\"materialized_from_subquery\":{\"using_temporary_table\":true,"
      "\"query_block\":{\"table\":{\"table_name\":\"other\",\"access_type\":\"ALL\","
      "\"rows_examined_per_scan\":9931}}}}}]}}"}},
	{"self",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000,\"using_index\":true}}],"
      "\"subqueries\":[{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"x\",\"access_type\":\"index\","
      "\"key\":\"k\",\"key_length\":\"35\",\"used_key_parts\":[\"k\"],\"rows\":49028,\"using_index\":true}}]}}]}}",
      "{\"query_block\":{\"table\":{\"insert\":true,\"table_name\":\"tgt\",\"access_type\":\"ALL\"},"
      "\"insert_from\":{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"rows_examined_per_scan\":1000,\"using_index\":true}},"
      "\"select_list_subqueries\":[{\"dependent\":false,\"cacheable\":true,"
      "\"query_block\":{\"table\":{\"table_name\":\"x\",\"access_type\":\"index\",\"key\":\"k\","
      "\"used_key_parts\":[\"k\"],\"key_length\":\"131\",\"rows_examined_per_scan\":48526,\"using_index\":true}}}]}}"}},
	{"full",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"index\",\"key\":\"PRIMARY\","
      "\"key_length\":\"\",\"used_key_parts\":[\"id\"],\"rows\":49028}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"index\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"rows_examined_per_scan\":48526}}}"}},
	{"other_index",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"k\","
      "\"key_length\":\"43\",\"used_key_parts\":[\"k\",\"id\"],\"rows\":1}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"index_merge\","
      "\"key\":\"intersect(k,PRIMARY)\",\"key_length\":\"139,8\",\"rows_examined_per_scan\":1}}}"}},
	{"merged",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"k\","
      "\"key_length\":\"43\",\"used_key_parts\":[\"k\",\"id\"],\"rows\":1}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k1\",\"access_type\":\"index_merge\","
      "\"key\":\"union(k,PRIMARY)\",\"key_length\":\"131,8\",\"rows_examined_per_scan\":2}}}"}},
	{"half_key",
     {"{\"query_block\":{\"table\":{\"update\":1,\"table_name\":\"k2\",\"access_type\":\"range\",\"key\":\"PRIMARY\","
      "\"key_length\":\"4\",\"used_key_parts\":[\"a\"],\"rows\":14416}}}",
      "{\"query_block\":{\"table\":{\"update\":true,\"table_name\":\"k2\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"a\"],\"key_length\":\"4\",\"ref\":[\"const\"],"
      "\"rows_examined_per_scan\":15292}}}"}},
	{"self_full",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":1000}},"
      "{\"table\":{\"table_name\":\"<subquery2>\",\"access_type\":\"eq_ref\",\"key\":\"distinct_key\","
      "\"key_length\":\"8\",\"used_key_parts\":[\"v\"],\"ref\":[\"func\"],\"rows\":1,\"materialized\":{\"unique\":1,"
      "\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"ALL\","
      "\"rows\":49028}}]}}}}]}}",
      "{\"query_block\":{\"table\":{\"insert\":true,\"table_name\":\"tgt\",\"access_type\":\"ALL\"},"
      "\"insert_from\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\",\"rows_examined_per_scan\":1000}},"
      "{\"table\":{\"table_name\":\"<subquery2>\",\"access_type\":\"eq_ref\",\"key\":\"<auto_distinct_key>\","
      "\"key_length\":\"9\",\"ref\":[\"preflight.k1.v\"],\"rows_examined_per_scan\":1,"
      "\"materialized_from_subquery\":{\"using_temporary_table\":true,"
      "\"query_block\":{\"table\":{\"table_name\":\"k1\",\"access_type\":\"ALL\","
      "\"rows_examined_per_scan\":48526}}}}}]}}}"}},
	{"filtered",
     {"{\"query_block\":{\"nested_loop\":[{\"table\":{\"table_name\":\"uq\",\"access_type\":\"range\",\"key\":\"u\","
      "\"key_length\":\"4\",\"used_key_parts\":[\"u\"],\"rowid_filter\":{\"range\":{\"key\":\"k\","
      "\"used_key_parts\":[\"k\"]},\"rows\":1000,\"selectivity_pct\":2.007427482},\"rows\":1000,"
      "\"index_condition\":\"uq.u > 100 and uq.u <= 1100\"}}]}}",
      "{\"query_block\":{\"table\":{\"table_name\":\"uq\",\"access_type\":\"range\",\"key\":\"u\","
      "\"used_key_parts\":[\"u\"],\"key_length\":\"4\",\"rows_examined_per_scan\":1000,"
      "\"index_condition\":\"((`preflight`.`uq`.`u` > 100) and (`preflight`.`uq`.`u` <= 1100))\"}}}"}},
	{"impossible",
     {"{\"query_block\":{\"table\":{\"message\":\"Impossible WHERE\"}}}",
      "{\"query_block\":{\"message\":\"Impossible WHERE\"}}"}},
	{"no_key",
     {"{\"query_block\":{\"table\":{\"message\":\"Impossible WHERE\"}}}",
      "{\"query_block\":{\"message\":\"Impossible WHERE\"}}"}},
	{"no_row",
     {"{\"query_block\":{\"table\":{\"message\":\"Impossible WHERE noticed after reading const tables\"}}}",
      "{\"query_block\":{\"message\":\"no matching row in const table\"}}"}},
	{"sorted",
     {"{\"query_block\":{\"nested_loop\":[{\"read_sorted_file\":{\"filesort\":{\"sort_key\":\"k1.v\","
      "\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\",\"key_length\":\"8\","
      "\"used_key_parts\":[\"id\"],\"rows\":24514}}}}]}}",
      "{\"query_block\":{\"ordering_operation\":{\"using_filesort\":true,\"table\":{\"table_name\":\"k1\","
      "\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],\"key_length\":\"8\","
      "\"rows_examined_per_scan\":24263}}}}"}},
	{"window",
     {"{\"query_block\":{\"filesort\":{\"sort_key\":\"k1.`id`\","
      "\"window_functions_computation\":{\"sorts\":[{\"filesort\":{\"sort_key\":\"`id`\"}}],"
      "\"temporary_table\":{\"nested_loop\":[{\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\","
      "\"key\":\"PRIMARY\",\"key_length\":\"8\",\"used_key_parts\":[\"id\"],\"rows\":199,\"using_index\":true}}]}}}}}",
      "{\"query_block\":{\"table\":{\"insert\":true,\"table_name\":\"tgt\",\"access_type\":\"ALL\"},"
      "\"insert_from\":{\"ordering_operation\":{\"using_filesort\":false,"
      "\"windowing\":{\"windows\":[{\"name\":\"<unnamed window>\",\"functions\":[\"row_number\"]}],"
      "\"table\":{\"table_name\":\"k1\",\"access_type\":\"range\",\"key\":\"PRIMARY\",\"used_key_parts\":[\"id\"],"
      "\"key_length\":\"8\",\"rows_examined_per_scan\":1,\"using_index\":true}}}}}}"}},
};

#endif
