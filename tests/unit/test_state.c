// SPDX-License-Identifier: GPL-2.0-only
/* The state file: transitions, lock, recovery, and what a damaged file does. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "libcontainer/state_file.h"
#include "tests/unit/child.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static char root[] = "/tmp/firn-state-XXXXXX";

static int setup_root(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

static int teardown_root(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static int setup_test(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s/* %s/,*", root, root);
	return system(command);
}

/* A new container, locked, in CREATING, whose init is this process. */
static struct container *make(const char *id)
{
	struct container *c = NULL;
	struct error *err = NULL;

	container_new(root, id, "create", &c, &err);
	no_error(err);
	process_identify(getpid(), &c->init);
	return c;
}

static void go(struct container *c, enum container_state state)
{
	struct error *err = NULL;

	container_set_state(c, state, &err);
	no_error(err);
}

/* The table of design.md, as text; the test walks every pair. */
static const char *const design[CONTAINER_STATES] = {
	[CONTAINER_CREATING] = "CREATED RSTRTING DEAD",
	[CONTAINER_CREATED] = "RUNNING DEAD",
	[CONTAINER_RUNNING] = "FREEZING DEAD",
	[CONTAINER_FREEZING] = "FROZEN THAWING DEAD",
	[CONTAINER_FROZEN] = "THAWING CKPTING RSTRTING DEAD",
	[CONTAINER_THAWING] = "RUNNING DEAD",
	[CONTAINER_CKPTING] = "FROZEN DEAD",
	[CONTAINER_RSTRTING] = "FROZEN ABORTING",
	[CONTAINER_ABORTING] = "DEAD",
	[CONTAINER_DEAD] = "",
};

static bool designed(enum container_state from, enum container_state to)
{
	char list[128], word[32];

	snprintf(list, sizeof(list), " %s ", design[from]);
	snprintf(word, sizeof(word), " %s ", container_state_name(to));
	return strstr(list, word);
}

static void test_table(void **state)
{
	for (int from = 0; from < CONTAINER_STATES; from++)
		for (int to = 0; to < CONTAINER_STATES; to++)
			if (container_may_become(from, to) != designed(from, to))
				fail_msg("%s to %s", container_state_name(from),
					 container_state_name(to));
}

/* Every pair, through the file: what is allowed is written, what is not changes nothing. */
static void test_transitions(void **state)
{
	__cleanup_container struct container *c = make("walk");

	for (int from = 0; from < CONTAINER_STATES; from++) {
		for (int to = 0; to < CONTAINER_STATES; to++) {
			__cleanup_error struct error *err = NULL;
			__cleanup_container struct container *seen = NULL;
			int r;

			c->state = from;
			assert_int_equal(container_save(c, NULL), 0);
			r = container_set_state(c, to, &err);
			assert_int_equal(r, designed(from, to) ? 0 : -EPERM);
			if (r < 0) {
				assert_non_null(
					strstr(error_message(err), container_state_name(from)));
				assert_non_null(
					strstr(error_message(err), container_state_name(to)));
			}
			assert_int_equal(container_read(root, "walk", &seen, NULL), 0);
			assert_int_equal(seen->state, r < 0 ? from : to);
			/* who works on it is named exactly as long as the state passes */
			if (r == 0)
				assert_int_equal(seen->worker.pid,
						 container_passes(c) ? getpid() : 0);
		}
	}
}

static void test_round_trip(void **state)
{
	__cleanup_container struct container *c = make("trip");
	__cleanup_container struct container *d = NULL;
	struct error *err = NULL;

	c->bundle = strdup("/b/\"quoted\"");
	c->rootfs = strdup("/b/rootfs");
	c->cgroup_path = strdup("/firn/trip\nmemory:/x/firn/trip");
	c->terminal = c->user_paused = true;
	c->stdio[1].ino = UINT64_MAX;
	snprintf(c->stdio[1].name, sizeof(c->stdio[1].name), "pipe:[12]");
	container_save(c, &err);
	no_error(err);
	container_read(root, "trip", &d, &err);
	no_error(err);
	assert_string_equal(d->bundle, c->bundle);
	assert_string_equal(d->rootfs, c->rootfs);
	assert_string_equal(d->created, c->created);
	assert_string_equal(d->cgroup_path, c->cgroup_path);
	assert_true(d->terminal && d->user_paused);
	assert_true(d->stdio[1].ino == UINT64_MAX);
	assert_string_equal(d->stdio[1].name, "pipe:[12]");
	assert_true(d->init.pid == getpid() && d->init.start_time == c->init.start_time);
	assert_string_equal(d->worker_verb, "create");
}

