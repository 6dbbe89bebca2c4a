#include "daemon/serve/listener.h"

#include "common/mem.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, PID_TEXT = 32 };

static bool refuse_second(int lock, const char *path, struct error *err) {
	char text[PID_TEXT] = "";
	ssize_t length = pread(lock, text, sizeof text - 1, 0);
	long pid = length > 0 ? strtol(text, NULL, 10) : 0;
	if (pid > 0)
		error_set(err, ERROR_TRY_AGAIN, "another backfilld (pid %ld) serves %s", pid, path);
	else
		error_set(err, ERROR_TRY_AGAIN, "another backfilld serves %s", path);
	return error_hint(err, "end it first, or give this one another control.socket");
}

/* flock and not fcntl: it needs no other care than the descriptor staying open, and dies with the process. Mode 0600, as
 * whoever may open the file could take the lock and keep the daemon from starting. Never unlinked: that would let two
 * daemons hold two files of one name. */
static bool take_lock(const char *path, int *fd, struct error *err) {
	autofree char *name = mem_printf("%s.lock", path);
	int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0) {
		error_set(err, ERROR_CONFIG, "cannot open lock file %s: %s", name, strerror(errno));
		return error_hint(err, "the directory must exist and be writable for backfilld; systemd's RuntimeDirectory= makes it");
	}
	if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			refuse_second(lock, path, err);
		else
			error_set(err, ERROR_CONFIG, "cannot lock %s: %s", name, strerror(errno));
		close(lock);
		return false;
	}
	char text[PID_TEXT];
	int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	/* Only the message to a second daemon needs the pid. */
	if (ftruncate(lock, 0) < 0 || pwrite(lock, text, (size_t)length, 0) != length)
		log_warning(NULL, "cannot write our pid to %s: %s", name, strerror(errno));
	*fd = lock;
	return true;
}

/* With the lock in hand, a socket nobody listens on is what a killed predecessor left. Anything else is not ours. */
static bool remove_stale(const struct sockaddr_un *address, struct error *err) {
	const char *path = address->sun_path;
	struct stat st;
	if (lstat(path, &st) < 0) {
		if (errno == ENOENT)
			return true;
		return error_set(err, ERROR_CONFIG, "cannot look at %s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(st.st_mode)) {
		error_set(err, ERROR_CONFIG, "%s exists and is not a socket", path);
		return error_hint(err, "remove it, or choose another control.socket");
	}
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive = probe >= 0 && (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
	if (probe >= 0)
		close(probe);
	if (alive)
		return error_set(err, ERROR_CONFIG, "another program listens on %s", path);
	if (unlink(path) < 0)
		return error_set(err, ERROR_CONFIG, "cannot remove the stale socket %s: %s", path, strerror(errno));
	log_info(NULL, "removed the stale socket %s", path);
	return true;
}

static bool bind_and_listen(const struct sockaddr_un *address, struct listener *listener, struct error *err) {
	const char *path = address->sun_path;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, "cannot make a socket: %s", strerror(errno));
	mode_t old = umask(0177);
	int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
	int why = errno;
	umask(old);
	struct stat st;
	if (bound < 0 || listen(fd, BACKLOG) < 0 || lstat(path, &st) < 0) {
		error_set(err, ERROR_CONFIG, "cannot listen on %s: %s", path, strerror(bound < 0 ? why : errno));
		close(fd);
		return false;
	}
	listener->fd = fd;
	listener->device = st.st_dev;
	listener->inode = st.st_ino;
	return true;
}

bool listener_open(const char *path, bool open_to_all, struct listener *listener, struct error *err) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		error_set(err, ERROR_CONFIG, "control.socket is too long (%zu bytes, at most %zu): %s", strlen(path),
		          sizeof address.sun_path - 1, path);
		return error_hint(err, "choose a shorter path");
	}
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	int lock = -1;
	if (!take_lock(path, &lock, err))
		return false;
	struct listener opened = {.fd = -1};
	if (!remove_stale(&address, err) || !bind_and_listen(&address, &opened, err)) {
		close(lock);
		return false;
	}
	opened.path = mem_dup(path);
	listener_permit(&opened, open_to_all);
	*listener = opened;
	return true;
}

void listener_permit(const struct listener *listener, bool open_to_all) {
	/* A socket has one group, but operators and viewers are two: so everybody may connect, and each call is checked by
	 * the caller's credentials. Without groups, nobody but root and our own user could do anything anyway. */
	if (chmod(listener->path, open_to_all ? 0666 : 0600) < 0)
		log_warning(NULL, "cannot set the mode of %s: %s", listener->path, strerror(errno));
}

void listener_close(struct listener *listener) {
	if (listener->path == NULL)
		return;
	struct stat st;
	if (lstat(listener->path, &st) == 0 && st.st_dev == listener->device && st.st_ino == listener->inode)
		unlink(listener->path);
	close(listener->fd);
	free(listener->path);
	*listener = (struct listener){.fd = -1};
}

/* SO_PEERGROUPS says ERANGE and the size it needs when the buffer is too small. */
static bool read_groups(int fd, struct peer *peer) {
	socklen_t size = 32 * sizeof(gid_t);
	for (int attempt = 0; attempt < 3; attempt++) {
		peer->groups = mem_resize(peer->groups, size / sizeof(gid_t) + 1, sizeof(gid_t));
		if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) == 0) {
			peer->ngroups = size / sizeof(gid_t);
			return true;
		}
		if (errno != ERANGE)
			return false;
	}
	return false;
}

bool peer_read(int fd, struct peer *peer) {
	struct ucred credentials;
	socklen_t size = sizeof credentials;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return false;
	struct peer p = {.uid = credentials.uid, .pid = credentials.pid};
	if (!read_groups(fd, &p)) {
		free(p.groups);
		return false;
	}
	p.groups[p.ngroups++] = credentials.gid; /* read_groups left room */
	*peer = p;
	return true;
}

void peer_free(struct peer *peer) {
	free(peer->groups);
	*peer = (struct peer){0};
}

char *peer_name(const struct peer *peer) {
	char buffer[4096];
	struct passwd entry;
	struct passwd *found = NULL;
	if (getpwuid_r(peer->uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
		return mem_dup(found->pw_name);
	return mem_printf("uid %lu", (unsigned long)peer->uid);
}
