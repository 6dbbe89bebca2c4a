#include "daemon/daemon.h"

#include "common/mem.h"
#include "common/version.h"
#include "daemon/base/http_client.h"
#include "daemon/base/log.h"
#include "daemon/base/notify.h"
#include "daemon/job/scheduler.h"
#include "daemon/serve/commands.h"
#include "daemon/serve/control.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct daemon {
	struct ev_loop *loop;
	struct config *config;
	struct owner owner;
	struct target_host host;
	struct http_client *http;
	struct events *events;
	struct stop_file *stop_file;
	struct scheduler *scheduler;
	struct commands *commands;
	struct control *control;
	ev_signal term, interrupt, hangup;
	ev_timer status;
	bool stopping;
};

static const double status_every_s = 5.0;

/* --- who we are --- */

static void read_boot_id(char *buffer, size_t size) {
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (file == NULL || fgets(buffer, (int)size, file) == NULL)
		snprintf(buffer, size, "unknown");
	if (file != NULL)
		fclose(file);
	buffer[strcspn(buffer, "\n")] = '\0';
}

/* host + boot + socket path + pid. Whoever holds the path's lock on this boot of this host knows that a predecessor with
 * another pid is dead. */
static void name_owner(struct owner *owner, const char *socket_path) {
	char host[65] = "", boot[64] = "";
	gethostname(host, sizeof host - 1);
	read_boot_id(boot, sizeof boot);
	snprintf(owner->prefix, sizeof owner->prefix, "%s|%s|%s|", host, boot, socket_path);
	snprintf(owner->name, sizeof owner->name, "%.370s%ld", owner->prefix, (long)getpid());
	snprintf(owner->display, sizeof owner->display, "%s:%ld", host, (long)getpid());
}

/* --- wiring --- */

static void on_event(void *context, const struct event *event) {
	struct daemon *daemon = context;
	if (daemon->control == NULL)
		return;
	json_t *json = event_to_json(event);
	control_notify(daemon->control, json, event->job);
	json_decref(json);
}

static void on_stop_file(void *context, bool stopped, const char *path) {
	struct daemon *daemon = context;
	scheduler_stop_changed(daemon->scheduler, stopped, path, "backfilld");
}

static void stop_changed(void *context, const char *actor) {
	struct daemon *daemon = context;
	const char *path = NULL;
	bool stopped = stop_file_present(daemon->stop_file, &path);
	scheduler_stop_changed(daemon->scheduler, stopped, path, actor);
}

static void warn(const char *message) {
	log_warning(NULL, "%s", message);
}

static bool same_strings(char *const *a, size_t na, char *const *b, size_t nb) {
	bool same = na == nb;
	for (size_t i = 0; same && i < na; i++)
		same = strcmp(a[i], b[i]) == 0;
	return same;
}

/* What lasts as long as the process can't be swapped under it. */
static bool check_fixed(const struct config *old, const struct config *next, struct error *err) {
	if (strcmp(old->control.socket, next->control.socket) != 0) {
		error_set(err, ERROR_CONFIG, "control.socket can't change while the daemon runs");
		return error_hint(err, "restart it for that; the old configuration stays in force");
	}
	if (!same_strings(old->stop_files, old->nstop_files, next->stop_files, next->nstop_files)) {
		error_set(err, ERROR_CONFIG, "emergency_stop.files can't change while the daemon runs");
		return error_hint(err, "restart it for that; the old configuration stays in force");
	}
	return true;
}

static bool reload(void *context, struct error *err) {
	struct daemon *daemon = context;
	struct config *next = NULL;
	struct target *reporter = scheduler_target_count(daemon->scheduler) > 0 ? scheduler_target_at(daemon->scheduler, 0) : NULL;
	notify_reloading();
	bool ok = config_load(daemon->config->path, warn, &next, err) && check_fixed(daemon->config, next, err) &&
	          scheduler_check_reload(daemon->scheduler, next, err);
	if (!ok) {
		log_error(NULL, "reload refused, the old configuration stays: %s", err->message);
		config_free(next);
		if (reporter != NULL)
			target_event(reporter, "config.rejected", NULL, "backfilld", err->message, NULL);
		notify_ready();
		return false;
	}
	scheduler_reload(daemon->scheduler, next);
	control_regroup(daemon->control, next->control.operators, next->control.viewers);
	config_free(daemon->config);
	daemon->config = next;
	log_info(NULL, "configuration reloaded");
	if (scheduler_target_count(daemon->scheduler) > 0)
		target_event(scheduler_target_at(daemon->scheduler, 0), "config.reloaded", NULL, "backfilld", NULL, NULL);
	notify_ready();
	return true;
}

/* --- signals --- */

static void released(void *context) {
	struct daemon *daemon = context;
	ev_break(daemon->loop, EVBREAK_ALL);
}

static void on_term(struct ev_loop *loop, ev_signal *signal, int events) {
	(void)events;
	struct daemon *daemon = signal->data;
	if (daemon->stopping) {
		ev_break(loop, EVBREAK_ALL); /* asked twice: now */
		return;
	}
	daemon->stopping = true;
	log_info(NULL, "stopping on %s", signal->signum == SIGTERM ? "SIGTERM" : "SIGINT");
	notify_stopping();
	scheduler_shut_down(daemon->scheduler, daemon->config->shutdown_grace_ms, released, daemon);
}

