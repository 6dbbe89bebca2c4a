#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mem.h"
#include "daemon/base/clock.h"
#include "daemon/throttle/stop_file.h"

#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The contract's 100 ms; libev, the scheduler and two shared cores need a little on top under a sanitizer. */
static const int64_t deadline_us = 100000;

struct fixture {
	struct ev_loop *loop;
	struct stop_file *stop;
	char root[64], directory[80], file[96], other_directory[80], other[96];
	int calls;
	bool stopped;
	char path[256];
	int64_t seen_us;
};

static void on_stop(void *context, bool stopped, const char *path) {
	struct fixture *f = context;
	f->calls++;
	f->stopped = stopped;
	snprintf(f->path, sizeof f->path, "%s", path != NULL ? path : "");
	f->seen_us = clock_monotonic_us();
	ev_break(f->loop, EVBREAK_ALL);
}

static void on_timeout(struct ev_loop *loop, struct ev_timer *timer, int events) {
	(void)timer, (void)events;
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until the callback came or the time is over. */
static void run(struct fixture *f, double seconds) {
	struct ev_timer timer;
	ev_timer_init(&timer, on_timeout, seconds, 0);
	ev_now_update(f->loop);
	ev_timer_start(f->loop, &timer);
	ev_run(f->loop, 0);
	ev_timer_stop(f->loop, &timer);
}

static void touch(const char *path) {
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int setup(void **state) {
	struct fixture *f = mem_alloc(sizeof *f);
	snprintf(f->root, sizeof f->root, "/tmp/backfilld-stop-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(f->directory, sizeof f->directory, "%s/a", f->root);
	snprintf(f->other_directory, sizeof f->other_directory, "%s/b", f->root);
	snprintf(f->file, sizeof f->file, "%s/STOP", f->directory);
	snprintf(f->other, sizeof f->other, "%s/STOP", f->other_directory);
	assert_int_equal(mkdir(f->directory, 0700), 0);
	assert_int_equal(mkdir(f->other_directory, 0700), 0);
	f->loop = ev_loop_new(0);
	char *paths[] = {f->file, f->other};
	f->stop = stop_file_new(f->loop, paths, 2, on_stop, f);
	*state = f;
	return 0;
}

static int teardown(void **state) {
	struct fixture *f = *state;
	stop_file_free(f->stop);
	ev_loop_destroy(f->loop);
	(void)unlink(f->file);
	(void)unlink(f->other);
	(void)chmod(f->directory, 0700);
	(void)rmdir(f->directory);
	(void)rmdir(f->other_directory);
	assert_int_equal(rmdir(f->root), 0);
	free(f);
	return 0;
}

/* The next call must come within the deadline after `since_us` and say so. */
static void expect(struct fixture *f, int64_t since_us, bool stopped, const char *path) {
	int before = f->calls;
	run(f, 2);
	assert_int_equal(f->calls, before + 1);
	assert_int_equal(f->stopped, stopped);
	assert_string_equal(f->path, path);
	assert_in_range(f->seen_us - since_us, 0, deadline_us);
}

static void quiet_without_a_file(void **state) {
	struct fixture *f = *state;
	run(f, 0.15);
	assert_int_equal(f->calls, 0);
	assert_false(stop_file_present(f->stop, NULL));
}

static void there_from_the_start(void **state) {
	struct fixture *f = *state;
	touch(f->file);
	assert_int_equal(f->calls, 0);
	expect(f, clock_monotonic_us(), true, f->file);
}

static void appearance_and_removal(void **state) {
	struct fixture *f = *state;
	run(f, 0.12);
	for (int i = 0; i < 20; i++) {
		run(f, 0.003 * i); /* at all phases of the timer */
		touch(f->file);
		const char *path = NULL;
		assert_true(stop_file_present(f->stop, &path));
		assert_string_equal(path, f->file);
		expect(f, clock_monotonic_us(), true, f->file);
		assert_int_equal(unlink(f->file), 0);
		assert_false(stop_file_present(f->stop, &path));
		assert_null(path);
		expect(f, clock_monotonic_us(), false, "");
	}
}

static void dangling_link_counts(void **state) {
	struct fixture *f = *state;
	run(f, 0.06);
	assert_int_equal(symlink("/nowhere", f->file), 0);
	expect(f, clock_monotonic_us(), true, f->file);
}

static void several_files(void **state) {
	struct fixture *f = *state;
	run(f, 0.06);
	touch(f->other);
	expect(f, clock_monotonic_us(), true, f->other);
	touch(f->file);
	unlink(f->other);
	run(f, 0.15);
	assert_int_equal(f->calls, 1); /* still stopped, by the first one */
	unlink(f->file);
	expect(f, clock_monotonic_us(), false, "");
}

static void directory_removed_and_made_again(void **state) {
	struct fixture *f = *state;
	char reason[160];
	snprintf(reason, sizeof reason, "directory %s: No such file or directory", f->directory);
	run(f, 0.06);
	assert_int_equal(rmdir(f->directory), 0);
	expect(f, clock_monotonic_us(), true, reason);
	assert_int_equal(mkdir(f->directory, 0700), 0);
	expect(f, clock_monotonic_us(), false, "");
	run(f, 0.06);
	touch(f->file);
	expect(f, clock_monotonic_us(), true, f->file);
}

static void directory_moved_away(void **state) {
	struct fixture *f = *state;
	char moved[100], reason[160];
	snprintf(moved, sizeof moved, "%s/moved", f->root);
	snprintf(reason, sizeof reason, "directory %s: No such file or directory", f->directory);
	run(f, 0.06);
	assert_int_equal(rename(f->directory, moved), 0);
	expect(f, clock_monotonic_us(), true, reason);
	assert_int_equal(rename(moved, f->directory), 0);
	expect(f, clock_monotonic_us(), false, "");
}

/* Root reads everything, so the unreadable directory is looked at by a child that is nobody. */
static int child_sees_unreadable(struct fixture *f) {
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		return 2;
	const char *path = NULL;
	bool present = stop_file_present(f->stop, &path);
	return present && path != NULL && strstr(path, "Permission denied") != NULL ? 0 : 1;
}

static void unreadable_directory_is_a_stop(void **state) {
	struct fixture *f = *state;
	/* x but not r, r but not x, nothing */
	const mode_t modes[] = {0711, 0744, 0700};
	assert_int_equal(chmod(f->root, 0755), 0);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		assert_int_equal(chmod(f->directory, geteuid() == 0 ? modes[i] : modes[i] & 077), 0);
		pid_t child = fork();
		if (child == 0)
			_exit(child_sees_unreadable(f));
		int status = -1;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void create_and_remove(void **state) {
	struct fixture *f = *state;
	struct error err = {0};
	run(f, 0.06);
	assert_true(stop_file_create(f->stop, "alice", &err));
	expect(f, clock_monotonic_us(), true, f->file);
	assert_true(stop_file_create(f->stop, "alice", &err));
	char text[100] = "";
	FILE *file = fopen(f->file, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	assert_int_equal(strncmp(text, "stopped by alice at ", 20), 0);
	touch(f->other);
	assert_true(stop_file_remove(f->stop, &err));
	expect(f, clock_monotonic_us(), false, "");
	assert_true(stop_file_remove(f->stop, &err));
	assert_int_equal(rmdir(f->directory), 0);
	assert_false(stop_file_create(f->stop, "alice", &err));
	assert_int_equal(err.code, ERROR_TRY_AGAIN);
	assert_false(stop_file_remove(f->stop, &err)); /* the missing directory still stops us */
	assert_non_null(strstr(err.message, "still stopped by directory"));
}

static void no_files_configured(void **state) {
	(void)state;
	struct error err = {0};
	struct ev_loop *loop = ev_loop_new(0);
	struct stop_file *stop = stop_file_new(loop, NULL, 0, on_stop, NULL);
	assert_false(stop_file_present(stop, NULL));
	assert_false(stop_file_create(stop, "alice", &err));
	assert_int_equal(err.code, ERROR_CONFIG);
	stop_file_free(stop);
	stop_file_free(NULL);
	ev_loop_destroy(loop);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(quiet_without_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(there_from_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(appearance_and_removal, setup, teardown),
		cmocka_unit_test_setup_teardown(dangling_link_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(several_files, setup, teardown),
		cmocka_unit_test_setup_teardown(directory_removed_and_made_again, setup, teardown),
		cmocka_unit_test_setup_teardown(directory_moved_away, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_directory_is_a_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(create_and_remove, setup, teardown),
		cmocka_unit_test(no_files_configured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
