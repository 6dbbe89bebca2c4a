#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/engine/dialect.h"
#include "daemon/throttle/disk.h"
#include "daemon/throttle/level.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

static const int64_t second_us = 1000000;
static const struct own_probe own = {.name = (char *)"q", .text = (char *)"SELECT 1", .ok = 2, .limit = 4, .every_ms = 250};

static struct level_state after(enum level_id id, const struct level_answer *answer) {
	struct level_state state;
	level_state_init(&state, id, id == LEVEL_OWN ? &own : NULL);
	level_answered(&state, id, answer, second_us);
	return state;
}

static void each_has_its_text_and_name(void **state) {
	(void)state;
	for (int i = 0; i < LEVEL_OWN; i++) {
		const char *postgres = dialect_sql(&dialect_postgres, levels[i].text),
				   *mysql = dialect_sql(&dialect_mysql, levels[i].text);
		assert_true(postgres[0] != '\0' || mysql[0] != '\0');
		assert_true(levels[i].every_us > 0 && levels[i].what != NULL);
		assert_true(strlen(levels[i].what) < sizeof(((struct reading *)NULL)->what));
	}
}

static void numbers(void **state) {
	(void)state;
	static const struct {
		const char *text;
		double value;
	} good[] = {{"0", 0}, {"12.5", 12.5}, {"-3", -3}, {"1e3", 1000}, {"7 ", 7}};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct level_state s = after(LEVEL_OWN, &(struct level_answer){.nrows = 1, .ncolumns = 1, .value = good[i].text});
		assert_int_equal(s.reading.state, READING_KNOWN);
		assert_true(s.reading.value == good[i].value);
	}
	static const char *const bad[] = {"", " ", "t", "NaN", "inf", "1x", "1 2", " 1"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct level_state s = after(LEVEL_OWN, &(struct level_answer){.nrows = 1, .ncolumns = 1, .value = bad[i]});
		assert_int_equal(s.reading.state, READING_UNKNOWN);
		assert_non_null(strstr(s.reading.why, "which is no number"));
	}
}

static void what_is_no_number(void **state) {
	(void)state;
	struct level_state s = after(LEVEL_OWN, &(struct level_answer){.nrows = 1, .ncolumns = 1});
	assert_string_equal(s.reading.why, "the query answered with NULL");
	s = after(LEVEL_OWN, &(struct level_answer){0});
	assert_string_equal(s.reading.why, "the query answered with 0 rows, not with one");
	assert_false(s.absent);
	s = after(LEVEL_OWN, &(struct level_answer){.nrows = 2, .ncolumns = 1, .value = "1"});
	assert_string_equal(s.reading.why, "the query answered with 2 rows, not with one");
	s = after(LEVEL_ACTIVE, &(struct level_answer){.nrows = 1, .ncolumns = 5, .why = "GRANT it"});
	assert_string_equal(s.reading.why, "GRANT it");
}

static void readings_of_own_probes(void **state) {
	(void)state;
	struct level_state s = after(LEVEL_OWN, &(struct level_answer){.nrows = 1, .ncolumns = 1, .value = "3"});
	const struct throttle_settings none = {0};
	const struct level_want want = {.throttle = &none};
	struct readings readings = {0};
	level_add_reading(&s, LEVEL_OWN, &want, &own, second_us, &readings);
	const struct reading *r = &readings.list[0];
	assert_string_equal(r->probe, "sql:q");
	assert_true(r->ok == 2 && r->limit == 4 && r->period_us == 250000 && r->counts);
	assert_float_equal(reading_pressure(r, second_us), 0.5, 1e-9);
	level_failed(&s, "permission denied", true);
	level_add_reading(&s, LEVEL_OWN, &want, &own, second_us, &readings);
	assert_true(readings.list[1].counts && readings.list[1].state == READING_UNKNOWN);
	readings_free(&readings);
}

static struct reading as_told(const struct own_probe *probe, struct level_state *s, struct http_value value) {
	const struct throttle_settings none = {0};
	const struct level_want want = {.throttle = &none};
	struct readings readings = {0};
	level_told(s, probe, &value, second_us);
	level_add_reading(s, LEVEL_OWN, &want, probe, second_us, &readings);
	struct reading reading = readings.list[0];
	readings_free(&readings);
	return reading;
}

