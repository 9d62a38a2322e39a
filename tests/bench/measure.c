// SPDX-License-Identifier: GPL-2.0-only
/*
 * measure CMD [ARG...]: runs CMD and prints "microseconds peak-RSS-in-KiB" as the last
 * line of its standard output; exits as CMD does. CMD's own output goes to stderr.
 * Started by vfork from a tiny process, so that neither time nor peak are a shell's.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	long start, took;
	pid_t pid;
	int status;

	if (argc < 2)
		return 2;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	start = now_us();
	if (posix_spawnp(&pid, argv[1], &actions, NULL, argv + 1, environ)) {
		perror(argv[1]);
		return 127;
	}
	if (wait4(pid, &status, 0, &usage) != pid)
		return 126;
	took = now_us() - start;
	printf("%ld %ld\n", took, usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
