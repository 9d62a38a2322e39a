// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_tree GO STEP...: makes a tree of processes by steps, in which processes have numbers from 1
 * (the program itself) to 9: "1f2", process 1 forks process 2; "1c2", and they have the same
 * descriptors; "2u", it has them for itself from now on; "2s", it makes itself a session; "2r" and
 * "2R", it becomes a subreaper and is one no more; "2x", it ends. Each that is left has its parent
 * and its session when GO exists, and shares descriptors with whom it did, or says FAIL.
 */
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "res.h"

#define PROCESSES 10

static struct {
	atomic_int step;
	struct {
		pid_t pid;
		atomic_int state;
	} is[PROCESSES];
} * all;

enum { GONE, THERE, SEEN, SAME };

static char **steps;
static int count;
static const char *go;

static void wait_a_little(void)
{
	struct timespec ms = {0, 1000000};

	nanosleep(&ms, NULL);
}

/* Who is forked goes on as another one, which this returns. */
static int take_step(int self, const char *step)
{
	int child = step[2] - '0';
	pid_t pid;

	switch (step[1]) {
	case 'f':
	case 'c':
		pid = step[1] == 'f' ? fork()
				     : syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
		CHECK(pid >= 0);
		if (pid)
			return self;
		all->is[child].pid = getpid();
		all->is[child].state = THERE;
		return child;
	case 'u':
		CHECK(!unshare(CLONE_FILES));
		return self;
	case 's':
		CHECK(setsid() > 0);
		return self;
	case 'r':
	case 'R':
		CHECK(!prctl(PR_SET_CHILD_SUBREAPER, step[1] == 'r'));
		return self;
	default:
		CHECK(step[1] == 'x');
		all->is[self].state = GONE;
		_exit(0);
	}
}

/* What is forked is there; who ends is gone, and has left its children to another one. */
static bool is_over(const char *step)
{
	if (step[1] == 'x')
		return kill(all->is[step[0] - '0'].pid, 0) && errno == ESRCH;
	return (step[1] != 'f' && step[1] != 'c') || all->is[step[2] - '0'].state == THERE;
}

/* One after the other, each by whose step it is. That one has ended is seen by the first process.
 */
static int take_steps(void)
{
	int self = 1;

	for (int i = 0; i < count; i++) {
		int actor = steps[i][0] - '0', was = self;

		if (actor == self)
			self = take_step(self, steps[i]);
		while (all->step == i) {
			if (self == was && self == (steps[i][1] == 'x' ? 1 : actor) &&
			    is_over(steps[i]))
				all->step = i + 1;
			else
				wait_a_little();
		}
	}
	return self;
}

static void wait_for_all(int state)
{
	for (int i = 2; i < PROCESSES; i++)
		while (all->is[i].state != GONE && all->is[i].state != state)
			wait_a_little();
}

/* With whom it has its descriptors: bit n, process n. */
static unsigned sharers(void)
{
	unsigned found = 0;

	for (int i = 1; i < PROCESSES; i++)
		if (all->is[i].state != GONE &&
		    !syscall(SYS_kcmp, getpid(), all->is[i].pid, KCMP_FILES, 0, 0))
			found |= 1u << i;
	return found;
}

static void play(int self)
{
	pid_t parent = getppid(), session = getsid(0);
	unsigned with = sharers();

	all->is[self].state = SEEN;
	while (access(go, F_OK))
		wait_a_little();
	CHECK(getppid() == parent && getsid(0) == session && sharers() == with);
	all->is[self].state = SAME;
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	pid_t session;
	int self;

	CHECK(argc > 2);
	go = argv[1];
	steps = argv + 2;
	count = argc - 2;
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(all != MAP_FAILED);
	all->is[1].pid = getpid();
	all->is[1].state = THERE;
	signal(SIGCHLD, SIG_IGN); /* who ends is no zombie of anybody's */
	self = take_steps();
	if (self != 1)
		play(self);
	session = getsid(0);
	wait_for_all(SEEN);
	ready_and_wait(go);
	CHECK(getsid(0) == session);
	wait_for_all(SAME);
	return passed();
}