static void own_probes_by_http(void **state) {
	(void)state;
	const struct own_probe number = {.name = (char *)"n", .text = (char *)"http://h", .ok = 2, .limit = 4, .is_http = true};
	const struct own_probe status = {.name = (char *)"s", .text = (char *)"http://h", .is_http = true};
	struct level_state s;
	level_state_init(&s, LEVEL_OWN, &number);
	struct reading r = as_told(&number, &s, (struct http_value){.kind = HTTP_VALUE_NUMBER, .number = 3});
	assert_string_equal(r.probe, "http:n");
	assert_true(r.counts && r.value == 3 && reading_pressure(&r, second_us) == 0.5);
	r = as_told(&number, &s, (struct http_value){.kind = HTTP_VALUE_STOP, .why = "too much"});
	assert_true(r.value == 4 && reading_pressure(&r, second_us) == 1);
	assert_string_equal(r.detail, "too much");
	r = as_told(&number, &s, (struct http_value){.kind = HTTP_VALUE_GO});
	assert_true(r.state == READING_UNKNOWN && r.detail[0] == '\0');
	assert_string_equal(r.why, "the answer has no number");
	r = as_told(&number, &s, (struct http_value){.kind = HTTP_VALUE_UNKNOWN, .why = "HTTP 503"});
	assert_string_equal(r.why, "HTTP 503");
	assert_int_equal(r.good, 0);
	level_state_init(&s, LEVEL_OWN, &status);
	r = as_told(&status, &s, (struct http_value){.kind = HTTP_VALUE_GO});
	assert_true(r.state == READING_KNOWN && r.limit == 1 && reading_pressure(&r, second_us) == 0);
	r = as_told(&status, &s, (struct http_value){.kind = HTTP_VALUE_STOP});
	assert_true(reading_pressure(&r, second_us) == 1);
	r = as_told(&status, &s, (struct http_value){.kind = HTTP_VALUE_NUMBER, .number = 7}); /* no limit, so nobody asked for one */
	assert_true(reading_pressure(&r, second_us) == 0);
	r = as_told(&status, &s, (struct http_value){.kind = HTTP_VALUE_UNKNOWN, .why = "HTTP 404"});
	assert_true(r.state == READING_UNKNOWN && r.counts);
}

/* Bytes in a minute. The first look tells nothing, nor one behind a restart of the server. */
static void counters(void **state) {
	(void)state;
	struct level_state s;
	level_state_init(&s, LEVEL_BINLOG, NULL);
	static const struct {
		const char *counted;
		int64_t at_s;
		double value; /* < 0: not known */
	} looks[] = {{"1000", 10, -1}, {"1500", 15, 6000}, {"1500", 20, 0}, {"20", 25, 0}, {"40", 35, 120}};
	for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
		const struct level_answer answer = {.nrows = 1, .ncolumns = 5, .value = looks[i].counted};
		level_answered(&s, LEVEL_BINLOG, &answer, looks[i].at_s * second_us);
		assert_int_equal(s.reading.state, looks[i].value < 0 ? READING_UNKNOWN : READING_KNOWN);
		if (looks[i].value >= 0)
			assert_float_equal(s.reading.value, looks[i].value, 1e-9);
	}
	level_failed(&s, "lost", false);
	level_answered(&s, LEVEL_BINLOG, &(struct level_answer){.nrows = 1, .ncolumns = 5, .value = "100"}, 40 * second_us);
	assert_int_equal(s.reading.state, READING_UNKNOWN);
}

static double limit_of(const struct level_state *s, enum level_id id, const struct throttle_settings *settings) {
	const struct level_want want = {.throttle = settings};
	struct readings readings = {0};
	level_add_reading(s, id, &want, NULL, second_us, &readings);
	double limit = readings.list[0].limit;
	assert_true(readings.list[0].ok == limit / 2);
	readings_free(&readings);
	return limit;
}

static void slots_have_two_limits(void **state) {
	(void)state;
	struct level_state s = after(
		LEVEL_WAL, &(struct level_answer){.nrows = 1, .ncolumns = 5, .value = "70", .detail = "slot x", .own_limit = "100"});
	assert_string_equal(s.reading.detail, "slot x");
	assert_true(limit_of(&s, LEVEL_WAL, &(struct throttle_settings){.slots = true}) == 100);
	assert_true(limit_of(&s, LEVEL_WAL, &(struct throttle_settings){.slots = true, .max_wal_retained_bytes = 60}) == 60);
	assert_true(limit_of(&s, LEVEL_WAL, &(struct throttle_settings){.slots = true, .max_wal_retained_bytes = 600}) == 100);
	assert_true(limit_of(&s, LEVEL_WAL, &(struct throttle_settings){.max_wal_retained_bytes = 600}) == 600);
}

static void what_is_wanted(void **state) {
	(void)state;
	const struct throttle_table table = {.oid = 5}, none = {0};
	const struct throttle_settings slots = {.slots = true}, dead = {.max_dead_ratio = 1}, off = {0};
	assert_true(level_is_wanted(LEVEL_WAL, &(struct level_want){.throttle = &slots}));
	assert_false(level_is_wanted(LEVEL_WAL, &(struct level_want){.throttle = &off}));
	assert_true(level_is_wanted(LEVEL_DEAD_ROWS, &(struct level_want){.throttle = &dead, .table = &table}));
	assert_false(level_is_wanted(LEVEL_DEAD_ROWS, &(struct level_want){.throttle = &dead, .table = &none}));
	assert_false(level_is_wanted(LEVEL_DEAD_ROWS, &(struct level_want){.throttle = &dead}));
	assert_false(level_is_wanted(LEVEL_DEAD_ROWS, &(struct level_want){.throttle = &off, .table = &table}));
}