static void test_ids(void **state)
{
	static const char *const bad[] = {"",  "a/b", ".",  "..", "../x", "a b", "a\nb",
					  "ä", "a,b", "a:", "/",  "a\\b", "a%"};
	static const char *const good[] = {"a", "A-z_0.9+", "...", "-x", ".x"};
	char longest[300];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct container *c = NULL;

		if (container_check_id(bad[i], NULL) != -EINVAL ||
		    container_new(root, bad[i], "create", &c, NULL) != -EINVAL ||
		    container_read(root, bad[i], &c, NULL) != -EINVAL ||
		    container_open(root, bad[i], "kill", false, &c, NULL) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (container_check_id(good[i], NULL))
			fail_msg("refused \"%s\"", good[i]);
	memset(longest, 'x', sizeof(longest));
	longest[240] = '\0';
	assert_int_equal(container_check_id(longest, NULL), 0);
	longest[240] = 'x';
	longest[241] = '\0';
	assert_int_equal(container_check_id(longest, NULL), -EINVAL);
}

static void test_exists(void **state)
{
	__cleanup_container struct container *c = make("twice");
	__cleanup_error struct error *err = NULL;
	struct container *d = NULL;

	assert_int_equal(container_new(root, "twice", "create", &d, &err), -EEXIST);
	assert_non_null(strstr(error_message(err), "already exists"));
	assert_int_equal(container_remove(c, NULL), 0);
	assert_int_equal(container_read(root, "twice", &d, NULL), -ENOENT);
}

/* A runtime killed between mkdir and rename leaves ",new-ID", which is in nobody's way. */
static void test_left_new(void **state)
{
	char path[128];
	__cleanup_container struct container *c = NULL;
	struct container_ids ids = {0};

	snprintf(path, sizeof(path), "%s/,new-left", root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(container_ids(root, &ids, NULL), 0);
	assert_int_equal(ids.count, 0);
	c = make("left");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(container_ids(root, &ids, NULL), 0);
	assert_int_equal(ids.count, 1);
	assert_string_equal(ids.items[0], "left");
	container_ids_free(&ids);
}

/* Every truncation and every flipped byte: an error or a state that was possible, never a crash. */
static void test_damaged(void **state)
{
	__cleanup_container struct container *c = make("bad");
	__cleanup_free char *text = NULL;
	char path[128];
	size_t len;

	go(c, CONTAINER_CREATED);
	snprintf(path, sizeof(path), "%s/bad/state.json", root);
	assert_int_equal(read_file(AT_FDCWD, path, 1 << 20, &text, &len), 0);
	for (size_t n = 1; n + 2 < len; n++) {
		__cleanup_error struct error *err = NULL;
		struct container *d = NULL;
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		assert_int_equal(write_full(fd, text, n), 0);
		close(fd);
		assert_int_equal(container_read(root, "bad", &d, &err), -EUCLEAN);
		assert_non_null(strstr(error_message(err), "state.json"));
	}
	for (size_t n = 0; n < len; n++) {
		struct container *d = NULL;
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		text[n] ^= 0x15;
		assert_int_equal(write_full(fd, text, len), 0);
		close(fd);
		text[n] ^= 0x15;
		if (container_read(root, "bad", &d, NULL) == 0)
			container_free(d);
	}
}

/* Does fn in a child and returns its exit status; -1 if a signal killed it. */
static int in_child(int (*fn)(const char *id), const char *id)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(id));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_expect_busy(const char *id)
{
	__cleanup_error struct error *err = NULL;
	struct container *c = NULL;
	int r = container_open(root, id, "kill", false, &c, &err);

	if (r != -EBUSY || !strstr(error_message(err), "\"checkpoint\"") ||
	    !strstr(error_message(err), "CKPTING"))
		return 1;
	/* reading is always possible */
	r = container_read(root, id, &c, NULL);
	if (r < 0 || c->state != CONTAINER_CKPTING)
		return 2;
	container_free(c);
	return 0;
}

static void test_busy(void **state)
{
	__cleanup_container struct container *c = make("busy");
	char pid[32];

	go(c, CONTAINER_CREATED);
	go(c, CONTAINER_RUNNING);
	go(c, CONTAINER_FREEZING);
	go(c, CONTAINER_FROZEN);
	snprintf(c->verb, sizeof(c->verb), "checkpoint");
	go(c, CONTAINER_CKPTING);
	snprintf(pid, sizeof(pid), "pid %d", getpid());
	/* with the lock held, and without */
	assert_int_equal(in_child(open_expect_busy, "busy"), 0);
	container_unlock(c);
	assert_int_equal(in_child(open_expect_busy, "busy"), 0);
	assert_int_equal(container_lock(c, NULL), 0);
	go(c, CONTAINER_FROZEN);
}

static int open_waiting(const char *id)
{
	__cleanup_container struct container *c = NULL;
	int r = container_open(root, id, "kill", true, &c, NULL);

	if (r < 0)
		return 1;
	return c->state == CONTAINER_FROZEN ? 0 : 2;
}

static struct container *make_checkpointed(const char *id)
{
	struct container *c = make(id);

	go(c, CONTAINER_CREATED);
	go(c, CONTAINER_RUNNING);
	go(c, CONTAINER_FREEZING);
	go(c, CONTAINER_FROZEN);
	go(c, CONTAINER_CKPTING);
	container_unlock(c);
	return c;
}

/* --wait: the other process gets it once the passing state is over, and not before. */
static void test_wait(void **state)
{
	int sync[2];
	pid_t pid = child_fork(sync);

	if (!pid) {
		struct container *c = make_checkpointed("wait");

		if (write(sync[1], "", 1) != 1)
			_exit(1);
		usleep(50000);
		c->user_paused = true;
		go(c, CONTAINER_FROZEN);
		container_unlock(c);
		for (;;)
			pause();
	}
	assert_true(child_wait(sync));
	assert_int_equal(open_waiting("wait"), 0);
	child_end(pid);
}

static int open_caught(const char *id)
{
	__cleanup_error struct error *err = NULL;
	struct container *c = NULL;

	return container_open(root, id, "kill", true, &c, &err) == -EDEADLK ? 0 : 1;
}

/* Who was started by the process that works, a hook for one, is not to wait for it. */
static void test_wait_above(void **state)
{
	__cleanup_container struct container *c = make_checkpointed("above");

	assert_int_equal(in_child(open_caught, "above"), 0);
	assert_int_equal(container_lock(c, NULL), 0);
	assert_int_equal(in_child(open_caught, "above"), 0);
	go(c, CONTAINER_FROZEN);
}

static int leave_in(const char *id)
{
	__cleanup_container struct container *c = NULL;
	struct process_id init;

	process_identify(getppid(), &init);
	if (container_new(root, id, "create", &c, NULL) < 0)
		return 1;
	c->init = init;
	for (int s = 0; s < CONTAINER_STATES; s++) {
		if (strcmp(container_state_name(s), id))
			continue;
		/* as a killed worker leaves it: written down, and nobody there */
		c->state = s;
		if (process_identify(getpid(), &c->worker) < 0 || container_save(c, NULL) < 0)
			return 2;
		raise(SIGKILL);
	}
	return 3;
}

static void test_recovery(void **state)
{
	static const struct {
		const char *left;
		enum container_state found;
	} cases[] = {
		{"FREEZING", CONTAINER_RUNNING},
		{"THAWING", CONTAINER_RUNNING},
		{"CKPTING", CONTAINER_RUNNING},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		__cleanup_container struct container *c = NULL;
		struct error *err = NULL;

		assert_int_equal(in_child(leave_in, cases[i].left), -1);
		container_open(root, cases[i].left, "kill", false, &c, &err);
		no_error(err);
		assert_int_equal(c->state, cases[i].found);
		assert_int_equal(c->worker.pid, 0);
	}
}

/* RSTRTING, ABORTING and CREATING kill the init: that must be a child, not this process. */
static void test_recovery_takes_down(void **state)
{
	static const char *const ids[] = {"r", "a", "n"};
	static const enum container_state left[] = {CONTAINER_RSTRTING, CONTAINER_ABORTING,
						    CONTAINER_CREATING};

	for (int i = 0; i < 3; i++) {
		__cleanup_container struct container *c = make(ids[i]);
		__cleanup_container struct container *d = NULL;
		struct error *err = NULL;
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			pause();
			_exit(0);
		}
		process_identify(pid, &c->init);
		c->state = left[i];
		c->worker.start_time++; /* not this process, but one that had its pid */
		container_save(c, &err);
		no_error(err);
		container_unlock(c);
		container_open(root, ids[i], "delete", false, &d, &err);
		no_error(err);
		assert_int_equal(d->state, CONTAINER_DEAD);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}

static void test_dead_init(void **state)
{
	__cleanup_container struct container *c = make("dies");
	__cleanup_container struct container *d = NULL;
	__cleanup_container struct container *e = NULL;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	process_identify(pid, &c->init);
	go(c, CONTAINER_CREATED);
	go(c, CONTAINER_RUNNING);
	container_unlock(c);
	/* a zombie is dead already: nobody may have waited for it */
	while (process_alive(&c->init))
		usleep(1000);
	assert_int_equal(container_read(root, "dies", &d, NULL), 0);
	assert_int_equal(d->state, CONTAINER_DEAD);
	assert_string_equal(container_oci_status(d), "stopped");
	assert_int_equal(container_open(root, "dies", "kill", false, &e, NULL), 0);
	assert_int_equal(e->state, CONTAINER_DEAD);
	waitpid(pid, NULL, 0);
}

static int cancelled;

static void on_term(int signo)
{
	cancelled = 1;
}

static void test_interrupt(void **state)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct container *c = make("int");

		signal(SIGTERM, on_term);
		process_identify(getppid(), &c->init);
		c->state = CONTAINER_CKPTING;
		process_identify(getpid(), &c->worker);
		container_save(c, NULL);
		container_unlock(c);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		while (!cancelled)
			usleep(1000);
		container_set_state(c, CONTAINER_FROZEN, NULL);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(container_interrupt(root, "int", false, NULL), 1);
	assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
	assert_int_equal(status, 0);
	assert_int_equal(container_interrupt(root, "int", false, NULL), 0);
	close(ready[0]);
	close(ready[1]);
}

