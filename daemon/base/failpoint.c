#include "daemon/base/failpoint.h"

#include <stdlib.h> /* also keeps the file from being empty, which ISO C forbids, when failpoints are left out */

#ifdef BACKFILLD_FAILPOINTS

#include "daemon/base/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum action { ACTION_KILL, ACTION_STOP, ACTION_FAIL, ACTION_TRACE };
enum { MAX_FAILPOINTS = 32 };

struct failpoint {
	char name[64];
	enum action action;
	long remaining; /* 0: has fired */
};

static struct failpoint armed[MAX_FAILPOINTS];
static size_t narmed;

static bool parse_action(const char *text, enum action *action) {
	static const char *const names[] = {
		[ACTION_KILL] = "kill", [ACTION_STOP] = "stop", [ACTION_FAIL] = "fail", [ACTION_TRACE] = "trace"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(text, names[i]) == 0) {
			*action = (enum action)i;
			return true;
		}
	return false;
}

/* "name=action[@nth]" */
static bool parse_one(char *text, struct failpoint *point) {
	char *action = strchr(text, '=');
	if (action == NULL || action == text || (size_t)(action - text) >= sizeof point->name)
		return false;
	*action++ = '\0';
	long nth = 1;
	char *at = strchr(action, '@');
	if (at != NULL) {
		*at++ = '\0';
		char *end;
		nth = strtol(at, &end, 10);
		if (end == at || *end != '\0' || nth < 1)
			return false;
	}
	snprintf(point->name, sizeof point->name, "%s", text);
	point->remaining = nth;
	return parse_action(action, &point->action);
}

/* Replaces what is armed. NULL and "" arm nothing. */
static bool parse(const char *text) {
	narmed = 0;
	char *copy = strdup(text != NULL ? text : "");
	bool ok = copy != NULL;
	char *rest = copy;
	for (char *one = ok ? strtok_r(rest, ",", &rest) : NULL; ok && one != NULL; one = strtok_r(NULL, ",", &rest)) {
		ok = narmed < MAX_FAILPOINTS && parse_one(one, &armed[narmed]);
		narmed += ok;
	}
	free(copy);
	return ok;
}

/* Read at the first failpoint reached; a test that misspells one must not pass by doing nothing. */
static void arm_from_environment(void) {
	static bool done;
	if (done)
		return;
	done = true;
	const char *text = getenv("BACKFILLD_FAILPOINTS");
	if (!parse(text)) {
		log_error(NULL, "BACKFILLD_FAILPOINTS=%s is not name=kill|stop|fail|trace[@nth],…", text);
		_exit(EXIT_FAILURE);
	}
}

bool failpoint_reached(const char *name) {
	arm_from_environment();
	for (size_t i = 0; i < narmed; i++) {
		struct failpoint *point = &armed[i];
		if (point->action == ACTION_TRACE) {
			log_info(NULL, "failpoint %s", name);
			continue;
		}
		if (point->remaining == 0 || strcmp(point->name, name) != 0 || --point->remaining > 0)
			continue;
		log_info(NULL, "failpoint %s", name);
		if (point->action == ACTION_FAIL)
			return true;
		kill(getpid(), point->action == ACTION_KILL ? SIGKILL : SIGSTOP);
	}
	return false;
}

#endif
