/*
 * Asks for levels (level.h) as often as each is due, one question at a time on each of two connections: what is quick and told
 * each second does not wait for what may be slow. A connection is there as long as something is wanted of it. Own probes by HTTP
 * are asked beside them, each for itself.
 */
#include "common/mem.h"
#include "common/own_probe.h"
#include "common/text.h"
#include "daemon/base/clock.h"
#include "daemon/engine/dialect.h"
#include "daemon/engine/link.h"
#include "daemon/throttle/disk.h"
#include "daemon/throttle/http_poll.h"
#include "daemon/throttle/level.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

static const double tick_s = 0.1;
/* A job that claims anew wants nothing for a moment. */
static const int64_t lingers_us = 10000000;
/* How a counter grows takes two looks, and who was blind wants to see a few: they come sooner. */
static const int64_t soon_us = 1000000, few = 3;
enum { ANSWER_TIMEOUT_MS = 3000 }; /* the server's own is 1 s for the statement */

enum lane_id { LANE_QUICK, LANE_SLOW, LANES };

/* A question that is asked again and again. */
struct question {
	enum level_id id;
	struct throttle_table table;
	struct own_probe *own;  /* a copy; NULL: it is the level's */
	struct http_poll *poll; /* of an own probe by HTTP; NULL: it is asked on a lane */
	struct level_state state;
	int64_t every_us, due_us, wanted_us;
};

struct lane {
	struct probe_level *levels;
	struct link *link;
	struct question *asked; /* NULL: none, or nobody wants to know it any more */
};

struct probe_level {
	struct probe probe;
	char *url;
	struct lane lanes[LANES];
	struct question **questions;
	size_t nquestions;
	struct disk *disk; /* NULL: nobody has asked for it yet */
	char disk_path[300];
	ev_timer tick;
};

static enum lane_id lane_of(const struct question *question) {
	if (question->poll != NULL)
		return LANES;
	return question->id == LEVEL_ACTIVE || question->id == LEVEL_LOCK_WAITERS ? LANE_QUICK : LANE_SLOW;
}

static const char *level_text(const struct probe_level *probe, enum level_id id) {
	return dialect_sql(probe->probe.host->engine->dialect, levels[id].text);
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

static bool same_probe(const struct own_probe *a, const struct own_probe *b) {
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a->name, b->name) == 0 && strcmp(a->text, b->text) == 0 && a->is_http == b->is_http &&
	       a->every_ms == b->every_ms && strcmp(a->path != NULL ? a->path : "", b->path != NULL ? b->path : "") == 0 &&
	       (a->limit > 0) == (b->limit > 0);
}

static struct question *find_question(const struct probe_level *probe, enum level_id id, const struct level_want *want,
                                      const struct own_probe *own) {
	for (size_t i = 0; i < probe->nquestions; i++) {
		struct question *q = probe->questions[i];
		bool same_table = !levels[id].of_table || (want->table != NULL && q->table.oid == want->table->oid);
		if (q->id == id && same_table && same_probe(q->own, own))
			return q;
	}
	return NULL;
}

static void told(void *context, const struct http_value *value) {
	struct question *question = context;
	level_told(&question->state, question->own, value, clock_monotonic_us());
}

static struct question *question_new(const struct probe_host *host, enum level_id id, const struct level_want *want,
                                     const struct own_probe *own) {
	struct question *question = mem_alloc(sizeof *question);
	question->id = id;
	question->own = own_probe_copy_all(own, own != NULL ? 1 : 0);
	question->every_us = own != NULL ? own->every_ms * 1000 : levels[id].every_us;
	if (levels[id].of_table && want->table != NULL)
		question->table = *want->table;
	level_state_init(&question->state, id, own);
	if (own == NULL || !own->is_http)
		return question;
	char place[HTTP_PLACE_BYTES];
	http_place(own->text, place, sizeof place);
	text_format(question->state.reading.source, sizeof question->state.reading.source, "http %s", place);
	question->poll = http_poll_new(host->loop, host->http, own->text, own->path, question->every_us, told, question);
	return question;
}