/* What nobody has asked for by name holds nothing where it may not be seen, and is not spoken of where it is not there. */
static void defaults_are_modest(void **state) {
	(void)state;
	const struct throttle_settings settings = {.max_flow_control = 0.1, .max_active = 5};
	const struct level_want want = {.throttle = &settings};
	struct readings readings = {0};
	struct level_state s = after(LEVEL_FLOW, &(struct level_answer){0});
	level_add_reading(&s, LEVEL_FLOW, &want, NULL, second_us, &readings);
	assert_int_equal(readings.count, 0);
	level_failed(&s, "denied", true);
	level_add_reading(&s, LEVEL_FLOW, &want, NULL, second_us, &readings);
	assert_false(readings.list[0].counts);
	level_failed(&s, "connection lost", false);
	level_add_reading(&s, LEVEL_FLOW, &want, NULL, second_us, &readings);
	assert_true(readings.list[1].counts);
	s = after(LEVEL_ACTIVE, &(struct level_answer){0});
	level_failed(&s, "denied", true);
	level_add_reading(&s, LEVEL_ACTIVE, &want, NULL, second_us, &readings);
	assert_true(readings.list[2].counts);
	readings_free(&readings);
}

/* Where it can't be seen nobody is held for it. */
static void the_disk(void **state) {
	(void)state;
	const struct throttle_settings none = {0};
	const struct guard_settings guards = {.disk_used = 0.9};
	const struct level_want want = {.throttle = &none, .guards = &guards};
	struct readings readings = {0};
	struct level_state s;
	level_state_init(&s, LEVEL_DISK, NULL);
	level_add_reading(&s, LEVEL_DISK, &want, NULL, second_us, &readings);
	level_disk_told(&s, "/data", 0.91234, NULL, second_us);
	level_add_reading(&s, LEVEL_DISK, &want, NULL, second_us, &readings);
	level_add_reading(&s, LEVEL_DISK, &want, NULL, 22 * second_us, &readings);
	level_disk_told(&s, "/data", 0, "gone", second_us);
	level_add_reading(&s, LEVEL_DISK, &want, NULL, second_us, &readings);
	const struct reading *r = readings.list;
	assert_true(!r[0].counts && r[0].state == READING_UNKNOWN);
	assert_true(r[1].counts && r[1].guards && r[1].value == 0.912 && r[1].ok == 0.9 && reading_pressure(&r[1], second_us) == 1);
	assert_string_equal(r[1].source, "/data");
	assert_true(!r[2].counts && r[2].state == READING_UNKNOWN);
	assert_true(!r[3].counts && r[3].state == READING_UNKNOWN);
	readings_free(&readings);
	assert_true(level_is_wanted(LEVEL_DISK, &want));
}

static void who_is_here(void **state) {
	(void)state;
	static const char *const here[] = {"/run/postgresql", "/tmp/mysql.sock", "127.0.0.1:5432", "[::1]:3306", "localhost:1"};
	static const char *const elsewhere[] = {"db1:5432", "10.0.0.1:5432", "[fe80::1]:1", "localhost.example.org:1", ""};
	for (size_t i = 0; i < 5; i++)
		assert_true(disk_is_here(here[i]) && !disk_is_here(elsewhere[i]));
}

struct told {
	int times;
	double used;
	char why[200];
};

static void told(void *context, double used, const char *why) {
	struct told *t = context;
	t->times++;
	t->used = used;
	snprintf(t->why, sizeof t->why, "%s", why != NULL ? why : "");
}

static void a_look_at_the_disk(void **state) {
	(void)state;
	struct ev_loop *loop = ev_loop_new(0);
	struct told t = {0};
	struct disk *disk = disk_new(loop, told, &t);
	disk_look(disk, "/");
	disk_look(disk, "/nowhere"); /* the one before is on its way */
	assert_int_equal(t.times, 0);
	ev_run(loop, EVRUN_ONCE);
	assert_true(t.times == 1 && t.used > 0 && t.used <= 1 && t.why[0] == '\0');
	disk_look(disk, "/nowhere");
	ev_run(loop, EVRUN_ONCE);
	assert_string_equal(t.why, "not watched: /nowhere: No such file or directory");
	disk_look(disk, "/");
	disk_free(disk);
	ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(t.times, 2);
	ev_loop_destroy(loop);
	disk_free(NULL);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_text_and_name),
		cmocka_unit_test(numbers),
		cmocka_unit_test(what_is_no_number),
		cmocka_unit_test(readings_of_own_probes),
		cmocka_unit_test(own_probes_by_http),
		cmocka_unit_test(counters),
		cmocka_unit_test(slots_have_two_limits),
		cmocka_unit_test(what_is_wanted),
		cmocka_unit_test(defaults_are_modest),
		cmocka_unit_test(the_disk),
		cmocka_unit_test(who_is_here),
		cmocka_unit_test(a_look_at_the_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
