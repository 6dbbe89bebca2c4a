"""The mutants of the MySQL engine and its texts, for mutants.py. Their tests run on MariaDB."""

SQL, KEY = "sql/mysql/", "daemon/engine/dialect_mysql_key.c"
DIALECT, KEPT, ERRORS = "daemon/engine/dialect_mysql.c", "daemon/engine/dialect_mysql_kept.c", "daemon/engine/mysql_error.c"
CHECKPOINT, BEGIN = SQL + "checkpoint.sql", SQL + "begin.sql"


def on_mariadb(*tests):
    return [f"mariadb:{test}" for test in tests]


FENCED = on_mariadb("test_takeover.py::test_a_batch_whose_fence_is_raised_meanwhile_is_rolled_back", "test_mysql_texts.py::test_the_fence")

# As mutants.py has them.
MUTANTS = {f"MySQL: {name}": it for name, it in {
    # --- exactness ---
    "checkpoint outside the transaction": (
        [(BEGIN, "START TRANSACTION READ WRITE", "DO 0")], on_mariadb("test_crash.py::test_killed_between_the_work_and_its_checkpoint")),
    "no test of the epoch": ([(CHECKPOINT, "epoch = CAST($3 AS SIGNED)", "$3 IS NOT NULL")], FENCED),
    "no test of the batch number": ([(CHECKPOINT, " batch_id = CAST($4 AS SIGNED)", " $4 IS NOT NULL")], FENCED),
    "no test of the stop flag": ([(CHECKPOINT, " AND NOT stopped", "")], FENCED),
    "the fence is not looked at": ([("daemon/job/batch.c", "return transaction_expect_one(context, result);", "return true;")], FENCED),
    ">= for > behind the checkpoint": (
        [(KEY, 'mysql_add_comparison(b, shape, leaf, ">", &parameter);', 'mysql_add_comparison(b, shape, leaf, ">=", &parameter);')],
        on_mariadb("test_update.py::test_every_row_once", "test_mysql_texts.py::test_every_row_once")),
    "no wait for older writers": ([(SQL + "round_wait.sql", "WHERE open.id <> CONNECTION_ID()", "WHERE false")],
                                  on_mariadb("test_mysql_texts.py::test_a_round_waits_for_older_writers")),
    "jobs look for their markers all at once": (
        [(f"{SQL}{name}.sql", "'backfilld:innodb_trx'", "UUID()") for name in ("round_take", "round_wait", "job_set_state")],
        on_mariadb("test_follow.py::test_jobs_that_start_together_find_their_markers")),
    "a statement that has no transaction yet is not waited for": (
        [(SQL + "round_wait.sql", "WHERE b.command IN ('Query', 'Execute')", "WHERE false")],
        on_mariadb("test_mysql_texts.py::test_a_round_waits_for_a_statement_that_has_no_transaction_yet")),
    "nothing ends a stalled owner's transaction": (
        [(SQL + "claim_end_backend.sql", "CONCAT('KILL ', ", "CONCAT(NULL, "), (DIALECT, "IDLE_IN_TRANSACTION_S = 2", "IDLE_IN_TRANSACTION_S = 600")],
        on_mariadb("test_takeover.py::test_a_stalled_daemon_in_mid_batch_blocks_the_site_for_3_s_at_most")),
    "the former owner's connection lives on": (
        [(SQL + "claim_end_backend.sql", "CONCAT('KILL ', ", "CONCAT(NULL, ")],
        on_mariadb("test_mysql_texts.py::test_a_second_owner_waits_and_then_ends_the_first")),
    "what is idle in a transaction may be": ([(DIALECT, "IDLE_IN_TRANSACTION_S = 2", "IDLE_IN_TRANSACTION_S = 600")],
                                             on_mariadb("test_mysql_texts.py::test_what_is_idle_in_a_transaction_is_ended",
                                                        "test_fault.py::test_a_connection_that_falls_silent_in_mid_batch")),
    "rows that are captured may change": ([(KEPT, " HAVING COUNT(*) > 0 FOR UPDATE", " HAVING COUNT(*) > 0")],
                                          on_mariadb("test_mysql_kept.py::test_captured_rows_are_locked")),

    # --- keys ---
    "keys in the connection's collation": ([(KEY, "\tif (end == NULL) {", "\tif (end == NULL || true) {")], on_mariadb("test_mysql_texts.py::test_every_row_once")),
    "BINARY keys travel as text": ([(KEY, 'kind == BYTES)\n\t\tstrbuf_printf(b, "HEX(%s)"', 'kind == BYTES)\n\t\tstrbuf_printf(b, "%s"'),
                                    (KEY, '"%s" : "UNHEX(%s)"', '"%s" : "%s"')], on_mariadb("test_mysql_texts.py::test_every_row_once")),
    "BIGINT UNSIGNED is signed": ([(KEY, '"CAST(CONCAT(%s) AS UNSIGNED)" : "CAST(%s AS UNSIGNED)"', '"CAST(CONCAT(%s) AS SIGNED)" : "CAST(%s AS SIGNED)"')],
                                  on_mariadb("test_mysql_texts.py::test_every_row_once")),
    "an ENUM's key is its label": ([(KEY, "kind == BITS || (kind == NUMBERED && walked)", "kind == BITS || (kind == BITS && walked)")], on_mariadb("test_mysql_texts.py::test_every_row_once")),
    "a zero date is cast": ([(KEY, "if (origin == ORIGIN_PARAMETER)\n\t\tstrbuf_add(b, value);\n\telse\n\t\tadd_cast", "add_cast")],
                            on_mariadb("test_mysql_texts.py::test_zero_dates_are_not_lost")),

    "nobody looks at the plan behind an ALTER": (
        [("daemon/job/job_plan.c", " || strcmp(job->planned_mark, job->claimed.key_mark) != 0", "")],
        on_mariadb("test_plans.py::test_another_index_of_the_key_s_name_pauses")),
    "half a key is a range": ([("daemon/engine/explain_mysql.c", "used_columns(j, table) == j->shape->nkey", "used_columns(j, table) > 0")],
                              ["unit/test_explain_mysql"]),

    # --- the session ---
    "the server's isolation": ([(SQL + "control_begin.sql", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;", "")],
                               on_mariadb("test_mysql_texts.py::test_settings_are_this_servers_alone")),
    "the server's sql_mode": ([(DIALECT, '"sql_mode = CONCAT(', '"sql_mode = ELT(1, @@sql_mode, ')],
                              on_mariadb("test_mysql_texts.py::test_settings_are_this_servers_alone")),
    "the server's time_zone": ([(DIALECT, "time_zone = '+00:00', ", ""), (SQL + "connect.sql", "time_zone = '+00:00', ", ""),
                                (SQL + "control_begin.sql", "time_zone = '+00:00', ", "")],
                               on_mariadb("test_session.py::test_every_setting_of_mysql_that_matters_is_pinned")),
    "what stands in a session stands for ever": (
        [("daemon/engine/mysql.c", "if (!changes)", "if (!changes || conn->standing != NULL)")],
        on_mariadb("test_session.py::test_what_a_trigger_sets_holds_for_no_other_batch")),
    "a metadata lock is waited for as long as the server likes": (
        [(DIALECT, ' ", lock_wait_timeout = %" PRId64, lock_s, lock_s)', ', lock_s)')], on_mariadb("test_mysql_texts.py::test_settings_are_this_servers_alone")),
    "no ROLLBACK after a refusal": ([("daemon/engine/transaction.c", 'text(t, "rollback")', '"DO 0"')],
                                    on_mariadb("test_kept.py::test_a_row_that_begins_to_match_after_the_look_at_the_old_values")),
    "1205 is the row's own fault": ([(ERRORS, "{1205, ENGINE_ERROR_CONTENTION}", "{1205, ENGINE_ERROR_DATA}")],
                                    on_mariadb("test_takeover.py::test_a_row_lock_of_the_application_is_waited_for_and_named")),
}.items()}
