// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interval timers and POSIX timers. What is left of them is recorded as of the
 * beginning of the checkpoint, and armed last.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/resource.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/io.h"

#define ITIMERS		      3
#define TIMERS_MAX	      65536 /* of a process; RLIMIT_SIGPENDING ends earlier */
#define TIMER_ID_MAX	      65536 /* that is reached by making timers one after the other */
#define TIMER_RESTORE_IDS     77    /* PR_TIMER_CREATE_RESTORE_IDS, Linux 6.15 */
#define TIMER_RESTORE_IDS_OFF 0
#define TIMER_RESTORE_IDS_ON  1

static uint64_t monotonic_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* What was left at begin, of what was read at read_at. One that fired since has its signal pending
 * already. */
static uint64_t left_at_begin(const struct checkpoint *c, uint64_t read_at, uint64_t left,
			      uint64_t interval)
{
	uint64_t total = left + (read_at - c->begin_host_monotonic);

	if (!left)
		return 0;
	return interval && total > interval ? (left > interval ? left : interval) : total;
}

/* --- interval timers --- */

static void timers_ask(struct dump_task *t, struct questions *q)
{
	for (unsigned i = 0; i < ITIMERS; i++)
		ask_call(q, SYS_getitimer, i, ask_room(q, sizeof(struct itimerval)));
}

