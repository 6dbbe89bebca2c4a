/*
 * config.h: backfilld.conf as a const struct. The keys are one table (config.c), from which conf/backfilld.conf and
 * the manual are checked. A configuration is read whole or not at all.
 */
#ifndef BACKFILLD_CONFIG_H
#define BACKFILLD_CONFIG_H

#include "common/error.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_replica {
	char *name;
	char *url;
};

struct config_target {
	char *name;
	char *url;
	char *admin_url; /* never NULL: url if not set */
	struct config_replica *replicas;
	size_t nreplicas;
	char *environment; /* default "production" */
	int64_t max_workers;
	char **approvals;
	size_t napprovals;
	int64_t owner_timeout_ms; /* default 10000 */
	struct throttle_settings throttle;
	struct guard_settings guards;
};

struct config {
	char *path;
	struct {
		char *socket;    /* default /run/backfilld/control.sock */
		char *operators; /* group name; NULL = none configured */
		char *viewers;
	} control;
	char *state_dir;
	char **stop_files;
	size_t nstop_files;
	bool cancel_in_flight;
	int64_t shutdown_grace_ms; /* how long SIGTERM waits for a batch in flight; default 10000 */
	struct config_target *targets;
	size_t ntargets;
};

/*
 * Reads and checks the file. On success *config is new, freed with config_free. On failure err says "PATH:LINE: what",
 * code ERROR_CONFIG, and for an unknown key the hint names the nearest one. Warnings (a password in a URL) go to `warn`,
 * which may be NULL. Passwords never appear in a message.
 */
bool config_load(const char *path, void (*warn)(const char *message), struct config **config, struct error *err);
void config_free(struct config *config);
/* NULL if there is none of that name. */
const struct config_target *config_find_target(const struct config *config, const char *name);
/* The URL with its password, if any, replaced by "****"; for logs and views. The caller frees it. */
char *config_mask_url(const char *url);

#endif
