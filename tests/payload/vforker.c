// SPDX-License-Identifier: GPL-2.0-only
/*
 * vforker READY GO DONE: makes a child by vfork(), which makes the file READY
 * and waits until GO exists; the parent, which the kernel holds until then,
 * makes DONE with the child's exit status in it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status = -1, fd;
	char text[16];
	pid_t pid;

	if (argc != 4)
		return 2;
	pid = vfork();
	if (pid == 0) {
		struct timespec ms = {0, 1000000};

		close(open(argv[1], O_CREAT | O_WRONLY, 0644));
		while (access(argv[2], F_OK) < 0)
			nanosleep(&ms, NULL);
		_exit(42);
	}
	waitpid(pid, &status, 0);
	fd = open(argv[3], O_CREAT | O_WRONLY, 0644);
	if (write(fd, text, snprintf(text, sizeof(text), "%d\n", WEXITSTATUS(status))) < 0)
		return 1;
	close(fd);
	for (;;)
		pause();
}
