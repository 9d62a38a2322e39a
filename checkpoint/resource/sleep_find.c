// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a sleeping call of a stopped thread would end. No file says so: the thread is run into
 * its sleep and out again, and the one hrtimer that is in /proc/timer_list only in between is
 * its own.
 *
 * On a busy machine others' timers come and go meanwhile. And the list is not one moment's: the
 * kernel finds each entry anew by its number (print_active_timers() in kernel/time/timer_list.c),
 * so where an earlier one ends, the next is left out. Hence what one reading shows is believed only
 * if nothing else moves; otherwise the list is read more often, and the thread's timer is the one
 * that is there again and again while it sleeps, and never while it is stopped. Readings are cheap;
 * what takes long on a busy machine is that thread and tracer wait for a processor.
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
#include "util/clock.h"
#include "util/error.h"
#include "util/io.h"

#define ERESTART_RESTARTBLOCK 516
#define SYSCALL_STOP	      (SIGTRAP | 0x80)
#define TIMER_LIST_MAX	      (64 << 20)

#define READINGS     6
#define SIGHTINGS    3
#define READING_NS   (NSEC_PER_SEC / 1000)
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
	unsigned seen; /* while the thread slept, and */
	unsigned last; /* when it slept last */
	bool foreign;  /* seen while it was stopped */
};
typedef VEC(struct candidate) candidate_vec;

struct search {
	struct timers asleep, stopped; /* as read last */
	bool quiet;		       /* nothing moved while it slept */
	candidate_vec candidates;
	bool found;
};

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

/*
 * A task says that it sleeps before its timer is armed, and may lose its processor in between: then
 * the list lacks it, and looks like one that it never will be in. The kernel waits for who really
 * sleeps before it shows its call (task_current_syscall() in lib/syscall.c).
 */
static bool has_gone_to_sleep(pid_t tid)
{
	__cleanup_free char *call = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	return read_file(AT_FDCWD, path, 4096, &call, NULL) == 0 &&
	       strncmp(call, "running", strlen("running"));
}

/* *asleep is false if it does not get there: no processor for it, or the sleep is over. */
static int wait_asleep(pid_t tid, bool *asleep, struct error **err)
{
	struct timespec pause = {.tv_nsec = PAUSE_MIN_NS};
	int64_t until = now() + ASLEEP_NS;

	/* between the entry stop and the sleep there are microseconds */
	for (;;) {
		struct proc_stat s;
		int r = proc_stat(tid, 0, &s, err);

		*asleep = !r && s.state == 'S' && has_gone_to_sleep(tid);
		if (r || *asleep || s.state == 't' || now() > until)
			return r;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
}

static bool same(const expiry_vec *a, const expiry_vec *b)
{
	return a->count == b->count &&
	       (!a->count || !memcmp(a->items, b->items, a->count * sizeof(*a->items)));
}

static int count_sighting(candidate_vec *candidates, int64_t expiry)
{
	struct candidate *new;

	vec_for_each (c, candidates)
		if (c->expiry == expiry) {
			c->seen++;
			c->last++;
			return 0;
		}
	new = vec_add(candidates);
	if (!new)
		return -ENOMEM;
	*new = (struct candidate){.expiry = expiry, .seen = 1, .last = 1};
	return 0;
}

static int look_asleep(struct search *s, struct error **err)
{
	int r = read_timers(&s->asleep, err);

	vec_for_each (e, &s->asleep.wakeups)
		if (!r && count_sighting(&s->candidates, *e))
			r = error_errno(err, ENOMEM, "comparing timers");
	return r;
}

/* Twice if nothing moves, so that one stopped reading will do; else so often that skips do not
 * count. */
static int look_around(struct search *s, struct error **err)
{
	const struct timespec pause = {.tv_nsec = READING_NS};
	expiry_vec before;
	int r = look_asleep(s, err);

	if (r)
		return r;
	before = s->asleep.wakeups;
	s->asleep.wakeups = (expiry_vec){0};
	r = look_asleep(s, err);
	/* what has ended before we were through may have hidden the next */
	s->quiet = !r && same(&before, &s->asleep.wakeups) && s->asleep.first > s->asleep.read;
	vec_free(&before);
	for (int i = 2; !r && !s->quiet && i < READINGS; i++) {
		nanosleep(&pause, NULL);
		r = look_asleep(s, err);
	}
	return r;
}

/* Whether it slept all the time that the reading took. */
static int read_asleep(pid_t tid, struct search *s, bool *asleep, struct error **err)
{
	struct proc_stat stat;
	int r = wait_asleep(tid, asleep, err);

	if (r || !*asleep)
		return r;
	r = look_around(s, err);
	if (!r)
		r = proc_stat(tid, 0, &stat, err);
	*asleep = !r && stat.state == 'S';
	return r;
}

/* One run into the sleep and out of it. */
static int toggle(struct dump_thread *th, struct search *s, bool *asleep, struct error **err)
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
	r = read_asleep(th->tid, s, asleep, err);
	if (ptrace(PTRACE_INTERRUPT, th->tid, NULL, NULL))
		return error_errno(err, errno, "stopping task %d", th->tid);
	e = trace_wait_stop(th->tid, NULL, err);
	if (!e)
		e = trace_get_regs(th->tid, &th->regs, err);
	return r ? r : e;
}

