/* test_replication.c: what a replica's own words say of its threads and its delay. */
#include "daemon/engine/replication.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { NCOLUMNS = 7, MAX_CHANNELS = 3 };
static const char *const columns[NCOLUMNS] = {"Connection_name", "Slave_IO_Running", "Slave_SQL_Running", "Last_IO_Error",
                                              "Last_SQL_Error",  "Master_Server_Id", "SQL_Delay"};

struct answer {
	struct engine_rows base; /* first */
	const char *values[MAX_CHANNELS][NCOLUMNS];
};

static const char *value(const struct engine_rows *rows, int row, int column) {
	return ((const struct answer *)rows)->values[row][column];
}

static const char *name(const struct engine_rows *rows, int column) {
	(void)rows;
	return columns[column];
}

static struct replica_state ask(struct answer *answer, int nrows, const char *primary) {
	answer->base = (struct engine_rows){.value = value, .name = name};
	struct engine_result result = {.nrows = nrows, .ncolumns = NCOLUMNS, .rows = answer};
	return replication_mysql.state(&result, primary);
}

static void assert_replicates(struct replica_state s, int64_t delay_us) {
	assert_true(s.replicates);
	assert_string_equal(s.why, "");
	assert_int_equal(s.delay_us, delay_us);
}

static void assert_blind(struct replica_state s, const char *why) {
	assert_false(s.replicates);
	assert_string_equal(s.why, why);
}

static void one_source(void **state) {
	(void)state;
	struct answer a = {.values = {{"", "Yes", "Yes", "", "", "1", "0"}}};
	assert_replicates(ask(&a, 1, "1"), 0);
	assert_replicates(ask(&a, 1, ""), 0);
	assert_replicates(ask(&a, 1, "7"), 0); /* behind another replica */
	a.values[0][6] = "3600";
	assert_replicates(ask(&a, 1, "1"), 3601000000);
}

static void threads(void **state) {
	(void)state;
	struct answer a = {.values = {{"", "No", "Yes", "", "", "1", "0"}}};
	assert_blind(ask(&a, 1, "1"), "its IO thread is stopped");
	a.values[0][1] = "Connecting";
	a.values[0][3] = "Access denied";
	assert_blind(ask(&a, 1, "1"), "its IO thread is not connected: Access denied");
	a.values[0][1] = "Preparing";
	assert_blind(ask(&a, 1, "1"), "its IO thread is not connected: Access denied");
	a.values[0][1] = "Yes"; /* an error that is over */
	assert_replicates(ask(&a, 1, "1"), 0);
	a.values[0][0] = "north";
	a.values[0][2] = "No";
	a.values[0][4] = "Duplicate entry";
	assert_blind(ask(&a, 1, "1"), "its SQL thread of channel north is stopped: Duplicate entry");
	a.values[0][2] = NULL;
	assert_false(ask(&a, 1, "1").replicates);
}

static void several_sources(void **state) {
	(void)state;
	struct answer a = {.values = {{"other", "No", "No", "", "", "2", "7200"}, {"", "Yes", "Yes", "", "", "1", "60"}}};
	assert_replicates(ask(&a, 2, "1"), 61000000);
	assert_blind(ask(&a, 2, "2"), "its IO thread of channel other is stopped");
	/* Any of them may be the one. */
	assert_blind(ask(&a, 2, "3"), "its IO thread of channel other is stopped");
	a.values[0][1] = a.values[0][2] = "Yes";
	assert_replicates(ask(&a, 2, "3"), 61000000);
}

static void none(void **state) {
	(void)state;
	struct answer a = {.values = {{NULL}}};
	assert_blind(ask(&a, 0, "1"), "it is not a replica (any more): it has no source");
	assert_false(ask(&a, 1, "1").replicates); /* nothing that we know */
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_source),
		cmocka_unit_test(threads),
		cmocka_unit_test(several_sources),
		cmocka_unit_test(none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
