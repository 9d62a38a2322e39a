// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a sleeping call of a stopped thread would end. No file says so: the thread is run into
 * its sleep and out again, and the one hrtimer that is in /proc/timer_list only in between is
 * its own.
 *
 * On a busy machine others' timers come and go meanwhile. And the list is not one moment's: the
 * kernel finds each entry anew by its number (print_active_timers() in kernel/time/timer_list.c),
 * so where an earlier one ends, the next is left out. Hence what one toggle has shown is believed
 * only if nothing else moved; otherwise the thread's timer is the one that is there each time the
 * thread sleeps, always with the same expiry, and never while it is stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <time.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define ERESTART_RESTARTBLOCK 516
#define SYSCALL_STOP	      (SIGTRAP | 0x80)
#define NSEC_PER_SEC	      1000000000ll
#define TIMER_LIST_MAX	      (64 << 20)

#define SIGHTINGS    2
#define PATIENCE_NS  (20 * NSEC_PER_SEC)
#define ASLEEP_NS    NSEC_PER_SEC /* for a task that has to wait for a processor */
#define PAUSE_MIN_NS 20000
#define PAUSE_MAX_NS 1000000

typedef VEC(int64_t) expiry_vec;

struct timers {
	expiry_vec wakeups; /* sorted, each on its own clock: of those that will wake a task */
	int64_t first;	    /* expiry of all others, and */
	int64_t read;	    /* when we were through, both on CLOCK_MONOTONIC */
};

struct candidate {
	int64_t expiry;
	unsigned seen; /* while the thread slept */
	bool foreign;  /* seen while it was stopped */
};
typedef VEC(struct candidate) candidate_vec;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

