/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that a unit test looks at: they prepare themselves and sleep until they are ended. */
#ifndef FIRN_TESTS_CHILD_H
#define FIRN_TESTS_CHILD_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"

static inline void no_error(struct error *err)
{
	if (err)
		fail_msg("%s", error_message(err));
}

/* As fork(2). In the child, child_sleeps() is the last that is called, or _exit(2). */
static inline pid_t child_fork(int sync[2])
{
	pid_t pid;

	assert_int_equal(pipe2(sync, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
	return pid;
}

static inline _Noreturn void child_sleeps(const int sync[2])
{
	if (write(sync[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Until it sleeps; false: it has ended instead. */
static inline bool child_wait(const int sync[2])
{
	char c;
	bool sleeps;

	close(sync[1]);
	sleeps = read(sync[0], &c, 1) == 1;
	close(sync[0]);
	return sleeps;
}

static inline void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
