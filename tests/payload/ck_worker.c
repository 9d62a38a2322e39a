// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_worker: three processes of two threads that compute without system calls, sleep,
 * and check what they hold in all of their registers. Each counts in 8 bytes of
 * /tmp/counts; the seventh number counts whatever went wrong.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "ck.h"

#define WORKERS 6

static volatile long *counts;

static void wrong(void)
{
	__atomic_add_fetch(&counts[WORKERS], 1, __ATOMIC_SEQ_CST);
}

/* Whoever changes a register, or returns an error from a sleep, is caught here. */
static void *work(void *arg)
{
	long self = (long)arg;
	struct timespec pause = {.tv_nsec = 2000000};

	for (;;) {
		unsigned long a = self, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;

		for (int i = 0; i < 100000; i++)
			__asm__ volatile("add %1, %0; add %2, %1; add %3, %2; add %4, %3\n\t"
					 "add %5, %4; add %6, %5; add %7, %6; add $1, %7"
					 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f),
					   "+r"(g), "+r"(h));
		if (h != 8 + 100000ul || g != 7 + 8 * 100000ul + 100000ul * 99999 / 2)
			wrong();
		counts[self]++;
		if (self % 2 && nanosleep(&pause, NULL))
			wrong();
	}
	return NULL;
}

int main(void)
{
	int fd = open("/tmp/counts", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	pthread_t thread;
	long process = 0;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	while (process < WORKERS / 2 - 1 && fork())
		process++;
	pthread_create(&thread, NULL, work, (void *)(process * 2 + 1));
	if (process == WORKERS / 2 - 1)
		ck_ready();
	work((void *)(process * 2));
}
