/* render: what people see: widths, alignment, numbers, the views of every answer; and the command line. */
#include "ctl/arguments.h"
#include "ctl/progress.h"
#include "ctl/render_table.h"
#include "ctl/views.h"

#include "common/mem.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_text(char *got, const char *want) {
	assert_string_equal(got, want);
	free(got);
}

static void columns_align_by_display_width(void **state) {
	(void)state;
	static const struct table_column columns[] = {{"NAME", false}, {"N", true}, {"NOTE", false}};
	struct table *table = table_new(columns, 3, false);
	table_add(table, "日本", PAINT_NONE);
	table_add(table, "7", PAINT_NONE);
	table_add(table, "wide", PAINT_NONE);
	table_add(table, "é", PAINT_NONE);
	table_add(table, "1,234", PAINT_GOOD);
	table_add(table, NULL, PAINT_NONE);
	autostrbuf out = {0};
	table_render(table, &out);
	assert_string_equal(out.data, "NAME      N  NOTE\n"
	                              "日本      7  wide\n"
	                              "é     1,234  -\n");
	table_free(table);
}

static void color_does_not_count_as_width(void **state) {
	(void)state;
	static const struct table_column columns[] = {{"A", false}, {"B", false}};
	struct table *table = table_new(columns, 2, true);
	table_add(table, "ok", PAINT_GOOD);
	table_add(table, "x", PAINT_NONE);
	autostrbuf out = {0};
	table_render(table, &out);
	assert_non_null(strstr(out.data, "\033[32mok\033[0m  x\n"));
	table_free(table);
}

static void text_cannot_drive_the_terminal(void **state) {
	(void)state;
	expect_text(text_clean("a\033[2Jb\n\tc\x7f", 0), "a?[2Jb  c?");
	expect_text(text_clean("bad \xff\xc3", 0), "bad ??");
	expect_text(text_clean("abcdef", 4), "abc…");
	expect_text(text_clean("abcd", 4), "abcd");
	expect_text(text_clean("日本語", 4), "日…");
	assert_int_equal(text_width("日本é\xff"), 6);
}

static void numbers_and_times_read_well(void **state) {
	(void)state;
	expect_text(text_count(0), "0");
	expect_text(text_count(999), "999");
	expect_text(text_count(1000), "1,000");
	expect_text(text_count(4200000), "4,200,000");
	expect_text(text_count(-1234), "-1,234");
	expect_text(text_count(INT64_MIN), "-9,223,372,036,854,775,808");
	expect_text(text_seconds(0), "0s");
	expect_text(text_seconds(0.85), "850ms");
	expect_text(text_seconds(59.6), "1m 00s");
	expect_text(text_seconds(5400), "1h 30m");
	expect_text(text_seconds(90000), "1d 1h");
	expect_text(text_seconds(INFINITY), "?");
	expect_text(text_seconds(-1), "?");
	expect_text(text_milliseconds(212), "212 ms");
	expect_text(text_milliseconds(3200), "3.2 s");
	expect_text(text_milliseconds(0.4), "0.4 ms");
}

static json_t *a_job(const char *state, const char *extra) {
	autofree char *text = mem_printf(
		"{\"id\":\"20261121_x\",\"target\":\"orders\",\"table\":\"public.t\",\"kind\":\"update\",\"state\":\"%s\","
		"\"phase\":\"full\",\"reason\":null,\"rows\":{\"estimated\":10000,\"scanned\":4200,\"changed\":4100,"
		"\"conflicted\":0,\"quarantined\":null},\"batches\":{\"committed\":5,\"failed\":0,\"retried\":0,\"split\":0,"
		"\"last_id\":5},\"progress\":0.42,\"rate_rows_s\":8123.4,\"eta_s\":5400,\"batch\":{\"rows\":5000,\"ms\":212.0,"
		"\"delay_ms\":215.0},\"throttle\":{\"held\":false,\"reason\":null,\"probe\":null,\"pressure\":0},"
		"\"segments\":[{\"number\":1,\"after\":null,\"through\":\"900\",\"position\":[\"7\",\"b\"],\"rows_scanned\":4200,"
		"\"rows_changed\":4100,\"done\":false}],\"workers\":1,\"owner\":null,\"epoch\":3,\"submitted_by\":\"alice\","
		"\"submitted_at\":\"2026-11-21T09:00:00Z\",\"started_at\":null,\"finished_at\":null,"
		"\"seconds\":{\"running\":4.0,\"held\":0,\"paused\":0}%s}",
		state, extra);
	json_t *job = json_loads(text, 0, NULL);
	assert_non_null(job);
	return job;
}

