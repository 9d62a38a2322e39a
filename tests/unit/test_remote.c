// SPDX-License-Identifier: GPL-2.0-only
/* System calls made by another task: at once, and those that wait for the next run. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "checkpoint/user/machine.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/remote.h"
#include "checkpoint/user/trace.h"
#include "tests/unit/child.h"
#include "util/error.h"

/* At once what the engine does in steps. */
static void detach(struct remote *remote, struct error **err)
{
	if (remote_start_detach(remote, err) || remote_arrive(remote, err))
		remote_forget(remote);
}

static const struct remote_note note = {
	.what = "doing", .object = "it", .hint = "be somebody else", .forgiven = ENOENT};

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#define LISTENER 100

/* Lets who is in gettid(2), the call in between, wait until somebody has read it from a listener.
 */
static void install_listener(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(*code), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	dup2(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		     &filter),
	     LISTENER);
}

/* A task that waits, when prepare has been called in it. */
static int make_task(void **state, void (*prepare)(void))
{
	struct remote *remote = calloc(1, sizeof(*remote));
	struct error *err = NULL;
	vma_vec vmas = {0};
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (prepare)
			prepare();
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0);
	close(ready[0]);
	trace_seize(pid, 0, &err);
	no_error(err);
	trace_wait_stop(pid, NULL, &err);
	no_error(err);
	proc_vmas(pid, &vmas, &err);
	no_error(err);
	vec_for_each (v, &vmas)
		if (v->path && !strcmp(v->path, "[vdso]"))
			remote_attach(remote, pid, 0, v->rec.start, v->rec.end - v->rec.start, 0,
				      &err);
	no_error(err);
	vmas_free(&vmas);
	*state = remote;
	return 0;
}

static int setup(void **state)
{
	return make_task(state, NULL);
}

static int setup_listener(void **state)
{
	return make_task(state, install_listener);
}

/* Nothing that it maps may be both writable and executable. */
static void deny_both(void)
{
	prctl(PR_SET_MDWE, 1, 0, 0, 0);
}

static int setup_denied(void **state)
{
	return make_task(state, deny_both);
}

static int teardown(void **state)
{
	struct remote *remote = *state;
	pid_t pid = remote->tid;

	remote_forget(remote);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	free(remote);
	return 0;
}

static long mask_of(struct remote *remote)
{
	struct error *err = NULL;
	long mask;

	/* the mask is what the call before has set, and stays */
	remote_syscall(remote, &err, "umask", &mask, SYS_umask, 022, 0, 0, 0, 0, 0);
	no_error(err);
	return mask;
}

static void test_later(void **state)
{
	struct remote *remote = *state;
	struct error *err = NULL;
	uint64_t at, next;
	char *name = remote_later_data(remote, 8, &at, &err);

	strcpy(name, "later");
	remote_later(remote, 0, &note, &err, SYS_prctl, PR_SET_NAME, at);
	remote_later(remote, 0, &note, &err, SYS_umask, 0123);
	assert_true((char *)remote_later_data(remote, 8, &next, &err) != name);
	assert_int_not_equal(next, at);
	no_error(err);
	/* the caller's own call comes after them, and its result is where it was */
	assert_int_equal(mask_of(remote), 0123);
	remote_syscall(remote, &err, "prctl", NULL, SYS_prctl, PR_GET_NAME,
		       remote_data_address(remote), 0, 0, 0, 0);
	no_error(err);
	assert_string_equal(remote_data(remote), "later");
	/* nothing waits any more: there is room again */
	assert_non_null(remote_later_data(remote, REMOTE_LATER_DATA, &at, &err));
	assert_null(remote_later_data(remote, REMOTE_LATER_DATA + 1, &at, &err));
	assert_int_equal(error_code(err), E2BIG);
	error_free(err);
}

static void test_failures(void **state)
{
	struct remote *remote = *state;
	const struct remote_note any = {.what = "whatever", .any = true};
	struct error *err = NULL;
	uint64_t at;

	remote_later(remote, 0, &note, &err, SYS_openat, AT_FDCWD, 0, 0); /* EFAULT, below */
	assert_int_equal(remote_flush(remote, &err), -EFAULT);
	assert_non_null(strstr(error_message(err), "doing it in task"));
	assert_null(strstr(error_message(err), "somebody"));
	error_free(err);
	err = NULL;
	/* reported by the run that makes it */
	remote_later(remote, 0, &note, &err, SYS_kill, 1 << 30, 0);
	no_error(err);
	assert_int_equal(remote_settle(remote, &err), -ESRCH);
	error_free(err);
	err = NULL;
	remote_later(remote, 0, &any, &err, SYS_close, -1);
	/* a name of no characters: ENOENT */
	remote_later_data(remote, 1, &at, &err);
	remote_later(remote, 0, &note, &err, SYS_openat, AT_FDCWD, at, 0);
	assert_int_equal(remote_settle(remote, &err), 0);
	assert_int_equal(remote_flush(remote, &err), 0);
	no_error(err);
}

