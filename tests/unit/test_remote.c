// SPDX-License-Identifier: GPL-2.0-only
/* System calls made by another task: at once, and those that wait for the next run. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/user/proc.h"
#include "checkpoint/user/remote.h"
#include "checkpoint/user/trace.h"
#include "util/error.h"

static const struct remote_note note = {
	.what = "doing", .object = "it", .hint = "be somebody else", .forgiven = ENOENT};

static void no_error(struct error *err)
{
	if (err)
		fail_msg("%s", error_message(err));
}

static int setup(void **state)
{
	struct remote *remote = calloc(1, sizeof(*remote));
	struct error *err = NULL;
	vma_vec vmas = {0};
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
