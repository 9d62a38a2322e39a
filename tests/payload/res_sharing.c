// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_sharing GO: processes that share a descriptor table or a working directory without
 * sharing memory, and a file that O_TMPFILE has made.
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

static void set(void)
{
	CHECK(!pipe(told));
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
	check();
	return passed();
}
