// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_sharing GO: processes that share a descriptor table or a working directory without
 * sharing memory: with their parents, in a session of their parent's and in one whose leader is
 * gone; with a brother; with who their parent, which is gone, had them of. And a file that
 * O_TMPFILE has made.
 */
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

/* A number that nothing here has otherwise. */
#define MARK 77

static pid_t with_files, grandchild, with_fs, with_none;
static pid_t in_session, brothers[2], left, other; /* left is an orphan of other's family */
static int unnamed, told[2];

static pid_t clone_with(unsigned long flags)
{
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
}

static int same(pid_t a, pid_t b, int what)
{
	return !syscall(SYS_kcmp, a, b, what, 0, 0);
}

static void wait_forever(void)
{
	for (;;)
		pause();
}

static void tell(pid_t pid)
{
	CHECK(write(told[1], &pid, sizeof(pid)) == sizeof(pid));
}

static pid_t hear(void)
{
	pid_t pid;

	CHECK(read(told[0], &pid, sizeof(pid)) == sizeof(pid));
	return pid;
}

/* Makes one that shares `flags` with the caller, and is left to the init: by its own child. */
static void leave_child(unsigned long flags, int in_new_session)
{
	pid_t pid = clone_with(flags);

	CHECK(pid >= 0);
	if (!pid) {
		if (in_new_session)
			CHECK(setsid() > 0);
		pid = clone_with(flags);
		CHECK(pid >= 0);
		if (!pid)
			wait_forever();
		tell(pid);
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* What is not shared with the parent. */
static void set_apart(void)
{
	leave_child(CLONE_FILES | CLONE_FS, 1);
	in_session = hear();
	brothers[0] = clone_with(0);
	if (!brothers[0]) {
		pid_t pid = clone_with(CLONE_FILES | CLONE_FS | CLONE_PARENT);

		if (pid)
			tell(pid);
		wait_forever();
	}
	brothers[1] = hear();
	other = clone_with(0);
	if (!other) {
		leave_child(CLONE_FILES, 0);
		wait_forever();
	}
	left = hear();
}

static void check_apart(void)
{
	pid_t self = getpid(), pids[] = {in_session, brothers[0], brothers[1], left, other};

	CHECK(same(self, in_session, KCMP_FILES) && same(self, in_session, KCMP_FS));
	CHECK(getsid(in_session) != getsid(0) && getsid(in_session) != in_session);
	CHECK(same(brothers[0], brothers[1], KCMP_FILES) && !same(self, brothers[1], KCMP_FILES));
	CHECK(same(brothers[0], brothers[1], KCMP_FS) && !same(self, brothers[1], KCMP_FS));
	CHECK(same(other, left, KCMP_FILES) && !same(self, left, KCMP_FILES));
	CHECK(!same(other, left, KCMP_FS) && !same(other, brothers[0], KCMP_FILES));
	for (size_t i = 0; i < sizeof(pids) / sizeof(*pids); i++)
		CHECK(!kill(pids[i], SIGKILL) && waitpid(pids[i], NULL, __WALL) == pids[i]);
}

static void set(void)
{
	CHECK(!pipe(told));
	set_apart();
	with_files = clone_with(CLONE_FILES);
	if (!with_files) {
		pid_t pid = clone_with(CLONE_FILES);

		if (pid)
			CHECK(write(told[1], &pid, sizeof(pid)) == sizeof(pid));
		wait_forever();
	}
	CHECK(read(told[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	with_fs = clone_with(CLONE_FS);
	if (!with_fs) {
		CHECK(!chdir("/tmp"));
		umask(0123);
		CHECK(write(told[1], "x", 1) == 1);
		wait_forever();
	}
	with_none = clone_with(0);
	if (!with_none)
		wait_forever();
	CHECK(reads(told[0], "x"));
	unnamed = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	CHECK(unnamed >= 0 ? writes(unnamed, "unnamed") : errno == EOPNOTSUPP);
}

static void check(void)
{
	pid_t self = getpid(), pids[] = {with_files, grandchild, with_fs, with_none};
	char cwd[64] = "", got[16] = "";

	CHECK(same(self, with_files, KCMP_FILES) && same(self, grandchild, KCMP_FILES));
	CHECK(!same(self, with_files, KCMP_FS) && !same(self, with_fs, KCMP_FILES));
	CHECK(same(self, with_fs, KCMP_FS) && !same(self, with_none, KCMP_FS));
	CHECK(!same(self, with_none, KCMP_FILES));
	/* what one opens the others have */
	CHECK(dup2(told[0], MARK) == MARK);
	CHECK(!syscall(SYS_kcmp, self, grandchild, KCMP_FILE, MARK, MARK));
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, "/tmp") && umask(0) == 0123);
	CHECK(unnamed < 0 || (pread(unnamed, got, 15, 0) == 7 && !strcmp(got, "unnamed")));
	for (size_t i = 0; i < sizeof(pids) / sizeof(*pids); i++)
		CHECK(!kill(pids[i], SIGKILL));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	set();
	ready_and_wait(argv[1]);
	check_apart();
	check();
	return passed();
}
