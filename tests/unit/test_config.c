/* config: every key of backfilld.conf, the refusals with line and hint, and that no password is ever shown. */
#include "daemon/base/config.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/base/config_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];
static struct strbuf warnings;

static void warn(const char *message) {
	strbuf_printf(&warnings, "%s\n", message);
}

static bool load(const char *text, struct config **config, struct error *err) {
	*err = (struct error){0};
	strbuf_free(&warnings);
	warnings = (struct strbuf){0};
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
	return config_load(path, warn, config, err);
}

static struct config *loaded(const char *text) {
	struct config *config = NULL;
	struct error err;
	if (!load(text, &config, &err))
		fail_msg("%s", err.message);
	return config;
}

/* `message` is what follows the path. */
static void refused(const char *text, const char *message, const char *hint) {
	struct config *config = NULL;
	struct error err;
	assert_false(load(text, &config, &err));
	assert_null(config);
	assert_int_equal(strncmp(err.message, path, strlen(path)), 0);
	assert_string_equal(err.message + strlen(path), message);
	if (hint != NULL)
		assert_string_equal(err.hint, hint);
	assert_int_equal(err.code, ERROR_CONFIG);
}

#define TARGET(MORE) "targets = ( { name = \"t\"; url = \"postgresql://h/d\"; " MORE " } );"

static void defaults_are_the_contract_s(void **state) {
	(void)state;
	struct config *c = loaded("");
	assert_string_equal(c->path, path);
	assert_string_equal(c->control.socket, "/run/backfilld/control.sock");
	assert_true(c->control.operators == NULL && c->control.viewers == NULL);
	assert_string_equal(c->state_dir, "/var/lib/backfilld");
	assert_int_equal(c->nstop_files, 1);
	assert_string_equal(c->stop_files[0], "/var/lib/backfilld/EMERGENCY_STOP");
	assert_false(c->cancel_in_flight);
	assert_int_equal(c->shutdown_grace_ms, 10000);
	assert_int_equal(c->ntargets, 0);
	config_free(c);
	config_free(NULL);
	c = loaded(TARGET(""));
	const struct config_target *t = &c->targets[0];
	assert_string_equal(t->admin_url, t->url);
	assert_string_equal(t->environment, "production");
	assert_true(t->max_workers == 2 && t->owner_timeout_ms == 10000 && t->nreplicas == 0 && t->napprovals == 0);
	assert_true(t->throttle.max_lag_ms == 2000 && !t->throttle.max_lag_said && t->guards.lag_ms == 30000);
	config_free(c);
}

static void every_key_is_read(void **state) {
	(void)state;
	struct config *c = loaded(
		"control = { socket = \"/tmp/s\"; operators = \"op\"; viewers = \"vi\"; }; state_dir = \"/tmp\"; shutdown_grace = "
		"\"3s\";\n"
		"emergency_stop = { files = [ \"/tmp/a\", \"/tmp/b\" ]; cancel_in_flight = true; }; http = { listen = \"\"; }; webhooks "
		"= ();\n"
		"targets = ( { name = \"a\"; url = \"postgres://u@h/d\"; admin_url = \"postgresql://o@h/d\"; environment = \"staging\";\n"
		"  max_workers = 5; approvals = [ \"ticket\" ]; owner_timeout = \"5s\";\n"
		"  replicas = ( { name = \"r1\"; url = \"postgresql://h2/d\"; }, { name = \"r2\"; url = \"mysql://h3/d\"; } );\n"
		"  throttle = { max_lag = \"1s\"; replicas = [ \"r1\" ]; initial_rate = 10; };\n"
		"  guards = { lag = \"9s\"; error_rate = 0.5; failed_batches = 7; }; }, { name = \"b-2\"; url = \"postgresql:///d\"; } "
		");");
	assert_string_equal(c->control.socket, "/tmp/s");
	assert_string_equal(c->control.operators, "op");
	assert_string_equal(c->control.viewers, "vi");
	assert_string_equal(c->state_dir, "/tmp");
	assert_true(c->nstop_files == 2 && c->cancel_in_flight && c->shutdown_grace_ms == 3000 && c->ntargets == 2);
	assert_string_equal(c->stop_files[1], "/tmp/b");
	const struct config_target *t = config_find_target(c, "a");
	assert_ptr_equal(t, &c->targets[0]);
	assert_string_equal(t->admin_url, "postgresql://o@h/d");
	assert_string_equal(t->environment, "staging");
	assert_true(t->max_workers == 5 && t->napprovals == 1 && t->owner_timeout_ms == 5000 && t->nreplicas == 2);
	assert_string_equal(t->replicas[1].name, "r2");
	assert_string_equal(t->replicas[1].url, "mysql://h3/d");
	assert_true(t->throttle.max_lag_ms == 1000 && t->throttle.max_lag_said && t->throttle.nreplicas == 1);
	assert_true(t->guards.lag_ms == 9000 && t->guards.error_rate == 0.5 && t->guards.failed_batches == 7);
	assert_non_null(config_find_target(c, "b-2"));
	assert_null(config_find_target(c, "c"));
	assert_null(warnings.data);
	config_free(c);
}

