"""`make mutants`: takes each remedy out of a copy of the source, one at a time, builds that, and runs the tests that are there for
it: they must fail, and pass on the copy as it is. One that survives is a hole in the tests. Arguments choose mutants by a part of their
names. pytest's tests run on PostgreSQL, unless their names begin with another engine: mariadb:test_… ENGINE=mariadb takes the mutants
of no one engine's files alone, and runs their tests there."""

import os
import subprocess
import sys
import tempfile

import mutants_mysql

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIALECT, ERRORS = "daemon/engine/dialect_postgres.c", "daemon/engine/postgres_error.c"
JOB, JOB_BATCH = "daemon/job/job.c", "daemon/job/job_batch.c"
BATCH, PLAN_CHECK, RULES = "daemon/job/batch.c", "daemon/job/plan_check.c", "daemon/job/preflight_rules.c"
RULES_POSTGRES = "daemon/engine/rules_postgres.c"
BEGIN, CHECKPOINT, LAG = "sql/postgres/begin.sql", "sql/postgres/checkpoint.sql", "daemon/throttle/lag.c"
VARIANT = "build/failpoint"
ENGINES = ("postgresql", "mariadb")
ENGINE = os.environ.get("ENGINE", ENGINES[0])  # of tests which name none
BOUNDARY_END = """add_range(&b, shape, NULL, has_after);
	strbuf_add(&b, " ORDER BY ");
	add_key_list(&b, shape, "");
	strbuf_printf(&b, " OFFSET"""

# The fence's own tests: of its three marks each alone, and the row's place alone, holds a batch back most of the time.
NO_PLACE = (CHECKPOINT, "ctid = $14::tid", "$14::tid IS NOT NULL")
FENCED = ["test_takeover.py::test_a_batch_whose_fence_is_raised_meanwhile_is_rolled_back",
          "test_checkpoint.py::test_a_checkpoint_that_waited_for_its_row_sees_the_fence"]

