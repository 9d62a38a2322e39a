// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_clock GO MILLISECONDS: looks at CLOCK_MONOTONIC and CLOCK_BOOTTIME all the time. "ready",
 * and with the file GO "PASS" if they never went back, nor on by more than that at once.
 */
#include "res.h"

static long now(clockid_t clock)
{
	struct timespec t;

	CHECK(!clock_gettime(clock, &t));
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void look(clockid_t clock, long *last, long *jump)
{
	long reading = now(clock);

	CHECK(!*last || reading >= *last);
	if (*last && reading - *last > *jump)
		*jump = reading - *last;
	*last = reading;
}

int main(int argc, char **argv)
{
	long monotonic = 0, boottime = 0, jump = 0;
	struct timespec ms5 = {0, 5000000};

	CHECK(argc == 3);
	puts("ready");
	fflush(stdout);
	while (access(argv[1], F_OK)) {
		look(CLOCK_MONOTONIC, &monotonic, &jump);
		look(CLOCK_BOOTTIME, &boottime, &jump);
		nanosleep(&ms5, NULL);
	}
	printf("at most %ld ms at once\n", jump);
	CHECK(jump <= atol(argv[2]));
	return passed();
}