static int dump_itimers(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct remote_call *calls = answers_of(t, &resource_timers);
	struct ckpt_itimer rec[ITIMERS];

	for (unsigned i = 0; i < ITIMERS; i++) {
		const struct itimerval *found = answer_data(&t->answers, calls[i].args[1]);

		if (calls[i].ret)
			return error_errno(err, -calls[i].ret, "reading interval timer %u", i);
		rec[i].interval = found->it_interval.tv_sec * NSEC_PER_SEC +
				  found->it_interval.tv_usec * 1000;
		rec[i].value =
			found->it_value.tv_sec * NSEC_PER_SEC + found->it_value.tv_usec * 1000;
	}
	/* the other two count CPU time, which stands */
	rec[ITIMER_REAL].value = left_at_begin(c, t->answers.monotonic, rec[ITIMER_REAL].value,
					       rec[ITIMER_REAL].interval);
	if (!record_add(&t->records, CKPT_ITIMERS, rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording interval timers");
	return 0;
}

static struct timeval to_timeval(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000; /* what is not zero does not become it */

	return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static int arm_itimers(struct restore_task *t, const struct ckpt_itimer *rec, struct error **err)
{
	struct itimerval *value = remote_data(&t->remote);
	struct remote_call *calls = remote_calls(&t->remote);
	unsigned count = 0;
	int r;

	for (unsigned i = 0; i < ITIMERS; i++) {
		if (!rec[i].value && !rec[i].interval)
			continue;
		value[i].it_interval = to_timeval(rec[i].interval);
		value[i].it_value = to_timeval(rec[i].value);
		remote_set(&calls[count], SYS_setitimer, i,
			   remote_data_address(&t->remote) + i * sizeof(*value), 0);
		count++;
	}
	r = count ? remote_run(&t->remote, 0, count, err) : 0;
	for (unsigned i = 0; !r && i < count; i++)
		if (calls[i].ret)
			return error_errno(err, -calls[i].ret, "setting an interval timer");
	return r;
}

/* --- POSIX timers: a checkpoint --- */

typedef VEC(struct ckpt_posix_timer) timer_vec;

/*
 * A timer that was set to a date is not to be told from one that was set to the same time
 * from then, but by where the kernel keeps it: those wait on the clock of dates, the others
 * on the monotonic one (common_hrtimer_arm() in kernel/time/posix-timers.c).
 */
struct date {
	int clock;
	uint64_t expiry;
};
typedef VEC(struct date) date_vec;

/* By number of the base; those from 4 are the same that expire in softirqs. */
static const int base_clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI};

/* Of all POSIX timers of the system; without the right to read them, none. */
static int read_dates(date_vec *dates, struct error **err)
{
	__cleanup_free char *text = NULL;
	int clock = CLOCK_MONOTONIC, index;
	bool is_timer = false;
	char *rest, *line;

	if (proc_read(&text, NULL, "timer_list"))
		return 0;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		unsigned long long expiry;
		struct date *date;

		if (sscanf(line, " .index: %d", &index) == 1)
			clock = base_clocks[index & 3];
		else if (strstr(line, ">, "))
			is_timer = strstr(line, ">, posix_timer_fn,");
		else if (is_timer && sscanf(line, " # expires at %llu", &expiry) == 1) {
			date = vec_add(dates);
			if (!date)
				return error_errno(err, ENOMEM, "listing timers");
			*date = (struct date){clock, expiry};
		}
	}
	return 0;
}

static int parse_notify(const struct dump_task *t, const char *how, const char *whom, int tid,
			struct ckpt_posix_timer *timer)
{
	timer->notify = !strcmp(how, "signal") ? SIGEV_SIGNAL
			: !strcmp(how, "none") ? SIGEV_NONE
					       : SIGEV_THREAD;
	if (strcmp(whom, "tid"))
		return 0;
	timer->notify |= SIGEV_THREAD_ID;
	vec_for_each (th, &t->threads) {
		if (th->tid != tid)
			continue;
		timer->notify_tid = th->rec.tid;
		return 0;
	}
	if (!t->exited.tid || t->exited.tid != tid)
		return -ESRCH;
	timer->notify_tid = t->rec.pid;
	return 0;
}

/* /proc/PID/timers, see proc_pid_timers(5); notify names the thread as we know it. */
static int read_timers(struct dump_task *t, timer_vec *timers, struct error **err)
{
	struct ckpt_posix_timer *timer = NULL;
	__cleanup_free char *text = NULL;
	char *rest, *line;
	int r = proc_read(&text, NULL, "%d/timers", t->pid);

	if (r)
		return error_errno(err, -r, "reading /proc/%d/timers", t->pid);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		unsigned long long value;
		char how[16], whom[8];
		int number;

		if (sscanf(line, "ID: %d", &number) == 1) {
			timer = vec_add(timers);
			if (!timer)
				return error_errno(err, ENOMEM, "listing timers");
			timer->id = number;
		} else if (!timer) {
			continue;
		} else if (sscanf(line, "signal: %d/%llx", &number, &value) == 2) {
			timer->signo = number;
			timer->sigev_value = value;
		} else if (sscanf(line, "notify: %15[^/]/%7[^.].%d", how, whom, &number) == 3) {
			r = parse_notify(t, how, whom, number, timer);
			if (r)
				return error_errno(err, -r, "finding the thread of timer %u",
						   timer->id);
		} else if (sscanf(line, "ClockID: %d", &number) == 1) {
			timer->clockid = number;
		}
	}
	return 0;
}

static bool is_cpu_clock(int32_t clockid)
{
	return clockid < 0 || clockid == CLOCK_PROCESS_CPUTIME_ID ||
	       clockid == CLOCK_THREAD_CPUTIME_ID;
}

static uint64_t to_ns(const struct timespec *ts)
{
	return ts->tv_sec * NSEC_PER_SEC + ts->tv_nsec;
}

static uint64_t clock_now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return to_ns(&ts);
}

#define DATE_SLACK 2000 /* of two clocks that are read one after the other */

/*
 * Its date, if it has one. from and to are when it had value left: of the timers that
 * expire then the one that fits best is it, and may be one without a date.
 */
static uint64_t find_date(const date_vec *dates, const struct ckpt_posix_timer *timer,
			  uint64_t from, uint64_t to)
{
	uint64_t ahead = clock_now(timer->clockid) - clock_now(CLOCK_MONOTONIC);
	uint64_t middle = from / 2 + to / 2 + timer->value;
	uint64_t best = (to - from) / 2 + DATE_SLACK, date = 0;

	vec_for_each (d, dates) {
		bool dated = d->clock == (int)timer->clockid;
		uint64_t expiry = dated ? d->expiry : d->expiry + ahead;
		uint64_t off = expiry > middle ? expiry - middle : middle - expiry;

		if ((!dated && d->clock != CLOCK_MONOTONIC) || off >= best)
			continue;
		best = off;
		date = dated ? d->expiry : 0;
	}
	return date;
}

