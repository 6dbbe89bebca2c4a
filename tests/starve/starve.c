/*
 * starve.c: a library for LD_PRELOAD that refuses: of the calls of some kinds those from the `first` to the `last` fail, as
 * memory, descriptors, disk, network and threads do when the system has none left. And the wall clock may be another.
 *
 * Whoever tests shares the file $STARVE with us, and may arm it, look at it and disarm it while we run. Integration tests
 * use it (starve.py, which knows the layout, too). Not for sanitised builds: their allocator is their own.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum kind { MEMORY = 1, DESCRIPTORS = 2, DISK = 4, NETWORK = 8, THREADS = 16 };

struct starve {
	int64_t clock_offset_s;
	uint64_t kinds; /* written last: arms */
	uint64_t first, last;
	uint64_t error;  /* errno */
	uint64_t calls;  /* of these kinds, since armed */
	uint64_t failed; /* of these */
};

static struct starve *control;

__attribute__((constructor)) static void attach(void) {
	const char *path = getenv("STARVE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *shared = fd >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (shared == MAP_FAILED) { /* a test that starves nothing must not pass */
		dprintf(STDERR_FILENO, "starve: cannot map $STARVE\n");
		_exit(EXIT_FAILURE);
	}
	close(fd);
	control = shared;
}

/* Counts a call; true: it fails, errno says why. */
static bool refuse(enum kind kind) {
	if (control == NULL || (__atomic_load_n(&control->kinds, __ATOMIC_ACQUIRE) & kind) == 0)
		return false;
	uint64_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_RELAXED);
	if (call < control->first || call > control->last)
		return false;
	__atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
	errno = (int)control->error;
	return true;
}

/* The C library's own function. */
#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))
#define REAL(name)                                                                                                               \
	static __typeof__(&(name)) real;                                                                                             \
	if (real == NULL)                                                                                                            \
	real = NEXT(name)

/* --- memory: strdup, vasprintf, fopen … call these, too --- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size) {
	return refuse(MEMORY) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
	return refuse(MEMORY) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
	return refuse(MEMORY) ? NULL : __libc_realloc(old, size);
}

/* --- descriptors; a full disk makes no new file, and no socket in a directory --- */

static bool refuse_file(const char *path, int flags) {
	if (refuse(DESCRIPTORS))
		return true;
	return (flags & O_CREAT) != 0 && access(path, F_OK) != 0 && refuse(DISK);
}

static mode_t mode_of(int flags, va_list args) {
	return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
	REAL(open);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return refuse_file(path, flags) ? -1 : real(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
	REAL(openat);
	va_list args;
	va_start(args, flags);
	mode_t mode = mode_of(flags, args);
	va_end(args);
	return refuse(DESCRIPTORS) ? -1 : real(directory, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
int openat64(int directory, const char *path, int flags, ...) __attribute__((alias("openat")));

FILE *fopen(const char *path, const char *mode) {
	REAL(fopen);
	return refuse(DESCRIPTORS) ? NULL : real(path, mode);
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

int socket(int domain, int type, int protocol) {
	REAL(socket);
	return refuse(DESCRIPTORS) ? -1 : real(domain, type, protocol);
}

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
	REAL(accept4);
	return refuse(DESCRIPTORS) ? -1 : real(fd, address, size, flags);
}

int pipe(int fds[2]) {
	REAL(pipe);
	return refuse(DESCRIPTORS) ? -1 : real(fds);
}

int eventfd(unsigned count, int flags) {
	REAL(eventfd);
	return refuse(DESCRIPTORS) ? -1 : real(count, flags);
}

int epoll_create1(int flags) {
	REAL(epoll_create1);
	return refuse(DESCRIPTORS) ? -1 : real(flags);
}

int epoll_create(int size) {
	REAL(epoll_create);
	return refuse(DESCRIPTORS) ? -1 : real(size);
}

int inotify_init1(int flags) {
	REAL(inotify_init1);
	return refuse(DESCRIPTORS) ? -1 : real(flags);
}

/* --- disk --- */

static bool refuse_write(int fd) {
	struct stat st;
	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) && refuse(DISK);
}

ssize_t write(int fd, const void *bytes, size_t size) {
	REAL(write);
	return refuse_write(fd) ? -1 : real(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
	REAL(pwrite);
	return refuse_write(fd) ? -1 : real(fd, bytes, size, at);
}

int fsync(int fd) {
	REAL(fsync);
	return refuse_write(fd) ? -1 : real(fd);
}

int ftruncate(int fd, off_t size) {
	REAL(ftruncate);
	return refuse_write(fd) ? -1 : real(fd, size);
}

int bind(int fd, const struct sockaddr *address, socklen_t size) {
	REAL(bind);
	return refuse(DISK) ? -1 : real(fd, address, size);
}

/* --- network: a connection that fails is lost, both ways --- */

static bool refuse_traffic(int fd) {
	if (!refuse(NETWORK))
		return false;
	int why = errno;
	if (why != EAGAIN)
		shutdown(fd, SHUT_RDWR);
	errno = why;
	return true;
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
	REAL(send);
	return refuse_traffic(fd) ? -1 : real(fd, bytes, size, flags);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags) {
	REAL(recv);
	return refuse_traffic(fd) ? -1 : real(fd, bytes, size, flags);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
	REAL(connect);
	return refuse(NETWORK) ? -1 : real(fd, address, size);
}

/* --- threads: the error is what it returns --- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
	REAL(pthread_create);
	return refuse(THREADS) ? (int)control->error : real(thread, attributes, run, argument);
}

/* --- the wall clock --- */

static time_t offset_s(void) {
	return control != NULL ? (time_t)__atomic_load_n(&control->clock_offset_s, __ATOMIC_RELAXED) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
	REAL(clock_gettime);
	int result = real(id, now);
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		now->tv_sec += offset_s();
	return result;
}

int gettimeofday(struct timeval *now, void *zone) {
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*now = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *out) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (out != NULL)
		*out = t.tv_sec;
	return t.tv_sec;
}
