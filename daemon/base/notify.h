/* notify.h: tells systemd how we are (sd_notify(3)). Does nothing when systemd did not start us. */
#ifndef BACKFILLD_NOTIFY_H
#define BACKFILLD_NOTIFY_H

/* Started, or a reload is over. */
void notify_ready(void);
/* A reload begins; ends with notify_ready. */
void notify_reloading(void);
void notify_stopping(void);
/* One line for `systemctl status`. */
void notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
