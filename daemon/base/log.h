/* log.h: structured log lines: to the journal (with fields) when systemd started us, otherwise to stderr. */
#ifndef BACKFILLD_LOG_H
#define BACKFILLD_LOG_H

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Chooses the journal or stderr (JOURNAL_STREAM). Call once. */
void log_open(void);
void log_set_level(enum log_level level);

/*
 * One line. `object` names what it is about, "job 20261121_x", "target orders", or NULL for the daemon itself; it is the
 * line's prefix on stderr and a field (BACKFILLD_OBJECT) in the journal.
 */
void log_error(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
