/*
 * windows and zone: what an entry opens, and when that changes, across midnight, the week's end and the clock's changes; random
 * windows against the C library's wall clock, asked minute by minute. SEED=n replays that, RUNS=n says how many.
 */
#include "common/windows.h"

#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/base/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <cmocka.h>

static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* ---- Entries ---- */

/* The spans of a week that the entries open, "Mon 22:00-Tue 06:00 …". */
static void opens(const char *const entries[], const char *wanted) {
	struct windows windows = {0};
	struct error err;
	for (size_t i = 0; entries[i] != NULL; i++)
		if (!windows_add(&windows, entries[i], &err))
			fail_msg("%s", err.message);
	autostrbuf text = {0};
	for (int m = 0; m <= WINDOWS_WEEK_MINUTES; m++) {
		bool before = m > 0 && windows.open[m - 1], now = m < WINDOWS_WEEK_MINUTES && windows.open[m];
		if (before != now)
			strbuf_printf(&text, "%s%s %02d:%02d",
			              before            ? "-"
			              : text.length > 0 ? " "
			                                : "",
			              m < WINDOWS_WEEK_MINUTES ? days[m / 1440] : "end", m / 60 % 24, m % 60);
	}
	assert_string_equal(text.data, wanted);
}

#define OPENS(WANTED, ...) opens((const char *const[]){__VA_ARGS__, NULL}, WANTED)

static void an_entry_opens_days_times_or_both(void **state) {
	(void)state;
	OPENS("Tue 00:00-Wed 00:00", "Tue");
	OPENS("Sat 00:00-end 00:00", "Sat,Sun");
	OPENS("Sat 00:00-end 00:00", "Sat-Sun");
	OPENS("Mon 00:00-Tue 00:00 Fri 00:00-end 00:00", "Fri-Mon");
	OPENS("Mon 00:00-Tue 00:00 Wed 00:00-Sat 00:00", "Mon,Wed-Fri");
	OPENS("Wed 00:00-Thu 00:00", "Wed-Wed");
	OPENS("Mon 00:00-Tue 00:00", "Mon 00:00-24:00");
	OPENS("Mon 22:00-Tue 00:00", "Mon 22:00-24:00");
	OPENS("Mon 22:00-Tue 00:00", "Mon 22:00-00:00");
	OPENS("Mon 09:15-Mon 17:45", "Mon 09:15-17:45");
	OPENS("Mon 23:59-Tue 00:00", "Mon 23:59-24:00");
	OPENS("Mon 12:00-Mon 13:00 Tue 12:00-Tue 13:00 Wed 12:00-Wed 13:00 Thu 12:00-Thu 13:00 Fri 12:00-Fri 13:00 "
	      "Sat 12:00-Sat 13:00 Sun 12:00-Sun 13:00",
	      "12:00-13:00");
}

static void what_runs_past_midnight_belongs_to_its_first_day(void **state) {
	(void)state;
	OPENS("Mon 22:00-Tue 06:00 Tue 22:00-Wed 06:00", "Mon,Tue 22:00-06:00");
	OPENS("Mon 00:00-Mon 06:00 Sun 22:00-end 00:00", "Sun 22:00-06:00");
	OPENS("Mon 22:00-Tue 06:00 Tue 22:00-Wed 06:00 Wed 22:00-Thu 06:00 Thu 22:00-Fri 06:00 Fri 22:00-end 00:00",
	      "Mon-Fri 22:00-06:00", "Sat,Sun");
	OPENS("Mon 00:00-Mon 01:00 Mon 02:00-Tue 01:00 Tue 02:00-Wed 01:00 Wed 02:00-Thu 01:00 Thu 02:00-Fri 01:00 "
	      "Fri 02:00-Sat 01:00 Sat 02:00-Sun 01:00 Sun 02:00-end 00:00",
	      "02:00-01:00");
}

static void refused(const char *entry, const char *message) {
	struct windows windows = {0};
	struct error err = {0};
	assert_false(windows_add(&windows, entry, &err));
	autofree char *whole = mem_printf("\"%s\" %s", entry, message);
	assert_string_equal(err.message, whole);
	assert_true(err.hint[0] != '\0' && err.code == ERROR_DATA);
	for (int m = 0; m < WINDOWS_WEEK_MINUTES; m++)
		assert_false(windows.open[m]);
}

