-- Put before a statement: its plan; nothing is executed, but the role's privileges are checked.
EXPLAIN (FORMAT JSON, VERBOSE)
