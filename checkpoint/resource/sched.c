// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a thread is scheduled: policy, priority, nice, deadlines, clamps, processors, I/O
 * priority; its personality; and of a process the nice value of its session's group
 * (autogroup, sched(7)). Timer slack, personality and the policy of its memory are set
 * with what else the thread does for itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CPU_BYTES_MAX 1024 /* 8192 processors */
#define CLAMPS	      (SCHED_FLAG_UTIL_CLAMP_MIN | SCHED_FLAG_UTIL_CLAMP_MAX)

static int get_attr(pid_t tid, struct sched_attr *attr, struct error **err)
{
	*attr = (struct sched_attr){.size = sizeof(*attr)};
	if (syscall(SYS_sched_getattr, tid, attr, sizeof(*attr), 0))
		return error_errno(err, errno, "reading the scheduling of task %d", tid);
	return 0;
}

/* --- a checkpoint --- */

/* Bytes of the mask; 0 if the thread may run anywhere: then it may after the restore as well. */
static int read_cpus(struct checkpoint *c, pid_t tid, uint8_t mask[CPU_BYTES_MAX],
		     struct error **err)
{
	long n = syscall(SYS_sched_getaffinity, tid, CPU_BYTES_MAX, mask), set = 0;

	if (!c->cpus_online)
		c->cpus_online = sysconf(_SC_NPROCESSORS_ONLN); /* of a file of /sys */
	if (n < 0)
		return error_errno(err, errno, "reading the processors of task %d", tid);
	for (long i = 0; i < n; i++)
		set += __builtin_popcount(mask[i]);
	return set >= c->cpus_online ? 0 : n;
}

int sched_read_personality(pid_t pid, pid_t tid, uint32_t *value, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = proc_read(&text, NULL, "%d/task/%d/personality", pid, tid);

	if (r)
		return error_errno(err, -r, "reading the personality of task %d", tid);
	*value = strtoul(text, NULL, 16);
	return 0;
}

/* "/autogroup-12 nice 0"; there is none on kernels without. */
static int32_t read_autogroup(pid_t pid)
{
	__cleanup_free char *text = NULL;
	const char *at = proc_read(&text, NULL, "%d/autogroup", pid) ? NULL : strstr(text, "nice ");

	return at ? atoi(at + 5) : CKPT_NO_AUTOGROUP;
}

/* Of all processes of a session it is the same; of sessions from outside, 0, that is not known. */
static int32_t find_autogroup(struct checkpoint *c, const struct dump_task *t)
{
	if (!t->rec.sid || c->autogroup.sid != t->rec.sid) {
		c->autogroup.sid = t->rec.sid;
		c->autogroup.nice = read_autogroup(t->pid);
	}
	return c->autogroup.nice;
}

int sched_dump(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
	       const struct ckpt_sched *asked, struct error **err)
{
	uint8_t mask[CPU_BYTES_MAX];
	struct sched_attr attr;
	struct ckpt_sched rec = *asked;
	int r = get_attr(th->tid, &attr, err), cpus;

	cpus = r ? 0 : read_cpus(c, th->tid, mask, err);
	if (r || cpus < 0)
		return r ? r : cpus;
	rec.policy = attr.sched_policy;
	rec.nice = getpriority(PRIO_PROCESS, th->tid); /* kept under all policies */
	rec.priority = attr.sched_priority;
	rec.flags = attr.sched_flags & ~CLAMPS;
	rec.runtime = attr.sched_runtime;
	rec.deadline = attr.sched_deadline;
	rec.period = attr.sched_period;
	rec.util_min = attr.sched_util_min;
	rec.util_max = attr.sched_util_max;
	/* which thread is asked for is not the container's number: asked from outside */
	r = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, th->tid);
	if (r < 0)
		return error_errno(err, errno, "reading the I/O priority of task %d", th->tid);
	rec.ioprio = r;
	rec.cpus_len = cpus;
	rec.autogroup = th->tid == t->speaker ? find_autogroup(c, t) : CKPT_NO_AUTOGROUP;
	if (!record_add2(&t->records, CKPT_SCHED, &rec, sizeof(rec), mask, cpus))
		return error_errno(err, ENOMEM, "recording scheduling");
	return 0;
}

