#include "daemon/throttle/reading.h"

#include "common/mem.h"
#include "common/text.h"

#include <math.h>
#include <stdlib.h>

/* So far below an estimate the truth may well be. */
static const double errors_below = 2;
/* Where growing stops: pressure of an estimate that is not sure counts as no more than that. */
static const double unsure_pressure = 0.6;
/* Overdue by so much: somebody may have been held for it. */
static const int64_t silence_us = 10000000;

struct reading *readings_add(struct readings *readings, const struct reading *reading) {
	if (readings->count == readings->capacity) {
		readings->capacity = readings->capacity * 2 + 8;
		readings->list = mem_resize(readings->list, readings->capacity, sizeof *readings->list);
	}
	readings->list[readings->count] = *reading;
	return &readings->list[readings->count++];
}

void readings_free(struct readings *readings) {
	free(readings->list);
	*readings = (struct readings){0};
}

void reading_set_known(struct reading *reading, int64_t now_us) {
	bool silent = reading->at_us > 0 && reading_overdue_us(reading, now_us) > silence_us;
	reading->state = READING_KNOWN;
	reading->why[0] = '\0';
	reading->good = silent ? 1 : reading->good + 1;
	reading->at_us = now_us;
}

int64_t reading_overdue_us(const struct reading *reading, int64_t now_us) {
	int64_t late_us = now_us - reading->at_us - reading->period_us;
	return late_us > 0 ? late_us : 0;
}

double reading_value(const struct reading *reading, int64_t now_us) {
	if (reading->nature != READING_LAG)
		return reading->value;
	return fmax(reading->value, (double)reading_overdue_us(reading, now_us) / 1e6);
}

static double pressure_of(const struct reading *reading, double value) {
	if (reading->limit <= 0)
		return 0;
	if (reading->limit <= reading->ok) /* no room between them: it is at its limit, or not */
		return value >= reading->limit ? 1 : 0;
	return fmax(0, (value - reading->ok) / (reading->limit - reading->ok));
}

double reading_pressure(const struct reading *reading, int64_t now_us) {
	return pressure_of(reading, reading_value(reading, now_us));
}

double reading_control_pressure(const struct reading *reading, int64_t now_us) {
	double value = reading_value(reading, now_us) + reading->trend;
	double pressure = pressure_of(reading, value);
	/* What is over already must not be answered again and again as long as it is in the window. */
	if (pressure >= 1 && reading->recent > 0) {
		double recent = pressure_of(reading, reading->recent);
		pressure = recent < 1 ? fmax(recent, unsure_pressure) : fmin(pressure, recent);
	}
	if (reading->sure)
		return pressure;
	double surely = pressure_of(reading, value * (1 - errors_below * reading->error));
	return surely >= 1 ? surely : fmin(pressure, unsure_pressure);
}

double reading_uncertainty(const struct reading *reading) {
	return reading->limit > reading->ok ? reading->error * reading->value / (reading->limit - reading->ok) : 0;
}

void reading_format(enum reading_unit unit, double value, char *out, size_t size) {
	switch (unit) {
	case UNIT_SECONDS:
		text_format(out, size, value >= 100 ? "%.0f s" : "%.1f s", value);
		return;
	case UNIT_MILLISECONDS:
		text_format(out, size, value >= 100 ? "%.0f ms" : value >= 10 ? "%.1f ms" : "%.2f ms", value);
		return;
	case UNIT_BYTES:
	case UNIT_BYTES_PER_MINUTE:
		text_format(out, size, "%.1f MB%s", value / 1048576, unit == UNIT_BYTES ? "" : "/min");
		return;
	case UNIT_COUNT:
	case UNIT_RATIO:
		text_format(out, size, "%.6g", value);
		return;
	}
}

const char *reading_unit_name(enum reading_unit unit) {
	static const char *const names[] = {"s", "ms", "bytes", "bytes/min", "", ""};
	return names[unit];
}
