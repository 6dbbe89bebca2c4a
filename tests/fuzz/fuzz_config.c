/* fuzz_config.c: backfilld.conf, from a file that lives in memory. */
#include "common/mem.h"
#include "common/strbuf.h"
#include "daemon/base/config.h"
#include "daemon/engine/engine.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Opened anew by its name, the file is read from its start. */
static const char *write_file(const uint8_t *data, size_t size) {
	static int fd = -1;
	static char path[32];
	if (fd < 0) {
		fd = memfd_create("backfilld.conf", MFD_CLOEXEC);
		require(fd >= 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	require(ftruncate(fd, 0) == 0);
	require(pwrite(fd, data, size, 0) == (ssize_t)size);
	return path;
}

static void warn(const char *message) {
	require(fuzz_is_utf8(message));
}

static void require_sane(const struct config *config) {
	require(config->control.socket[0] == '/' && strlen(config->control.socket) <= 107);
	require(config->state_dir[0] == '/' && config->nstop_files >= 1 && config->shutdown_grace_ms >= 0);
	for (size_t i = 0; i < config->ntargets; i++) {
		const struct config_target *target = &config->targets[i];
		require(config_find_target(config, target->name) == target);
		require(target->admin_url != NULL && target->max_workers >= 1 && target->owner_timeout_ms >= 1000);
		require(target->throttle.max_lag_ms > 0 && target->guards.lag_ms > 0);
		autofree char *masked = config_mask_url(target->url);
		require(masked != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const char *path = write_file(data, size);
	struct config *config = NULL;
	struct error err = {0};
	if (config_load(path, warn, &config, &err)) {
		require_sane(config);
		config_free(config);
	} else {
		require(config == NULL);
		fuzz_require_error(&err, ERROR_CONFIG);
		require(strncmp(err.message, path, strlen(path)) == 0);
	}
	return 0;
}