static void a_job_is_shown_whole(void **state) {
	(void)state;
	const struct view view = {0};
	json_t *job = a_job("running", ",\"round\":2,\"windows\":[\"22:00-06:00\",\"Sat,Sun\"],\"timezone\":\"Europe/Berlin\"");
	autostrbuf out = {0};
	view_job(&view, job, &out);
	json_decref(job);
	static const char *const parts[] = {
		"Job 20261121_x\n",
		"State       running, phase full, round 2\n",
		"[############------------------]  42.0% of about 10,000 rows, 8,123 rows/s, 1h 30m to go\n",
		"4,200 scanned, 4,100 changed, 0 conflicted, ? quarantined\n",
		"5,000 rows, took 212 ms, then 215 ms pause\n",
		"5 committed (last id 5), 0 failed",
		"Throttle    open\n",
		"Windows     22:00-06:00; Sat,Sun (Europe/Berlin)\n",
		"public.t on orders, update\n",
		"by alice\n",
		"      1  -      [\"7\",\"b\"]  900",
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		if (strstr(out.data, parts[i]) == NULL)
			fail_msg("no \"%s\" in\n%s", parts[i], out.data);
	}
}

static void a_hold_is_shown_with_its_reason(void **state) {
	(void)state;
	const struct view view = {0};
	json_t *job = a_job("running", "");
	json_object_set_new(job, "throttle", json_pack("{s:b,s:s}", "held", 1, "reason", "replica lag 3.2 s > 2 s"));
	json_t *result = json_pack("{s:[O]}", "jobs", job);
	autostrbuf out = {0};
	view_jobs(&view, result, &out);
	assert_non_null(strstr(out.data, "running (held)"));
	assert_non_null(strstr(out.data, "replica lag 3.2 s > 2 s\n"));
	expect_text(progress_line(job, 0, false),
	            "20261121_x [##########--------------]  42.0%  4,200 rows  8,123/s  ETA 1h 30m  held: "
	            "replica lag 3.2 s > 2 s");
	char *narrow = progress_line(job, 40, false);
	assert_int_equal(text_width(narrow), 40);
	free(narrow);
	json_decref(result);
	json_decref(job);
}

static void empty_answers_say_so(void **state) {
	(void)state;
	const struct view view = {0};
	json_t *none = json_array();
	json_t *no_jobs = json_pack("{s:[]}", "jobs");
	autostrbuf out = {0};
	view_jobs(&view, no_jobs, &out);
	view_targets(&view, none, &out);
	view_throttle(&view, none, &out);
	view_events(&view, none, &out);
	view_action(&view, no_jobs, &out);
	assert_string_equal(out.data, "No jobs. `backfillctl submit FILE` makes one.\n"
	                              "No targets. The daemon's configuration names them.\n"
	                              "Nothing is watched: no replica is configured.\n"
	                              "No events.\n"
	                              "No job was running.\n");
	json_decref(none);
	json_decref(no_jobs);
}

/* A daemon of another version, or a defect: nulls and missing keys everywhere must not end the client. */
static void odd_answers_are_survived(void **state) {
	(void)state;
	static const char *const answers[] = {
		"null",          "{}",   "[]",
		"[null]",        "[{}]", "{\"jobs\":[{},null]}",
		"{\"jobs\":{}}", "7",    "{\"segments\":[{}],\"rows\":7,\"id\":null,\"files\":[null],\"message\":5}"};
	view_fn *const views[] = {view_jobs,     view_job,    view_submit, view_action, view_targets,
	                          view_throttle, view_events, view_init,   view_message};
	const struct view wide = {.wide = true, .color = true};
	const struct view narrow = {0};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		json_t *answer = json_loads(answers[i], JSON_DECODE_ANY, NULL);
		for (size_t j = 0; j < sizeof views / sizeof views[0]; j++) {
			autostrbuf out = {0};
			views[j](&wide, answer, &out);
			views[j](&narrow, answer, &out);
			assert_true(out.length > 0);
		}
		free(progress_line(answer, 20, true));
		json_decref(answer);
	}
}

