/* main.c: backfilld's options and exit code. */
#include "common/mem.h"
#include "common/version.h"
#include "daemon/base/config.h"
#include "daemon/base/log.h"
#include "daemon/daemon.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void warn(const char *message) {
	log_warning(NULL, "%s", message);
}

static int usage(FILE *to, int code) {
	fprintf(to, "usage: backfilld [-c FILE] [--check-config] [--version]\n"
	            "Runs in the foreground. FILE: /etc/backfilld/backfilld.conf unless given. See backfilld(8).\n");
	return code;
}

int main(int argc, char **argv) {
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = "/etc/backfilld/backfilld.conf";
	bool check = false;
	json_set_alloc_funcs(mem_alloc, free);
	for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (c == 'c')
			path = optarg;
		else if (c == 'k')
			check = true;
		else if (c == 'v')
			return printf("backfilld %s\n", BACKFILLD_VERSION) < 0;
		else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : ERROR_USAGE);
	}
	if (optind < argc)
		return usage(stderr, ERROR_USAGE);
	log_open();
	struct config *config = NULL;
	struct error err;
	if (!config_load(path, warn, &config, &err)) {
		fprintf(stderr, "backfilld: %s\n", err.message);
		if (err.hint[0] != '\0')
			fprintf(stderr, "hint: %s\n", err.hint);
		return (int)err.code;
	}
	if (check) {
		printf("%s: ok\n", path);
		config_free(config);
		return 0;
	}
	return daemon_run(config);
}