static bool may_have_date(const struct ckpt_posix_timer *timer)
{
	return timer->clockid == CLOCK_REALTIME || timer->clockid == CLOCK_TAI;
}

struct timer_data {
	struct itimerspec value;
	struct timespec from, to;
};

static int read_timer(struct checkpoint *c, struct dump_task *t, const date_vec *dates,
		      struct ckpt_posix_timer *timer, struct error **err)
{
	const struct timer_data *data = remote_data(&t->remote);
	struct remote_call *calls = remote_calls(&t->remote);
	clockid_t clock = may_have_date(timer) ? (clockid_t)timer->clockid : CLOCK_MONOTONIC;
	uint64_t at = remote_data_address(&t->remote), date = 0;
	int r;

	remote_set(&calls[0], SYS_clock_gettime, clock, at + offsetof(struct timer_data, from));
	remote_set(&calls[1], SYS_timer_gettime, timer->id, at);
	remote_set(&calls[2], SYS_clock_gettime, clock, at + offsetof(struct timer_data, to));
	remote_set(&calls[3], SYS_timer_getoverrun, timer->id);
	r = remote_run(&t->remote, 0, 4, err);
	if (r)
		return r;
	if (calls[1].ret)
		return error_errno(err, -calls[1].ret, "reading timer %u", timer->id);
	timer->overrun = calls[3].ret > 0 ? calls[3].ret : 0;
	timer->interval = to_ns(&data->value.it_interval);
	timer->value = to_ns(&data->value.it_value);
	if (may_have_date(timer) && timer->value)
		date = find_date(dates, timer, to_ns(&data->from), to_ns(&data->to));
	if (date) {
		timer->notify |= CKPT_TIMER_DATE;
		timer->value = date;
		return 0;
	}
	if (!is_cpu_clock(timer->clockid))
		timer->value = left_at_begin(c, monotonic_now(), timer->value, timer->interval);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct ckpt_posix_timer *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int dump_posix(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	timer_vec timers = {0};
	date_vec dates = {0};
	bool some = false;
	int r = read_timers(t, &timers, err);

	vec_for_each (timer, &timers)
		some |= may_have_date(timer);
	if (!r && some)
		r = read_dates(&dates, err);
	for (size_t i = 0; !r && i < timers.count; i++)
		r = read_timer(c, t, &dates, &timers.items[i], err);
	vec_free(&dates);
	/* newest first there; ids that count up are what older kernels can restore */
	if (timers.count)
		qsort(timers.items, timers.count, sizeof(*timers.items), by_id);
	if (!r && timers.count &&
	    !record_add(&t->records, CKPT_POSIX_TIMERS, timers.items,
			timers.count * sizeof(*timers.items)))
		r = error_errno(err, ENOMEM, "recording timers");
	vec_free(&timers);
	return r;
}

static int timers_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (!t)
		return 0;
	r = dump_itimers(c, t, err);
	if (!r)
		r = dump_posix(c, t, err);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

/* --- POSIX timers: a restore --- */

static void set_event(const struct restore_task *t, const struct ckpt_posix_timer *timer)
{
	/* the kernel's struct sigevent, then the id that is wanted or was given */
	struct sigevent *event = remote_data(&t->remote);
	int *id = (int *)(event + 1);

	memset(event, 0, sizeof(*event));
	event->sigev_value.sival_ptr = (void *)(uintptr_t)timer->sigev_value;
	event->sigev_signo = timer->signo;
	event->sigev_notify = timer->notify & ~CKPT_TIMER_DATE;
	event->_sigev_un._tid = timer->notify_tid;
	*id = timer->id;
}

static int create_one(struct restore_task *t, const struct ckpt_posix_timer *timer, int *id,
		      struct error **err)
{
	uint64_t address = remote_data_address(&t->remote);
	long ret;
	int r;

