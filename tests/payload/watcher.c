// SPDX-License-Identifier: GPL-2.0-only
/*
 * watcher LOG COMMAND [ARG...]: does what a shell with job control does: runs
 * COMMAND, waits for it and for all that it leaves behind (as their subreaper)
 * with WUNTRACED and WCONTINUED, and writes each news to LOG: "PID stopped 19",
 * "PID continued", "PID exited 0", "PID killed 9".
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status;
	pid_t pid;
	FILE *log;

	if (argc < 3)
		return 2;
	log = fopen(argv[1], "we");
	if (!log)
		return 1;
	setvbuf(log, NULL, _IOLBF, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (fork() == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	while ((pid = waitpid(-1, &status, WUNTRACED | WCONTINUED)) > 0) {
		if (WIFSTOPPED(status))
			fprintf(log, "%d stopped %d\n", pid, WSTOPSIG(status));
		else if (WIFCONTINUED(status))
			fprintf(log, "%d continued\n", pid);
		else if (WIFEXITED(status))
			fprintf(log, "%d exited %d\n", pid, WEXITSTATUS(status));
		else
			fprintf(log, "%d killed %d\n", pid, WTERMSIG(status));
	}
	return 0;
}
