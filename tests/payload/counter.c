// SPDX-License-Identifier: GPL-2.0-only
/*
 * counter FILE TASKS: that many processes count, each in its own 8 bytes of a
 * shared mapping of FILE; SIGTERM and SIGHUP are handled, and counted in the
 * 8 bytes after them. Whoever reads the file sees whether any of them ran.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile long *counters;
static long tasks;

static void on_signal(int signo)
{
	(void)signo;
	__atomic_add_fetch(&counters[tasks], 1, __ATOMIC_SEQ_CST);
}

int main(int argc, char **argv)
{
	long mine = 0;
	int fd;

	if (argc != 3)
		return 2;
	tasks = atol(argv[2]);
	fd = open(argv[1], O_RDWR | O_CREAT, 0666);
	if (fd < 0 || ftruncate(fd, (tasks + 1) * 8) < 0)
		return 1;
	counters = mmap(NULL, (tasks + 1) * 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED)
		return 1;
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	while (mine < tasks - 1 && fork())
		mine++;
	for (;;) {
		counters[mine]++;
		/* a sleep now and then, so that 200 of them leave room for the test */
		if (counters[mine] % 1000 == 0)
			usleep(1000);
	}
}