static void mistakes_have_a_place_and_a_hint(void **state) {
	(void)state;
	refused("\ncontrol = {\n sokcet = \"/x\"; };", ":3: unknown key control.sokcet", "did you mean control.socket?");
	refused("socket = \"/x\";", ":1: unknown key socket", "did you mean control.socket?");
	refused("state_dirr = \"/x\";", ":1: unknown key state_dirr", "did you mean state_dir?");
	refused(TARGET("\n maxworkers = 2;"), ":2: unknown key maxworkers", "did you mean max_workers?");
	refused(TARGET("throttle = { maxlag = \"1s\"; };"), ":1: unknown key throttle.maxlag", "did you mean throttle.max_lag?");
	refused(TARGET("replicas = ( { name = \"r\"; ur = \"x\"; } );"), ":1: unknown key ur", "did you mean url?");
	refused("control = { socket = \"run/x\"; };", ":1: control.socket: \"run/x\" is not an absolute path", "");
	autofree char *name = mem_alloc(110);
	memset(name, '/', 108);
	autofree char *text = mem_printf("control = { socket = \"%s\"; };", name);
	refused(text, ":1: control.socket: 108 bytes are too long: at most 107 are allowed", "");
	name[107] = '\0';
	autofree char *longest = mem_printf("control = { socket = \"%s\"; };", name);
	config_free(loaded(longest));
	refused("state_dir = \"x\";", ":1: state_dir: \"x\" is not an absolute path", "");
	refused("emergency_stop = { files = [ \"x\" ]; };", ":1: emergency_stop.files: \"x\" is not an absolute path of a file", "");
	refused("emergency_stop = { files = [ \"/x/\" ]; };", ":1: emergency_stop.files: \"/x/\" is not an absolute path of a file",
	        "");
	refused("emergency_stop = { files = [ ]; };", ":1: emergency_stop.files: 0 strings: 1 to 16 are allowed", "");
	refused("shutdown_grace = \"1h\";", ":1: shutdown_grace: 1h is out of range: 0ms to 10m is allowed", "");
	refused("targets = { };", ":1: targets: a list of groups is wanted", "targets = ( { name = \"…\"; url = \"…\"; } );");
	refused("targets = ( 5 );", ":1: targets: a group { … } is wanted in the list", NULL);
	refused("targets = ( { url = \"postgresql://h/d\"; } );", ":1: name: missing, but required",
	        "name: What jobs call it. A job is done by daemons that have a target of this name, on whatever host.");
	refused("targets = (\n{ name = \"t\"; } );", ":2: url: missing, but required", NULL);
	refused("targets = ( { name = \"a b\"; url = \"postgresql://h/d\"; } );",
	        ":1: name: \"a b\" is not a name (letters, digits, _ and -, at most 63)", "");
	refused(TARGET("max_workers = 0;"), ":1: max_workers: 0 is out of range: 1 to 64 is allowed", "");
	refused(TARGET("owner_timeout = \"10\";"), ":1: owner_timeout: a duration is wanted, not this text", NULL);
	refused(TARGET("replicas = { };"), ":1: replicas: a list of groups is wanted", NULL);
	refused(TARGET("replicas = ( \"r\" );"), ":1: replicas: a group { … } is wanted in the list", NULL);
	refused("a = ;", ":1: syntax error", NULL);
	refused("@include \"/etc/passwd\"\n", ":1: @include is not supported", "put everything into one file");
}

static void names_are_unique(void **state) {
	(void)state;
	refused("targets = ( { name = \"t\"; url = \"postgresql://h/d\"; },\n{ url = \"postgresql://h/d\";\n name = \"t\"; } );",
	        ":3: name: two targets are named \"t\"", "");
	refused("targets = ( { name = \"t\"; url = \"postgresql://h/d\"; },\n{ name = \"u\";\n url = \"postgresql://h/d\"; } );",
	        ":3: url: targets \"t\" and \"u\" lead to the same database", "");
	refused(
		TARGET("replicas = ( { name = \"r\"; url = \"postgresql://h/d\"; },\n{ name = \"r\"; url = \"postgresql://h/d\"; } );"),
		":2: name: this target has two replicas named \"r\"", "");
}