static void what_is_no_entry_is_refused_by_name(void **state) {
	(void)state;
	static const char *const none[] = {
		"",
		" ",
		"weekends",
		"mon",
		"Monday",
		"Mon,",
		"Mon-",
		",Mon",
		"Mon Tue",
		"Mon-Fri-Sun",
		"Mon  10:00-11:00",
		"Mon 10:00-11:00 ",
		" Mon",
		"Mon ",
		"Mon 10:00",
		"Mon 10:00-",
		"Mon 10:00-11",
		"Mon 10-11",
		"1:00-2:00",
		"Mon 24:00-10:00",
		"Mon 10:00-24:01",
		"Mon 10:60-11:00",
		"Mon 25:00-26:00",
		"10:00-11:00 Mon",
		"Mon 10:00-11:00,12:00-13:00",
		"Mon 10:00-11:00,Tue",
		"Mon 10:00–11:00",
		"Mon +1:00-02:00",
	};
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
		refused(none[i], "is not days, times or both, as \"Mon-Fri 22:00-06:00\" or \"Sat,Sun\"");
	refused("Mon 22:00-22:00", "ends when it begins");
	refused("00:00-00:00", "ends when it begins");
}

static void without_an_entry_it_is_always_open(void **state) {
	(void)state;
	struct windows windows;
	struct error err;
	assert_true(windows_read(&windows, NULL, 0, &err));
	struct zone *utc = zone_new("UTC", &err);
	struct windows_state now = windows_next(&windows, zone_offset_s, utc, 1000);
	assert_true(now.open && now.changes_utc_s == INT64_MAX);
	char *entries[] = {"Mon", "Tue 10:00-10:00"};
	assert_false(windows_read(&windows, entries, 2, &err));
	assert_string_equal(err.message, "\"Tue 10:00-10:00\" ends when it begins");
	zone_free(utc);
}

/* ---- When it changes ---- */

static int64_t utc(const char *text) {
	struct tm tm = {0};
	assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
	return timegm(&tm);
}

/* At `now` of UTC the windows are open or not, until `changes` of UTC; NULL: not within four weeks. */
static void changes(const char *entry, const char *zone_text, const char *now, bool open, const char *wanted) {
	struct windows windows = {0};
	struct error err;
	assert_true(windows_add(&windows, entry, &err));
	struct zone *zone = zone_new(zone_text, &err);
	assert_non_null(zone);
	struct windows_state state = windows_next(&windows, zone_offset_s, zone, utc(now));
	assert_int_equal(state.open, open);
	assert_int_equal(state.changes_utc_s, wanted != NULL ? utc(wanted) : INT64_MAX);
	zone_free(zone);
}

static void it_changes_at_the_minute(void **state) {
	(void)state;
	/* 2026-11-23 is a Monday. */
	changes("Mon 10:00-11:00", "UTC", "2026-11-23 09:59:59", false, "2026-11-23 10:00:00");
	changes("Mon 10:00-11:00", "UTC", "2026-11-23 10:00:00", true, "2026-11-23 11:00:00");
	changes("Mon 10:00-11:00", "UTC", "2026-11-23 10:59:59", true, "2026-11-23 11:00:00");
	changes("Mon 10:00-11:00", "UTC", "2026-11-23 11:00:00", false, "2026-11-30 10:00:00");
	changes("Mon 10:00-11:00", "Europe/Berlin", "2026-11-23 09:00:00", true, "2026-11-23 10:00:00");
	changes("Mon 00:00-01:00", "Asia/Kathmandu", "2026-11-22 18:14:59", false, "2026-11-22 18:15:00");
	changes("Mon 00:00-01:00", "Asia/Kathmandu", "2026-11-22 18:15:00", true, "2026-11-22 19:15:00");
}

