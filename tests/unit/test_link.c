#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/fake_ev.c" /* a virtual clock: nothing here waits */

#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"

#include <stdio.h>
#include <string.h>

/* An engine whose connections come, answer and break when the test says so. */
struct engine_connecting {
	engine_connected_fn *fn;
	void *context;
};

static struct {
	struct engine_connecting connecting;
	bool is_connecting, open;
	int tries, closes;
	double tried_at; /* the last one */
	char sent[200];
	engine_result_fn *fn;
	void *context;
	engine_lost_fn *lost;
	void *lost_context;
} server;

static void add_to(char *text, size_t size, const char *more) {
	size_t length = strlen(text);
	snprintf(text + length, size - length, "%s;", more);
}

static struct engine_connecting *scripted_connect(struct ev_loop *loop, const char *url,
                                                  const struct engine_connect_options *options, engine_connected_fn *fn,
                                                  void *context) {
	(void)loop;
	assert_false(server.is_connecting);
	assert_false(server.open);
	assert_string_equal(url, "url");
	assert_string_equal(options->application_name, "application");
	server.is_connecting = true;
	server.tries++;
	server.tried_at = fake_now_s;
	server.connecting = (struct engine_connecting){fn, context};
	return &server.connecting;
}

static void scripted_abandon(struct engine_connecting *connecting) {
	assert_ptr_equal(connecting, &server.connecting);
	server.is_connecting = false;
}

static void scripted_execute(struct engine_conn *conn, const char *sql, const char *const *params, size_t nparams, int timeout_ms,
                             engine_result_fn *fn, void *context) {
	(void)conn, (void)params, (void)nparams, (void)timeout_ms;
	assert_null(server.fn);
	add_to(server.sent, sizeof server.sent, sql);
	server.fn = fn;
	server.context = context;
}

static void scripted_close(struct engine_conn *conn) {
	(void)conn;
	assert_true(server.open);
	server.open = false;
	server.fn = NULL;
	server.closes++;
}

static void scripted_on_lost(struct engine_conn *conn, engine_lost_fn *fn, void *context) {
	(void)conn;
	server.lost = fn;
	server.lost_context = context;
}

static const struct engine scripted = {.name = "scripted",
                                       .dialect = &dialect_postgres,
                                       .connect = scripted_connect,
                                       .connect_abandon = scripted_abandon,
                                       .execute = scripted_execute,
                                       .close = scripted_close,
                                       .on_lost = scripted_on_lost};
static struct engine_conn conn = {.engine = &scripted};

static void accept_it(void) {
	assert_true(server.is_connecting);
	server.is_connecting = false;
	server.open = true;
	server.connecting.fn(server.connecting.context, &conn, NULL);
}

static void turn_away(const char *why) {
	struct error err;
	error_set(&err, ERROR_TRY_AGAIN, "%s", why);
	assert_true(server.is_connecting);
	server.is_connecting = false;
	server.connecting.fn(server.connecting.context, NULL, &err);
}

static void answer(enum engine_outcome outcome) {
	const struct engine_result result = {.outcome = outcome, .message = outcome == ENGINE_LOST ? "gone" : ""};
	engine_result_fn *fn = server.fn;
	assert_non_null(fn);
	server.fn = NULL;
	fn(server.context, &result);
}

/* Lets virtual time pass. */
static void pass(double seconds) {
	double until = fake_now_s + seconds;
	for (;;) {
		double next = until + 1;
		for (int i = 0; i < fake_loops->count; i++)
			if (fake_loops->timers[i].at < next)
				next = fake_loops->timers[i].at;
		if (next > until)
			break;
		fake_ev_step();
	}
	fake_ev_set_now(until);
}

static struct ev_loop *loop;
static char changes[200]; /* "up;down: gone;" */
static char ended[200];   /* "a committed;b lost: gone;" */

static void changed(void *context, bool up, const char *why) {
	(void)context;
	char text[100];
	snprintf(text, sizeof text, "%s%s", up ? "up" : "down: ", why);
	add_to(changes, sizeof changes, text);
}

static void on_done(void *context, const struct transaction_result *result) {
	static const char *const names[] = {"committed", "declined", "refused", "lost", "unknown"};
	char text[100];
	snprintf(text, sizeof text, "%s %s%s%.60s", (const char *)context, names[result->end], result->message[0] != '\0' ? ": " : "",
	         result->message);
	add_to(ended, sizeof ended, text);
}