static void what_is_not_built_is_refused(void **state) {
	(void)state;
	refused("http = { listen = \"127.0.0.1:9847\"; };", ":1: http.listen: not built yet; leave it out or set it to \"\"", "");
	refused("webhooks = ( { name = \"x\"; } );", ":1: webhooks: not built yet; leave it out", "");
	refused(TARGET("approvals = [ \"ticket\" ];"),
	        ":1: approvals: not built yet for environment \"production\"; leave it out until then",
	        "without it `submit` asks for the database's name (--confirm)");
	refused(TARGET("environment = \"production\";\napprovals = [ \"ticket\" ];"),
	        ":2: approvals: not built yet for environment \"production\"; leave it out until then", NULL);
	config_free(loaded(TARGET("environment = \"test\"; approvals = [ \"ticket\" ];")));
	config_free(loaded(TARGET("approvals = [ ];")));
}

static void latency_by_http_needs_a_url(void **state) {
	(void)state;
	static const char hint[] = "latency = { source = \"http\"; url = \"http://…\"; };";
	refused(TARGET("throttle = { latency = {\nsource = \"http\"; }; };"),
	        ":2: throttle.latency.source: it needs throttle.latency.url beside it", hint);
	refused(TARGET("throttle = { latency = { window = \"5s\"; }; };"),
	        ":1: throttle.latency.window: it needs throttle.latency.url beside it", hint);
	struct config *c =
		loaded(TARGET("throttle = { latency = { source = \"http\"; url = \"https://u:sesame@h:9090/q\"; unit = \"ms\"; }; "
	                  "http = ( { name = \"a\"; url = \"http://h\"; } ); };"));
	const struct throttle_settings *t = &c->targets[0].throttle;
	assert_string_equal(t->latency_url, "https://u:sesame@h:9090/q");
	assert_true(t->latency_unit == LATENCY_MS && t->nhttp == 1);
	config_free(c);
}

static void passwords_are_never_shown(void **state) {
	(void)state;
	static const char *const texts[] = {
		"targets = ( { name = \"t\"; url = \"http://u:sesame@h/d\"; } );",
		"targets = ( { name = \"t\"; url = \"mysq://u:sesame@h/d\"; } );",
		"targets = ( { name = \"t\"; url = \"host=h password=sesame\"; } );",
		TARGET("admin_url = \"u:sesame@h\";"),
		TARGET("replicas = ( { name = \"r\"; url = \"sesame\"; } );"),
		TARGET("admin_url = [ \"sesame\" ];"),
		TARGET("throttle = { latency = { url = \"u:sesame@h\"; }; };"),
		TARGET("throttle = { latency = { url = [ \"sesame\" ]; }; };"),
		TARGET("throttle = { http = ( { name = \"a\"; url = \"ftp://u:sesame@h\"; } ); };"),
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct config *config = NULL;
		struct error err;
		assert_false(load(texts[i], &config, &err));
		assert_null(strstr(err.message, "sesame"));
		assert_null(strstr(err.hint, "sesame"));
	}
	struct config *c = loaded(
		"targets = ( { name = \"t\"; url = \"postgresql://u:sesame@h/d\"; admin_url = \"postgresql://h/d?password=sesame\"; "
		"replicas = ( { name = \"r\"; url = \"postgresql://u:sesame@h/d\"; } ); } );");
	autofree char *wanted = mem_printf("%s: target \"t\": url holds a password; a password file (passfile=) or an option file "
	                                   "(read_default_file=) keeps it out of the configuration\n"
	                                   "%s: target \"t\": admin_url holds a password; a password file (passfile=) or an option "
	                                   "file (read_default_file=) keeps it out of the "
	                                   "configuration\n"
	                                   "%s: target \"t\": the url of replica \"r\" holds a password; a password file (passfile=) "
	                                   "or an option file (read_default_file=) keeps it out of "
	                                   "the "
	                                   "configuration\n",
	                                   path, path, path);
	assert_string_equal(warnings.data, wanted);
	assert_string_equal(c->targets[0].url, "postgresql://u:sesame@h/d"); /* it works all the same */
	config_free(c);
	assert_true(config_load(path, NULL, &c, NULL)); /* nobody listens */
	config_free(c);
}