static void question_free(struct question *question) {
	if (question == NULL)
		return;
	http_poll_free(question->poll);
	own_probe_free_all(question->own, question->own != NULL ? 1 : 0);
	free(question);
}

static void want_question(struct probe_level *probe, enum level_id id, const struct level_want *want, const struct own_probe *own,
                          int64_t now_us) {
	struct question *question = find_question(probe, id, want, own);
	if (question == NULL) {
		question = question_new(probe->probe.host, id, want, own);
		probe->questions = mem_resize(probe->questions, probe->nquestions + 1, sizeof(struct question *));
		probe->questions[probe->nquestions++] = question;
	}
	question->wanted_us = now_us;
}

static void drop_question(struct probe_level *probe, size_t i) {
	struct question *question = probe->questions[i];
	probe->questions[i] = probe->questions[--probe->nquestions];
	for (int l = 0; l < LANES; l++)
		if (probe->lanes[l].asked == question)
			probe->lanes[l].asked = NULL;
	question_free(question);
}

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

static void disk_told(void *context, double used, const char *why) {
	struct probe_level *probe = context;
	for (size_t i = 0; i < probe->nquestions; i++)
		if (probe->questions[i]->id == LEVEL_DISK)
			level_disk_told(&probe->questions[i]->state, probe->disk_path, used, why, clock_monotonic_us());
}