static void on_hangup(struct ev_loop *loop, ev_signal *signal, int events) {
	(void)loop, (void)events;
	struct error err; /* already logged */
	reload(signal->data, &err);
}

static void on_status(struct ev_loop *loop, ev_timer *timer, int events) {
	(void)loop, (void)events;
	struct daemon *daemon = timer->data;
	size_t jobs = 0, ready = 0, targets = scheduler_target_count(daemon->scheduler);
	for (size_t i = 0; i < targets; i++) {
		struct target *target = scheduler_target_at(daemon->scheduler, i);
		jobs += target_job_count(target);
		ready += target_ready(target, NULL);
	}
	notify_status("%zu of %zu targets ready, %zu jobs running%s", ready, targets, jobs,
	              stop_file_present(daemon->stop_file, NULL) ? ", emergency stop" : "");
}

static void start_watchers(struct daemon *daemon) {
	ev_signal_init(&daemon->term, on_term, SIGTERM);
	ev_signal_init(&daemon->interrupt, on_term, SIGINT);
	ev_signal_init(&daemon->hangup, on_hangup, SIGHUP);
	ev_timer_init(&daemon->status, on_status, 0.5, status_every_s);
	daemon->term.data = daemon->interrupt.data = daemon->hangup.data = daemon->status.data = daemon;
	ev_signal_start(daemon->loop, &daemon->term);
	ev_signal_start(daemon->loop, &daemon->interrupt);
	ev_signal_start(daemon->loop, &daemon->hangup);
	ev_timer_start(daemon->loop, &daemon->status);
}

/* --- start and stop --- */

static bool start(struct daemon *daemon, struct error *err) {
	const struct config *config = daemon->config;
	name_owner(&daemon->owner, config->control.socket);
	daemon->http = http_client_new(daemon->loop); /* before there are threads, which connecting starts */
	daemon->events = events_new();
	events_subscribe(daemon->events, on_event, daemon);
	daemon->stop_file = stop_file_new(daemon->loop, config->stop_files, config->nstop_files, on_stop_file, daemon);
	daemon->host = (struct target_host){.loop = daemon->loop,
	                                    .http = daemon->http,
	                                    .events = daemon->events,
	                                    .stop_file = daemon->stop_file,
	                                    .owner = &daemon->owner};

	struct commands_host host = {.targets = &daemon->host, .reload = reload, .stop_changed = stop_changed, .context = daemon};
	daemon->commands = commands_new(&host);
	/* The lock beside the socket comes first: holding it proves that a predecessor is dead, before its jobs are claimed. */
	struct control_options options = {
		.socket_path = config->control.socket, .operators = config->control.operators, .viewers = config->control.viewers};
	daemon->control = control_new(daemon->loop, &options, commands_dispatch, daemon->commands, err);
	if (daemon->control == NULL)
		return false;
	daemon->scheduler = scheduler_new(&daemon->host, config, err);
	if (daemon->scheduler == NULL)
		return false;
	commands_attach(daemon->commands, daemon->scheduler);
	start_watchers(daemon);
	return true;
}

static void stop(struct daemon *daemon) {
	ev_signal_stop(daemon->loop, &daemon->term);
	ev_signal_stop(daemon->loop, &daemon->interrupt);
	ev_signal_stop(daemon->loop, &daemon->hangup);
	ev_timer_stop(daemon->loop, &daemon->status);
	/* The scheduler first: it answers the calls that still wait, and control must be there to take the answers. */
	scheduler_free(daemon->scheduler);
	http_client_free(daemon->http);
	control_free(daemon->control);
	commands_free(daemon->commands);
	stop_file_free(daemon->stop_file);
	events_free(daemon->events);
	config_free(daemon->config);
	ev_loop_destroy(daemon->loop);
}

/* libev would abort: it can't make or use its own descriptors. */
static void loop_failed(const char *what) {
	log_error(NULL, "event loop: %s: %s: exiting", what, strerror(errno));
	_exit(ERROR_INTERNAL);
}

int daemon_run(struct config *config) {
	/* A client that goes away must not take us with it. */
	signal(SIGPIPE, SIG_IGN);
	ev_set_syserr_cb(loop_failed);
	srand48((long)time(NULL) ^ (long)getpid());
	struct daemon daemon = {.config = config, .loop = ev_loop_new(EVFLAG_AUTO)};
	struct error err = {0};
	if (daemon.loop == NULL) {
		log_error(NULL, "no event loop: the kernel offers neither epoll nor poll");
		config_free(config);
		return ERROR_INTERNAL;
	}
	int exit_code = 0;
	if (start(&daemon, &err)) {
		log_info(NULL, "backfilld %s is ready on %s, %zu target(s)", BACKFILLD_VERSION, config->control.socket, config->ntargets);
		notify_ready();
		ev_run(daemon.loop, 0);
		log_info(NULL, "stopped");
	} else {
		log_error(NULL, "%s%s%s", err.message, err.hint[0] != '\0' ? "; " : "", err.hint);
		exit_code = (int)err.code;
	}
	stop(&daemon);
	return exit_code;
}
