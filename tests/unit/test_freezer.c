// SPDX-License-Identifier: GPL-2.0-only
/* The freezer on whatever cgroup version this machine has; the test VM has the other one. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/freezer.h"
#include "oci/config.h"
#include "tests/unit/cgroup_create.h"
#include "tests/unit/child.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Shared with the tasks that are frozen: what they do is seen here. */
struct shared {
	atomic_long count, handled;
	atomic_int ready;
};

struct fixture {
	struct cgroup *cg;
	struct freezer *f;
	struct shared *shared;
};

static int setup(void **state)
{
	static int serial;
	struct oci_config config = {0};
	struct fixture *x = calloc(1, sizeof(*x));
	struct error *err = NULL;
	char id[64];

	if (geteuid()) {
		print_message("skipped: wants root\n");
		skip();
	}
	snprintf(id, sizeof(id), "unit-freezer-%d-%d", getpid(), serial++);
	cgroup_create(id, &config, &x->cg, &err);
	no_error(err);
	freezer_open(x->cg, &x->f, &err);
	no_error(err);
	x->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *x = *state;
	struct error *err = NULL;

	cgroup_kill_all(x->cg, SIGKILL, &err);
	no_error(err);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	cgroup_destroy(x->cg, &err);
	no_error(err);
	freezer_free(x->f);
	cgroup_free(x->cg);
	munmap(x->shared, 4096);
	free(x);
	return 0;
}

/* Starts fn in a child within the cgroup; it must set shared->ready or be ready at once. */
static pid_t start(struct fixture *x, void (*fn)(struct shared *))
{
	struct error *err = NULL;
	int go[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		fn(x->shared);
		_exit(0);
	}
	cgroup_attach(x->cg, pid, &err);
	no_error(err);
	assert_int_equal(write(go[1], "", 1), 1);
	close(go[0]);
	close(go[1]);
	return pid;
}

static void wait_ready(struct fixture *x)
{
	while (!x->shared->ready)
		usleep(1000);
}

static void expect_state(struct fixture *x, enum freezer_state wanted)
{
	struct error *err = NULL;
	enum freezer_state state;

	freezer_state(x->f, &state, &err);
	no_error(err);
	assert_int_equal(state, wanted);
}

static void freeze(struct fixture *x)
{
	struct error *err = NULL;

	freezer_freeze(x->f, 10000, &err);
	no_error(err);
	expect_state(x, FREEZER_FROZEN);
}

static void thaw(struct fixture *x)
{
	struct error *err = NULL;

	freezer_thaw(x->f, &err);
	no_error(err);
	expect_state(x, FREEZER_THAWED);
}

static void count(struct shared *s)
{
	s->ready = 1;
	for (;;)
		s->count++;
}

static void test_freeze_thaw(void **state)
{
	struct fixture *x = *state;
	long before;

	expect_state(x, FREEZER_THAWED);
	start(x, count);
	wait_ready(x);
	for (int i = 0; i < 20; i++) {
		freeze(x);
		before = x->shared->count;
		usleep(2000);
		assert_int_equal(x->shared->count, before);
		/* frozen already: success at once, and still ours */
		freeze(x);
		thaw(x);
		while (x->shared->count == before)
			usleep(100);
	}
}

static void test_empty(void **state)
{
	freeze(*state);
	thaw(*state);
	thaw(*state);
}

/* 200 processes at most, each forking and exiting all the time. */
static void fork_bomb(struct shared *s)
{
	s->ready++;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		s->count++;
		if (atomic_fetch_add(&s->handled, 1) < 200) {
			if (fork() == 0)
				continue;
		} else {
			atomic_fetch_sub(&s->handled, 1);
			for (volatile int i = 0; i < 20000; i++)
				;
			if (s->count % 7 == 0) {
				atomic_fetch_sub(&s->handled, 1);
				_exit(0);
			}
		}
	}
}

static void test_forking(void **state)
{
	struct fixture *x = *state;

	start(x, fork_bomb);
	start(x, fork_bomb);
	while (x->shared->handled < 150)
		usleep(1000);
	for (int i = 0; i < 20; i++) {
		struct pid_list before, after;
		long work;

		freeze(x);
		work = x->shared->count;
		assert_int_equal(cgroup_pids(x->cg, &before, NULL), 0);
		usleep(5000);
		assert_int_equal(cgroup_pids(x->cg, &after, NULL), 0);
		assert_int_equal(x->shared->count, work);
		assert_int_equal(before.count, after.count);
		assert_memory_equal(before.pids, after.pids, before.count * sizeof(pid_t));
		free(before.pids);
		free(after.pids);
		thaw(x);
		usleep(2000);
	}
	/* and killed as it is, running */
	assert_int_equal(cgroup_kill_all(x->cg, SIGKILL, NULL), 0);
}

static struct shared *handler_shared;

static void on_signal(int signo)
{
	handler_shared->handled++;
}

static void count_with_handlers(struct shared *s)
{
	handler_shared = s;
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	for (int i = 0; i < 9; i++)
		if (fork() == 0)
			break;
	s->ready++;
	for (;;)
		s->count++;
}