	set_event(t, timer);
	r = remote_syscall(&t->remote, err, "timer_create", &ret, SYS_timer_create, timer->clockid,
			   address, address + sizeof(struct sigevent), 0, 0, 0);
	if (r)
		return r;
	if (ret)
		return error_errno(err, -ret, "making timer %u", timer->id);
	*id = *(int *)((struct sigevent *)remote_data(&t->remote) + 1);
	return 0;
}

/*
 * Ids only count up in older kernels: make and delete timers until it is this
 * one's turn. With PR_TIMER_CREATE_RESTORE_IDS the first one is right.
 */
static int create_timer(struct restore_task *t, const struct ckpt_posix_timer *timer,
			struct error **err)
{
	int id = -1;

	for (unsigned tries = 0; tries <= TIMER_ID_MAX; tries++) {
		int r = create_one(t, timer, &id, err);

		if (r || id == (int)timer->id)
			return r;
		r = remote_syscall(&t->remote, err, "timer_delete", NULL, SYS_timer_delete, id, 0,
				   0, 0, 0, 0);
		if (r)
			return r;
		if (id > (int)timer->id)
			break;
	}
	return error_set(err, EOPNOTSUPP,
			 "timer %u cannot have its id back (the kernel gave %d); Linux 6.15 can",
			 timer->id, id);
}

static int arm_timer(struct restore_task *t, const struct ckpt_posix_timer *timer,
		     struct error **err)
{
	struct itimerspec *value = remote_data(&t->remote);

	value->it_interval.tv_sec = timer->interval / NSEC_PER_SEC;
	value->it_interval.tv_nsec = timer->interval % NSEC_PER_SEC;
	value->it_value.tv_sec = timer->value / NSEC_PER_SEC;
	value->it_value.tv_nsec = timer->value % NSEC_PER_SEC;
	return remote_syscall(&t->remote, err, "timer_settime", NULL, SYS_timer_settime, timer->id,
			      timer->notify & CKPT_TIMER_DATE ? TIMER_ABSTIME : 0,
			      remote_data_address(&t->remote), 0, 0, 0);
}

static int restore_ids(struct restore_task *t, int mode, struct error **err)
{
	long ret; /* failure is an older kernel's answer */

	return remote_syscall(&t->remote, err, "prctl", &ret, SYS_prctl, TIMER_RESTORE_IDS, mode, 0,
			      0, 0, 0);
}

static int arm_posix(struct restore_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_posix_timer *timers = rec->data;
	size_t count = rec->len / sizeof(*timers);
	int r = restore_ids(t, TIMER_RESTORE_IDS_ON, err);

	for (size_t i = 0; !r && i < count; i++)
		r = create_timer(t, &timers[i], err);
	if (!r)
		r = restore_ids(t, TIMER_RESTORE_IDS_OFF, err);
	for (size_t i = 0; !r && i < count; i++)
		if (timers[i].value)
			r = arm_timer(t, &timers[i], err);
	return r;
}

/* One on CLOCK_THREAD_CPUTIME_ID is its maker's, and goes with it: a thread that stays makes all.
 */
static int arm_posix_staying(struct restore_task *t, const struct record *rec, struct error **err)
{
	pid_t first = t->remote.tid;
	int r;

	t->remote.tid = t->threads.items[0].tid;
	r = arm_posix(t, rec, err);
	t->remote.tid = first;
	return r;
}

/*
 * Actions come first: to set one of a signal that is ignored empties the queues of all
 * threads. Timers are last: a timer's own signal that waits has the count of those that
 * were not queued besides it.
 */
static int arm_by_kernel(struct restore *r, struct restore_task *t, struct error **err)
{
	static const uint32_t signals[] = {CKPT_SIGACTIONS, CKPT_SIGPENDING, 0};
	static const uint32_t timers[] = {CKPT_ITIMERS, CKPT_POSIX_TIMERS, 0};
	__cleanup_buf struct buf last = {0};
	int ret = 0;

	vec_for_each (th, &t->threads) {
		__cleanup_buf struct buf stream = {0};

		if (!ret)
			ret = kernel_add_records(&stream, t, th, signals, err);
		if (!ret)
			ret = kernel_restart(r, t, th, KERNEL_CLASS(SIGNALS), &stream, err);
	}
	if (!ret)
		ret = kernel_add_records(&last, t, t->threads.items, timers, err);
	return ret ? ret : kernel_restart(r, t, NULL, KERNEL_CLASS(TIMERS), &last, err);
}

/* All threads are there now, and no limit is yet. */
static int timers_arm(struct restore *r, struct restore_task *none, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks) {
		if (t->rec->state != CKPT_TASK_ZOMBIE && kernel_arms(r, t)) {
			ret = arm_by_kernel(r, t, err);
			if (ret)
				return ret;
			continue;
		}
		vec_for_each (rec, &t->more) {
			if (rec->type == CKPT_ITIMERS)
				ret = arm_itimers(t, rec->data, err);
			else if (rec->type == CKPT_POSIX_TIMERS)
				ret = arm_posix_staying(t, rec, err);
			if (ret)
				return error_wrap(err, "process %u", t->rec->pid);
		}
	}
	return 0;
}

