/* test_mysql_url.c: what a URL of MySQL or MariaDB says, and that no error shows a password. */
#include "daemon/engine/mysql_url.h"

#include "common/mem.h"
#include "common/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *or_none(const char *text) {
	return text != NULL ? text : "-";
}

/* "user password host:port,host:port database tls" */
static char *show(const struct mysql_url *url) {
	struct strbuf out = {0};
	strbuf_printf(&out, "%s %s ", or_none(url->user), or_none(url->password));
	for (size_t i = 0; i < url->nhosts; i++)
		strbuf_printf(&out, "%s%s:%d", i > 0 ? "," : "", or_none(url->hosts[i].name), url->hosts[i].port);
	strbuf_printf(&out, " %s %d", or_none(url->database), (int)url->tls);
	return strbuf_take(&out);
}

static void assert_says(const char *text, const char *expected) {
	struct mysql_url url;
	struct error err;
	if (!mysql_url_parse(text, &url, &err))
		fail_msg("%s: %s", text, err.message);
	autofree char *shown = show(&url);
	mysql_url_clear(&url);
	assert_string_equal(shown, expected);
}

static void parts_are_found(void **state) {
	(void)state;
	assert_says("mysql://", "- - -:0 - 0");
	assert_says("mysql:///", "- - -:0 - 0");
	assert_says("mysql://h", "- - h:0 - 0");
	assert_says("mysql://h:3307/d", "- - h:3307 d 0");
	assert_says("mysql://u@h/d", "u - h:0 d 0");
	assert_says("mysql://u:p@h:1/d?ssl_mode=required", "u p h:1 d 2");
	assert_says("mysql://u:@h", "u - h:0 - 0");
	assert_says("mysql://u:p:q@h", "u p:q h:0 - 0");
	assert_says("mysql://u@/d", "u - -:0 d 0");
	assert_says("mysql://u@:3307/d", "u - -:3307 d 0");
	assert_says("mysql://u@h1,h2:3307/d", "u - h1:0,h2:3307 d 0");
	assert_says("mysql://u@[::1]/d", "u - ::1:0 d 0");
	assert_says("mysql://u@[fe80::1]:3307,[::1]:1/d", "u - fe80::1:3307,::1:1 d 0");
	assert_says("mysql://u%40x:%2f%3F%25@h%2e/d%20e", "u@x /?% h.:0 d e 0");
	assert_says("mysql://h?ssl_mode=disabled", "- - h:0 - 1");
	assert_says("mysql://h?ssl_mode=preferred&", "- - h:0 - 0");
	assert_says("mysql://h?ssl_mode=verify%5fidentity", "- - h:0 - 4");
	assert_says("mysql://h?ssl_mode=verify_ca&ssl_ca=/ca.pem", "- - h:0 - 3");
}

static void options_are_found(void **state) {
	(void)state;
	struct mysql_url url;
	struct error err;
	assert_true(mysql_url_parse("mysql://localhost/d?unix_socket=/run/s&read_default_file=/f&read_default_group=g&ssl_ca=/a"
	                            "&ssl_cert=/c&ssl_key=/k%26",
	                            &url, &err));
	assert_string_equal(url.unix_socket, "/run/s");
	assert_string_equal(url.read_default_file, "/f");
	assert_string_equal(url.read_default_group, "g");
	assert_string_equal(url.ssl_ca, "/a");
	assert_string_equal(url.ssl_cert, "/c");
	assert_string_equal(url.ssl_key, "/k&");
	mysql_url_clear(&url);
	assert_true(mysql_url_parse("mysql://h?ssl_ca=/a&ssl_ca=/b", &url, &err)); /* the later one counts */
	assert_string_equal(url.ssl_ca, "/b");
	mysql_url_clear(&url);
}

static void assert_bad(const char *text, const char *words) {
	struct mysql_url url;
	struct error err;
	if (mysql_url_parse(text, &url, &err))
		fail_msg("%s was taken", text);
	assert_int_equal(err.code, ERROR_CONFIG);
	if (strstr(err.message, words) == NULL)
		fail_msg("%s: %s", text, err.message);
	assert_null(strstr(err.message, "sesame"));
	assert_null(strstr(err.hint, "sesame"));
}

static void bad_urls_never_show_the_password(void **state) {
	(void)state;
	assert_bad("mysql://u:open@sesame@h/d", "an @");
	assert_bad("mysql://u:open/sesame@h/d", "an @");
	assert_bad("mysql://u:open?sesame@h/d", "an @");
	assert_bad("mysql://u:open?sesame=1@h/d", "an @");
	assert_bad("mysql://u:p@h/d?ssl_ca=a@b", "an @");
	assert_bad("mysql://u:open%sesame@h/d", "a %");
	assert_bad("mysql://u:open%4@h/d", "a %");
	assert_bad("mysql://u:sesame%00@h/d", "a %");
	assert_bad("mysql://u:sesame", "a port");
	assert_bad("mysql://u:sesame/d", "a port");
	assert_bad("mysql://u:sesame@h:65536/d", "a port");
	assert_bad("mysql://u:sesame@h:99999999999999999999/d", "a port");
	assert_bad("mysql://u:sesame@[::1/d", "brackets");
	assert_bad("mysql://u:sesame@[::1]x/d", "brackets");
	assert_bad("mysql://u:sesame@h,/d", "no name");
	assert_bad("mysql://u:sesame@h/d?sesame", "no value");
	assert_bad("mysql://u:sesame@h/d?password=sesame", "not known");
	assert_bad("mysql://u:sesame@h/d?ssl_mod=required", "not known");
	assert_bad("mysql://u:sesame@h/d?ssl_mode=sesame", "ssl_mode");
	assert_bad("mysql://u:sesame@h/d?ssl_mode=verify_ca", "ssl_ca");
	assert_bad("mysql://u:sesame@h/d?unix_socket=/s", "a host and a unix_socket");
	assert_bad("mysql://u:sesame@localhost:1/d?unix_socket=/s", "a host and a unix_socket");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_are_found),
		cmocka_unit_test(options_are_found),
		cmocka_unit_test(bad_urls_never_show_the_password),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
