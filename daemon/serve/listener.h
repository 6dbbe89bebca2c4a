/*
 * listener.h: the listening Unix socket and the lock file beside it, and who is on the other end of an accepted
 * connection. Touches the file system, knows nothing of messages.
 */
#ifndef BACKFILLD_LISTENER_H
#define BACKFILLD_LISTENER_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct listener {
	char *path;
	int fd;
	dev_t device; /* of the socket's file, to remove only our own */
	ino_t inode;
};

/*
 * Takes the lock file "<path>.lock", which this process then holds until it ends (holding it proves that a predecessor on
 * the same path is dead), removes a stale socket, binds and listens. `open_to_all`: whether others than our own user may
 * connect at all.
 */
bool listener_open(const char *path, bool open_to_all, struct listener *listener, struct error *err);
void listener_permit(const struct listener *listener, bool open_to_all);
/* Closes and removes the socket if it is still ours; the lock stays. */
void listener_close(struct listener *listener);

/* Who connected, as the kernel says. */
struct peer {
	uid_t uid;
	pid_t pid;
	gid_t *groups; /* the primary one too */
	size_t ngroups;
};

bool peer_read(int fd, struct peer *peer);
void peer_free(struct peer *peer);
/* The user's name, or "uid 1000". The caller frees it. */
char *peer_name(const struct peer *peer);

#endif
