#include "daemon/throttle/level.h"

#include "common/text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

static const int64_t quick_us = 1000000, slow_us = 5000000;
static const int64_t disk_silence_us = 20000000;

const struct level levels[LEVELS] = {
	[LEVEL_ACTIVE] = {.probe = "active",
                      .what = "active sessions",
                      .text = "level_active",
                      .nature = READING_LEVEL,
                      .unit = UNIT_COUNT,
                      .every_us = quick_us},
	[LEVEL_LOCK_WAITERS] = {.probe = "lock_waiters",
                            .what = "sessions waiting for locks",
                            .text = "level_lock_waiters",
                            .nature = READING_LEVEL,
                            .unit = UNIT_COUNT,
                            .every_us = quick_us},
	[LEVEL_OLDEST] = {.probe = "oldest",
                      .what = "oldest transaction",
                      .text = "level_oldest",
                      .nature = READING_SLOWING,
                      .unit = UNIT_SECONDS,
                      .every_us = slow_us,
                      .by_default = true},
	[LEVEL_WAL] = {.probe = "wal",
                   .what = "WAL kept by a replication slot",
                   .text = "level_wal",
                   .nature = READING_LEVEL,
                   .unit = UNIT_BYTES,
                   .every_us = slow_us,
                   .by_default = true},
	[LEVEL_ARCHIVE] = {.probe = "archive",
                       .what = "WAL files waiting for the archiver",
                       .text = "level_archive",
                       .nature = READING_LEVEL,
                       .unit = UNIT_COUNT,
                       .every_us = slow_us},
	[LEVEL_DEAD_ROWS] = {.probe = "dead_rows",
                         .what = "dead rows over autovacuum's trigger",
                         .text = "level_dead_rows",
                         .nature = READING_LEVEL,
                         .unit = UNIT_RATIO,
                         .every_us = slow_us,
                         .of_table = true},
	[LEVEL_HISTORY] = {.probe = "history",
                       .what = "InnoDB's history list",
                       .text = "level_history",
                       .nature = READING_LEVEL,
                       .unit = UNIT_COUNT,
                       .every_us = slow_us},
	[LEVEL_BINLOG] = {.probe = "binlog",
                      .what = "growth of the binary log",
                      .text = "level_binlog",
                      .nature = READING_LEVEL,
                      .unit = UNIT_BYTES_PER_MINUTE,
                      .every_us = slow_us,
                      .per_s = 60},
	[LEVEL_FLOW] = {.probe = "flow",
                    .what = "share of the time that flow control stops the node",
                    .text = "level_flow",
                    .nature = READING_LEVEL,
                    .unit = UNIT_RATIO,
                    .every_us = slow_us,
                    .by_default = true,
                    .per_s = 1e-9},
	[LEVEL_QUEUE] = {.probe = "flow",
                     .what = "group replication's longest queue over flow control's threshold",
                     .text = "level_queue",
                     .nature = READING_LEVEL,
                     .unit = UNIT_RATIO,
                     .every_us = slow_us,
                     .by_default = true},
	[LEVEL_DISK] = {.probe = "disk",
                    .what = "used share of the data directory's disk",
                    .text = "level_disk",
                    .nature = READING_LEVEL,
                    .unit = UNIT_RATIO,
                    .every_us = slow_us,
                    .guards = true,
                    .by_default = true},
	[LEVEL_OWN] = {.nature = READING_LEVEL, .unit = UNIT_COUNT},
};

double level_limit(enum level_id id, const struct level_want *want) {
	const struct throttle_settings *s = want->throttle;
	switch (id) {
	case LEVEL_ACTIVE:
		return (double)s->max_active;
	case LEVEL_LOCK_WAITERS:
		return (double)s->max_lock_waiters;
	case LEVEL_OLDEST:
		return (double)s->max_oldest_ms / 1000;
	case LEVEL_WAL:
		return (double)s->max_wal_retained_bytes;
	case LEVEL_ARCHIVE:
		return (double)s->max_archive_queue;
	case LEVEL_DEAD_ROWS:
		return s->max_dead_ratio;
	case LEVEL_HISTORY:
		return (double)s->max_history_list;
	case LEVEL_BINLOG:
		return (double)s->max_binlog_rate_bytes;
	case LEVEL_FLOW:
	case LEVEL_QUEUE:
		return s->max_flow_control;
	case LEVEL_DISK:
		return want->guards->disk_used;
	default:
		return 0;
	}
}

bool level_is_wanted(enum level_id id, const struct level_want *want) {
	if (levels[id].of_table && (want->table == NULL || want->table->oid == 0))
		return false;
	return level_limit(id, want) > 0 || (id == LEVEL_WAL && want->throttle->slots);
}

/* ---- what an answer makes of it ---------------------------------------------------------------------------------- */

void level_state_init(struct level_state *state, enum level_id id, const struct own_probe *own) {
	const struct level *level = &levels[id];
	*state = (struct level_state){
		.reading = {.nature = level->nature, .unit = level->unit, .sure = true, .period_us = level->every_us}};
	struct reading *reading = &state->reading;
	text_format(reading->probe, sizeof reading->probe, "%s%s",
	            own == NULL    ? level->probe
	            : own->is_http ? "http:"
	                           : "sql:",
	            own != NULL ? own->name : "");
	text_format(reading->what, sizeof reading->what, "%s", own != NULL ? reading->probe : level->what);
	text_format(reading->source, sizeof reading->source, "%s", own == NULL ? "" : own->is_http ? "http" : "own query");
	if (own != NULL)
		reading->period_us = own->every_ms * 1000;
	level_set_unknown(state, "waiting for the first reading");
}

