#include "daemon/base/notify.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdint.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void notify_ready(void) {
	sd_notify(0, "READY=1");
}

void notify_reloading(void) {
	/* sd_notify(3): MONOTONIC_USEC is CLOCK_MONOTONIC as systemd sees it, so never a test's clock. systemd 252 ignores it. */
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(void) {
	sd_notify(0, "STOPPING=1");
}

void notify_status(const char *format, ...) {
	va_list args;
	va_start(args, format);
	autofree char *status = mem_vprintf(format, args);
	va_end(args);
	for (char *p = status; *p != '\0'; p++)
		if (*p == '\n') /* a new line would begin another assignment */
			*p = ' ';
	sd_notifyf(0, "STATUS=%s", status);
}