static struct link *start(void) {
	memset(&server, 0, sizeof server);
	changes[0] = ended[0] = '\0';
	fake_ev_start(1);
	loop = ev_loop_new(0);
	return link_new(loop, &scripted, "url", "application", changed, NULL);
}

static void stop(void) {
	assert_false(server.open);
	assert_int_equal(loop->count, 0); /* no timer is left behind */
	ev_loop_destroy(loop);
}

/* A single statement of that name; it commits by itself. */
static void send(struct link *link, const char *name, int wait_ms) {
	struct transaction *t = transaction_new(name, NULL);
	transaction_add(t, name, name, NULL, NULL);
	link_run(link, t, 1000, wait_ms, (char *)name, on_done);
}

static void send_in_transaction(struct link *link, const char *name) {
	struct transaction *t = transaction_new(name, "begin");
	transaction_add(t, name, name, NULL, NULL);
	link_run(link, t, 1000, 0, (char *)name, on_done);
}

static void errands_run_in_order(void **state) {
	(void)state;
	struct link *link = start();
	assert_null(link_conn(link));
	assert_string_equal(link_why(link), "connecting");
	send(link, "a", 5000);
	send(link, "b", 5000);
	assert_true(link_busy(link));
	accept_it();
	assert_string_equal(changes, "up;");
	assert_string_equal(link_why(link), "");
	assert_ptr_equal(link_conn(link), &conn);
	assert_string_equal(server.sent, ""); /* from the loop only */
	pass(0);
	assert_string_equal(server.sent, "a;");
	send(link, "c", 0);
	pass(1);
	assert_string_equal(server.sent, "a;"); /* one at a time */
	answer(ENGINE_DONE);
	pass(0);
	answer(ENGINE_REFUSED);
	pass(0);
	answer(ENGINE_DONE);
	assert_string_equal(server.sent, "a;b;c;");
	assert_string_equal(ended, "a committed;b refused;c committed;");
	assert_false(link_busy(link));
	link_free(link);
	stop();
}

static void patience_ends(void **state) {
	(void)state;
	struct link *link = start();
	send(link, "now", 0);
	assert_string_equal(ended, ""); /* never before link_run returns */
	pass(0);
	assert_string_equal(ended, "now lost: connecting;");
	send(link, "a", 300);
	send(link, "b", 1000);
	turn_away("refused");
	pass(0.29);
	assert_string_equal(ended, "now lost: connecting;");
	pass(0.02);
	assert_string_equal(ended, "now lost: connecting;a lost: refused;");
	accept_it();
	pass(5); /* it was in time: now it has all the time it needs */
	assert_string_equal(server.sent, "b;");
	answer(ENGINE_DONE);
	assert_string_equal(ended, "now lost: connecting;a lost: refused;b committed;");
	link_free(link);
	stop();
}

static void patience_is_not_the_wall_clock_s(void **state) {
	(void)state;
	struct link *link = start();
	send(link, "back", 300);
	fake_wall_offset_s = -3600;
	pass(0.31);
	assert_string_equal(ended, "back lost: connecting;");
	send(link, "forth", 300);
	fake_wall_offset_s = 3600;
	send(link, "later", 600);
	pass(0.29);
	assert_string_equal(ended, "back lost: connecting;");
	pass(0.02);
	assert_string_equal(ended, "back lost: connecting;forth lost: connecting;");
	fake_wall_offset_s = 0;
	link_free(link);
	stop();
}

static void pauses_grow_and_are_bounded(void **state) {
	(void)state;
	struct link *link = start();
	double expected = 0.1;
	for (int i = 0; i < 10; i++) {
		int tries = server.tries;
		double before = fake_now_s;
		turn_away("refused");
		assert_int_equal(server.tries, tries); /* not at once */
		while (!server.is_connecting)
			assert_true(fake_ev_step());
		double pause = server.tried_at - before;
		assert_true(pause >= 0.8 * expected - 1e-9 && pause <= 1.2 * expected + 1e-9);
		expected = expected * 2 < 5 ? expected * 2 : 5;
	}
	/* A statement that got through resets it; a connection alone does not. */
	accept_it();
	server.lost(server.lost_context, "gone");
	double before = fake_now_s;
	while (!server.is_connecting)
		assert_true(fake_ev_step());
	assert_true(server.tried_at - before > 3);
	accept_it();
	send(link, "a", 0);
	pass(0);
	answer(ENGINE_DONE);
	server.lost(server.lost_context, "gone");
	before = fake_now_s;
	while (!server.is_connecting)
		assert_true(fake_ev_step());
	assert_true(server.tried_at - before < 0.13);
	link_free(link);
	assert_false(server.is_connecting); /* abandoned */
	stop();
}

