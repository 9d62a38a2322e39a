// SPDX-License-Identifier: GPL-2.0-only
/*
 * forker TASKS: about that many processes, each of which forks, exits and
 * computes in turns with short sleeps, so that there is always a fork under
 * way, and room for the test besides on an emulated machine.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static long *alive;

static void work(unsigned int seed)
{
	for (volatile unsigned int i = 0; i < 20000 + seed % 20000; i++)
		;
}

int main(int argc, char **argv)
{
	long limit = argc > 1 ? atol(argv[1]) : 200;
	unsigned int seed = 1;

	alive = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (alive == MAP_FAILED)
		return 1;
	*alive = 1;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (__atomic_add_fetch(alive, 1, __ATOMIC_SEQ_CST) <= limit) {
			pid_t pid = fork();

			if (pid == 0)
				seed = getpid();
			else if (pid < 0)
				__atomic_sub_fetch(alive, 1, __ATOMIC_SEQ_CST);
			continue;
		}
		__atomic_sub_fetch(alive, 1, __ATOMIC_SEQ_CST);
		seed = seed * 1103515245 + 12345;
		work(seed >> 16);
		usleep(20000 + (seed >> 16) % 100000);
		/* the init stays */
		if (seed >> 16 & 1 && getpid() != 1) {
			__atomic_sub_fetch(alive, 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
	}
}