void level_set_unknown(struct level_state *state, const char *why) {
	state->reading.state = READING_UNKNOWN;
	state->reading.good = 0;
	state->counted_us = 0;
	text_format(state->reading.why, sizeof state->reading.why, "%s", why);
}

void level_failed(struct level_state *state, const char *why, bool denied) {
	level_set_unknown(state, why);
	state->denied = denied;
	state->absent = false;
}

static bool number_of(const char *text, double *number) {
	char *end = NULL;
	if (text == NULL || text[0] == '\0')
		return false;
	double value = strtod(text, &end);
	while (isspace((unsigned char)*end))
		end++;
	if (*end != '\0' || !isfinite(value) || isspace((unsigned char)text[0]))
		return false;
	*number = value;
	return true;
}

static void set_known(struct reading *reading, double value, int64_t now_us) {
	reading->state = READING_KNOWN;
	reading->why[0] = '\0';
	reading->value = value;
	reading->at_us = now_us;
	reading->samples++;
	reading->good++;
}

/* Of a counter the first look tells nothing; nor one behind a restart of the server, which counts anew. */
static void set_growth(struct level_state *state, double counted, double per_s, int64_t now_us) {
	double before = state->counted, seconds = (double)(now_us - state->counted_us) / 1e6;
	bool again = state->counted_us > 0 && counted >= before && seconds > 0;
	state->counted = counted;
	state->counted_us = now_us;
	if (again)
		set_known(&state->reading, (counted - before) / seconds * per_s, now_us);
}

static void set_not_a_number(struct level_state *state, const struct level_answer *answer) {
	char why[160];
	if (answer->why != NULL)
		text_format(why, sizeof why, "%s", answer->why);
	else if (answer->nrows != 1 || answer->ncolumns == 0)
		text_format(why, sizeof why, "the query answered with %d rows, not with one", answer->nrows);
	else if (answer->value == NULL)
		text_format(why, sizeof why, "the query answered with NULL");
	else
		text_format(why, sizeof why, "the query answered with \"%.60s\", which is no number", answer->value);
	level_set_unknown(state, why);
}

void level_answered(struct level_state *state, enum level_id id, const struct level_answer *answer, int64_t now_us) {
	struct reading *reading = &state->reading;
	double number = 0, own_limit = 0;
	state->denied = false;
	state->absent = levels[id].by_default && answer->nrows == 0;
	if (state->absent || answer->nrows != 1 || !number_of(answer->value, &number)) {
		set_not_a_number(state, answer);
		state->denied = answer->why != NULL; /* the texts say that of privileges alone */
		return;
	}
	text_format(reading->detail, sizeof reading->detail, "%s", answer->detail != NULL ? answer->detail : "");
	if (answer->source != NULL)
		text_format(reading->source, sizeof reading->source, "%s", answer->source);
	state->own_limit = number_of(answer->own_limit, &own_limit) ? own_limit : 0;
	if (levels[id].per_s > 0)
		set_growth(state, number, levels[id].per_s, now_us);
	else
		set_known(reading, number, now_us);
}

void level_disk_told(struct level_state *state, const char *path, double used, const char *why, int64_t now_us) {
	if (why != NULL) {
		level_failed(state, why, true);
		return;
	}
	state->denied = false;
	text_format(state->reading.source, sizeof state->reading.source, "%s", path);
	set_known(&state->reading, round(used * 1000) / 1000, now_us);
}

void level_told(struct level_state *state, const struct own_probe *own, const struct http_value *value, int64_t now_us) {
	state->stop = value->kind == HTTP_VALUE_STOP;
	bool by_status = own->limit <= 0 && value->kind != HTTP_VALUE_UNKNOWN;
	state->reading.detail[0] = '\0';
	if (state->stop)
		text_format(state->reading.detail, sizeof state->reading.detail, "%.150s", value->why);
	if (state->stop || by_status)
		set_known(&state->reading, 0, now_us);
	else if (value->kind == HTTP_VALUE_NUMBER)
		set_known(&state->reading, value->number, now_us);
	else
		level_set_unknown(state, value->kind == HTTP_VALUE_GO ? "the answer has no number" : value->why);
}

/* Of group replication the server says where flow control begins; of slots either of two limits is enough. */
static double limit_with_own(const struct level_state *state, enum level_id id, const struct level_want *want) {
	double limit = level_limit(id, want), own = state->own_limit;
	if (id == LEVEL_QUEUE)
		return own;
	if (id != LEVEL_WAL || !want->throttle->slots || own <= 0)
		return limit;
	return limit > 0 ? fmin(limit, own) : own;
}

void level_add_reading(const struct level_state *state, enum level_id id, const struct level_want *want,
                       const struct own_probe *own, int64_t now_us, struct readings *readings) {
	if (state->absent)
		return;
	struct reading *added = readings_add(readings, &state->reading);
	added->limit = own != NULL ? own->limit : limit_with_own(state, id, want);
	added->ok = own != NULL ? own->ok : levels[id].guards ? added->limit : added->limit / 2;
	if (own != NULL && own->limit <= 0)
		added->limit = 1; /* stop is 1, go is 0 */
	if (state->stop)
		added->value = added->limit;
	added->guards = levels[id].guards;
	added->counts = !(state->denied && levels[id].by_default);
	if (id != LEVEL_DISK)
		return;
	/* Whoever doesn't see the disk works all the same. */
	if (added->state == READING_KNOWN && now_us - added->at_us > disk_silence_us) {
		added->state = READING_UNKNOWN;
		text_format(added->why, sizeof added->why, "not watched: the file system has not answered for %.0f s",
		            (double)(now_us - added->at_us) / 1e6);
	}
	added->counts = added->state == READING_KNOWN;
}