/* A frozen container is killed, and between freeze and death no task runs a single instruction. */
static void test_kill_frozen(void **state)
{
	struct fixture *x = *state;
	struct pid_list list;
	struct error *err = NULL;
	long before;

	start(x, count_with_handlers);
	while (x->shared->ready < 10)
		usleep(1000);
	freeze(x);
	before = x->shared->count;
	assert_int_equal(cgroup_kill_all(x->cg, SIGTERM, NULL), 0);
	cgroup_kill_all(x->cg, SIGKILL, &err);
	no_error(err);
	assert_int_equal(cgroup_pids(x->cg, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	free(list.pids);
	assert_int_equal(x->shared->count, before);
	assert_int_equal(x->shared->handled, 0);
}

/* The container froze a cgroup of its own: it dies all the same, and its directories go. */
static void test_kill_nested(void **state)
{
	struct fixture *x = *state;
	const struct hierarchy *h = cgroup_freezer_hierarchy(x->cg);
	struct error *err = NULL;
	char text[16];
	pid_t pid = start(x, count);

	wait_ready(x);
	assert_int_equal(mkdirat(h->fd, "inner", 0755), 0);
	snprintf(text, sizeof(text), "%d", pid);
	assert_int_equal(write_file(h->fd, "inner/cgroup.procs", text), 0);
	assert_int_equal(h->version == 1 ? write_file(h->fd, "inner/freezer.state", "FROZEN")
					 : write_file(h->fd, "inner/cgroup.freeze", "1"),
			 0);
	cgroup_kill_all(x->cg, SIGKILL, &err);
	no_error(err);
	/* teardown removes "inner", too */
}

/* What others froze is neither called ours nor thawed. */
static void test_inherited(void **state)
{
	struct fixture *x = *state;
	struct hierarchy *h = cgroup_freezer_hierarchy(x->cg);
	__cleanup_error struct error *err = NULL;
	bool v1 = h->version == 1;
	const char *file = v1 ? "freezer.state" : "cgroup.freeze";
	enum freezer_state seen;
	int outer = h->fd;
	struct pollfd none;

	/* the fixture's cgroup is the ancestor; the freezer under test is of one within */
	start(x, count);
	wait_ready(x);
	assert_int_equal(mkdirat(outer, "inner", 0755), 0);
	h->fd = openat(outer, "inner", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	freezer_free(x->f);
	assert_int_equal(freezer_open(x->cg, &x->f, NULL), 0);
	assert_int_equal(write_file(outer, file, v1 ? "FROZEN" : "1"), 0);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(freezer_state(x->f, &seen, NULL), 0);
		if (seen == FREEZER_INHERITED)
			break;
		poll(&none, 0, 1);
	}
	assert_int_equal(seen, FREEZER_INHERITED);
	assert_int_equal(freezer_thaw(x->f, &err), -EBUSY);
	/* ours on top of it: FROZEN, but a thaw would not help, so it is refused and changes
	 * nothing */
	assert_int_equal(freezer_freeze(x->f, 1000, NULL), 0);
	expect_state(x, FREEZER_FROZEN);
	assert_int_equal(freezer_thaw(x->f, NULL), -EBUSY);
	expect_state(x, FREEZER_FROZEN);
	assert_int_equal(write_file(outer, file, v1 ? "THAWED" : "0"), 0);
	expect_state(x, FREEZER_FROZEN);
	thaw(x);
	close(h->fd);
	h->fd = outer;
}

/*
 * A write() from memory whose page never comes: the kernel waits for it in a
 * way that only SIGKILL ends.
 */
static void stuck(struct shared *s)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	int pipefd[2];

	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    pipe(pipefd)) {
		s->ready = -1;
		return;
	}
	prctl(PR_SET_NAME, "wont-freeze");
	s->ready = 1;
	if (write(pipefd[1], page, 1) != 1)
		s->ready = -2;
}

static bool waits_in(pid_t pid, const char *wanted)
{
	__cleanup_free char *text = NULL;

	return proc_read(&text, NULL, "%d/wchan", pid) == 0 && !strcmp(text, wanted);
}

static void test_timeout(void **state)
{
	struct fixture *x = *state;
	__cleanup_error struct error *err = NULL;
	char pid_text[32];
	long before;
	pid_t pid;

	pid = start(x, stuck);
	wait_ready(x);
	if (x->shared->ready < 0) {
		print_message("skipped: wants userfaultfd of kernel faults\n");
		return;
	}
	while (!waits_in(pid, "handle_userfault"))
		usleep(1000);
	x->shared->ready = 0;
	start(x, count);
	wait_ready(x);
	assert_int_equal(freezer_freeze(x->f, 200, &err), -ETIMEDOUT);
	print_message("%s\n", error_message(err));
	snprintf(pid_text, sizeof(pid_text), "%d (wont-freeze)", pid);
	assert_non_null(strstr(error_message(err), pid_text));
	/* only that one, and the others go on */
	assert_null(strchr(error_message(err), ','));
	expect_state(x, FREEZER_THAWED);
	before = x->shared->count;
	while (x->shared->count == before)
		usleep(100);
}

static int sleepy_child(void *arg)
{
	struct shared *s = arg;

	s->ready = 1;
	while (!s->handled)
		usleep(1000);
	_exit(0);
}

/* clone(CLONE_VFORK): the parent waits in the kernel until the child is gone. */
static void vforking(struct shared *s)
{
	static char stack[65536];

	clone(sleepy_child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, s);
	s->count = 1;
	for (;;)
		pause();
}

static void test_vfork(void **state)
{
	struct fixture *x = *state;

	start(x, vforking);
	wait_ready(x);
	freeze(x);
	usleep(5000);
	assert_int_equal(x->shared->count, 0);
	thaw(x);
	x->shared->handled = 1;
	while (!x->shared->count)
		usleep(1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_freeze_thaw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forking, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_frozen, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_nested, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inherited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vfork, setup, teardown),
	};

	if (geteuid()) {
		print_message("skipped: the freezer's tests want root\n");
		return 0;
	}
	return cmocka_run_group_tests_name("freezer", tests, NULL, NULL);
}