static void it_goes_on_across_midnight_and_the_week_s_end(void **state) {
	(void)state;
	changes("Mon-Fri 22:00-06:00", "UTC", "2026-11-23 23:59:59", true, "2026-11-24 06:00:00");
	changes("Mon-Fri 22:00-06:00", "UTC", "2026-11-24 00:00:00", true, "2026-11-24 06:00:00");
	changes("Mon-Fri 22:00-06:00", "UTC", "2026-11-28 05:00:00", true, "2026-11-28 06:00:00"); /* Saturday, Friday's */
	changes("Mon-Fri 22:00-06:00", "UTC", "2026-11-28 06:00:00", false, "2026-11-30 22:00:00");
	changes("Mon-Fri 22:00-06:00", "UTC", "2026-11-23 05:00:00", false, "2026-11-23 22:00:00"); /* Monday: Sunday has none */
	changes("Fri-Mon", "UTC", "2026-11-29 12:00:00", true, "2026-12-01 00:00:00");
	changes("Sun 22:00-06:00", "UTC", "2026-11-30 05:59:59", true, "2026-11-30 06:00:00");
	changes("Mon-Sun", "UTC", "2026-11-30 05:59:59", true, NULL);
	changes("Mon 00:00-24:00", "UTC", "1969-12-29 00:00:00", true, "1969-12-30 00:00:00");
}

/* Berlin, 2026-03-29: 02:00 becomes 03:00, at 01:00 UTC. */
static void in_spring_an_hour_is_not_there(void **state) {
	(void)state;
	changes("Sun 01:00-04:00", "Europe/Berlin", "2026-03-29 00:00:00", true, "2026-03-29 02:00:00"); /* two hours long */
	changes("Sun 01:00-02:30", "Europe/Berlin", "2026-03-29 00:30:00", true, "2026-03-29 01:00:00"); /* ends with the jump */
	changes("Sun 02:30-05:00", "Europe/Berlin", "2026-03-29 00:30:00", false, "2026-03-29 01:00:00");
	changes("Sun 02:15-02:45", "Europe/Berlin", "2026-03-28 12:00:00", false, "2026-04-05 00:15:00"); /* a week later */
	changes("Sun 02:00-03:00", "Europe/Berlin", "2026-03-29 01:00:00", false, "2026-04-05 00:00:00");
	changes("Sat 22:00-06:00", "Europe/Berlin", "2026-03-28 21:00:00", true, "2026-03-29 04:00:00"); /* seven hours long */
	changes("Sun 10:00-11:00", "Europe/Berlin", "2026-03-28 12:00:00", false, "2026-03-29 08:00:00");
	changes("03:00-02:00", "Europe/Berlin", "2026-03-28 12:00:00", true, "2026-03-30 00:00:00"); /* the jump is over its gap */
}

/* Berlin, 2026-10-25: 03:00 becomes 02:00, at 01:00 UTC. */
static void in_autumn_an_hour_is_there_twice(void **state) {
	(void)state;
	changes("Sun 01:00-04:00", "Europe/Berlin", "2026-10-24 23:00:00", true, "2026-10-25 03:00:00"); /* four hours long */
	changes("Sun 01:00-02:30", "Europe/Berlin", "2026-10-24 23:30:00", true, "2026-10-25 00:30:00");
	changes("Sun 01:00-02:30", "Europe/Berlin", "2026-10-25 00:30:00", false, "2026-10-25 01:00:00"); /* and once more */
	changes("Sun 01:00-02:30", "Europe/Berlin", "2026-10-25 01:00:00", true, "2026-10-25 01:30:00");
	changes("Sun 02:00-03:00", "Europe/Berlin", "2026-10-25 00:00:00", true, "2026-10-25 02:00:00");
	changes("Sun 02:30-03:00", "Europe/Berlin", "2026-10-25 00:45:00", true, "2026-10-25 01:00:00");
	changes("Sat 22:00-06:00", "Europe/Berlin", "2026-10-24 20:00:00", true, "2026-10-25 05:00:00"); /* nine hours long */
	changes("Sun 01:30-02:00", "Europe/Berlin", "2026-10-25 00:10:00", false, "2026-11-01 00:30:00");
}

static void other_changes_of_the_clock(void **state) {
	(void)state;
	changes("Sun 01:00-03:00", "Australia/Lord_Howe", "2026-04-04 14:00:00", true, "2026-04-04 16:30:00"); /* half an hour */
	changes("Fri", "Pacific/Apia", "2011-12-29 12:00:00", false, "2012-01-05 10:00:00");                   /* no 2011-12-30 */
	changes("Sun 01:00-04:00", "Europe/Berlin", "2064-03-30 00:00:00", true, "2064-03-30 02:00:00"); /* by the file's last rule */
}