static void running_errand_is_lost_with_the_connection(void **state) {
	(void)state;
	struct link *link = start();
	accept_it();
	send_in_transaction(link, "a");
	send(link, "b", 60000);
	pass(0);
	answer(ENGINE_DONE);
	answer(ENGINE_LOST);
	assert_string_equal(ended, "a lost: gone;");
	assert_string_equal(changes, "up;down: gone;");
	assert_null(link_conn(link));
	assert_string_equal(link_why(link), "gone");
	pass(1);
	accept_it();
	pass(0);
	assert_string_equal(server.sent, "begin;a;b;"); /* only what had not begun */
	answer(ENGINE_LOST);
	assert_string_equal(ended, "a lost: gone;b unknown: gone;");
	link_free(link);
	stop();
}

static void loss_while_rolling_back_is_noticed(void **state) {
	(void)state;
	struct link *link = start();
	accept_it();
	send_in_transaction(link, "a");
	pass(0);
	answer(ENGINE_DONE);
	answer(ENGINE_REFUSED);
	assert_string_equal(server.sent, "begin;a;ROLLBACK;");
	answer(ENGINE_LOST);
	assert_int_equal(strncmp(ended, "a refused", 9), 0);
	assert_null(link_conn(link));
	link_free(link);
	stop();
}

static void idle_loss_reconnects(void **state) {
	(void)state;
	struct link *link = start();
	accept_it();
	server.lost(server.lost_context, "terminated");
	assert_int_equal(server.closes, 1);
	assert_string_equal(changes, "up;down: terminated;");
	pass(1);
	accept_it();
	assert_string_equal(changes, "up;down: terminated;up;");
	link_free(link);
	stop();
}

static void reset_ends_what_runs(void **state) {
	(void)state;
	struct link *link = start();
	link_reset(link, "not up yet"); /* nothing to do */
	assert_string_equal(changes, "");
	accept_it();
	send_in_transaction(link, "a");
	send(link, "b", 60000);
	pass(0);
	link_reset(link, "moved");
	assert_string_equal(ended, "a lost: moved;"); /* before it returns */
	assert_string_equal(changes, "up;down: moved;");
	assert_int_equal(server.closes, 1);
	pass(1);
	accept_it();
	pass(0);
	answer(ENGINE_DONE);
	assert_string_equal(ended, "a lost: moved;b committed;");
	link_free(link);
	stop();
}

static void free_ends_everything(void **state) {
	(void)state;
	struct link *link = start();
	accept_it();
	send_in_transaction(link, "a");
	send(link, "b", 60000);
	send(link, "c", 0);
	pass(0);
	link_free(link);
	assert_string_equal(ended, "a lost: closing;b lost: closing;c lost: closing;");
	assert_int_equal(server.closes, 1);
	stop();
	link_free(NULL);
}

static void free_in_the_callback(void *context, const struct transaction_result *result) {
	assert_int_equal(result->end, TRANSACTION_LOST);
	link_free(*(struct link **)context);
}

/* The last thing that errand_done does: the callee may free the link. */
static void may_be_freed_when_told(void **state) {
	(void)state;
	struct link *link = start();
	accept_it();
	struct transaction *t = transaction_new("a", "begin");
	link_run(link, t, 1000, 0, &link, free_in_the_callback);
	pass(0);
	answer(ENGINE_LOST);
	stop();
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errands_run_in_order),
		cmocka_unit_test(patience_ends),
		cmocka_unit_test(patience_is_not_the_wall_clock_s),
		cmocka_unit_test(pauses_grow_and_are_bounded),
		cmocka_unit_test(running_errand_is_lost_with_the_connection),
		cmocka_unit_test(loss_while_rolling_back_is_noticed),
		cmocka_unit_test(idle_loss_reconnects),
		cmocka_unit_test(reset_ends_what_runs),
		cmocka_unit_test(free_ends_everything),
		cmocka_unit_test(may_be_freed_when_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