/* Works on a container, holding its lock or not, and stands still as stop() wants. */
static pid_t stand_still(const char *id, bool locked, void (*stop)(void))
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		struct container *c = make(id);

		process_identify(getppid(), &c->init);
		c->state = locked ? CONTAINER_RUNNING : CONTAINER_CKPTING;
		process_identify(getpid(), &c->worker);
		container_save(c, NULL);
		if (!locked)
			container_unlock(c);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		stop();
		pause();
		_exit(3);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void stop_job(void)
{
	raise(SIGSTOP);
}

/* SIGCONT does not help against a tracer that does not look. */
static void stop_traced(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
}

static void test_interrupt_stopped(void **state)
{
	static const struct {
		const char *id;
		bool locked;
		void (*stop)(void);
		int signo;
	} cases[] = {
		{"stopped", false, stop_job, SIGTERM},
		{"stopped-locked", true, stop_job, SIGTERM},
		{"traced", false, stop_traced, SIGKILL},
		{"traced-locked", true, stop_traced, SIGKILL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		pid_t pid = stand_still(cases[i].id, cases[i].locked, cases[i].stop);
		struct process_id who;
		int status;

		assert_int_equal(process_identify(pid, &who), 0);
		while (!process_stopped(&who))
			usleep(1000);
		assert_int_equal(container_interrupt(root, cases[i].id, true, NULL), 1);
		do
			assert_int_equal(waitpid(pid, &status, 0), pid);
		while (WIFSTOPPED(status));
		assert_int_equal(WTERMSIG(status), cases[i].signo);
	}
}

static void do_nothing(void)
{
}

/* Who holds the lock and is at work is waited for by container_open(). */
static void test_interrupt_working(void **state)
{
	pid_t pid = stand_still("working", true, do_nothing);

	assert_int_equal(container_interrupt(root, "working", true, NULL), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(container_interrupt(root, "working", true, NULL), 0);
}

/* A full disk in the middle: the old state stays, in memory too. */
static void test_fault(void **state)
{
	__cleanup_container struct container *c = make("fault");
	__cleanup_container struct container *d = NULL;
	__cleanup_error struct error *err = NULL;

	setenv("FIRN_FAULT", "write-created:ENOSPC", 1);
	assert_int_equal(container_set_state(c, CONTAINER_CREATED, &err), -ENOSPC);
	unsetenv("FIRN_FAULT");
	assert_int_equal(c->state, CONTAINER_CREATING);
	assert_string_equal(c->worker_verb, "create");
	assert_int_equal(container_read(root, "fault", &d, NULL), 0);
	assert_int_equal(d->state, CONTAINER_CREATING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_table, setup_test),
		cmocka_unit_test_setup(test_transitions, setup_test),
		cmocka_unit_test_setup(test_round_trip, setup_test),
		cmocka_unit_test_setup(test_ids, setup_test),
		cmocka_unit_test_setup(test_exists, setup_test),
		cmocka_unit_test_setup(test_left_new, setup_test),
		cmocka_unit_test_setup(test_damaged, setup_test),
		cmocka_unit_test_setup(test_busy, setup_test),
		cmocka_unit_test_setup(test_wait, setup_test),
		cmocka_unit_test_setup(test_wait_above, setup_test),
		cmocka_unit_test_setup(test_recovery, setup_test),
		cmocka_unit_test_setup(test_recovery_takes_down, setup_test),
		cmocka_unit_test_setup(test_dead_init, setup_test),
		cmocka_unit_test_setup(test_interrupt, setup_test),
		cmocka_unit_test_setup(test_interrupt_stopped, setup_test),
		cmocka_unit_test_setup(test_interrupt_working, setup_test),
		cmocka_unit_test_setup(test_fault, setup_test),
	};

	return cmocka_run_group_tests_name("state", tests, setup_root, teardown_root);
}