/* ---- Zones ---- */

static void an_unknown_zone_says_what_to_do(void **state) {
	(void)state;
	struct error err = {0};
	assert_null(zone_new("Europe/Belrin", &err));
	assert_string_equal(err.message, "the time zone Europe/Belrin is not known on this host");
	assert_non_null(strstr(err.hint, "tzdata"));
	assert_null(zone_new("Europe", &err));
	zone_free(NULL);
}

static void the_host_s_zone_is_found_as_the_c_library_does(void **state) {
	(void)state;
	struct error err;
	static const char *const values[][2] = {
		{"Europe/Paris", "Europe/Paris"}, {":Europe/Paris", "Europe/Paris"}, {"", "UTC"}, {"/etc/localtime", "/etc/localtime"}};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		setenv("TZ", values[i][0], 1);
		tzset();
		struct zone *zone = zone_new("", &err);
		assert_string_equal(zone_name(zone), values[i][1]);
		time_t now = 1782864000;
		struct tm tm;
		int64_t until;
		assert_int_equal(zone_offset_s(zone, now, &until), localtime_r(&now, &tm)->tm_gmtoff);
		zone_free(zone);
	}
	setenv("TZ", "Europe/Belrin", 1);
	assert_null(zone_new("", &err));
	unsetenv("TZ");
	tzset();
	struct zone *zone = zone_new("", &err);
	assert_non_null(zone);
	time_t now = 1782864000;
	struct tm tm;
	int64_t until;
	assert_int_equal(zone_offset_s(zone, now, &until), localtime_r(&now, &tm)->tm_gmtoff);
	assert_true(until > now);
	zone_free(zone);
}

/* ---- Against the C library's clock ---- */

enum { MOST_ENTRIES = 4, ORACLE_DAYS = 16 };

struct oracle_entry {
	bool on[7];
	int begin, end;
};

static uint64_t random_state;

static int64_t pick(int64_t count) {
	random_state += 0x9e3779b97f4a7c15U; /* splitmix64 */
	uint64_t z = random_state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return (int64_t)((z ^ (z >> 31)) % (uint64_t)count);
}

/* Often small hours, for it is then that clocks change. */
static int pick_minute(void) {
	return (int)(pick(2) == 0 ? pick(5 * 4) * 15 : pick(1440));
}

static char *pick_entry(struct oracle_entry *entry) {
	*entry = (struct oracle_entry){.end = 1440};
	autostrbuf text = {0};
	bool has_days = pick(4) > 0, has_times = !has_days || pick(4) > 0;
	for (int64_t i = 0, count = has_days ? 1 + pick(2) : 0; i < count; i++) {
		int64_t first = pick(7), length = pick(3) == 0 ? pick(7) : 0;
		strbuf_printf(&text, "%s%s", i > 0 ? "," : "", days[first]);
		if (length > 0)
			strbuf_printf(&text, "-%s", days[(first + length) % 7]);
		for (int64_t j = 0; j <= length; j++)
			entry->on[(first + j) % 7] = true;
	}
	for (int i = 0; i < 7 && !has_days; i++)
		entry->on[i] = true;
	if (has_times) {
		entry->begin = pick_minute();
		do
			entry->end = pick(8) == 0 ? 1440 : pick_minute();
		while (entry->end == entry->begin);
		strbuf_printf(&text, "%s%02d:%02d-%02d:%02d", has_days ? " " : "", entry->begin / 60, entry->begin % 60, entry->end / 60,
		              entry->end % 60);
	}
	return strbuf_take(&text);
}

static bool oracle_open(const struct oracle_entry *entries, int64_t count, int64_t utc_s) {
	time_t t = utc_s;
	struct tm tm;
	localtime_r(&t, &tm);
	int today = (tm.tm_wday + 6) % 7, yesterday = (today + 6) % 7, minute = tm.tm_hour * 60 + tm.tm_min;
	for (int64_t i = 0; i < count; i++) {
		const struct oracle_entry *e = &entries[i];
		if (e->end > e->begin ? e->on[today] && minute >= e->begin && minute < e->end
		                      : (e->on[today] && minute >= e->begin) || (e->on[yesterday] && minute < e->end))
			return true;
	}
	return false;
}

