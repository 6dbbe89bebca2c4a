#include "daemon/engine/replication.h"

#include "common/text.h"

#include <stdlib.h>
#include <string.h>

/* The columns of MariaDB's SHOW ALL REPLICAS STATUS, which the text for MySQL answers with, too. */
static const char channel_name[] = "Connection_name", source_id[] = "Master_Server_Id", delay_s[] = "SQL_Delay";
static const char *const threads[][3] = {
	/* what it is called, how it is, what it died of */
	{"IO", "Slave_IO_Running", "Last_IO_Error"},
	{"SQL", "Slave_SQL_Running", "Last_SQL_Error"},
};

static const char *or_empty(const char *text) {
	return text != NULL ? text : "";
}

static bool follows(const struct engine_result *channels, int row, const char *primary) {
	return strcmp(or_empty(engine_value_named(channels, row, source_id)), primary) == 0;
}

/* A channel to another source than ours says nothing of our lag, and its delay is none of ours. Behind a replica in between no
 * channel leads to the primary itself: then each of them may be the one. */
static bool has_channel_to(const struct engine_result *channels, const char *primary) {
	for (int row = 0; row < channels->nrows; row++)
		if (follows(channels, row, primary))
			return true;
	return false;
}

/* "Connecting" (it tries again and again) and "Preparing" are no "Yes": nothing arrives, though on a replica that is late on
 * purpose heartbeats from before go on to appear. */
static bool thread_runs(const struct engine_result *channels, int row, const char *const thread[3], char *why, size_t size) {
	const char *running = or_empty(engine_value_named(channels, row, thread[1]));
	if (strcmp(running, "Yes") == 0)
		return true;
	const char *error = or_empty(engine_value_named(channels, row, thread[2]));
	const char *channel = or_empty(engine_value_named(channels, row, channel_name));
	text_format(why, size, "its %s thread%s%s is %s%s%s", thread[0], channel[0] != '\0' ? " of channel " : "", channel,
	            strcmp(running, "No") == 0 ? "stopped" : "not connected", error[0] != '\0' ? ": " : "", error);
	return false;
}

/* It is counted in whole seconds, from the whole second of the change to that of the clock: it takes up to one more. */
static int64_t delay_us(const struct engine_result *channels, int row) {
	int64_t seconds = strtoll(or_empty(engine_value_named(channels, row, delay_s)), NULL, 10);
	return seconds > 0 ? (seconds + 1) * 1000000 : 0;
}

static void add_channel(struct replica_state *s, const struct engine_result *channels, int row) {
	for (size_t i = 0; s->replicates && i < sizeof threads / sizeof *threads; i++)
		s->replicates = thread_runs(channels, row, threads[i], s->why, sizeof s->why);
	if (delay_us(channels, row) < s->delay_us)
		s->delay_us = delay_us(channels, row);
}

static struct replica_state state(const struct engine_result *channels, const char *primary) {
	struct replica_state s = {.replicates = channels->nrows > 0, .delay_us = channels->nrows > 0 ? INT64_MAX : 0};
	if (!s.replicates)
		text_format(s.why, sizeof s.why, "it is not a replica (any more): it has no source");
	bool known = has_channel_to(channels, primary);
	for (int row = 0; row < channels->nrows; row++)
		if (!known || follows(channels, row, primary))
			add_channel(&s, channels, row);
	return s;
}

const struct replication replication_mysql = {.list = "the process list", .state = state};
