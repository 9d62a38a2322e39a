// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_signalfd GO: a signalfd for the first and the last signal and SIGUSR1, which
 * waits in it; "ready", and when the file GO exists, PASS if all is as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "res.h"

static int next(int fd, struct signalfd_siginfo *info)
{
	return read(fd, info, sizeof(*info)) == sizeof(*info) ? (int)info->ssi_signo : -errno;
}

int main(int argc, char **argv)
{
	union sigval value = {.sival_int = 4711};
	struct signalfd_siginfo info;
	sigset_t all, mask;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 2);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR1);
	sigaddset(&mask, SIGRTMAX);
	fd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	raise(SIGUSR1);
	raise(SIGUSR2);
	ready_and_wait(argv[1]);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(next(fd, &info) == SIGUSR1 && (int)info.ssi_pid == getpid());
	/* SIGUSR2 is not for it */
	CHECK(next(fd, &info) == -EAGAIN);
	raise(SIGHUP);
	CHECK(next(fd, &info) == SIGHUP);
	CHECK(!sigqueue(getpid(), SIGRTMAX, value));
	CHECK(next(fd, &info) == SIGRTMAX && info.ssi_int == 4711);
	raise(SIGRTMAX - 1);
	raise(SIGINT);
	CHECK(next(fd, &info) == -EAGAIN);
	return passed();
}
