// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timer descriptors. Relative ones keep the time they had left at the beginning
 * of the checkpoint; an absolute time of day stays one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/io.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, __u64)
#endif

static bool matches(const struct description *d)
{
	return !strcmp(d->link, "anon_inode:[timerfd]");
}

static uint64_t to_ns(struct timespec ts)
{
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts = {0};

	clock_gettime(clock, &ts);
	return to_ns(ts);
}

static bool is_wall_clock(uint32_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

static int parse(struct ckpt_timerfd *rec, const char *fdinfo)
{
	const char *clock = fdinfo_find(fdinfo, "clockid");
	const char *ticks = fdinfo_find(fdinfo, "ticks");
	const char *flags = fdinfo_find(fdinfo, "settime flags");

	if (!clock || !ticks || !flags)
		return -EOPNOTSUPP;
	rec->clockid = strtoul(clock, NULL, 10);
	rec->ticks = strtoull(ticks, NULL, 10);
	rec->settime_flags = strtoul(flags, NULL, 8);
	return 0;
}

/* To what it was at begin: expirations counted since then are still to come. */
static void go_back(struct ckpt_timerfd *rec, uint64_t elapsed)
{
	uint64_t since = 0;

	rec->value += elapsed;
	if (rec->interval && rec->ticks)
		since = (rec->value - 1) / rec->interval;
	/* some may have been read before the freeze */
	if (since > rec->ticks)
		since = rec->ticks;
	rec->ticks -= since;
	rec->value -= since * rec->interval;
}

static int timerfd_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct ckpt_timerfd rec = {.id = d->id, .open_flags = d->open_flags};
	__cleanup_free char *fdinfo = NULL;
	struct itimerspec left;
	int r;

	/* gettime first: it brings a periodic timer that has expired to its next expiry, and
	 * counts */
	if (timerfd_gettime(d->fd, &left))
		return error_errno(err, errno, "reading a timerfd");
	r = proc_read(&fdinfo, NULL, "self/fdinfo/%d", d->fd);
	if (!r)
		r = parse(&rec, fdinfo);
	if (r)
		return error_errno(err, -r, "reading a timerfd");
	rec.interval = to_ns(left.it_interval);
	rec.value = to_ns(left.it_value);
	if (rec.value && is_wall_clock(rec.clockid) && rec.settime_flags & TFD_TIMER_ABSTIME)
		rec.value += now(CLOCK_REALTIME);
	else if (rec.value)
		go_back(&rec, now(CLOCK_MONOTONIC) - c->begin_host_monotonic);
	if (!record_add(&c->records, CKPT_TIMERFD, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a timerfd");
	return 0;
}

static int timerfd_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_timerfd *rec = o->rec;

	if (o->tail_len || rec->settime_flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) ||
	    rec->clockid > CLOCK_BOOTTIME_ALARM || rec->value > INT64_MAX ||
	    rec->interval > INT64_MAX)
		return error_set(err, EBADMSG, "timerfd %u is malformed", o->id);
	return 0;
}

static int timerfd_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_timerfd *rec = o->rec;

	o->fd = timerfd_create(rec->clockid, TFD_CLOEXEC);
	if (o->fd < 0)
		return error_errno(err, errno, "making a timerfd of clock %u", rec->clockid);
	return files_set_flags(o->fd, rec->open_flags, err);
}

static int timerfd_arm(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_timerfd *rec = o->rec;
	struct itimerspec its = {to_timespec(rec->interval), to_timespec(rec->value)};
	int flags = is_wall_clock(rec->clockid) ? rec->settime_flags : 0;

	if ((rec->value || rec->interval) && timerfd_settime(o->fd, flags, &its, NULL))
		return error_errno(err, errno, "arming a timerfd");
	/* arming has cleared them */
	if (rec->ticks && ioctl(o->fd, TFD_IOC_SET_TICKS, &rec->ticks))
		return error_errno(err, errno, "setting a timerfd's expirations");
	return 0;
}

const struct file_kind file_kind_timerfd = {
	.type = CKPT_TIMERFD,
	.size = sizeof(struct ckpt_timerfd),
	.matches = matches,
	.dump = timerfd_dump,
	.load = timerfd_load,
	.open = timerfd_open,
	.arm = timerfd_arm,
};