static int compare_expiries(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* An entry is listed twice if another came before it meanwhile. */
static void sort(expiry_vec *v)
{
	size_t n = 0;

	if (v->count)
		qsort(v->items, v->count, sizeof(*v->items), compare_expiries);
	for (size_t i = 0; i < v->count; i++)
		if (!n || v->items[i] != v->items[n - 1])
			v->items[n++] = v->items[i];
	v->count = n;
}

static bool is_in(const expiry_vec *v, int64_t expiry)
{
	return v->count &&
	       bsearch(&expiry, v->items, v->count, sizeof(*v->items), compare_expiries);
}

static int parse(char *text, struct timers *t)
{
	bool wakeup = false;

	for (char *line = text; *line;) {
		char *end = strchrnul(line, '\n');
		long long soft, hard;

		if (*end)
			*end++ = '\0';
		if (sscanf(line, " # expires at %lld-%lld nsecs", &soft, &hard) == 2) {
			int64_t *e = wakeup ? vec_add(&t->wakeups) : &t->first;

			if (!e)
				return -ENOMEM;
			if (wakeup || soft < *e)
				*e = soft;
		}
		wakeup = strstr(line, "hrtimer_wakeup") != NULL;
		line = end;
	}
	sort(&t->wakeups);
	return 0;
}

static int read_timers(struct timers *t, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = read_file(AT_FDCWD, "/proc/timer_list", TIMER_LIST_MAX, &text, NULL);

	if (r) {
		error_errno(err, -r, "reading /proc/timer_list");
		return error_hint(err, "the time left in sleeping calls needs root outside");
	}
	t->read = now();
	t->wakeups.count = 0;
	t->first = INT64_MAX;
	r = parse(text, t);
	return r ? error_errno(err, -r, "reading /proc/timer_list") : 0;
}

/* *asleep is false if it does not get there: no processor for it, or the sleep is over. */
static int wait_asleep(pid_t tid, bool *asleep, struct error **err)
{
	struct timespec pause = {.tv_nsec = PAUSE_MIN_NS};
	int64_t until = now() + ASLEEP_NS;

	/* between the entry stop and the sleep there are microseconds */
	for (;;) {
		struct proc_stat s;
		int r = proc_stat(tid, &s, err);

		*asleep = !r && s.state == 'S';
		if (r || *asleep || s.state == 't' || now() > until)
			return r;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

/* Whether it slept all the time that the reading took. */
static int read_asleep(pid_t tid, struct timers *t, bool *asleep, struct error **err)
{
	struct proc_stat s;
	int r = wait_asleep(tid, asleep, err);

	if (r || !*asleep)
		return r;
	r = read_timers(t, err);
	if (!r)
		r = proc_stat(tid, &s, err);
	*asleep = !r && s.state == 'S';
	return r;
}

/* One run into the sleep and out of it. *t: what timer_list said in the middle, if it was asleep.
 */
static int toggle(struct dump_thread *th, struct timers *t, bool *asleep, struct error **err)
{
	int status, r, e;

	if (ptrace(PTRACE_SYSCALL, th->tid, NULL, NULL))
		return error_errno(err, errno, "running task %d", th->tid);
	r = trace_wait(th->tid, &status, err);
	if (r)
		return r;
	if (WSTOPSIG(status) != SYSCALL_STOP)
		return error_set(err, EPROTO, "task %d did not go on sleeping (status %#x)",
				 th->tid, status);
	/* a sleep that ends by itself stops at its end, not in the program */
	if (ptrace(PTRACE_SYSCALL, th->tid, NULL, NULL))
		return error_errno(err, errno, "running task %d", th->tid);
	r = read_asleep(th->tid, t, asleep, err);
	if (ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL))
		return error_errno(err, errno, "stopping task %d", th->tid);
	e = trace_wait_stop(th->tid, NULL, err);
	if (!e)
		e = trace_get_regs(th->tid, &th->regs, err);
	return r ? r : e;
}

/* Nothing but one timer less, and nothing that could have hidden one while it was read. */
static bool one_gone(const struct timers *asleep, const struct timers *stopped, int64_t *expiry)
{
	size_t gone = 0;

	if (asleep->first <= asleep->read || asleep->wakeups.count != stopped->wakeups.count + 1)
		return false;
	vec_for_each (e, &asleep->wakeups)
		if (!is_in(&stopped->wakeups, *e)) {
			*expiry = *e;
			gone++;
		}
	return gone == 1;
}

static int count_sighting(candidate_vec *candidates, int64_t expiry)
{
	struct candidate *new;

	vec_for_each (c, candidates)
		if (c->expiry == expiry) {
			c->seen++;
			return 0;
		}
	new = vec_add(candidates);
	if (!new)
		return -ENOMEM;
	*new = (struct candidate){.expiry = expiry, .seen = 1};
	return 0;
}

/* Whose time has passed while the thread sleeps on, was another's. */
static void forget_passed(candidate_vec *candidates, int64_t time)
{
	size_t n = 0;

	for (size_t i = 0; i < candidates->count; i++)
		if (candidates->items[i].expiry > time)
			candidates->items[n++] = candidates->items[i];
	candidates->count = n;
}

/* Those that are there only while it sleeps, but nobody that was ever there while it did not. */
static int compare(candidate_vec *candidates, const struct timers *asleep,
		   const struct timers *stopped)
{
	forget_passed(candidates, asleep->read);
	vec_for_each (e, &asleep->wakeups)
		if (!is_in(&stopped->wakeups, *e) && count_sighting(candidates, *e))
			return -ENOMEM;
	vec_for_each (c, candidates)
		if (is_in(&stopped->wakeups, c->expiry))
			c->foreign = true;
	return 0;
}

static bool one_stands_out(const candidate_vec *candidates, int64_t *expiry)
{
	unsigned most = 0, next = 0;

	vec_for_each (c, candidates) {
		if (c->foreign || c->seen <= next)
			continue;
		if (c->seen <= most) {
			next = c->seen;
			continue;
		}
		next = most;
		most = c->seen;
		*expiry = c->expiry;
	}
	return most >= next + SIGHTINGS;
}

struct search {
	struct timers asleep, stopped;
	candidate_vec candidates;
	bool found;
};

static bool sleeps_on(const struct dump_thread *th)
{
	return (long)th->regs.rax == -ERESTART_RESTARTBLOCK;
}

static int search_once(struct search *s, struct dump_thread *th, int64_t *expiry,
		       struct error **err)
{
	bool asleep = false;
	int r = toggle(th, &s->asleep, &asleep, err);

	if (r || !sleeps_on(th) || !asleep)
		return r;
	r = read_timers(&s->stopped, err);
	if (r)
		return r;
	s->found = one_gone(&s->asleep, &s->stopped, expiry);
	if (s->found)
		return 0;
	if (compare(&s->candidates, &s->asleep, &s->stopped))
		return error_errno(err, ENOMEM, "comparing timers");
	s->found = one_stands_out(&s->candidates, expiry);
	return 0;
}

int sleep_find_expiry(struct dump_thread *th, int64_t *expiry, struct error **err)
{
	struct search s = {0};
	int64_t until = now() + PATIENCE_NS;
	int r;

	do
		r = search_once(&s, th, expiry, err);
	while (!r && !s.found && sleeps_on(th) && now() < until);
	if (!r && !s.found && sleeps_on(th))
		r = error_set(err, EAGAIN,
			      "the time that task %d has left to sleep is not to be found",
			      th->rec.tid);
	vec_free(&s.asleep.wakeups);
	vec_free(&s.stopped.wakeups);
	vec_free(&s.candidates);
	return r;
}
