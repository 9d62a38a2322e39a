// SPDX-License-Identifier: GPL-2.0-only
/*
 * fdwatch LOG COMMAND [ARG...]: executes COMMAND and looks at its open descriptors when its
 * program begins and when it exits. Adds a line to LOG: "clean: COMMAND...", or "leak: FD TARGET:
 * COMMAND..." for each descriptor that is there at the end and was not at the beginning, or
 * "killed: COMMAND..." if it had no chance to close anything.
 *
 * Who looks is a grandchild that traces us, so that pid, parent, signals, terminal and exit
 * status are COMMAND's own.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FDS	   4096
#define UNOBSERVED 125

struct open_fds {
	char *target[FDS]; /* NULL: not open */
};

static struct open_fds begin, end;
static bool executed;
static char command[4096];

static void look(pid_t pid, struct open_fds *fds)
{
	char path[64], target[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		exit(UNOBSERVED);
	while ((e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || n < 0)
			continue;
		if (fd >= FDS)
			exit(UNOBSERVED);
		target[n] = '\0';
		fds->target[fd] = strdup(target);
	}
	closedir(dir);
}

static void report(int log, const char *what)
{
	if (dprintf(log, "%s: %s\n", what, command) < 0)
		exit(UNOBSERVED);
}

static void compare(pid_t pid, int log)
{
	unsigned leaks = 0;
	char what[PATH_MAX + 64];

	look(pid, &end);
	for (int fd = 0; fd < FDS; fd++) {
		if (!end.target[fd] ||
		    (begin.target[fd] && !strcmp(begin.target[fd], end.target[fd])))
			continue;
		snprintf(what, sizeof(what), "leak: %d %s", fd, end.target[fd]);
		report(log, what);
		leaks++;
	}
	if (!leaks)
		report(log, "clean");
}

static void at_exit_of(pid_t pid, int log)
{
	unsigned long status = 0;

	ptrace(PTRACE_GETEVENTMSG, pid, 0, &status);
	if (!executed)
		report(log, "not executed");
	else if (WIFSIGNALED(status))
		report(log, "killed");
	else
		compare(pid, log);
}

/* Signals go where they were going; job control stops as it would. */
static void go_on(pid_t pid, int status)
{
	int event = status >> 16, sig = WSTOPSIG(status);

	if (event == PTRACE_EVENT_STOP && sig != SIGTRAP)
		ptrace(PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, event ? 0 : sig);
}

static void observe(pid_t pid, int log)
{
	int status;

	while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
		if (status >> 16 == PTRACE_EVENT_EXEC) {
			look(pid, &begin);
			executed = true;
		} else if (status >> 16 == PTRACE_EVENT_EXIT)
			at_exit_of(pid, log);
		go_on(pid, status);
	}
}

/* Holds nothing of the caller's open: who waits for the end of a pipe must not wait for us. */
static void become_observer(pid_t pid, const char *path, int ready)
{
	sigset_t all;
	int log;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	dup2(ready, 0);
	syscall(SYS_close_range, 1, ~0u, 0);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (log < 0 || ptrace(PTRACE_SEIZE, pid, 0,
			      PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL))
		_exit(UNOBSERVED);
	if (write(0, "x", 1) != 1)
		_exit(UNOBSERVED);
	close(0);
	observe(pid, log);
	_exit(0);
}

static void name_command(char **argv)
{
	size_t len = 0;

	for (; *argv && len < sizeof(command); argv++)
		len += snprintf(command + len, sizeof(command) - len, "%s%s", len ? " " : "",
				*argv);
	for (char *c = command; *c; c++)
		if (*c == '\n')
			*c = ' ';
}

int main(int argc, char **argv)
{
	pid_t self = getpid(), child;
	int fds[2];
	char byte;

	if (argc < 3 || pipe2(fds, O_CLOEXEC))
		return UNOBSERVED;
	name_command(argv + 2);
	child = fork();
	if (child == 0) {
		if (fork() == 0)
			become_observer(self, argv[1], fds[1]);
		_exit(0);
	}
	close(fds[1]);
	while (waitpid(child, NULL, 0) < 0)
		;
	if (read(fds[0], &byte, 1) != 1)
		return UNOBSERVED;
	close(fds[0]);
	execvp(argv[2], argv + 2);
	return 127;
}
