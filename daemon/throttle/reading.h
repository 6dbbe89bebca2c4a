/*
 * reading.h: what a probe knows: a value with its unit, age, sample count, source and limit, or why it is unknown. Pure: neither
 * libev nor a database; times come in as arguments.
 */
#ifndef BACKFILLD_READING_H
#define BACKFILLD_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reading_state { READING_UNKNOWN, READING_KNOWN };

enum reading_nature {
	READING_LAG,     /* silence is lag; at its limit nothing goes on */
	READING_LEVEL,   /* of the server as it is now; at its limit nothing goes on */
	READING_SLOWING, /* the same, but at its limit the work only gets slower, and it never stops for it, known or not */
	READING_LATENCY, /* an estimate from samples: it slows, and stops only who can't be slowed any more */
};

enum reading_unit { UNIT_SECONDS, UNIT_MILLISECONDS, UNIT_BYTES, UNIT_BYTES_PER_MINUTE, UNIT_COUNT, UNIT_RATIO };

/* One probe's newest value. */
struct reading {
	char probe[80];   /* "lag:r1" */
	char what[64];    /* for a sentence: "replica lag", "active sessions" */
	char source[64];  /* "heartbeat", "pg_stat_replication", … */
	char why[300];    /* why it is unknown: "connection refused" */
	char detail[160]; /* of a known one, who is behind it: "pid 4711, user x"; "" */
	enum reading_nature nature;
	enum reading_unit unit;
	enum reading_state state;
	double value;      /* as measured, in `unit` */
	double recent;     /* of an estimate: the same over the last seconds alone; 0: not known */
	double trend;      /* what is to come on top of it soon, in `unit`; never negative */
	double coming;     /* what it will be even if we stop now, in `unit`; 0: not more */
	double error;      /* of the value: its standard error as a share of it; 0: exact */
	bool sure;         /* enough samples to go faster by it; always so for what is no estimate */
	double ok, limit;  /* pressure is 0 at `ok` and 1 at `limit`, both in `unit`; limit 0: none, it is only shown */
	double baseline;   /* in `unit`; 0: none */
	int64_t at_us;     /* monotonic time of the measurement; 0 = never */
	int64_t period_us; /* how often a value is due */
	int64_t samples;
	int64_t good;  /* readings in a row since it was last unknown */
	bool learning; /* unknown for want of a baseline: nobody is to work meanwhile */
	bool guards;   /* at its limit the job is to be paused, for a person to look */
	bool counts;   /* false: shown, never decides (left out by name, or without a limit) */
};

/* A list that grows. Zero it; the readings in it stay where they are until the next one is added. */
struct readings {
	struct reading *list;
	size_t count, capacity;
};
/* A copy of `reading` at the end, to be completed there. */
struct reading *readings_add(struct readings *readings, const struct reading *reading);
void readings_free(struct readings *readings);

/* A value has come: known, and as of now. One behind a long silence is the first of a new row. */
void reading_set_known(struct reading *reading, int64_t now_us);
/* The value as of now: a silent replica's lag is max(value, age), counted from the moment the next one was due. In `unit`. */
double reading_value(const struct reading *reading, int64_t now_us);
/* (value − ok) / (limit − ok), of the value as of now: 1 is at the limit. 0 without a limit; never negative. */
double reading_pressure(const struct reading *reading, int64_t now_us);
/* The same with the trend, and for an estimate of few samples only as far as it is sure: what the rate is controlled by. */
double reading_control_pressure(const struct reading *reading, int64_t now_us);
/* The standard error of that pressure; 0: it is exact. */
double reading_uncertainty(const struct reading *reading);
/* How late the next value is, in µs; 0 when it isn't. */
int64_t reading_overdue_us(const struct reading *reading, int64_t now_us);
/* "3.2 s", "12 MB". */
void reading_format(enum reading_unit unit, double value, char *out, size_t size);
/* As JSON names it: "s", "ms", "bytes", … */
const char *reading_unit_name(enum reading_unit unit);

#endif
