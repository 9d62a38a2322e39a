// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a container that holds one zdtm test: `init ./T --pidfile=P ...`.
 * The test leaves the foreground when it is ready and has written its pid to P.
 * Init passes SIGTERM on to it, reaps, and ends when it has ended.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *option(char **argv, const char *name)
{
	size_t len = strlen(name);

	for (; *argv; argv++)
		if (!strncmp(*argv, name, len))
			return *argv + len;
	return NULL;
}

static pid_t read_pid(const char *path)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	int pid = 0;

	if (f) {
		if (fscanf(f, "%d", &pid) != 1)
			pid = 0;
		fclose(f);
	}
	return pid;
}

/* Until the test has gone into the background, or failed: then its exit status. */
static void start(char **argv, const sigset_t *mask)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		exit(126);
	if (status)
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int argc, char **argv)
{
	sigset_t wanted, before;
	int status, test;
	pid_t pid;

	if (argc < 2)
		return 2;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGTERM);
	sigaddset(&wanted, SIGCHLD);
	sigprocmask(SIG_BLOCK, &wanted, &before);
	start(argv + 1, &before);
	test = read_pid(option(argv + 1, "--pidfile="));
	if (test <= 0)
		return 125;
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == test)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		if (sigwaitinfo(&wanted, NULL) == SIGTERM)
			kill(test, SIGTERM);
	}
}
