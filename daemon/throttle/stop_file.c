#include "daemon/throttle/stop_file.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/clock.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static const double look_every_s = 0.05;

struct watched {
	char *path;
	char *directory;
	int watch; /* of inotify; -1 = none, tried again at each look */
};

struct stop_file {
	struct ev_loop *loop;
	struct watched *files;
	size_t count;
	stop_file_fn *fn;
	void *context;
	struct ev_timer timer;
	struct ev_io io;
	int inotify; /* -1 where the kernel has none left for us: the timer alone is fast enough */
	bool announced;
	char found[PATH_MAX + 128];
};

/* Is there a stop at this file? Says what in `found`. */
static bool look_at(struct stop_file *stop, const struct watched *file) {
	struct stat st;
	if (lstat(file->path, &st) == 0) {
		text_format(stop->found, sizeof stop->found, "%s", file->path);
		return true;
	}
	int failure = errno == ENOENT ? 0 : errno;
	/* ENOENT is an answer only if the directory is there and is ours to look into. */
	if (failure == 0 && faccessat(AT_FDCWD, file->directory, R_OK | X_OK, AT_EACCESS) != 0)
		failure = errno;
	if (failure == 0)
		return false;
	char text[96];
	text_format(stop->found, sizeof stop->found, "directory %s: %s", file->directory, strerror_r(failure, text, sizeof text));
	return true;
}

bool stop_file_present(struct stop_file *stop, const char **path) {
	bool present = false;
	for (size_t i = 0; i < stop->count && !present; i++)
		present = look_at(stop, &stop->files[i]);
	if (path != NULL)
		*path = present ? stop->found : NULL;
	return present;
}

/* A directory that was made again is another inode: its watch went with the old one. Adding an existing watch is a no-op. */
static void watch_directories(struct stop_file *stop) {
	const uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
	for (size_t i = 0; i < stop->count && stop->inotify >= 0; i++)
		if (stop->files[i].watch < 0)
			stop->files[i].watch = inotify_add_watch(stop->inotify, stop->files[i].directory, mask | IN_ONLYDIR);
}

static void look(struct stop_file *stop) {
	watch_directories(stop);
	const char *path = NULL;
	bool present = stop_file_present(stop, &path);
	if (present == stop->announced)
		return;
	stop->announced = present;
	stop->fn(stop->context, present, path); /* may free us: nothing after it */
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events) {
	(void)loop, (void)events;
	look(timer->data);
}

static void forget_watch(struct stop_file *stop, int watch) {
	for (size_t i = 0; i < stop->count; i++)
		if (stop->files[i].watch == watch)
			stop->files[i].watch = -1;
}

static void on_inotify(struct ev_loop *loop, struct ev_io *io, int events) {
	(void)loop, (void)events;
	struct stop_file *stop = io->data;
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t length;
	while ((length = read(stop->inotify, buffer, sizeof buffer)) > 0) {
		for (ssize_t at = 0; at < length;) {
			const struct inotify_event *event = (const void *)(buffer + at);
			/* A directory that was moved away keeps its watch, under a name that is not ours any more. */
			if (event->mask & IN_MOVE_SELF)
				(void)inotify_rm_watch(stop->inotify, event->wd);
			if (event->mask & (IN_IGNORED | IN_MOVE_SELF))
				forget_watch(stop, event->wd);
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
	look(stop);
}

struct stop_file *stop_file_new(struct ev_loop *loop, char *const *paths, size_t count, stop_file_fn *fn, void *context) {
	struct stop_file *stop = mem_alloc(sizeof *stop);
	*stop = (struct stop_file){.loop = loop, .count = count, .fn = fn, .context = context};
	stop->files = mem_alloc(count * sizeof *stop->files);
	for (size_t i = 0; i < count; i++) {
		autofree char *copy = mem_dup(paths[i]); /* dirname(3) writes into its argument */
		stop->files[i] = (struct watched){.path = mem_dup(paths[i]), .directory = mem_dup(dirname(copy)), .watch = -1};
	}
	stop->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (stop->inotify >= 0) {
		ev_io_init(&stop->io, on_inotify, stop->inotify, EV_READ);
		stop->io.data = stop;
		ev_io_start(loop, &stop->io);
	}
	watch_directories(stop);
	ev_timer_init(&stop->timer, on_timer, 0, look_every_s);
	stop->timer.data = stop;
	ev_timer_start(loop, &stop->timer);
	return stop;
}

void stop_file_free(struct stop_file *stop) {
	if (stop == NULL)
		return;
	ev_timer_stop(stop->loop, &stop->timer);
	if (stop->inotify >= 0) {
		ev_io_stop(stop->loop, &stop->io);
		close(stop->inotify);
	}
	for (size_t i = 0; i < stop->count; i++) {
		free(stop->files[i].path);
		free(stop->files[i].directory);
	}
	free(stop->files);
	free(stop);
}

/* A stop outlives a power cut: the entry reaches the disk before we say it's done. */
static void sync_directory(const char *directory) {
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

bool stop_file_create(struct stop_file *stop, const char *actor, struct error *err) {
	if (stop->count == 0)
		return error_set(err, ERROR_CONFIG, "no emergency-stop file is configured (emergency_stop.files)");
	const struct watched *file = &stop->files[0];
	int fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EEXIST)
		return true;
	if (fd < 0)
		return error_set(err, ERROR_TRY_AGAIN, "emergency-stop file %s not created: %s", file->path, strerror(errno));
	char at[40];
	clock_format(clock_wall_us(), at, sizeof at);
	autofree char *text = mem_printf("stopped by %s at %s\n", actor != NULL ? actor : "unknown", at);
	/* The file's being there is the stop; its text is a courtesy, so a full disk does not matter. */
	ssize_t ignored = write(fd, text, strlen(text));
	(void)ignored;
	(void)fsync(fd);
	close(fd);
	sync_directory(file->directory);
	return true;
}

bool stop_file_remove(struct stop_file *stop, struct error *err) {
	for (size_t i = 0; i < stop->count; i++) {
		const struct watched *file = &stop->files[i];
		if (unlink(file->path) == 0)
			sync_directory(file->directory);
		else if (errno != ENOENT)
			return error_set(err, ERROR_TRY_AGAIN, "emergency-stop file %s not removed: %s", file->path, strerror(errno));
	}
	const char *path;
	if (stop_file_present(stop, &path))
		return error_set(err, ERROR_TRY_AGAIN, "still stopped by %s", path);
	return true;
}
