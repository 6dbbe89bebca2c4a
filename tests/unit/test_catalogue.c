/* catalogue: the table is whole, its names are the contract's, and a slip of the finger is understood. */
#include "common/catalogue.h"

#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_command_is_documented(void **state) {
	(void)state;
	for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
		assert_ptr_equal(catalogue_find(c->name), c);
		assert_non_null(c->summary);
		autofree char *start = mem_printf("backfillctl %s", c->name);
		if (strncmp(c->example, start, strlen(start)) != 0)
			fail_msg("%s: the example shows something else", c->name);
		assert_int_equal(c->method == NULL, c->permission == PERMIT_LOCAL);
		for (const struct catalogue_argument *a = c->arguments; a != NULL && a->name != NULL; a++) {
			assert_non_null(a->help);
			assert_non_null(a->param);
			assert_true(catalogue_is_option(a) || a->metavar == NULL);
		}
	}
}

static void a_required_positional_never_follows_an_optional_one(void **state) {
	(void)state;
	for (const struct catalogue_command *c = catalogue; c->name != NULL; c++) {
		bool open = false;
		for (const struct catalogue_argument *a = c->arguments; a != NULL && a->name != NULL; a++) {
			if (catalogue_is_option(a))
				continue;
			assert_false(open && a->required);
			open = !a->required || a->repeated;
		}
	}
}

static void permissions_are_the_contracts(void **state) {
	(void)state;
	static const char *const viewers[] = {"target.list", "job.list",      "job.show",      "throttle.show",
	                                      "events.list", "events.follow", "daemon.version"};
	static const char *const operators[] = {"target.init", "target.adopt", "job.submit",    "job.start",
	                                        "job.pause",   "job.resume",   "job.retry",     "job.cancel",
	                                        "job.set",     "daemon.stop",  "daemon.unstop", "daemon.reload"};
	for (size_t i = 0; i < sizeof viewers / sizeof viewers[0]; i++)
		assert_int_equal(catalogue_find_method(viewers[i])->permission, PERMIT_VIEWER);
	for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
		assert_int_equal(catalogue_find_method(operators[i])->permission, PERMIT_OPERATOR);
	assert_null(catalogue_find_method("job.wait"));
	assert_null(catalogue_find_method(""));
	assert_null(catalogue_find("job.show"));
}

static void the_nearest_name_is_found(void **state) {
	(void)state;
	assert_string_equal(catalogue_nearest("pasue")->name, "pause");
	assert_string_equal(catalogue_nearest("strat")->name, "start");
	assert_string_equal(catalogue_nearest("lsit")->name, "list");
	assert_string_equal(catalogue_nearest("thr")->name, "throttle");
	assert_string_equal(catalogue_nearest("target")->name, "targets");
	assert_null(catalogue_nearest("x"));
	assert_null(catalogue_nearest("abracadabra"));
	assert_null(catalogue_nearest("a-name-that-is-longer-than-any-command-of-ours"));
}

static void usage_shows_what_is_optional(void **state) {
	(void)state;
	autofree char *wait_usage = catalogue_usage(catalogue_find("wait"));
	assert_string_equal(wait_usage, "wait JOB… [--timeout DURATION]");
	autofree char *events_usage = catalogue_usage(catalogue_find("events"));
	assert_string_equal(events_usage, "events [-f] [--limit N] [JOB]");
	autofree char *reload_usage = catalogue_usage(catalogue_find("reload"));
	assert_string_equal(reload_usage, "reload");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command_is_documented),   cmocka_unit_test(a_required_positional_never_follows_an_optional_one),
		cmocka_unit_test(permissions_are_the_contracts), cmocka_unit_test(the_nearest_name_is_found),
		cmocka_unit_test(usage_shows_what_is_optional),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
