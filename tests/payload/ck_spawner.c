// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_spawner: does what a shell does all day: vfork, and in the child, which has the parent's
 * memory, a while until it executes a program. Each child ends with the status that it was
 * told, before and after a checkpoint.
 */
#include <stdbool.h>
#include <sys/wait.h>

#include "ck.h"

#define SHARED_US 3000
#define ALONE_US  3000

static int spawn(int number)
{
	char text[16];
	int status;
	pid_t pid;

	snprintf(text, sizeof(text), "%d", number);
	pid = vfork();
	if (!pid) {
		usleep(SHARED_US);
		execl("/proc/self/exe", "ck_spawner", text, NULL);
		_exit(255);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	usleep(ALONE_US);
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	bool told = false;

	if (argc > 1)
		return atoi(argv[1]);
	for (int i = 0; !ck_go(); i++) {
		if (spawn(i % 100) != i % 100)
			ck_bad("child %d", i);
		if (!told)
			ck_ready();
		told = true;
	}
	return ck_end();
}