static void urls_are_masked(void **state) {
	(void)state;
	static const struct {
		const char *url, *masked;
	} cases[] = {
		{"postgresql://u@h/d", "postgresql://u@h/d"},
		{"postgresql://h:5432,h2:5433/d", "postgresql://h:5432,h2:5433/d"},
		{"postgresql://u@h:5432/d?sslmode=require", "postgresql://u@h:5432/d?sslmode=require"},
		{"postgresql://u:p@h/d", "postgresql://u:****@h/d"},
		{"postgresql://u:@h/d", "postgresql://u:****@h/d"},
		{"postgresql://:p@h/d", "postgresql://:****@h/d"},
		{"postgresql://u:p:q@h:5/d", "postgresql://u:****@h:5/d"},
		{"postgresql://u:p@q@h/d", "postgresql://u:****@h/d"},
		{"postgresql://u:p/q@h/d", "postgresql://u:****@h/d"},
		{"postgresql://u:p?q@h/d", "postgresql://u:****@h/d"},
		{"postgresql://u:p%40q@h/d?a=b", "postgresql://u:****@h/d?a=b"},
		{"postgresql://h/d?password=p", "postgresql://h/d?password=****"},
		{"postgresql://h/d?user=u&password=p@q&a=b", "postgresql://h/d?user=u&password=****&a=b"},
		{"postgresql://h/d?sslpassword=p&a=b", "postgresql://h/d?sslpassword=****&a=b"},
		{"postgresql://h/d?pass%77ord=p", "postgresql://h/d?pass%77ord=****"},
		{"postgresql://u:p@h/d?password=q", "postgresql://u:****@h/d?password=****"},
		{"postgresql://h/d?passfile=/x&application_name=a@b", "postgresql://h/d?passfile=/x&application_name=a@b"},
		{"postgresql://h/d?password", "postgresql://h/d?password"},
		{"postgresql://?host=/x&password=p@q", "postgresql://?host=/x&password=****"},
		{"postgresql://h:5432?sslkey=/x&password=p@q&a=b", "postgresql://h:5432?sslkey=/x&password=****&a=b"},
		{"postgresql://u:p?q/r@h/d", "postgresql://u:****"},
		{"postgresql://u:p/q?r@h/d", "postgresql://u:****"},
		{"postgresql:///d", "postgresql:///d"},
		{"mysql://u:p@h:3306/d", "mysql://u:****@h:3306/d"},
		{"", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		autofree char *masked = config_mask_url(cases[i].url);
		assert_string_equal(masked, cases[i].masked);
	}
}

static void a_file_that_can_t_be_read_is_told(void **state) {
	(void)state;
	struct config *config = NULL;
	struct error err;
	assert_false(config_load("/nonexistent/x.conf", warn, &config, &err));
	assert_string_equal(err.message, "/nonexistent/x.conf: can't be read: No such file or directory");
	assert_string_equal(err.hint, "backfilld -c FILE names another; its user must be able to read it");
	assert_int_equal(err.code, ERROR_CONFIG);
	assert_false(config_load("/", warn, &config, &err));
	assert_string_equal(err.message, "/: can't be read: Is a directory");
	autofree char *large = mem_alloc(KEYTABLE_MAX_BYTES + 2);
	memset(large, ' ', KEYTABLE_MAX_BYTES + 1);
	refused(large, ":1: larger than 256 KiB", NULL);
}

/* Every key stands in the shipped file, which loads as it is, so that it can't fall behind. */
static void the_shipped_file_loads_and_is_complete(void **state) {
	(void)state;
	struct config *c = NULL;
	struct error err;
	strbuf_free(&warnings);
	if (!config_load("conf/backfilld.conf", warn, &c, &err))
		fail_msg("%s (run this from the top of the tree)", err.message);
	assert_null(warnings.data);
	assert_int_equal(c->ntargets, 1);
	config_free(c);
	FILE *file = fopen("conf/backfilld.conf", "r");
	assert_non_null(file);
	char text[16384];
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	static const struct key *const tables[] = {config_keys, config_target_keys, config_replica_keys};
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
		for (const struct key *key = tables[i]; key->name != NULL; key++) {
			const char *dot = strrchr(key->name, '.');
			autofree char *wanted = mem_printf("%s = ", dot != NULL ? dot + 1 : key->name);
			if (strstr(text, wanted) == NULL)
				fail_msg("conf/backfilld.conf does not show %s", key->name);
		}
	}
}

static int set_up(void **state) {
	(void)state;
	snprintf(path, sizeof path, "/tmp/backfilld-config-XXXXXX");
	int fd = mkstemp(path);
	return fd >= 0 ? close(fd) : -1;
}

static int tear_down(void **state) {
	(void)state;
	strbuf_free(&warnings);
	return unlink(path);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_the_contract_s),       cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(mistakes_have_a_place_and_a_hint),  cmocka_unit_test(names_are_unique),
		cmocka_unit_test(what_is_not_built_is_refused),      cmocka_unit_test(latency_by_http_needs_a_url),
		cmocka_unit_test(passwords_are_never_shown),         cmocka_unit_test(urls_are_masked),
		cmocka_unit_test(a_file_that_can_t_be_read_is_told), cmocka_unit_test(the_shipped_file_loads_and_is_complete),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