static const char *timer_fault(const struct ckpt_posix_timer *timers, size_t i)
{
	const struct ckpt_posix_timer *timer = &timers[i];

	if (timer->id > INT32_MAX)
		return "has an impossible id";
	/* ids only count up in the fallback of create_timer() */
	if (i && timer->id <= timers[i - 1].id)
		return "is out of order";
	if (timer->notify & CKPT_TIMER_DATE && !may_have_date(timer))
		return "has a date on a clock without any";
	if (timer->notify & ~(CKPT_TIMER_DATE | SIGEV_NONE | SIGEV_THREAD | SIGEV_THREAD_ID) ||
	    timer->signo > 64)
		return "has an impossible notification";
	return NULL;
}

static int check_posix(const struct record *rec, struct error **err)
{
	const struct ckpt_posix_timer *timers = rec->data;
	size_t count = rec->len / sizeof(*timers);

	if (rec->len % sizeof(*timers) || count > TIMERS_MAX)
		return error_set(err, EBADMSG, "timers that cannot be");
	for (size_t i = 0; i < count; i++) {
		const char *fault = timer_fault(timers, i);

		if (fault)
			return error_set(err, EBADMSG, "timer %u %s", timers[i].id, fault);
	}
	return 0;
}

static int timers_load(struct restore *r, struct restore_task *t, const struct record *rec,
		       struct error **err)
{
	struct record *more;
	int ret = 0;

	if (!t)
		return error_set(err, EBADMSG, "timers of no process");
	if (rec->type == CKPT_POSIX_TIMERS)
		ret = check_posix(rec, err);
	else if (!record_head(rec, ITIMERS * sizeof(struct ckpt_itimer), err))
		ret = -EBADMSG;
	if (ret)
		return error_wrap(err, "process %u", t->rec->pid);
	more = vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading timers");
	*more = *rec;
	return 0;
}

static const enum ckpt_type timers_types[] = {CKPT_ITIMERS, CKPT_POSIX_TIMERS, 0};

static const char *const timers_not_captured[] = {
	"the overrun count of a POSIX timer whose signal is pending",
	"whether a POSIX timer on CLOCK_REALTIME or CLOCK_TAI was set to a date, if its signal is "
	"pending or another timer expires within the same microseconds",
	"which thread's CPU time a POSIX timer on CLOCK_THREAD_CPUTIME_ID counts: that of the "
	"first one, or of another one if that has exited",
	NULL,
};

static int timers_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	return t ? kernel_take(t, timers_types, err) : 0;
}

const struct resource_class resource_timers = {
	.name = "timers",
	.version = 1,
	.types = timers_types,
	.dump = timers_dump,
	.ask = timers_ask,
	.kernel = KERNEL_CLASS(TIMERS),
	.adopt = timers_adopt,
	.load = timers_load,
	.restore = {[STAGE_ARM] = timers_arm},
	.not_captured = timers_not_captured,
};