/* Nothing but one timer less, which has not ended by itself. */
static bool one_gone(const struct timers *asleep, const struct timers *stopped, int64_t *expiry)
{
	size_t gone = 0;

	if (asleep->wakeups.count != stopped->wakeups.count + 1)
		return false;
	vec_for_each (e, &asleep->wakeups)
		if (!is_in(&stopped->wakeups, *e)) {
			*expiry = *e;
			gone++;
		}
	return gone == 1 && *expiry > stopped->read;
}

/* What has ended, one way or the other, while the thread sleeps on, was another's. */
static void forget_ended(candidate_vec *candidates, int64_t time)
{
	size_t n = 0;

	for (size_t i = 0; i < candidates->count; i++) {
		struct candidate *c = &candidates->items[i];

		if (c->expiry <= time || (!c->last && !c->foreign))
			continue;
		candidates->items[n] = *c;
		candidates->items[n++].last = 0;
	}
	candidates->count = n;
}

static bool one_stands_out(const candidate_vec *candidates, int64_t *expiry)
{
	unsigned found = 0, doubtful = 0;

	vec_for_each (c, candidates) {
		if (c->foreign || c->seen < 2)
			continue;
		if (c->seen < SIGHTINGS) {
			doubtful++;
			continue;
		}
		*expiry = c->expiry;
		found++;
	}
	return found == 1 && !doubtful;
}

static int look_stopped(struct search *s, int64_t *expiry, struct error **err)
{
	for (int i = 0; i < READINGS; i++) {
		int r = read_timers(&s->stopped, err);

		if (r)
			return r;
		s->found = s->quiet && one_gone(&s->asleep, &s->stopped, expiry);
		if (s->found)
			return 0;
		s->quiet = false;
		vec_for_each (c, &s->candidates)
			if (is_in(&s->stopped.wakeups, c->expiry))
				c->foreign = true;
	}
	forget_ended(&s->candidates, s->stopped.read);
	s->found = one_stands_out(&s->candidates, expiry);
	return 0;
}

static bool sleeps_on(const struct dump_thread *th)
{
	return (long)th->regs.rax == -ERESTART_RESTARTBLOCK;
}

static int search_once(struct search *s, struct dump_thread *th, int64_t *expiry,
		       struct error **err)
{
	bool asleep = false;
	int r = toggle(th, s, &asleep, err);

	return r || !sleeps_on(th) || !asleep ? r : look_stopped(s, expiry, err);
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
