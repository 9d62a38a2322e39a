// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_eventfd GO: a 64-bit count shared by two descriptors, and a semaphore; "ready",
 * and when the file GO exists, PASS if all is as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "res.h"

#define BIG   ((uint64_t)5 << 40 | 6) /* beyond what eventfd(2) takes */
#define OTHER 20

static int put(int fd, uint64_t n)
{
	return write(fd, &n, sizeof(n)) == sizeof(n) ? 0 : -1;
}

static uint64_t get(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

int main(int argc, char **argv)
{
	int count = eventfd(0, 0),
	    semaphore = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	int empty = eventfd(0, EFD_NONBLOCK);

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 2 && count >= 0 && semaphore >= 0 && empty >= 0);
	CHECK(dup2(count, OTHER) == OTHER);
	CHECK(!put(count, BIG) && !put(semaphore, 3));
	ready_and_wait(argv[1]);
	CHECK(fcntl(count, F_GETFL) == O_RDWR && fcntl(count, F_GETFD) == 0);
	CHECK(fcntl(semaphore, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fcntl(semaphore, F_GETFD) == FD_CLOEXEC);
	CHECK(get(count) == BIG);
	CHECK(!put(OTHER, 7) && get(count) == 7);
	for (int i = 0; i < 3; i++)
		CHECK(get(semaphore) == 1);
	CHECK(get(semaphore) == 0 && errno == EAGAIN);
	CHECK(get(empty) == 0 && errno == EAGAIN);
	return passed();
}