static void the_bar_is_full_only_at_the_end(void **state) {
	(void)state;
	static const struct {
		double progress;
		const char *text;
	} cases[] = {{-1, "[    ]     ?"},      {NAN, "[    ]     ?"}, {0, "[----]   0.0%"}, {0.5, "[##--]  50.0%"},
	             {0.9999, "[###-]  99.9%"}, {1, "[####] 100.0%"},  {7, "[####] 100.0%"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		autostrbuf out = {0};
		view_bar(&out, cases[i].progress, 4);
		assert_string_equal(out.data, cases[i].text);
	}
}

static void states_have_the_contracts_exit_codes(void **state) {
	(void)state;
	enum progress_exit exit_code = PROGRESS_DONE;
	assert_false(progress_verdict("running", &exit_code));
	assert_false(progress_verdict("pending", &exit_code));
	assert_false(progress_verdict(NULL, &exit_code));
	assert_true(progress_verdict("completed", &exit_code) && exit_code == 0);
	assert_true(progress_verdict("failed", &exit_code) && exit_code == 3);
	assert_true(progress_verdict("cancelled", &exit_code) && exit_code == 4);
	assert_true(progress_verdict("rolled_back", &exit_code) && exit_code == 4);
	assert_true(progress_verdict("paused", &exit_code) && exit_code == 5);
}

enum { MAX_WORDS = 12 };

/* Parses "show JOB -o json" and compares the parameters as JSON. */
static void expect_params(const char *line, const char *command, const char *want) {
	autofree char *copy = mem_printf("backfillctl %s", line);
	char *argv[MAX_WORDS] = {0};
	int argc = 0;
	for (char *word = strtok(copy, " "); word != NULL && argc < MAX_WORDS; word = strtok(NULL, " "))
		argv[argc++] = word;
	struct arguments a;
	struct error err = {0};
	if (!arguments_parse(argc, argv, &a, &err))
		fail_msg("%s: %s", line, err.message);
	assert_string_equal(a.command->name, command);
	char *got = json_dumps(a.params, JSON_COMPACT);
	assert_string_equal(got, want);
	free(got);
	arguments_free(&a);
}

static void expect_usage_error(const char *line, const char *part) {
	autofree char *copy = mem_printf("backfillctl %s", line);
	char *argv[MAX_WORDS] = {0};
	int argc = 0;
	for (char *word = strtok(copy, " "); word != NULL && argc < MAX_WORDS; word = strtok(NULL, " "))
		argv[argc++] = word;
	struct arguments a;
	struct error err = {0};
	assert_false(arguments_parse(argc, argv, &a, &err));
	assert_int_equal(err.code, ERROR_USAGE);
	if (strstr(err.message, part) == NULL && strstr(err.hint, part) == NULL)
		fail_msg("%s: no \"%s\" in: %s / %s", line, part, err.message, err.hint);
	arguments_free(&a);
}

static void the_command_line_follows_the_catalogue(void **state) {
	(void)state;
	expect_params("show J -o json", "show", "{\"job\":\"J\"}");
	expect_params("-ojson -s /x show J", "show", "{\"job\":\"J\"}");
	expect_params("pause --all", "pause", "{\"all\":true}");
	expect_params("set J batch.rows=5 workers=2", "set", "{\"job\":\"J\",\"settings\":[\"batch.rows=5\",\"workers=2\"]}");
	expect_params("wait A B --timeout=2s C", "wait", "{\"job\":[\"A\",\"B\",\"C\"],\"timeout\":2000}");
	expect_params("events -f --limit 5 J", "events", "{\"follow\":true,\"limit\":5,\"job\":\"J\"}");
	expect_params("events --follow", "events", "{\"follow\":true}");
	expect_params("submit --start f.job --confirm orders", "submit", "{\"start\":true,\"confirm\":\"orders\"}");
	expect_params("init orders --print", "init", "{\"target\":\"orders\",\"print\":true}");
	expect_params("show -- -odd", "show", "{\"job\":\"-odd\"}");
	expect_params("submit -", "submit", "{}");
}

static void wrong_usage_is_told_how_it_goes(void **state) {
	(void)state;
	expect_usage_error("", "a command is wanted");
	expect_usage_error("pasue J", "did you mean pause?");
	expect_usage_error("show", "JOB is missing");
	expect_usage_error("show A B", "one argument too many");
	expect_usage_error("show A --start", "there is no such option");
	expect_usage_error("show A --help=x -o xml", "there is no such output");
	expect_usage_error("pause", "either a JOB or --all");
	expect_usage_error("pause J --all", "either a JOB or --all");
	expect_usage_error("set J rows", "KEY=VALUE is wanted");
	expect_usage_error("set J", "KEY=VALUE is missing");
	expect_usage_error("wait J --timeout soon", "a duration is wanted");
	expect_usage_error("events --limit 0", "a number from 1");
	expect_usage_error("wait J --timeout", "needs a value");
	expect_usage_error("submit", "usage: backfillctl submit FILE [--start] [--confirm DATABASE]");
}

int main(void) {
	setlocale(LC_CTYPE, "C.UTF-8");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_align_by_display_width),
		cmocka_unit_test(color_does_not_count_as_width),
		cmocka_unit_test(text_cannot_drive_the_terminal),
		cmocka_unit_test(numbers_and_times_read_well),
		cmocka_unit_test(a_job_is_shown_whole),
		cmocka_unit_test(a_hold_is_shown_with_its_reason),
		cmocka_unit_test(empty_answers_say_so),
		cmocka_unit_test(odd_answers_are_survived),
		cmocka_unit_test(the_bar_is_full_only_at_the_end),
		cmocka_unit_test(states_have_the_contracts_exit_codes),
		cmocka_unit_test(the_command_line_follows_the_catalogue),
		cmocka_unit_test(wrong_usage_is_told_how_it_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
