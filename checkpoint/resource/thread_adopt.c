// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that the kernel has recorded. How they are scheduled can be seen from outside,
 * and is added here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/resource/thread.h"
#include "util/error.h"

static struct dump_thread *find_thread(struct dump_task *t, uint32_t tid)
{
	vec_for_each (th, &t->threads)
		if (th->rec.tid == tid)
			return th;
	return NULL;
}

static int adopt_thread(struct dump_task *t, const struct record *rec, struct dump_thread **th,
			struct error **err)
{
	const struct ckpt_thread *from = record_head(rec, sizeof(*from), err);

	if (!from)
		return -EBADMSG;
	*th = find_thread(t, from->tid);
	if (!*th || (*th)->xstate)
		return error_set(err, EPROTO, "the kernel and /proc differ about thread %u",
				 from->tid);
	(*th)->rec = *from;
	memcpy(&(*th)->regs, from->regs, sizeof((*th)->regs));
	return 0;
}

static int adopt_xstate(struct checkpoint *c, struct dump_thread *th, const struct record *rec,
			struct error **err)
{
	th->xstate = malloc(rec->len);
	if (!th->xstate)
		return error_errno(err, ENOMEM, "recording a thread");
	memcpy(th->xstate, rec->data, rec->len);
	th->xstate_len = rec->len;
	return thread_note_xstate(c, th, err);
}

static int adopt_sched(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
		       const struct record *rec, struct error **err)
{
	const struct ckpt_sched *found = record_head(rec, sizeof(*found), err);
	struct ckpt_sched sched;
	int r;

	if (!found)
		return -EBADMSG;
	sched = *found;
	r = sched_read_personality(t->pid, th->tid, &sched.personality, err);
	if (!r)
		r = sched_dump(c, t, th, &sched, err);
	return r ? r : 1;
}

/* 1: it is not to be recorded as it is */
static int adopt_record(struct checkpoint *c, struct dump_task *t, struct dump_thread **th,
			const struct record *rec, struct error **err)
{
	int r;

	switch (rec->type) {
	case CKPT_THREAD:
		return adopt_thread(t, rec, th, err);
	case CKPT_XSTATE:
		return adopt_xstate(c, *th, rec, err);
	case CKPT_SECCOMP:
		r = seccomp_validate(rec, err);
		return r ? r : seccomp_check_listener(*th, rec->data, err);
	case CKPT_SCHED:
		return adopt_sched(c, t, *th, rec, err);
	default:
		return 0;
	}
}

int threads_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct dump_thread *th = NULL;
	struct record rec;
	size_t pos = 0, found = 0;
	int r = 0, n = 0;

	while (t && !r && (n = record_next(t->kernel.data, t->kernel.len, &pos, &rec)) == 1) {
		if (!th && rec.type != CKPT_THREAD)
			continue;
		found += rec.type == CKPT_THREAD;
		r = adopt_record(c, t, &th, &rec, err);
		if (!r && !record_add(&t->records, rec.type, rec.data, rec.len))
			r = error_errno(err, ENOMEM, "recording a thread");
		if (r > 0)
			r = 0;
	}
	if (t && !r && (n < 0 || found != t->threads.count))
		r = error_set(err, EPROTO, "the kernel has not recorded all threads of process %u",
			      t->rec.pid);
	return r;
}