static int64_t gmtoff(int64_t utc_s) {
	time_t t = utc_s;
	struct tm tm;
	return localtime_r(&t, &tm)->tm_gmtoff;
}

/*
 * Some time of 2000 to 2037; often around a change of the zone's clock. tzdata's files are explicit so far; of the rules that
 * hold beyond, GLib 2.74 mistakes those where winter is the exception: Europe/Dublin alone.
 */
static int64_t pick_now(void) {
	int64_t now = 946684800 + pick(1167609600);
	int64_t offset = gmtoff(now), at = now;
	for (int i = 0; i < 400 && pick(4) > 0; i++, at += 86400)
		if (gmtoff(at) != offset)
			return at - 86400 * 2 + pick(86400 * 3);
	return now;
}

static void compare(uint64_t seed) {
	static const char *const zones[] = {
		"Europe/Berlin",     "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Europe/Dublin", "Africa/Casablanca",
		"America/Sao_Paulo", "Asia/Kathmandu",   "Pacific/Apia",        "Asia/Gaza",        "UTC",           "Pacific/Chatham"};
	random_state = seed;
	const char *name = zones[pick(sizeof zones / sizeof zones[0])];
	setenv("TZ", name, 1);
	tzset();
	struct oracle_entry oracle[MOST_ENTRIES];
	char *entries[MOST_ENTRIES];
	int64_t count = 1 + pick(MOST_ENTRIES);
	autostrbuf text = {0};
	for (int64_t i = 0; i < count; i++) {
		entries[i] = pick_entry(&oracle[i]);
		strbuf_printf(&text, "\"%s\" ", entries[i]);
	}
	int64_t now = pick_now();
	struct windows windows;
	struct error err;
	if (!windows_read(&windows, entries, (size_t)count, &err))
		fail_msg("SEED=%llu RUNS=1: %s", (unsigned long long)seed, err.message);
	struct zone *zone = zone_new(name, &err);
	struct windows_state state = windows_next(&windows, zone_offset_s, zone, now);
	zone_free(zone);
	bool open = oracle_open(oracle, count, now);
	int64_t horizon = now + ORACLE_DAYS * 86400, at = now - now % 60 + 60;
	while (at < horizon && oracle_open(oracle, count, at) == open)
		at += 60;
	for (int64_t i = 0; i < count; i++)
		free(entries[i]);
	if (state.open != open || (at < horizon ? state.changes_utc_s != at : state.changes_utc_s < horizon))
		fail_msg("SEED=%llu RUNS=1: %s, %s, at %lld: open %d until %lld, but %d until %lld", (unsigned long long)seed, text.data,
		         name, (long long)now, state.open, (long long)state.changes_utc_s, open, (long long)at);
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
	const char *text = getenv(name);
	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void random_windows_agree_with_the_wall_clock(void **state) {
	(void)state;
	uint32_t random = 0;
	assert_int_equal(getrandom(&random, sizeof random, 0), sizeof random);
	uint64_t seed = number_from("SEED", random), runs = number_from("RUNS", 1500);
	printf("SEED=%llu RUNS=%llu\n", (unsigned long long)seed, (unsigned long long)runs);
	for (uint64_t i = 0; i < runs; i++)
		compare(seed + i);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_opens_days_times_or_both),
		cmocka_unit_test(what_runs_past_midnight_belongs_to_its_first_day),
		cmocka_unit_test(what_is_no_entry_is_refused_by_name),
		cmocka_unit_test(without_an_entry_it_is_always_open),
		cmocka_unit_test(it_changes_at_the_minute),
		cmocka_unit_test(it_goes_on_across_midnight_and_the_week_s_end),
		cmocka_unit_test(in_spring_an_hour_is_not_there),
		cmocka_unit_test(in_autumn_an_hour_is_there_twice),
		cmocka_unit_test(other_changes_of_the_clock),
		cmocka_unit_test(an_unknown_zone_says_what_to_do),
		cmocka_unit_test(the_host_s_zone_is_found_as_the_c_library_does),
		cmocka_unit_test(random_windows_agree_with_the_wall_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
