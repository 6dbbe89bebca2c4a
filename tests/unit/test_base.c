/* test_base.c: clock, failpoints, log lines. */
#undef BACKFILLD_FAILPOINTS /* `make FAILPOINTS=1` sets it too */
#define BACKFILLD_FAILPOINTS 1
#include "daemon/base/failpoint.c"

#include "common/mem.h"
#include "daemon/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static void clocks_can_be_faked(void **state) {
	(void)state;
	int64_t now = 42;
	clock_fake(&now);
	assert_int_equal(clock_monotonic_us(), 42);
	now = 43;
	assert_int_equal(clock_wall_us(), 43);
	clock_fake(NULL);
	assert_true(clock_wall_us() > INT64_C(1700000000000000));
	int64_t before = clock_monotonic_us();
	assert_true(clock_monotonic_us() >= before);
}

static void assert_format(int64_t wall_us, const char *expected) {
	char text[32];
	clock_format(wall_us, text, sizeof text);
	assert_string_equal(text, expected);
}

static void times_are_rfc3339_in_utc(void **state) {
	(void)state;
	setenv("TZ", "Asia/Kolkata", 1);
	assert_format(0, "1970-01-01T00:00:00.000Z");
	assert_format(INT64_C(1795251600123999), "2026-11-21T09:00:00.123Z");
	assert_format(-1, "1969-12-31T23:59:59.999Z");
	unsetenv("TZ");
	char small[5];
	clock_format(0, small, sizeof small);
	assert_string_equal(small, "1970");
}

static void failpoints_are_parsed(void **state) {
	(void)state;
	assert_true(parse(NULL));
	assert_int_equal(narmed, 0);
	assert_true(parse(""));
	assert_int_equal(narmed, 0);
	assert_true(parse("batch.commit.sent=kill@3,claim=stop,x=fail"));
	assert_int_equal(narmed, 3);
	assert_string_equal(armed[0].name, "batch.commit.sent");
	assert_int_equal(armed[0].action, ACTION_KILL);
	assert_int_equal(armed[0].remaining, 3);
	assert_int_equal(armed[1].action, ACTION_STOP);
	assert_int_equal(armed[1].remaining, 1);
	assert_int_equal(armed[2].action, ACTION_FAIL);
	static const char *const bad[] = {"x", "=kill", "x=", "x=die", "x=kill@", "x=kill@0", "x=kill@-1", "x=kill@1y", "x=fail,y"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse(bad[i]))
			fail_msg("\"%s\" was taken", bad[i]);
}

static void failpoints_fire_once_at_the_nth_time(void **state) {
	(void)state;
	setenv("BACKFILLD_FAILPOINTS", "other=fail,x=fail@2", 1);
	assert_false(failpoint_reached("x"));
	assert_true(FAILPOINT_FAILS("x"));
	assert_false(failpoint_reached("x"));
	assert_false(failpoint_reached("none"));
	assert_true(parse("*=trace"));
	assert_false(failpoint_reached("x"));
	unsetenv("BACKFILLD_FAILPOINTS");

	assert_true(parse("dead=kill"));
	pid_t pid = fork();
	if (pid == 0) {
		FAILPOINT("dead");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* What `write` puts on stderr, with log_open having seen `journal_stream`. */
static char *stderr_of(void (*write)(void), const char *journal_stream) {
	FILE *f = tmpfile();
	assert_non_null(f);
	int saved = dup(STDERR_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	if (journal_stream != NULL)
		setenv("JOURNAL_STREAM", journal_stream, 1);
	log_open();
	write();
	unsetenv("JOURNAL_STREAM");
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	char *text = mem_alloc(4096);
	rewind(f);
	size_t got = fread(text, 1, 4095, f);
	text[got] = '\0';
	fclose(f);
	return text;
}

static void write_lines(void) {
	static const int64_t now = INT64_C(1795251600123000);
	clock_fake(&now);
	log_info("job 20261121_x", "%d rows\nforged line", 5);
	log_warning(NULL, "plain");
	log_debug(NULL, "unseen");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning(NULL, "unseen");
	log_error("target orders", "down");
	log_set_level(LOG_LEVEL_INFO);
	clock_fake(NULL);
}

static void log_lines_name_time_level_and_object(void **state) {
	(void)state;
	static const char expected[] = "2026-11-21T09:00:00.123Z info job 20261121_x: 5 rows forged line\n"
								   "2026-11-21T09:00:00.123Z warning plain\n"
								   "2026-11-21T09:00:00.123Z error target orders: down\n";
	autofree char *text = stderr_of(write_lines, NULL);
	assert_string_equal(text, expected);
	/* JOURNAL_STREAM of a parent whose stderr was not ours */
	autofree char *other = stderr_of(write_lines, "1:2");
	assert_string_equal(other, expected);
	autofree char *nonsense = stderr_of(write_lines, "x");
	assert_string_equal(nonsense, expected);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks_can_be_faked),
		cmocka_unit_test(times_are_rfc3339_in_utc),
		cmocka_unit_test(failpoints_are_parsed),
		cmocka_unit_test(failpoints_fire_once_at_the_nth_time),
		cmocka_unit_test(log_lines_name_time_level_and_object),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