static void look_at_disk(struct probe_level *probe, const char *path) {
	const char *peer = engine_peer(link_conn(probe->lanes[LANE_SLOW].link));
	if (path == NULL || path[0] != '/' || !disk_is_here(peer)) {
		disk_told(probe, 0, "not watched: the server is not on this host; an own probe may tell");
		return;
	}
	text_format(probe->disk_path, sizeof probe->disk_path, "%s", path);
	if (probe->disk == NULL)
		probe->disk = disk_new(probe->probe.host->loop, disk_told, probe);
	disk_look(probe->disk, path);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static bool absorb(void *context, const struct engine_result *result) {
	struct lane *lane = context;
	struct question *q = lane->asked;
	if (q == NULL)
		return true;
	if (q->id == LEVEL_DISK) {
		look_at_disk(lane->levels, result->nrows == 1 ? engine_value(result, 0, 0) : NULL);
		return true;
	}
	struct level_answer answer = {.nrows = result->nrows, .ncolumns = result->ncolumns};
	const char **const columns[] = {&answer.value, &answer.why, &answer.source, &answer.detail, &answer.own_limit};
	int meant = q->own != NULL ? 1 : (int)(sizeof columns / sizeof *columns);
	for (int c = 0; c < meant && c < result->ncolumns && result->nrows > 0; c++)
		*columns[c] = engine_value(result, 0, c);
	int64_t now_us = clock_monotonic_us();
	level_answered(&q->state, q->id, &answer, now_us);
	if (q->state.reading.good < few && now_us + soon_us < q->due_us)
		q->due_us = now_us + soon_us;
	return true;
}

static void answered(void *context, const struct transaction_result *result) {
	struct lane *lane = context;
	struct question *q = lane->asked;
	lane->asked = NULL;
	if (q != NULL && result->end != TRANSACTION_COMMITTED)
		level_failed(&q->state, result->message, result->error == ENGINE_ERROR_PRIVILEGE);
}

static void ask(struct lane *lane, struct question *q, int64_t now_us) {
	const struct dialect *dialect = lane->levels->probe.host->engine->dialect;
	struct transaction *t = transaction_new("level", dialect_sql(dialect, "level_begin"));
	transaction_add(t, "settings", dialect_sql(dialect, "level_settings"), NULL, NULL);
	struct statement *s =
		transaction_add(t, "level", q->own != NULL ? q->own->text : level_text(lane->levels, q->id), NULL, absorb);
	if (levels[q->id].of_table)
		statement_add_int(s, q->table.oid);
	transaction_fly(t, true); /* each is a single statement then, and one round trip does */
	lane->asked = q;
	q->due_us = now_us + q->every_us;
	link_run(lane->link, t, ANSWER_TIMEOUT_MS, ANSWER_TIMEOUT_MS, lane, answered);
}

/* Who has waited longest. */
static struct question *most_due(const struct probe_level *probe, const struct lane *lane, int64_t now_us) {
	struct question *most = NULL;
	for (size_t i = 0; i < probe->nquestions; i++) {
		struct question *q = probe->questions[i];
		if (&probe->lanes[lane_of(q)] == lane && q->due_us <= now_us && (most == NULL || q->due_us < most->due_us))
			most = q;
	}
	return most;
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct probe_level *probe = timer->data;
	int64_t now_us = clock_monotonic_us();
	for (int l = 0; l < LANES; l++) {
		struct lane *lane = &probe->lanes[l];
		if (lane->link == NULL || link_conn(lane->link) == NULL || link_busy(lane->link))
			continue;
		struct question *q = most_due(probe, lane, now_us);
		if (q != NULL)
			ask(lane, q, now_us);
	}
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

/* A server that was reached anew may be another one: nothing is known of it, and everything is due. */
static void link_changed(void *context, bool up, const char *why) {
	struct lane *lane = context;
	struct probe_level *probe = lane->levels;
	for (size_t i = 0; i < probe->nquestions; i++) {
		struct question *q = probe->questions[i];
		if (&probe->lanes[lane_of(q)] != lane)
			continue;
		q->due_us = 0;
		level_failed(&q->state, up ? "waiting for the first reading" : why, false);
	}
}

static bool has_questions(const struct probe_level *probe, enum lane_id id) {
	for (size_t i = 0; i < probe->nquestions; i++)
		if (lane_of(probe->questions[i]) == id)
			return true;
	return false;
}

static void connect_lanes(struct probe_level *probe) {
	const struct probe_host *host = probe->probe.host;
	for (int l = 0; l < LANES; l++) {
		struct lane *lane = &probe->lanes[l];
		bool wanted = probe->probe.watching && has_questions(probe, (enum lane_id)l);
		if (wanted && lane->link == NULL) {
			lane->link = link_new(host->loop, host->engine, probe->url, "backfilld probes", link_changed, lane);
		} else if (!wanted) {
			link_free(lane->link);
			lane->link = NULL;
		}
	}
}

void probe_level_want(struct probe *base, const struct level_want *wants, size_t count) {
	struct probe_level *probe = (struct probe_level *)base;
	int64_t now_us = clock_monotonic_us();
	for (size_t i = 0; i < count; i++) {
		for (int id = 0; id < LEVEL_OWN; id++)
			if (level_is_wanted((enum level_id)id, &wants[i]) && level_text(probe, (enum level_id)id)[0] != '\0')
				want_question(probe, (enum level_id)id, &wants[i], NULL, now_us);
		for (size_t p = 0; p < wants[i].throttle->nsql; p++)
			want_question(probe, LEVEL_OWN, &wants[i], &wants[i].throttle->sql[p], now_us);
		for (size_t p = 0; p < wants[i].throttle->nhttp; p++)
			want_question(probe, LEVEL_OWN, &wants[i], &wants[i].throttle->http[p], now_us);
	}
	for (size_t i = probe->nquestions; i-- > 0;)
		if (now_us - probe->questions[i]->wanted_us > lingers_us)
			drop_question(probe, i);
	connect_lanes(probe);
}

static void start(struct probe *base) {
	struct probe_level *probe = (struct probe_level *)base;
	free(probe->url);
	probe->url = mem_dup(base->host->target->url);
	ev_timer_again(base->host->loop, &probe->tick);
	connect_lanes(probe);
}

static void disconnect(struct probe_level *probe) {
	ev_timer_stop(probe->probe.host->loop, &probe->tick);
	for (int l = 0; l < LANES; l++) {
		link_free(probe->lanes[l].link);
		probe->lanes[l].link = NULL;
	}
	disk_free(probe->disk);
	probe->disk = NULL;
}

static void stop(struct probe *base) {
	struct probe_level *probe = (struct probe_level *)base;
	disconnect(probe);
	while (probe->nquestions > 0)
		drop_question(probe, probe->nquestions - 1);
}

static void retarget(struct probe *base) {
	struct probe_level *probe = (struct probe_level *)base;
	if (!base->watching || strcmp(probe->url, base->host->target->url) == 0)
		return;
	stop(base);
	start(base);
}

/* ---- what it says ------------------------------------------------------------------------------------------------ */

/* One that somebody asks for as soon as it is heard of. */
static void add_unasked(enum level_id id, const struct level_want *want, const struct own_probe *own, const char *why,
                        int64_t now_us, struct readings *readings) {
	struct level_state state;
	level_state_init(&state, id, own);
	level_set_unknown(&state, why);
	level_add_reading(&state, id, want, own, now_us, readings);
}

static void add_one(const struct probe_level *probe, enum level_id id, const struct level_want *want, const struct own_probe *own,
                    int64_t now_us, struct readings *readings) {
	const struct question *q = find_question(probe, id, want, own);
	if (q != NULL)
		level_add_reading(&q->state, id, want, own, now_us, readings);
	else
		add_unasked(id, want, own,
		            probe->probe.watching ? "waiting for the first reading" : "not watched: no running job of the target", now_us,
		            readings);
}

void probe_level_read(const struct probe *base, const struct level_want *want, int64_t now_us, struct readings *readings) {
	const struct probe_level *probe = (const struct probe_level *)base;
	for (int i = 0; i < LEVEL_OWN; i++) {
		enum level_id id = (enum level_id)i;
		if (!level_is_wanted(id, want))
			continue;
		if (level_text(probe, id)[0] != '\0') {
			add_one(probe, id, want, NULL, now_us, readings);
		} else if (!levels[id].by_default) {
			add_unasked(id, want, NULL, "not watched: servers of this kind have no such thing", now_us, readings);
			readings->list[readings->count - 1].counts = false;
		}
	}
	for (size_t i = 0; i < want->throttle->nsql; i++)
		add_one(probe, LEVEL_OWN, want, &want->throttle->sql[i], now_us, readings);
	for (size_t i = 0; i < want->throttle->nhttp; i++)
		add_one(probe, LEVEL_OWN, want, &want->throttle->http[i], now_us, readings);
}

static void read_levels(const struct probe *probe, const struct throttle_settings *settings, int64_t now_us,
                        struct readings *readings) {
	const struct guard_settings none = {0};
	probe_level_read(probe, &(struct level_want){.throttle = settings, .guards = &none}, now_us, readings);
}

/* ---- from begin to end ------------------------------------------------------------------------------------------- */

static void free_probe(struct probe *base) {
	struct probe_level *probe = (struct probe_level *)base;
	stop(base);
	free(probe->questions);
	free(probe->url);
	free(probe);
}

struct probe *probe_level_new(const struct probe_host *host) {
	static const struct probe_class class = {
		.start = start, .stop = stop, .retarget = retarget, .read = read_levels, .free = free_probe};
	struct probe_level *probe = mem_alloc(sizeof *probe);
	probe->probe = (struct probe){.class = &class, .host = host};
	for (int l = 0; l < LANES; l++)
		probe->lanes[l].levels = probe;
	ev_timer_init(&probe->tick, on_tick, 0., tick_s);
	probe->tick.data = probe;
	return &probe->probe;
}