# name: (edits: file, what is there, what the mutant has instead; tests: pytest's names and options, or programs of unit/, sim/, lint/)
MUTANTS = {
    # --- exactness ---
    "checkpoint outside the transaction": (
        [(BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED", "SELECT 1")],
        ["test_crash.py::test_killed_between_the_work_and_its_checkpoint"]),
    "no test of the epoch": ([(CHECKPOINT, "epoch = $3::bigint", "$3::bigint IS NOT NULL"), NO_PLACE], FENCED),
    "no test of the batch number": ([(CHECKPOINT, "batch_id = $4::bigint", "$4::bigint IS NOT NULL"), NO_PLACE], FENCED),
    "no test of the batch number, and no claim after a COMMIT of unknown outcome": (
        [(CHECKPOINT, "batch_id = $4::bigint", "$4::bigint IS NOT NULL"),
         NO_PLACE,
         (JOB_BATCH, "job->taken = false; /* the link reconnects, and the claim", "/* the link reconnects, and the claim"),
         (JOB, "\tif (!up) {\n\t\tjob->taken = false;", "\tif (!up) {")],
        ["test_fault.py::test_cuts"]),
    "no test of the stop flag": ([(CHECKPOINT, " AND NOT stopped", ""), NO_PLACE], FENCED),
    ">= for > behind the checkpoint": ([(DIALECT, 'alias, ">", &', 'alias, ">=", &')], ["test_update.py"]),
    "no wait for older writers": ([("sql/postgres/round_wait.sql", "WHERE x < $1::xid8", "WHERE x < $1::xid8 AND false")],
                                  ["test_takeover.py::test_an_older_writer_is_waited_for_and_named"]),
    "prepared transactions are not waited for": (
        [("sql/postgres/round_wait.sql", " WHERE coalesce(o.database", " WHERE o.gid IS NULL AND coalesce(o.database")],
        ["test_takeover.py::test_an_older_writer_is_waited_for_and_named"]),
    "only writers from before the start are waited for": (
        [("sql/postgres/round_take.sql", "freeze_marker = pg_current_xact_id()::text,", "freeze_marker = freeze_marker,"),
         ("sql/postgres/round_wait.sql", "= ANY ($2::text[])", "= ANY ($2::text[]) AND false")],
        ["test_takeover.py::test_a_writer_that_began_after_the_start_is_waited_for_if_its_key_is_below_the_end"]),
    "writers without a transaction id are not waited for": (
        [("sql/postgres/round_wait.sql", "= ANY ($2::text[])", "= ANY ($2::text[]) AND false")],
        ["test_follow.py::test_a_writer_that_has_an_id_but_has_written_nothing_yet"]),
    "follow ends after its first round": (
        [("daemon/job/plan.c", "!caught_up(round, segments, nsegments)", "(!caught_up(round, segments, nsegments) && false)")],
        ["unit/test_plan"]),
    "nothing ends a stalled owner's transaction": (
        [("sql/postgres/claim_end_backend.sql", "WHERE j.id = $1", "WHERE false AND j.id = $1"),
         (DIALECT, "IDLE_IN_TRANSACTION_MS = 2000", "IDLE_IN_TRANSACTION_MS = 0")],
        ["test_takeover.py::test_a_stalled_daemon_in_mid_batch_blocks_the_site_for_3_s_at_most"]),
    "one Sync for a whole flight": (
        [("daemon/engine/postgres.c", "PQtransactionStatus(conn->pg) == PQTRANS_INTRANS", "false")],
        ["test_fault.py::test_a_connection_that_falls_silent_in_mid_batch"]),
    "other rows changed than kept": ([(BATCH, "return !batch->raced;", "return true;")],
                                     ["test_kept.py::test_a_row_that_begins_to_match_after_the_look_at_the_old_values"]),
    "the end is not frozen": (
        [(DIALECT, BOUNDARY_END, BOUNDARY_END.replace('" ORDER BY "', '" IS NOT NULL ORDER BY "'))],
        ["test_update.py::test_rows_inserted_above_the_frozen_key_are_left_alone"]),
    "0 rows changed is the end": (
        [(BATCH, "\tbatch->raced = ", "\tbatch->result.window.last |= batch->result.rows_changed == 0;\n\tbatch->raced = "),
         (BATCH, "\tif (batch->nothing)\n\t\treturn", "\tbatch->result.window.last |= batch->nothing;\n\tif (batch->nothing)\n\t\treturn")],
        ["test_traps.py::test_a_sparse_predicate_and_the_last_row_cost_no_more_than_the_first",
         "test_update.py::test_where_that_set_makes_false"]),
    "the last key is told by its text": ([(DIALECT, 'add_key_list(&b, shape, " DESC")', 'add_key_list(&b, shape, "::text DESC")')],
                                         ["test_keys.py::test_one_column"]),
    "the range can't use the key's index": (
        [(DIALECT, 'alias, "<=", &parameter);', 'alias, "<=", &parameter);\n\tstrbuf_add(b, " IS TRUE");'),
         (DIALECT, '&parameter);\n\t\tstrbuf_add(b, " AND ");', '&parameter);\n\t\tstrbuf_add(b, " IS TRUE AND ");'),
         (PLAN_CHECK, "if (check->empty || is_bounded(v, what == of_boundary))", "if (true || is_bounded(v, what == of_boundary))")],
        ["test_traps.py::test_a_sparse_predicate_and_the_last_row_cost_no_more_than_the_first"]),
    "a partition is not a segment": ([("sql/postgres/describe.sql", "l.oid <> r.oid OR r.relkind <> 'p'", "l.oid = r.oid")],
                                     ["test_partition.py::test_range"]),
    "UPDATE without ONLY": ([(DIALECT, '"UPDATE ONLY "', '"UPDATE "')], ["test_partition.py::test_inheritance_children_are_left_alone"]),
    "policies are obeyed in silence": ([(DIALECT, '{"row_security", "off"}', '{"row_security", "on"}')],
                                       ["test_traps.py::test_row_level_security_that_comes_while_a_job_runs_is_no_silence"]),
    "policies are no reason to refuse": ([(RULES_POSTGRES, 'if (fact_flag(relation, "row_security"))', "if (false)")],
                                         ["test_refusals.py::test_refused[row_level_security]"]),
    "the table's mark is not looked at": (
        [(CHECKPOINT, "::regclass = $10::oid", "::regclass IS NOT NULL"), (DIALECT, "= $13::text", "<> '-' || $13::text")],
        ["test_altered.py::test_another_table_of_the_same_name_is_not_touched"]),
    "a copy is taken for the original": (
        [("sql/postgres/claim_lock.sql", "WHEN home.value IS DISTINCT FROM here.server", "WHEN false")],
        ["test_adopt.py::test_the_job_s_own_connection_comes_back_on_a_copy"]),
    "a stranger is not left": ([(JOB, "job->reset_wanted = true;", "")],
                               ["test_adopt.py::test_the_job_s_own_connection_comes_back_on_a_copy"]),
    "a claim ends whoever has the pid": ([("sql/postgres/claim_end_backend.sql", " AND a.backend_start = j.backend_start", "")],
                                         ["test_takeover.py::test_a_claim_does_not_end_a_session_that_only_has_the_former_one_s_pid"]),
    "a pooler's session is remembered": (
        [("sql/postgres/claim_take.sql", "CASE WHEN pg_backend_pid() = $3::bigint THEN pg_backend_pid() END", "pg_backend_pid()"),
         ("sql/postgres/claim_take.sql", " AND pid = $3::bigint", " AND $3::bigint IS NOT NULL")],
        ["test_pooler.py::test_a_claim_ends_nobody_else_s_transaction_behind_a_pooler"]),
    "a stop cancels whoever has the pid": ([("sql/postgres/cancel_backend.sql", " AND a.backend_start = j.backend_start", "")],
                                           ["test_stop.py::test_a_session_that_only_has_the_same_pid_is_not_cancelled"]),
    "a stop cancels nothing": ([("sql/postgres/cancel_backend.sql", "WHERE j.id", "WHERE false AND j.id")],
                               ["test_stop.py::test_the_batch_in_flight_is_cancelled_if_asked"]),
    "conflicts are not counted": ([(BATCH, "rows_conflicted = strtoll", "rows_conflicted = 0 * strtoll")],
                                  ["test_insert.py::test_skip_leaves_and_counts_the_conflicts"]),
    "what was counted last is lost": ([("daemon/job/change.c", "return job != NULL && job_prepare", "return false && job_prepare")],
                                      ["test_traps.py::test_a_full_disk_pauses_at_once"]),

    # --- what a batch runs under ---
    "statements prepared behind a pooler": (
        [(JOB_BATCH, ".own_session = job->claimed.own_session", ".own_session = true")],
        ["test_pooler.py::test_a_job_through_a_transaction_pooler_is_exact_and_leaves_no_setting"]),
    "settings for the session": ([(DIALECT, '", true)"', '", false)"')],
                                 ["test_pooler.py::test_a_job_through_a_transaction_pooler_is_exact_and_leaves_no_setting"]),
    "the role's isolation": ([(BEGIN, "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN")],
                             ["test_session.py::test_every_setting_that_matters_is_pinned"]),
    "the role's search_path": ([(DIALECT, 'strbuf_add(&path, "pg_catalog");', 'strbuf_add(&path, "\\"$user\\"");')],
                               ["test_session.py::test_every_setting_that_matters_is_pinned"]),
    **{f"the role's {name}": ([(DIALECT, f'{{"{name}", "{value}"}},', "")],
                              ["test_session.py::test_keys_and_kept_values_have_one_text"])
       for name, value in (("DateStyle", "ISO, YMD"), ("IntervalStyle", "postgres"), ("TimeZone", "UTC"),
                           ("extra_float_digits", "1"), ("bytea_output", "hex"))},
    "constraints stay deferred": ([("sql/postgres/constraints_immediate.sql", "SET CONSTRAINTS ALL IMMEDIATE", "SELECT 1")],
                                  ["test_traps.py::test_a_deferred_constraint_fails_in_the_batch_s_own_statement"]),
    "batches wait for the disk": ([(DIALECT, 'session->wait_for_disk ? "on" : "off"', 'session->wait_for_disk ? "on" : "local"')],
                                  ["test_session.py::test_batches_need_no_disk_but_claims_and_states_do"]),
    "batches never wait for the disk": ([(DIALECT, 'session->wait_for_disk ? "on" : "off"', 'session->wait_for_disk ? "off" : "off"')],
                                        ["test_session.py::test_a_long_batch_waits_for_locks_below_deadlock_timeout"]),
    "claims and states don't wait for the disk": ([("sql/postgres/control_begin.sql", "SET LOCAL synchronous_commit = on;", "")],
                                                  ["test_session.py::test_batches_need_no_disk_but_claims_and_states_do"]),
    "lock_timeout beyond deadlock_timeout": ([(JOB_BATCH, "LONGEST_LOCK_WAIT_MS = 900", "LONGEST_LOCK_WAIT_MS = 3000")],
                                             ["test_traps.py::test_a_deadlock_with_the_application_costs_the_application_nothing"]),
    "no lock_timeout": ([(JOB_BATCH, "= lock_wait_ms(settings)", "= 0 * lock_wait_ms(settings)")],
                        ["test_traps.py::test_a_deadlock_with_the_application_costs_the_application_nothing"]),
    "nobody asks who blocks": ([(JOB_BATCH, "\t\task_for_blocker_in_ms(job", "\t\tif (false)\n\t\t\task_for_blocker_in_ms(job")],
                               ["test_takeover.py::test_a_row_lock_of_the_application_is_waited_for_and_named"]),
    "nobody waits for the batch to meet the lock": (
        [(JOB_BATCH, "lock_wait_ms(&job->claimed.job->settings) / 2)", "lock_wait_ms(&job->claimed.job->settings) / 1e9)")],
        ["test_takeover.py::test_a_row_lock_that_the_batch_meets_late_is_named"]),
    "a look-up ahead is used twice": (
        [("daemon/job/boundary.c", "\tahead_forget(ahead);\n}\n\nvoid ahead_forget", "}\n\nvoid ahead_forget"),
         (JOB_BATCH, "\tif (result->end != BATCH_COMMITTED)\n\t\tahead_forget(job->ahead);\n", "")],
        ["sim/sim_job"]),
    "a statement may take for ever": ([(JOB_BATCH, "SHORTEST_STATEMENT_MS = 5000", "SHORTEST_STATEMENT_MS = 500000")],
                                      ["test_traps.py::test_a_statement_that_hangs_is_ended_and_tried_again_smaller"]),
    "no ROLLBACK after a refusal": ([("daemon/engine/transaction.c", 'text(t, "rollback")', '"SELECT 1"')],
                                    ["test_takeover.py::test_what_was_written_before_a_lock_is_waited_for_in_vain_is_not_there_any_more"]),
    "a transaction is open between batches": (
        [("daemon/engine/transaction.c", 'text(t, "commit")', '"COMMIT AND CHAIN"')],
        ["test_traps.py::test_no_transaction_is_open_while_a_job_is_held_paused_or_resting"]),

    # --- errors ---
    "21000 is tried again": ([(ERRORS, '{"21000", ENGINE_ERROR_AMBIGUOUS}', '{"21000", ENGINE_ERROR_CONTENTION}')],
                             ["test_traps.py::test_two_rows_with_one_conflict_key_in_a_batch_pause_at_once"]),
    "a full disk is tried again": ([(ERRORS, '{"53100", ENGINE_ERROR_DISK_FULL},  ', "")],
                                   ["test_traps.py::test_a_full_disk_pauses_at_once"]),
    "a lost link stays lost": ([("daemon/engine/link.c", "\tev_timer_start(link->loop, &link->retry);\n", "")],
                               ["test_traps.py::test_idle_connections_that_are_ended_while_held_are_made_again",
                                "test_adopt.py::test_a_promoted_replica_needs_no_adoption"]),
    "connecting in the loop": (
        [("daemon/engine/connecting.c", "thread_start_detached(connect_thread, attempt)",
          "connect_thread(attempt) == NULL")],
        ["unit/test_engine_postgres"]),
    "COMMIT flies though the fence has not held": (
        [(DIALECT, ", 1 / (SELECT count(*) FROM ", ", 1 + (SELECT count(*) FROM ")], FENCED),
    "nobody reads while a flight is sent": (
        [("daemon/engine/postgres.c", "watch(conn, more ? EV_READ | EV_WRITE : EV_READ);", "watch(conn, more ? EV_WRITE : EV_READ);"),
         ("daemon/engine/postgres.c", "\tflush(conn);\n\tcollect(conn);", "\tflush(conn);\n\tif (PQflush(conn->pg) == 0)\n\t\tcollect(conn);")],
        ["unit/test_engine_flight"]),
    "PQcancel": (
        [("daemon/engine/postgres.c", "\tdrop_session(conn, NULL);", "\tPQfreeCancel(PQgetCancel(conn->pg));\n\tdrop_session(conn, NULL);")],
        ["lint/banned.sh"]),

    # --- MySQL and MariaDB ---
    "libmariadb's socket blocks over TLS": (
        [("daemon/engine/mysql_session.c", "fcntl(socket, F_GETFL) | O_NONBLOCK", "fcntl(socket, F_GETFL) & ~O_NONBLOCK")],
        ["unit/test_engine_mysql"]),
    "errors of one TLS session are another's": ([("daemon/engine/mysql_session.c", "\tERR_clear_error();\n", "\t(void)ERR_clear_error;\n")],
                                                ["unit/test_engine_mysql_flight"]),
    "all rows in one turn": ([("daemon/engine/mysql_session.c", "ROWS_A_TURN = 500", "ROWS_A_TURN = 500000000")],
                             ["unit/test_engine_mysql_execute"]),
    "changed rows are counted": ([("daemon/engine/mysql_connect.c", "CLIENT_FOUND_ROWS", "0")], ["unit/test_engine_mysql_execute"]),
    "a warning is mere news": ([("daemon/engine/mysql_session.c", "s->strict && mysql_warning_count(s->mysql) > 0", "false")],
                               ["unit/test_engine_mysql_execute"]),
    "TLS is not required": ([("daemon/engine/mysql_connect.c", "url->tls >= MYSQL_TLS_REQUIRED && ", "url->tls > MYSQL_TLS_VERIFY_IDENTITY && ")],
                            ["unit/test_engine_mysql"]),

    "MySQL: any host will do": ([("daemon/engine/mysql_connect.c", "url->nhosts == 1 || takes_writes(", "url->nhosts >= 1 || takes_writes(")],
                                ["unit/test_engine_mysql"]),
    "MySQL: a stopped thread is no matter": (
        [("daemon/engine/replication_mysql.c", 'if (strcmp(running, "Yes") == 0)', "if (running != NULL)")], ["unit/test_replication"]),
    "MySQL: any source is ours": ([("daemon/engine/replication_mysql.c", "if (!known || ", "if (!known || known || ")], ["unit/test_replication"]),
    "warnings of the work are not asked for": ([(BATCH, "absorb_work)->strict = true;", "absorb_work);")], ["sim/sim_job"]),
    **{f"MySQL: {what}": ([("daemon/engine/mysql_error.c", old, new)], ["unit/test_mysql_error"]) for what, old, new in (
        ("what is too large for the binary log pauses", "{1197, ENGINE_ERROR_TOO_LARGE}", "{1197, ENGINE_ERROR_DATA}"),
        ("values that are cut are the row's fault", "{1260, ENGINE_ERROR_TOO_LARGE}", "{1260, ENGINE_ERROR_DATA}"),
        ("a full table is tried again", "{1114, ENGINE_ERROR_DISK_FULL}", "{1114, ENGINE_ERROR_CONTENTION}"),
        ("a full disk is tried again", "if (says_disk_full(number, message))", "if (false && says_disk_full(number, message))"),
        ("a server that became read-only is none", "if (says_read_only(number, message))", "if (false && says_read_only(number, message))"),
        ("a subquery of two rows is tried again", '{"21", ENGINE_ERROR_AMBIGUOUS}', '{"21", ENGINE_ERROR_CONTENTION}'),
        ("a deprecated form ends the job", "{1287, 1681, 3719, 3720, 3778, 4095, 4096}", "{4096}"))},
    **{f"MySQL: {what}": ([("daemon/engine/rules_mysql.c", old, new)], ["unit/test_preflight_rules_mysql"]) for what, old, new in (
        ("another engine's table is not refused", 'if (strcmp(engine, "InnoDB") != 0) {', "if (false) {"),
        ("another engine's control tables are not refused", "if (elsewhere[0] == '\\0')", "if (elsewhere[0] == '\\0' || true)"),
        ("statements in the binary log are not refused", '"STATEMENT") != 0)', '"STATEMENT") != 2)'),
        ("a trigger may write what no roll-back takes back", "if (!mentions(", "if (true || !mentions("),
        ("triggers that are not shown are none", 'if (fact_flag(relation, "sees_triggers"))', 'if (fact_flag(relation, "sees_triggers") || true)'),
        ("another unique key is not refused", "if (index == arbiter || cannot_collide(", "if (true || index == arbiter || cannot_collide("),
        ("a float key is not refused", '"bit",       "enum",      NULL}', '"bit",       "enum",      "float", "double", NULL}'),
        ("what is no table is not refused", '"BASE TABLE") != 0)', '"BASE TABLE") == 2)'))},

    # --- the throttle ---
    "a replica without a heartbeat has no lag": (
        [("daemon/throttle/replica.c", "\t\tset_not_arrived(replica, now_us);", "\t\tset_known(replica, 0 * now_us, now_us), (void)set_not_arrived;")],
        ["test_throttle.py::test_a_kill_while_held_stays_held"]),
    "an emptied histogram goes on": ([("daemon/throttle/cumulative.c", "return now->count >= before->count && ", "return ")], ["unit/test_cumulative"]),
    "buckets of any width will do": ([("daemon/throttle/cumulative.c", "coarse_ratio = 2.5", "coarse_ratio = 25")], ["unit/test_cumulative"]),
    "no hold when a replica is silent": ([("daemon/throttle/decide.c", "verdict->held = true", "verdict->held = false")],
                                         ["test_throttle.py::test_a_silent_replica_holds"]),
    "one row for all heartbeats": ([("daemon/throttle/probe_lag.c", "SLOTS = 4", "SLOTS = 1")],
                                   ["test_throttle.py::test_heartbeats_take_turns_among_a_few_rows"]),
    "any server is a replica": ([("daemon/engine/replication_postgres.c", 'standby != NULL && strcmp(standby, "t") == 0', "standby != NULL")],
                                ["test_throttle.py::test_a_replica_that_is_none_is_blind"]),
    "a delay on purpose is lag": ([(LAG, "mono_us - delay_us", "mono_us - 0 * delay_us")],
                                  ["test_throttle.py::test_a_delay_on_purpose_is_no_lag"]),
    "a vanished replica is forgotten": ([("daemon/throttle/probe_lag.c", "if (!present[i])", "if (false && !present[i])"),
                                         ("sql/postgres/heartbeat_standbys.sql", "LIKE 'standby:%' AND", "LIKE 'standby:%' AND false AND")],
                                        ["test_throttle.py::test_a_replica_that_vanishes_holds_until_it_is_left_out_by_name"]),
    "a restart forgets a vanished replica": (
        [("sql/postgres/heartbeat_standbys.sql", "LIKE 'standby:%' AND", "LIKE 'standby:%' AND false AND")],
        ["test_throttle.py::test_a_replica_that_vanishes_while_the_daemon_is_dead_holds_too"]),
    "replay_lag is believed": ([(LAG, "fmax(stuck_ms, measured_ms)", "0 * stuck_ms + measured_ms")], ["unit/test_lag"]),
    "no guard": ([(JOB, "if (limit_ms > 0 && verdict", "if (limit_ms < 0 && verdict")],
                 ["test_throttle.py::test_somebody_else_s_load_pauses_and_throws_nothing_away"]),
    "a baseline is learned at work": ([("daemon/throttle/latency.c", "if (mode == LATENCY_WORK)", "if (mode == LATENCY_WORK && false)")],
                                     ["unit/test_latency"]),
    "what looks back at our work is a baseline": (
        [("daemon/throttle/latency_told.c", "now_us - told->rests_since_us < told->window_us", "now_us < told->window_us")], ["unit/test_latency_told"]),
    "the site's own P95 is believed by one value": (
        [("daemon/throttle/latency_told.c", "count >= enough_values", "count > 0")], ["unit/test_latency_told"]),
    "any answer of an own URL is go": (
        [("daemon/throttle/level.c", "bool by_status = own->limit <= 0 &&", "bool by_status = own->limit != 77 &&")], ["unit/test_level"]),
    "a URL's password is in a message": (
        [("common/own_probe.c", "KEY_REQUIRED | KEY_SECRET", "KEY_REQUIRED")], ["unit/test_jobfile_limits"]),
    "a baseline follows us up": ([("daemon/throttle/baseline.c", "fmin(sum / weights, most)", "sum / weights + 0 * most")], ["unit/test_latency"]),
    "those behind a hung query are not counted": (
        [("daemon/throttle/histogram.c", "if (every_us <= 0)", "if (every_us != 0)")], ["unit/test_histogram"]),
    "what is over is answered again": ([("daemon/throttle/reading.c", "if (pressure >= 1 && reading->recent > 0)", "if (false)")],
                                       ["unit/test_decide"]),
    "fewer before shorter": ([("daemon/throttle/control.c", "if (!shorten(control, input))", "if (true)")], ["unit/test_control"]),
    "few samples are believed": ([("daemon/throttle/reading.c", "if (reading->sure)", "if (true)")], ["unit/test_decide"]),
    "who rests does not look": ([("daemon/job/job_internal.h", "JOB_LONGEST_REST_MS = 500", "JOB_LONGEST_REST_MS = 500000")],
                                ["test_throttle.py::test_a_guard_is_seen_while_the_job_rests"]),
    "a lag is met when it is there": ([(LAG, "slope > 0 ? lag / (1 - fmin(slope, stands_still)) : lag", "lag + 0 * slope * stands_still")],
                                      ["sim/sim_throttle"]),
    "what the throttle found out is forgotten": ([("daemon/job/memory.c", "if (strcmp(name, memory->name) == 0)", "if (false && name == NULL)")],
                                                 ["test_latency.py::test_a_restarted_daemon_goes_on_with_its_baseline"]),
    "nobody sees an old transaction": ([("sql/postgres/level_oldest.sql", "WHERE age IS NOT NULL ORDER", "WHERE age < 0 ORDER")],
                                       ["test_levels.py::test_an_old_transaction_slows_and_never_holds"]),
    "dead rows are not counted": ([("sql/postgres/level_dead_rows.sql", "SELECT over, NULL", "SELECT 0 * over, NULL")],
                                  ["test_levels.py::test_dead_rows_hold_until_vacuum"]),
    "a slot that fills is not seen": ([("sql/postgres/level_wal.sql", "coalesce(worst.bytes, 0)", "0 * coalesce(worst.bytes, 0)")],
                                      ["test_levels.py::test_a_slot_that_fills_holds"]),
    "an archiver that fails is not seen": ([("sql/postgres/level_archive.sql", "THEN (SELECT files FROM", "THEN (SELECT 0 * files FROM")],
                                           ["test_levels.py::test_an_archiver_that_fails_holds"]),
    "an ETA while held": ([("daemon/job/job_seen.c", "held ? -1 : ", ""), ("daemon/job/job_seen.c", "held ? 0 : ", "")],
                          ["test_throttle.py::test_a_held_job_shows_no_eta"]),
    "beyond 100 %": ([("daemon/job/plan.c", "progress < 0.99 ? progress : 0.99", "progress"),
                      ("daemon/job/plan.c", "scanned > 0 ? 0.99 : 0.0", "(double)scanned / (double)estimated")], ["unit/test_plan"]),
    **{f"HTTP: {what}": ([("daemon/base/http_client.c", old, new)], ["unit/test_http_client"]) for what, old, new in (
        ("a look-up that nobody waits for connects", "if (request->fn == NULL)\n\t\treturn CURL_SOCKET_BAD;", ""),
        ("the end of a request waits for its look-up", "CURLOPT_QUICK_EXIT, 1L", "CURLOPT_QUICK_EXIT, 0L"),
        ("the environment chooses a proxy", 'curl_easy_setopt(easy, CURLOPT_PROXY, "");', ""),
        ("a body has no end", "length > request->max_bytes - request->body.length", "false"),
        ("a header may be two", 'strpbrk(*headers, "\\r\\n") != NULL', "false"))},
    **{f"HTTP: {what}": ([("daemon/throttle/http_value.c", old, new)], ["unit/test_http_value"]) for what, old, new in (
        ("NaN is go", "if (is_like_number(answer->body))", "if (false)"),
        ("any series will do", "if (series > 1)", "if (false)"),
        ("429 is a refusal like others", "answer->status == STATUS_TOO_MANY_REQUESTS", "false"),
        ("a refusal has a value", "answer->status < 200 || answer->status > 299", "false"))},

    # --- what is refused ---
    **{f"{name} is not refused": ([(where, old, new)], [f"test_refusals.py::test_refused[{test}]"]) for name, where, old, new, test in (
        ("a nullable key", RULES, 'else if (!fact_flag(column, "not_null"))', "else if (false)", "nullable_unique_key"),
        ("a float key", RULES_POSTGRES, 'if (fact_flag(column, "float"))', "if (column == NULL)", "float_key"),
        ("SET on the key", RULES, "if (write->to_worked_table && write->does.updates && rules_writes_column", "if (false && rules_writes_column", "set_on_the_key"),
        ("a generated column", RULES, 'if (fact_flag(column, "generated"))', "if (false)", "generated_column"),
        ("an identity column", RULES_POSTGRES, 'return fact_flag(column, "identity_always") ?', "return column == NULL ?", "identity_column"),
        ("a view", RULES_POSTGRES, 'if (strcmp(kind, "r") != 0 &&', "if (kind[0] != 'v' && strcmp(kind, \"r\") != 0 &&", "view"),
        ("a trigger", RULES, "if (job->allow_triggers)", "if (job->allow_triggers || true)", "trigger"),
        ("a cascade", RULES, "if (job->allow_cascades)", "if (job->allow_cascades || true)", "cascade"),
        ("no replica identity", RULES_POSTGRES, "if (published && ", "if (false && published && ", "published_without_identity"))},
    "a temporary table is not refused": ([(RULES_POSTGRES, '"persistence"), "t") == 0', '"persistence"), "t") == 2')],
                                         ["unit/test_preflight_rules"]),
    "a foreign table is not refused": ([(RULES_POSTGRES, 'if (strcmp(kind, "r") != 0 &&', "if (kind[0] != 'f' && strcmp(kind, \"r\") != 0 &&")],
                                       ["unit/test_preflight"]),
    "nobody looks at the plan when a job begins": (
        [("daemon/job/job_plan.c", "job->planned_mark == NULL || strcmp", "job->planned_mark != NULL && strcmp")],
        ["test_plans.py::test_an_index_that_is_worse_at_the_start_than_it_was_at_submit",
         "mariadb:test_plans.py::test_an_index_that_is_worse_at_the_start_than_it_was_at_submit"]),
    "a bad plan is forgotten when the pause fails": (
        [("daemon/job/job_plan.c", "\t\tpause_for_plan(job, check);", "\t\tnote_plan(job, leaf);\n\t\tpause_for_plan(job, check);")],
        ["test_plans.py::test_a_bad_plan_is_not_forgotten_when_the_pause_fails"]),
    "a setting that is stored while a claim is on its way is lost": (
        [(JOB, "job->reread = true;", "job->taken = false;")],
        ["test_fault.py::test_a_setting_that_is_stored_while_the_claim_s_answer_is_on_its_way"]),
    "a job stops for a scan of a small table": (
        [("daemon/job/job_plan.c", "SMALL_TABLE_ROWS = 100000", "SMALL_TABLE_ROWS = 10000")],
        ["test_plans.py::test_a_small_table_that_has_lost_its_statistics_is_worked_on"]),
    "nobody looks at the plan when batches get slow": (
        [("daemon/throttle/jump.c", "return jump->slow >= slow_in_a_row &&", "return jump->slow < 0 * slow_in_a_row &&")],
        ["unit/test_jump", "sim/sim_job", "test_plans.py::test_an_index_that_is_dropped_pauses_when_the_batches_get_slow[slow]"]),
    "nobody looks at the plan behind a time-out": (
        [(JOB_BATCH, "result->error == ENGINE_ERROR_TIMEOUT && jump_timed_out(", "result->error == ENGINE_ERROR_NONE && jump_timed_out(")],
        ["test_plans.py::test_an_index_that_is_dropped_pauses_when_the_batches_get_slow[time-out]"]),
    "a look at the plan behind each slow batch": (
        [("daemon/throttle/jump.c", "*jump = (struct jump){.quiet_until_us = now_us + quiet_us};", "*jump = (struct jump){.quiet_until_us = now_us + 0 * quiet_us};")],
        ["unit/test_jump"]),
    "any plan will do": ([(PLAN_CHECK, "if (check->empty || is_bounded(v, what == of_boundary))", "if (true || is_bounded(v, what == of_boundary))")], ["unit/test_preflight"]),
    **{f"a fragment may {what}": ([(file, old, new)], ["unit/test_sqlcheck"]) for what, file, old, new in (
        ("close what it did not open", "common/sqlcheck_postgres.c", "if (*depth == 0)", "if (*depth == 0)\n\t\t\treturn NULL;\n\t\tif (false)"),
        ("have a ;", "common/sqlcheck_postgres.c", "case PG_QUERY__TOKEN__ASCII_59:", "case -59:"),
        ("be of any length", "common/sqlcheck.c", "return strlen(f->text) <= MAX_FRAGMENT_BYTES", "return true"))},
    **{f"MySQL: {what}": ([(f"common/{file}", old, new)], ["unit/test_sqlcheck_mysql", "unit/test_sqlcheck_mysql_where"]) for what, file, old, new in (
        ("a fragment may close what it did not open", "sqllex_mysql.c", "\tif (s->depth == 0)\n\t\treturn refuse(",
         "\tif (s->depth == 0) {\n\t\ts->at++;\n\t\treturn true;\n\t}\n\tif (false)\n\t\treturn refuse("),
        ("a fragment may have a ;", "sqllex_mysql.c", "case ';':", "case '\\1':"),
        ("a fragment may have a comment", "sqllex_mysql.c", "if (starts_comment(text))", "if (false && starts_comment(text))"),
        ("a fragment may have a $", "sqllex_mysql.c", "c == '_' ||", "c == '_' || c == '$' ||"),
        ("a backslash escapes in a name", "sqllex_mysql.c", "quote != '`' && text[end + 1]", "text[end + 1]"),
        ("any word is an operator", "sqlcheck_mysql_expression.c", "if (!is_one_of(w, binary_words) && ",
         "if (!is_kind(w, SQLLEX_WORD) && !is_one_of(w, binary_words) && "),
        ("a subquery may aggregate the batch", "sqlcheck_mysql.c", "if (c->f->selected_from != NULL && ", "if (false && "),
        ("a fragment may sleep", "sqlcheck_mysql.c", "if (sqllex_names_one_of(c->lex, i, forbidden_functions))",
         "if (sqllex_is_one_of(c->lex, i, forbidden_functions))"),
        ("a fragment may have a two-barred OR", "sqlcheck_mysql_expression.c", "\tif (is(w, \"||\"))", "\tif (accept(w, \"||\"))\n\t\treturn true;\n\tif (false)"),
        ("assignments see each other", "sqlcheck_mysql.c", "\t.may_read = sqlcheck_mysql_may_read,\n", ""),
        ("BETWEEN has no AND of its own", "sqlcheck_mysql_where.c", "\t\t\tbetweens++;", "\t\t\tbetweens += 0;"))},
    **{f"libconfig meets {what}": ([("common/keytable_scan.c", old, new)], ["unit/test_keytable"]) for what, old, new in (
        ("@include", "if (c == '@')", "if (false)"), ("\\x00", "if (strtol(byte, NULL, 16) == 0)", "if (false)"),
        ("33 bits", "if (!is_long && (value > INT32_MAX || value < INT32_MIN))", "if (false && is_long && value > 0)"),
        ("deep nesting", "if (++s->depth > KEYTABLE_MAX_DEPTH)", "if (++s->depth > 1000000)"),
        ("long texts", "if (s->end - s->at > KEYTABLE_MAX_BYTES)", "if (false)"))},
    **mutants_mysql.MUTANTS,
}


def run(command, tree, **variables):
    """A mutant that never ends has failed: `timeout` says 124."""
    return subprocess.run(["timeout", "--kill-after=10", "900", *command], cwd=tree, env={**os.environ, **variables},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def engine_and_name(test):
    engine, found, name = test.partition(":")
    return (engine, name) if found and engine in ENGINES else (ENGINE, test)


def programs_of(tests):
    return [test for test in tests if test.startswith(("unit/", "sim/"))]


def build(tree, programs):
    made = run(["make", "-s", "-j2", "VARIANT=failpoint", "FAILPOINTS=1", "WERROR=", "all", f"{VARIANT}/tests/dialect_texts", *(f"{VARIANT}/tests/{name}" for name in programs)], tree)
    assert made.returncode == 0, made.stdout[-3000:]


def tests_pass(tree, tests):
    programs = programs_of(tests)
    if any(run([os.path.join(tree, VARIANT, "tests", name)], tree).returncode != 0 for name in programs):
        return False
    if any(run([os.path.join(tree, "tests", name)], tree).returncode != 0 for name in tests if name.startswith("lint/")):
        return False
    return all(pytest_passes(tree, engine, tests) for engine in ENGINES)


def pytest(tree, engine, tests, *options):
    """What it returns; None if none of them is this engine's."""
    names = [test for on, test in map(engine_and_name, tests) if on == engine and "/" not in test]
    names = [test if not test.startswith("test_") else f"tests/integration/{test}" for test in names]
    command = ["/usr/bin/python3", "-m", "pytest", *names, "-q", "-x", "-p", "no:cacheprovider", "--engine", engine, *options]
    return run(command, tree, BACKFILLD_BUILD=os.path.join(tree, VARIANT)).returncode if names else None


def pytest_passes(tree, engine, tests):
    return pytest(tree, engine, tests) in (None, 0)


def of_the_engine(tree):
    """{name: (edits, tests)} for ENGINE alone: what any engine has, and the tests that it runs."""
    neutral = {name: (edits, [test for test in tests if test.startswith("test_")]) for name, (edits, tests) in MUTANTS.items()
               if not any(own in path for path, _, _ in edits for own in ("postgres", "mysql"))}
    return {name: (edits, tests) for name, (edits, tests) in neutral.items() if pytest(tree, ENGINE, tests, "--collect-only") == 0}


def restored(before):
    for path, text in before.items():
        with open(path, "w") as f:
            f.write(text)


def mutated(tree, edits):
    """{path: text before}"""
    before = {}
    for name, old, new in edits:
        path = os.path.join(tree, name)
        with open(path) as f:
            text = f.read()
        before.setdefault(path, text)
        assert old in text, f"{name} has no {old!r} any more"
        with open(path, "w") as f:
            f.write(text.replace(old, new))
    return before


def main(chosen):
    survivors = caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as tree:
        os.chmod(tree, 0o755)  # the servers are another user's
        subprocess.run(["git", "clone", "-q", "--shared", ROOT, tree], check=True)
        mutants = MUTANTS if ENGINE == ENGINES[0] else of_the_engine(tree)
        wanted = {name: it for name, it in mutants.items() if not chosen or any(part in name for part in chosen)}
        tests = sorted({test for _, tests in wanted.values() for test in tests})
        build(tree, programs_of(tests))
        assert tests_pass(tree, tests), "they fail without any mutant"
        for name, (edits, tests) in wanted.items():
            before = mutated(tree, edits)
            build(tree, programs_of(tests))
            survived = tests_pass(tree, tests)
            survivors, caught = survivors + survived, caught + (not survived)
            print(f"{'SURVIVED' if survived else 'caught  '}  {name}  ({' '.join(tests)})", flush=True)
            restored(before)
    print(f"{caught} caught, {survivors} survived")
    return 1 if survivors or not caught else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