/* More than fit in one run, and a run that fills it by itself. */
static void test_many(void **state)
{
	struct remote *remote = *state;
	struct error *err = NULL;

	for (unsigned i = 0; i < REMOTE_CALLS_MAX + 3; i++)
		remote_later(remote, 0, &note, &err, SYS_umask, i & 0777);
	no_error(err);
	for (unsigned i = 0; i < REMOTE_CALLS_MAX; i++)
		remote_set(&remote_calls(remote)[i], SYS_umask, i & 0777);
	remote_run(remote, 0, REMOTE_CALLS_MAX, &err);
	no_error(err);
	assert_int_equal(remote_calls(remote)[0].ret, (REMOTE_CALLS_MAX + 2) & 0777);
	assert_int_equal(mask_of(remote), (REMOTE_CALLS_MAX - 1) & 0777);
}

/* --- a SIGSTOP from outside, behind the last call and before the signal that ends them --- */

struct stopper {
	pid_t pid;
	int listener;
};

static void *stop_in_gettid(void *ctx)
{
	const struct stopper *s = ctx;

	/* the SIGSTOP interrupts the call, which then begins again */
	for (bool told = false;; told = true) {
		struct seccomp_notif call = {0};
		struct seccomp_notif_resp answer = {.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		struct pollfd wait = {.fd = s->listener, .events = POLLIN};

		/* where the thread can be cancelled */
		if (poll(&wait, 1, -1) != 1 || ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
			return NULL;
		if (!told)
			kill(s->pid, SIGSTOP);
		answer.id = call.id;
		ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

static bool comes_to_a_stop(pid_t pid)
{
	struct proc_status status = {0};
	struct error *err = NULL;

	for (unsigned i = 0; i < 200 && status.state != 'T'; i++) {
		usleep(5000);
		proc_status(pid, 0, &status, &err);
		no_error(err);
	}
	return status.state == 'T';
}

static void test_stop(void **state)
{
	struct remote *remote = *state;
	struct stopper stopper = {.pid = remote->tid};
	struct error *err = NULL;
	pthread_t thread;
	int pidfd = syscall(SYS_pidfd_open, remote->tid, 0);

	stopper.listener = syscall(SYS_pidfd_getfd, pidfd, LISTENER, 0);
	close(pidfd);
	if (stopper.listener < 0)
		skip();
	pthread_create(&thread, NULL, stop_in_gettid, &stopper);
	mask_of(remote);
	remote_settle(remote, &err);
	no_error(err);
	trace_detach(remote->tid, &err);
	no_error(err);
	assert_true(comes_to_a_stop(remote->tid));
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	close(stopper.listener);
}

/* Two tasks at a time: neither is waited for before the other is on its way. */
static void test_started(void **state)
{
	struct remote *both[2] = {*state, NULL};
	remote_vec remotes = {.items = both, .count = 2};
	struct error *err = NULL;
	pid_t pids[2];
	void *second;

	make_task(&second, NULL);
	both[1] = second;
	for (unsigned i = 0; i < 2; i++) {
		remote_later(both[i], 0, &note, &err, SYS_umask, 0111 * (i + 1));
		remote_set(remote_calls(both[i]), SYS_umask, 022);
		remote_start_run(both[i], 0, 1, &err);
		no_error(err);
	}
	/* the array is the task's by now */
	assert_int_equal(remote_run(both[0], 0, 1, &err), -EBUSY);
	error_free(err);
	err = NULL;
	for (unsigned i = 0; i < 2; i++) {
		remote_finish(both[i], &err);
		no_error(err);
		assert_int_equal(remote_calls(both[i])->ret, 0111 * (i + 1));
	}
	/* what has been started is reported by what comes next */
	remote_later(both[0], 0, &note, &err, SYS_close, 1000);
	remote_start_queued(both[0], &err);
	no_error(err);
	assert_int_equal(remote_later(both[0], 0, &note, &err, SYS_umask, 022), -EBADF);
	error_free(err);
	err = NULL;
	for (unsigned i = 0; i < 2; i++) {
		pids[i] = both[i]->tid;
		remote_start_detach(both[i], &err);
		no_error(err);
	}
	remotes_proceed(&remotes, &err);
	no_error(err);
	for (unsigned i = 0; i < 2; i++) {
		assert_null(both[i]->window);
		assert_int_equal(both[i]->address, 0);
		both[i]->tid = pids[i]; /* for the teardown */
	}
	teardown(&second);
}

/* --- a runtime that is killed while it maps a window --- */

/* The vdso of who was in that call is this kernel's, whatever stands at its end. */
static void test_vdso_left_behind(void **state)
{
	struct remote *remote = *state, half;
	pid_t pid = remote->tid;
	struct error *err = NULL;
	vma_vec vmas = {0};
	struct iovec ours = {0}, theirs = {0};
	uint64_t stack = 0;

	detach(remote, &err);
	no_error(err);
	proc_vmas(pid, &vmas, &err);
	no_error(err);
	vec_for_each (v, &vmas) {
		if (v->path && !strcmp(v->path, "[stack]"))
			stack = v->rec.start + REMOTE_SPARE_STACK / 2;
		if (!v->path || strcmp(v->path, "[vdso]"))
			continue;
		theirs.iov_base = (void *)v->rec.start;
		ours.iov_len = theirs.iov_len = v->rec.end - v->rec.start;
	}
	vmas_free(&vmas);
	ours.iov_base = malloc(ours.iov_len);
	assert_non_null(ours.iov_base);
	remote_start_protected(&half, pid, (uint64_t)theirs.iov_base, theirs.iov_len, 0, stack,
			       &err);
	no_error(err);
	assert_int_equal(process_vm_readv(pid, &ours, 1, &theirs, 1, 0), ours.iov_len);
	assert_true(XXH3_64bits(ours.iov_base, ours.iov_len) != machine_vdso_hash());
	remote_clean_vdso(ours.iov_base, ours.iov_len);
	assert_true(XXH3_64bits(ours.iov_base, ours.iov_len) == machine_vdso_hash());
	free(ours.iov_base);
	remote_arrive(&half, &err);
	no_error(err);
	remote_forget(&half);
	remote->tid = pid; /* for the teardown */
}

/* --- memory that may not be writable and executable --- */

/* How many mappings a window of this task has, and where its vdso is; prots of the first two. */
static size_t look_at_window(pid_t pid, uint64_t *vdso, uint64_t *vdso_len, uint32_t prots[2])
{
	struct error *err = NULL;
	vma_vec vmas = {0};
	size_t n = 0;

	proc_vmas(pid, &vmas, &err);
	no_error(err);
	vec_for_each (v, &vmas) {
		if (v->path && !strcmp(v->path, "[vdso]")) {
			*vdso = v->rec.start;
			*vdso_len = v->rec.end - v->rec.start;
		}
		if (!v->path || strncmp(v->path, "/dev/zero", 9))
			continue;
		if (n < 2)
			prots[n] = v->rec.prot;
		n++;
	}
	vmas_free(&vmas);
	return n;
}

static void test_denied(void **state)
{
	struct remote *remote = *state;
	pid_t pid = remote->tid;
	struct error *err = NULL;
	uint64_t vdso, len;
	uint32_t prots[2];
	long denied;

	remote_syscall(remote, &err, "asking", &denied, SYS_prctl, PR_GET_MDWE, 0, 0, 0, 0, 0);
	no_error(err);
	if (denied != 1)
		skip();
	assert_int_equal(look_at_window(pid, &vdso, &len, prots), 2);
	assert_int_equal(prots[0], PROT_READ | PROT_EXEC);
	assert_int_equal(prots[1], PROT_READ | PROT_WRITE);
	mask_of(remote);
	assert_int_equal(mask_of(remote), 022);
	detach(remote, &err);
	no_error(err);
	/* left at any step there is nothing of it */
	for (unsigned steps = 0; steps < 3 * REMOTE_WINDOW_STEPS; steps++) {
		assert_int_equal(look_at_window(pid, &vdso, &len, prots), 0);
		remote_start_attach(remote, pid, 0, vdso, len, 0, &err);
		no_error(err);
		for (unsigned i = 0; i < steps; i++)
			remote_proceed(remote, &err);
		no_error(err);
		detach(remote, &err);
		/* what it was refused before it was to leave it is not asked for again */
		if (err)
			assert_int_equal(error_code(err), EACCES);
		error_free(err);
		err = NULL;
	}
	assert_int_equal(look_at_window(pid, &vdso, &len, prots), 0);
	remote->tid = pid; /* for the teardown */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_started, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop, setup_listener, teardown),
		cmocka_unit_test_setup_teardown(test_vdso_left_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied, setup_denied, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
