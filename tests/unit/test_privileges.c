// SPDX-License-Identifier: GPL-2.0-only
/* What an image may not ask for: privileges that config.json does not give, foreign ids. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"

static int forget(int ret, struct error **err)
{
	assert_true(!ret == !*err);
	error_free(*err);
	return ret;
}

static int allowed(const struct restore_request *request, const struct restore_thread *th)
{
	struct error *err = NULL;

	return forget(creds_check_allowed(request, th, &err), &err);
}

static void test_capabilities(void **state)
{
	struct restore_request request = {.caps_allowed = 1 << CAP_KILL | 1ull << CAP_BPF,
					  .caps_bounded = true};
	struct ckpt_thread rec = {.tid = 7};
	struct ckpt_creds creds = {0};
	struct restore_thread th = {.rec = &rec, .creds = &creds};
	struct error *err = NULL;

	for (unsigned set = 0; set < CKPT_CAP_SETS; set++) {
		creds.caps[set] = request.caps_allowed;
		assert_int_equal(allowed(&request, &th), 0);
		creds.caps[set] |= 1ull << 63;
		assert_int_equal(allowed(&request, &th), -EPERM);
		creds.caps[set] = 1 << CAP_SYS_ADMIN;
		assert_int_equal(creds_check_allowed(&request, &th, &err), -EPERM);
		assert_non_null(strstr(error_message(err), "thread 7"));
		assert_non_null(strstr(error_message(err), "capability 21"));
		error_free(err);
		err = NULL;
		request.caps_bounded = false;
		assert_int_equal(allowed(&request, &th), 0);
		request.caps_bounded = true;
		creds.caps[set] = 0;
	}
}

static void test_filter_and_no_new_privs(void **state)
{
	struct restore_request request = {.want_seccomp = true};
	struct record other = {.type = CKPT_SCHED}, filter = {.type = CKPT_SECCOMP};
	struct ckpt_thread rec = {.tid = 7};
	struct ckpt_creds creds = {0};
	struct restore_thread th = {.rec = &rec, .creds = &creds};
	struct record *more = vec_add(&th.more);

	assert_non_null(more);
	*more = other;
	assert_int_equal(allowed(&request, &th), -EPERM);
	*more = filter;
	assert_int_equal(allowed(&request, &th), 0);
	request.want_nnp = true;
	assert_int_equal(allowed(&request, &th), -EPERM);
	creds.no_new_privs = 1;
	assert_int_equal(allowed(&request, &th), 0);
	vec_free(&th.more);
}

static int load_task(const struct ckpt_task *task, size_t len, struct restore_task *inside)
{
	struct ckpt_begin begin = {.tasks = 2};
	struct restore r = {.begin = &begin};
	struct ckpt_task init = {.pid = 1, .threads = 1};
	struct record rec = {.type = CKPT_TASK, .data = &init, .len = sizeof(init)};
	struct error *err = NULL;
	int ret;

	assert_int_equal(resource_tree.load(&r, NULL, &rec, &err), 0);
	rec.data = task;
	rec.len = len;
	ret = forget(resource_tree.load(&r, inside, &rec, &err), &err);
	vec_free(&r.tasks);
	return ret;
}

static void test_tasks(void **state)
{
	static const int never_fatal[] = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
					  SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
	static const int fine[] = {0, 3 << 8, SIGKILL, SIGSEGV | 0x80, SIGHUP, 63, 64};
	struct ckpt_task task = {.pid = 2, .ppid = 1, .state = CKPT_TASK_ZOMBIE};
	struct restore_task process = {0};

	for (size_t i = 0; i < sizeof(fine) / sizeof(*fine); i++) {
		task.exit_code = fine[i];
		assert_int_equal(load_task(&task, sizeof(task), NULL), 0);
	}
	assert_int_equal(load_task(&task, sizeof(task), &process), -EBADMSG);
	assert_int_equal(load_task(&task, sizeof(task) - 1, NULL), -EBADMSG);
	for (size_t i = 0; i < sizeof(never_fatal) / sizeof(*never_fatal); i++) {
		task.exit_code = never_fatal[i];
		assert_int_equal(load_task(&task, sizeof(task), NULL), -EBADMSG);
	}
	task.exit_code = 65;
	assert_int_equal(load_task(&task, sizeof(task), NULL), -EBADMSG);
	task.exit_code = 0x7f;
	assert_int_equal(load_task(&task, sizeof(task), NULL), -EBADMSG);
	/* for who is stopped it is the signal that stopped it */
	task.state = CKPT_TASK_STOPPED;
	task.exit_code = SIGSTOP;
	assert_int_equal(load_task(&task, sizeof(task), NULL), 0);
}

static void write_map(pid_t pid, const char *map, const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, map);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int mapped(pid_t pid, uid_t uid, gid_t gid)
{
	struct error *err = NULL;

	return forget(ids_mapped(pid, uid, gid, &err), &err);
}

static void check_maps(pid_t pid)
{
	write_map(pid, "uid_map", "0 100000 10\n1000 1000 1\n");
	write_map(pid, "gid_map", "0 200000 10\n");
	assert_int_equal(mapped(pid, 100000, 200009), 0);
	assert_int_equal(mapped(pid, 1000, 200000), 0);
	assert_int_equal(mapped(pid, 0, 200000), -EBADMSG);
	assert_int_equal(mapped(pid, 100010, 200000), -EBADMSG);
	assert_int_equal(mapped(pid, 99999, 200000), -EBADMSG);
	assert_int_equal(mapped(pid, -1, 200000), -EBADMSG);
	assert_int_equal(mapped(pid, 100000, 0), -EBADMSG);
	assert_int_equal(mapped(pid, 100000, 1000), -EBADMSG);
}

static void test_ids(void **state)
{
	int sync[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(mapped(getpid(), 0, 12345), 0);
	if (geteuid())
		skip(); /* wants root */
	assert_int_equal(pipe(sync), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
		c = !unshare(CLONE_NEWUSER);
		if (write(sync[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(sync[0], &c, 1), 1);
	if (c)
		check_maps(pid);
	close(sync[0]);
	close(sync[1]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!c)
		skip(); /* wants user namespaces */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_filter_and_no_new_privs),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
