// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_dates GO SECONDS: POSIX timers that are set to a date, and others that are set to a
 * time from now. "ready", and with the file GO "PASS" if those have their date and these
 * what they had left, though SECONDS have gone by in between.
 */
#include <signal.h>

#include "res.h"

#define HOUR 3600.0
#define SOON 2

static volatile sig_atomic_t rang;

static void ring(int sig)
{
	(void)sig;
	rang++;
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static timer_t make(clockid_t clock, int flags, double seconds, double interval)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	double value = seconds + (flags ? now(clock) : 0);
	struct itimerspec spec = {{interval, 0}, {value, (value - (time_t)value) * 1e9}};
	timer_t id;

	CHECK(!timer_create(clock, &event, &id) && !timer_settime(id, flags, &spec, NULL));
	/* those that expire at the same moment are not to be told apart */
	usleep(500);
	return id;
}

static double left(timer_t id)
{
	struct itimerspec spec;

	CHECK(!timer_gettime(id, &spec));
	return spec.it_value.tv_sec + spec.it_value.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double start = now(CLOCK_REALTIME), gone, pause;
	timer_t dates[3], relative;

	CHECK(argc == 3);
	pause = atof(argv[2]);
	signal(SIGUSR1, ring);
	dates[0] = make(CLOCK_REALTIME, TIMER_ABSTIME, HOUR, 0);
	dates[1] = make(CLOCK_TAI, TIMER_ABSTIME, HOUR, 0);
	dates[2] = make(CLOCK_REALTIME, TIMER_ABSTIME, HOUR, 7200);
	relative = make(CLOCK_REALTIME, 0, HOUR, 0);
	make(CLOCK_REALTIME, TIMER_ABSTIME, pause ? SOON : 0.001, 0);
	ready_and_wait(argv[1]);

	gone = now(CLOCK_REALTIME) - start;
	CHECK(gone > pause);
	for (int i = 0; i < 3; i++) {
		printf("%f left after %f\n", left(dates[i]), gone);
		CHECK(left(dates[i]) + gone > HOUR - 0.5 && left(dates[i]) + gone < HOUR + 0.5);
	}
	printf("%f left after %f\n", left(relative), gone);
	CHECK(left(relative) + gone > HOUR - 0.5 + pause && left(relative) < HOUR);
	CHECK(rang == 1);
	return passed();
}
