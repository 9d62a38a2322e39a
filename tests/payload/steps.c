// SPDX-License-Identifier: GPL-2.0-only
/*
 * steps PROGRESS GO: for a debugger. Sleeps and computes in turns and writes
 * its progress to a file until GO exists; says if a sleep was ever cut short,
 * and ends with status 7.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int step;

/* for a breakpoint: called, not inlined */
__attribute__((noinline)) void next_step(void)
{
	step++;
}

int main(int argc, char **argv)
{
	struct timespec ms = {0, 2000000};
	int fd, bad = 0;

	if (argc != 3)
		return 2;
	fd = open(argv[1], O_CREAT | O_WRONLY | O_TRUNC, 0644);
	while (access(argv[2], F_OK) < 0) {
		char text[16];

		next_step();
		if (nanosleep(&ms, NULL) < 0)
			bad = errno;
		if (pwrite(fd, text, snprintf(text, sizeof(text), "%9d\n", step), 0) < 0)
			bad = errno;
	}
	printf(bad ? "interrupted: %d\n" : "undisturbed\n", bad);
	fflush(stdout);
	return 7;
}
