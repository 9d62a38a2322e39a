// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_traced GO: a debugger and what it debugs, which is stopped with a value in a register
 * that it would not have by itself. "ready", and with the file GO "PASS" if the debugger has
 * it as before, and lets it go on to its end.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "res.h"

#define VALUE 0x4711471147114711ull

static void debugged(void)
{
	raise(SIGSTOP);
	_exit(7);
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	int status;
	pid_t pid;

	CHECK(argc == 2);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		CHECK(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		debugged();
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	CHECK(!ptrace(PTRACE_GETREGS, pid, NULL, &regs));
	regs.r15 = VALUE;
	CHECK(!ptrace(PTRACE_SETREGS, pid, NULL, &regs));
	ready_and_wait(argv[1]);

	CHECK(!ptrace(PTRACE_GETREGS, pid, NULL, &regs) && regs.r15 == VALUE);
	CHECK(!ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL));
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	CHECK(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	return passed();
}