/* --- a restore --- */

int sched_validate(const struct record *rec, struct error **err)
{
	const struct ckpt_sched *s = record_head(rec, sizeof(*s), err);

	if (!s)
		return -EBADMSG;
	if (s->cpus_len > CPU_BYTES_MAX || s->nice < -20 || s->nice > 19 ||
	    rec->len - sizeof(*s) != s->cpus_len ||
	    (s->autogroup != CKPT_NO_AUTOGROUP && (s->autogroup < -20 || s->autogroup > 19)))
		return error_set(err, EBADMSG, "scheduling that cannot be");
	return 0;
}

static const struct record *sched_of(const struct restore_thread *th)
{
	vec_for_each (rec, &th->more)
		if (rec->type == CKPT_SCHED)
			return rec;
	return NULL;
}

const struct ckpt_sched *sched_find(const struct restore_thread *th)
{
	const struct record *rec = sched_of(th);

	return rec ? rec->data : NULL;
}

static int set_attr(const struct restore_thread *th, const struct ckpt_sched *s, struct error **err)
{
	struct sched_attr now, wanted = {
				       .size = sizeof(wanted),
				       .sched_policy = s->policy,
				       .sched_flags = s->flags,
				       .sched_nice = s->nice,
				       .sched_priority = s->priority,
				       .sched_runtime = s->runtime,
				       .sched_deadline = s->deadline,
				       .sched_period = s->period,
			       };
	int r = get_attr(th->tid, &now, err);

	if (r)
		return r;
	/* asking for a clamp or a slice, even for the one there is, makes it the thread's own */
	if (s->util_min != now.sched_util_min || s->util_max != now.sched_util_max) {
		wanted.sched_flags |= CLAMPS;
		wanted.sched_util_min = s->util_min;
		wanted.sched_util_max = s->util_max;
	}
	if (s->policy != SCHED_DEADLINE && s->runtime == now.sched_runtime)
		wanted.sched_runtime = now.sched_runtime = 0;
	now.sched_util_min = wanted.sched_util_min;
	now.sched_util_max = wanted.sched_util_max;
	now.size = wanted.size;
	if (!memcmp(&now, &wanted, sizeof(now)))
		return 0;
	if (syscall(SYS_sched_setattr, th->tid, &wanted, 0))
		return error_errno(err, errno,
				   "setting the scheduling of thread %u (policy %u, priority %u)",
				   th->rec->tid, s->policy, s->priority);
	return 0;
}

/* Of all processes of a session it is the same. */
static int set_autogroup(const struct restore_task *t, int32_t nice, struct error **err)
{
	int32_t now = read_autogroup(t->pid);
	__cleanup_fd int fd = -1;

	if (nice == CKPT_NO_AUTOGROUP || now == CKPT_NO_AUTOGROUP || now == nice)
		return 0;
	fd = open_fmt(O_WRONLY, "/proc/%d/autogroup", t->pid);
	if (fd < 0 || dprintf(fd, "%d", nice) < 0)
		return error_errno(err, fd < 0 ? -fd : errno,
				   "setting the niceness of the session of process %u",
				   t->rec->pid);
	return 0;
}

/* Deadlines want the whole machine: processors are restricted only for threads without. */
int sched_restore(const struct restore_task *t, struct restore_thread *th, struct error **err)
{
	const struct ckpt_sched *s = sched_find(th);
	int r;

	if (!s)
		return 0;
	if (s->cpus_len && syscall(SYS_sched_setaffinity, th->tid, (long)s->cpus_len, s + 1)) {
		error_errno(err, errno, "setting the processors of thread %u", th->rec->tid);
		return error_hint(err, "it may run on none of those that there are");
	}
	if (syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, th->tid) != (long)s->ioprio &&
	    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, th->tid, s->ioprio))
		return error_errno(err, errno, "setting the I/O priority of thread %u",
				   th->rec->tid);
	if (getpriority(PRIO_PROCESS, th->tid) != s->nice &&
	    setpriority(PRIO_PROCESS, th->tid, s->nice))
		return error_errno(err, errno, "setting the niceness of thread %u", th->rec->tid);
	r = set_autogroup(t, s->autogroup, err);
	return r ? r : set_attr(th, s, err);
}
