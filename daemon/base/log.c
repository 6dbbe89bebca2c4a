#include "daemon/base/log.h"

#include "common/mem.h"
#include "daemon/base/clock.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* CODE_FILE would always be this file */
#include <systemd/sd-journal.h>

static enum log_level highest = LOG_LEVEL_INFO;
static bool to_journal;

/* systemd.exec(5), $JOURNAL_STREAM: "device:inode" of the stream it connected; only if it is still our stderr. */
static bool stderr_is_journal(const char *journal_stream) {
	uintmax_t device, inode;
	struct stat st;
	return journal_stream != NULL && sscanf(journal_stream, "%ju:%ju", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

void log_open(void) {
	to_journal = stderr_is_journal(getenv("JOURNAL_STREAM"));
}

void log_set_level(enum log_level level) {
	highest = level;
}

static const char *level_name(enum log_level level) {
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_INFO:
		return "info";
	case LOG_LEVEL_DEBUG:
		return "debug";
	}
	return "info";
}

static void write_journal(enum log_level level, const char *object, const char *line) {
	/* The prefix is in MESSAGE too: `journalctl -u backfilld` shows nothing else. */
	if (object != NULL)
		sd_journal_send("MESSAGE=%s", line, "PRIORITY=%d", (int)level, "SYSLOG_IDENTIFIER=backfilld", "BACKFILLD_OBJECT=%s",
		                object, NULL);
	else
		sd_journal_send("MESSAGE=%s", line, "PRIORITY=%d", (int)level, "SYSLOG_IDENTIFIER=backfilld", NULL);
}

static void write_line(enum log_level level, const char *object, const char *format, va_list args)
	__attribute__((format(printf, 3, 0)));

static void write_line(enum log_level level, const char *object, const char *format, va_list args) {
	if (level > highest)
		return;
	autofree char *message = mem_vprintf(format, args);
	/* One event is one line: what a server or a user wrote must not look like a line of ours. */
	for (char *p = message; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	autofree char *line = mem_printf("%s%s%s", object != NULL ? object : "", object != NULL ? ": " : "", message);
	if (to_journal) {
		write_journal(level, object, line);
		return;
	}
	char now[32];
	clock_format(clock_wall_us(), now, sizeof now);
	fprintf(stderr, "%s %s %s\n", now, level_name(level), line);
}

#define WRITE(level)                                                                                                             \
	do {                                                                                                                         \
		va_list args;                                                                                                            \
		va_start(args, format);                                                                                                  \
		write_line(level, object, format, args);                                                                                 \
		va_end(args);                                                                                                            \
	} while (0)

void log_error(const char *object, const char *format, ...) {
	WRITE(LOG_LEVEL_ERROR);
}

void log_warning(const char *object, const char *format, ...) {
	WRITE(LOG_LEVEL_WARNING);
}

void log_info(const char *object, const char *format, ...) {
	WRITE(LOG_LEVEL_INFO);
}

void log_debug(const char *object, const char *format, ...) {
	WRITE(LOG_LEVEL_DEBUG);
}
