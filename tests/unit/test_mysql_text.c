/* test_mysql_text.c: a text in several statements with $1…, in pieces with ?. */
#include "daemon/engine/mysql_text.h"

#include "common/mem.h"
#include "common/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "select ?, ? [2 1] | commit" */
static char *show(const struct mysql_text *text) {
	struct strbuf out = {0};
	for (size_t i = 0; i < text->count; i++) {
		const struct mysql_piece *piece = &text->pieces[i];
		strbuf_printf(&out, "%s%s", i > 0 ? "|" : "", piece->sql);
		for (size_t k = 0; k < piece->norder; k++)
			strbuf_printf(&out, "%s%zu%s", k > 0 ? " " : "[", piece->order[k] + 1, k + 1 == piece->norder ? "]" : "");
	}
	return strbuf_take(&out);
}

static void assert_split_for(bool mariadb, const char *sql, const char *expected) {
	struct mysql_text text;
	const char *why = NULL;
	if (!mysql_text_split(sql, 12, mariadb, &text, &why))
		fail_msg("%s: %s", sql, why);
	autofree char *shown = show(&text);
	mysql_text_clear(&text);
	assert_string_equal(shown, expected);
}

static void assert_split(const char *sql, const char *expected) {
	assert_split_for(false, sql, expected);
	assert_split_for(true, sql, expected);
}

static void assert_refused(const char *sql, size_t nparams, const char *words) {
	struct mysql_text text;
	const char *why = NULL;
	assert_false(mysql_text_split(sql, nparams, false, &text, &why));
	assert_non_null(strstr(why, words));
}

static void statements_end_at_semicolons(void **state) {
	(void)state;
	assert_split("", "");
	assert_split(" \n;; ; -- nothing\n; /* nothing */ # nothing", "");
	assert_split("select 1", "select 1");
	assert_split("select 1;", "select 1");
	assert_split("begin; select 1;\ncommit;\n", "begin| select 1|\ncommit");
	assert_split("select ';', \";\", `;` from t; select 2", "select ';', \";\", `;` from t| select 2");
	assert_split("select 1 -- one; two\n; select 2 # one; two\n; select /* one; two */ 3",
	             "select 1 -- one; two\n| select 2 # one; two\n| select /* one; two */ 3");
	assert_split("select 1--;", "select 1--"); /* two minuses and no blank */
	assert_split("select 1 --\n;2", "select 1 --\n|2");
	assert_split("select 1 --\t;\n+1", "select 1 --\t;\n+1");
	assert_split("select 1 --", "select 1 --");
	assert_split("select 4 / 2 * 1; x", "select 4 / 2 * 1| x");
	assert_split("/*!50000 set a = 1 */; /*M! set b = 1; */; /*+ no hint alone */", "/*!50000 set a = 1 */| /*M! set b = 1; */");
}

static void what_the_server_passes_over_says_nothing(void **state) {
	(void)state;
	static const char sql[] =
		"a; /*!80000 b */; /*!50699 c */; /*!100000 d */; /*!50700 e */; /*!99999 f */; /*! g */; /*M!80000 h */";
	assert_split_for(false, sql,
	                 "a| /*!80000 b */| /*!50699 c */| /*!100000 d */| /*!50700 e */| /*!99999 f */| /*! g */| /*M!80000 h */");
	assert_split_for(true, sql, "a| /*!50699 c */| /*!100000 d */| /*! g */| /*M!80000 h */");
	assert_split("a /*!80000 b */", "a /*!80000 b */");
}

static void values_are_numbered(void **state) {
	(void)state;
	assert_split("select $1", "select ?[1]");
	assert_split("select $2, $1, $2", "select ?, ?, ?[2 1 2]");
	assert_split("select $12,$1", "select ?,?[12 1]");
	assert_split("a=$1 and(b>$2)or c<-$3", "a=? and(b>?)or c<-?[1 2 3]");
	assert_split("begin; update t set a = $2; select $1; commit", "begin| update t set a = ?[2]| select ?[1]| commit");
	assert_split("select '$1', \"$1\", `$1`, $2 -- $1\n, /* $1 */ $3 # $1",
	             "select '$1', \"$1\", `$1`, ? -- $1\n, /* $1 */ ? # $1[2 3]");
	assert_split("select '?', \"?\", `?` -- ?\n /* ? */ # ?", "select '?', \"?\", `?` -- ?\n /* ? */ # ?");
}

static void quotes_end_where_the_server_says(void **state) {
	(void)state;
	assert_split("'it''s; $1', $1", "'it''s; $1', ?[1]");
	assert_split("'it\\'s; $1', $1", "'it\\'s; $1', ?[1]");
	assert_split("'\\\\', $1", "'\\\\', ?[1]");
	assert_split("\"a\"\"; $1\", \"\\\"; $1\", $1", "\"a\"\"; $1\", \"\\\"; $1\", ?[1]");
	assert_split("`a``; $1`, $1", "`a``; $1`, ?[1]");
	assert_split("`a\\`, $1", "`a\\`, ?[1]"); /* no escapes in there */
	assert_split("'\xc3\xa4; $1', $1", "'\xc3\xa4; $1', ?[1]");
	assert_split("select '; $1", "select '; $1"); /* left to the server, whole */
	assert_split("select '\\", "select '\\");
	assert_split("select `; $1", "select `; $1");
	assert_split("select /* ; $1", "select /* ; $1");
	assert_split("select '/*', $1, '*/'", "select '/*', ?, '*/'[1]");
	assert_split("select 1 /* ' */; select $1 /* ' */", "select 1 /* ' */| select ? /* ' */[1]");
}

static void names_have_dollars(void **state) {
	(void)state;
	assert_split("a$1", "a$1");
	assert_split("a_$1 $$1 $1a $1$2 @$1 t.$1 \xc3\xa4$1 $1\xc3\xa4 $ $x",
	             "a_$1 $$1 $1a $1$2 @$1 t.$1 \xc3\xa4$1 $1\xc3\xa4 $ $x");
	assert_split("$0", "$0");
}

static void what_does_not_fit_is_refused(void **state) {
	(void)state;
	assert_refused("select $1", 0, "was not given");
	assert_refused("select $2", 1, "was not given");
	assert_refused("select 1; select $3", 2, "was not given");
	assert_refused("select $99999999999999999999", 2, "was not given");
	assert_refused("select ?", 1, "a ?");
	assert_refused("select $1, a ? b", 1, "a ?");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statements_end_at_semicolons), cmocka_unit_test(what_the_server_passes_over_says_nothing),
		cmocka_unit_test(values_are_numbered),          cmocka_unit_test(quotes_end_where_the_server_says),
		cmocka_unit_test(names_have_dollars),           cmocka_unit_test(what_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
