// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_timerfd GO SECONDS: timers of several kinds; "ready", and when the file GO
 * exists, PASS if all are as they were, and if SECONDS in which the program did not
 * exist were not taken off what they had left.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "res.h"

#define HOUR 3600

static time_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec;
}

/* seconds and milliseconds; negative: not armed */
static int timer(clockid_t clock, int flags, time_t value_s, long value_ms, time_t interval_s)
{
	struct itimerspec its = {{interval_s, 0}, {value_s, value_ms * 1000000}};
	int fd = timerfd_create(clock, TFD_NONBLOCK);

	if (fd >= 0 && value_s >= 0 && timerfd_settime(fd, flags, &its, NULL))
		return -1;
	return fd;
}

static long long left(int fd)
{
	struct itimerspec its = {0};

	timerfd_gettime(fd, &its);
	return its.it_value.tv_sec * 1000ll + its.it_value.tv_nsec / 1000000;
}

static uint64_t ticks(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static long interval(int fd)
{
	struct itimerspec its = {0};

	timerfd_gettime(fd, &its);
	return its.it_interval.tv_sec;
}

static unsigned settime_flags(int fd)
{
	char path[64], line[128];
	unsigned flags = ~0u;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "settime flags: %o", &flags);
	if (f)
		fclose(f);
	return flags;
}

int main(int argc, char **argv)
{
	struct timespec ms10 = {0, 10000000};
	int cancel = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	long long gap[4] = {0}, before[4], wall_end;
	struct pollfd p = {.events = POLLIN};
	int running[4], expired, periodic, never, wall, soon;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 3);
	running[0] = timer(CLOCK_MONOTONIC, 0, HOUR, 0, 0);
	running[1] = timer(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, now(CLOCK_MONOTONIC) + HOUR, 0, 7);
	running[2] = timer(CLOCK_BOOTTIME, 0, HOUR, 0, 9);
	running[3] = timer(CLOCK_REALTIME, 0, HOUR, 0, 0);
	expired = timer(CLOCK_MONOTONIC, 0, 0, 1, 0);
	periodic = timer(CLOCK_MONOTONIC, 0, 0, 1, 2 * HOUR);
	never = timer(CLOCK_MONOTONIC, 0, -1, 0, 0);
	wall_end = now(CLOCK_REALTIME) + HOUR;
	wall = timer(CLOCK_REALTIME, cancel, wall_end, 0, 0);
	for (int i = 0; i < 4; i++) {
		CHECK(running[i] >= 0);
		before[i] = left(running[i]);
	}
	CHECK(expired >= 0 && periodic >= 0 && never >= 0 && wall >= 0);
	for (p.fd = expired; poll(&p, 1, -1) != 1;)
		;
	for (p.fd = periodic; poll(&p, 1, -1) != 1;)
		;
	puts("ready");
	/* the longest leap that any of them made between two looks at it */
	while (access(argv[1], F_OK)) {
		nanosleep(&ms10, NULL);
		for (int i = 0; i < 4; i++) {
			long long l = left(running[i]);

			if (before[i] - l > gap[i])
				gap[i] = before[i] - l;
			before[i] = l;
		}
	}

	for (int i = 0; i < 4; i++) {
		printf("timer %d: %lld ms left, leap of %lld ms\n", i, before[i], gap[i]);
		CHECK(before[i] > 0 && before[i] <= HOUR * 1000ll);
		CHECK(gap[i] < atoi(argv[2]) * 1000ll);
		CHECK(!ticks(running[i]) && errno == EAGAIN);
		CHECK(fcntl(running[i], F_GETFL) == (O_RDWR | O_NONBLOCK));
	}
	CHECK(!interval(running[0]) && interval(running[1]) == 7 && interval(running[2]) == 9);
	CHECK(left(expired) == 0 && ticks(expired) == 1 && !ticks(expired));
	CHECK(left(periodic) > HOUR * 1000ll && interval(periodic) == 2 * HOUR);
	CHECK(ticks(periodic) == 1 && !ticks(periodic));
	CHECK(left(never) == 0 && !ticks(never));
	/* the wall clock went on meanwhile */
	CHECK(llabs(now(CLOCK_REALTIME) + left(wall) / 1000 - wall_end) <= 1);
	CHECK(settime_flags(wall) == (unsigned)cancel);
	/* and the clocks run */
	soon = timer(CLOCK_MONOTONIC, 0, 0, 1, 0);
	for (p.fd = soon; poll(&p, 1, -1) != 1;)
		;
	return passed();
}
