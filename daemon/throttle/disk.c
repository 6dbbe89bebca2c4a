/* disk.c: the loop and the thread share a struct look; whoever drops it last frees it, as in daemon/engine/connecting.c. */
#include "daemon/throttle/disk.h"

#include "common/mem.h"
#include "common/text.h"
#include "daemon/base/thread.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

struct look {
	pthread_mutex_t mutex;
	int references;
	struct ev_loop *loop;
	ev_async *async; /* NULL: nobody waits for it any more */
	char *path;
	int problem; /* an errno */
	struct statvfs found;
};

struct disk {
	struct ev_loop *loop;
	ev_async async; /* the thread is done */
	struct look *look;
	disk_told_fn *told;
	void *context;
};

bool disk_is_here(const char *peer) {
	static const char *const here[] = {"/", "@", "localhost:", "127.", "[::1]:"};
	for (size_t i = 0; i < sizeof here / sizeof *here; i++)
		if (strncmp(peer, here[i], strlen(here[i])) == 0)
			return true;
	return false;
}

static void look_drop(struct look *look) {
	pthread_mutex_lock(&look->mutex);
	int left = --look->references;
	pthread_mutex_unlock(&look->mutex);
	if (left > 0)
		return;
	pthread_mutex_destroy(&look->mutex);
	free(look->path);
	free(look);
}

static void *look_thread(void *argument) {
	struct look *look = argument;
	struct statvfs found;
	int problem = statvfs(look->path, &found) != 0 ? errno : 0;
	pthread_mutex_lock(&look->mutex);
	look->problem = problem;
	if (problem == 0)
		look->found = found;
	if (look->async != NULL)
		ev_async_send(look->loop, look->async);
	pthread_mutex_unlock(&look->mutex);
	look_drop(look);
	return NULL;
}

static bool start_thread(struct look *look) {
	look->references++;
	bool started = thread_start_detached(look_thread, look);
	if (!started)
		look->references--;
	return started;
}

static void forget(struct disk *disk) {
	struct look *look = disk->look;
	if (look == NULL)
		return;
	pthread_mutex_lock(&look->mutex);
	look->async = NULL;
	pthread_mutex_unlock(&look->mutex);
	disk->look = NULL;
	look_drop(look);
}

/* What was found; false, and why it tells nothing. */
static bool used_share(struct look *look, double *used, char *why, size_t size) {
	pthread_mutex_lock(&look->mutex);
	int problem = look->problem;
	struct statvfs found = look->found;
	pthread_mutex_unlock(&look->mutex);
	double taken = (double)(found.f_blocks - found.f_bfree), room = taken + (double)found.f_bavail;
	if (problem != 0)
		text_format(why, size, "not watched: %s: %s", look->path, strerror(problem));
	else if (room <= 0)
		text_format(why, size, "not watched: the file system of %s does not tell its size", look->path);
	else
		*used = taken / room;
	return problem == 0 && room > 0;
}

static void thread_done(struct ev_loop *loop, ev_async *w, int revents) {
	(void)loop, (void)revents;
	struct disk *disk = w->data;
	if (disk->look == NULL)
		return;
	char why[300];
	double used = 0;
	bool known = used_share(disk->look, &used, why, sizeof why);
	forget(disk);
	disk->told(disk->context, used, known ? NULL : why); /* last: it may free us */
}

struct disk *disk_new(struct ev_loop *loop, disk_told_fn *told, void *context) {
	struct disk *disk = mem_alloc(sizeof *disk);
	*disk = (struct disk){.loop = loop, .told = told, .context = context};
	ev_async_init(&disk->async, thread_done);
	disk->async.data = disk;
	ev_async_start(loop, &disk->async);
	return disk;
}

void disk_free(struct disk *disk) {
	if (disk == NULL)
		return;
	forget(disk);
	ev_async_stop(disk->loop, &disk->async);
	free(disk);
}

void disk_look(struct disk *disk, const char *path) {
	if (disk->look != NULL)
		return;
	struct look *look = mem_alloc(sizeof *look);
	*look = (struct look){.references = 1, .loop = disk->loop, .async = &disk->async, .path = mem_dup(path)};
	pthread_mutex_init(&look->mutex, NULL);
	disk->look = look;
	if (!start_thread(look)) /* it is tried again at the next look */
		forget(disk);
}
