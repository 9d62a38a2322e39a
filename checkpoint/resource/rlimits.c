// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resource limits. They are asked for and set in the process itself: prlimit(2)
 * on a process of another user needs CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "util/error.h"

#define LIMITS RLIM_NLIMITS

static const char *const limit_names[LIMITS] = {
	"cpu",	   "fsize", "data",  "stack",	   "core",     "rss",  "nproc",	 "nofile",
	"memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
};

static void rlimits_ask(struct dump_task *t, struct questions *q)
{
	uint64_t at = ask_room(q, LIMITS * sizeof(struct ckpt_rlimit));

	for (unsigned i = 0; i < LIMITS; i++)
		ask_call(q, SYS_prlimit64, 0, i, 0, at + i * sizeof(struct ckpt_rlimit));
}

static int rlimits_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct remote_call *call;

	if (!t)
		return 0;
	call = answers_of(t, &resource_rlimits);
	for (unsigned i = 0; i < LIMITS; i++)
		if (call[i].ret)
			return error_errno(err, -call[i].ret, "reading the limit %s of process %u",
					   limit_names[i], t->rec.pid);
	if (!record_add(&t->records, CKPT_RLIMITS, answer_data(&t->answers, call->args[3]),
			LIMITS * sizeof(struct ckpt_rlimit)))
		return error_errno(err, ENOMEM, "recording limits");
	return 0;
}

static int rlimits_load(struct restore *r, struct restore_task *t, const struct record *rec,
			struct error **err)
{
	const struct ckpt_rlimit *limits = record_head(rec, LIMITS * sizeof(*limits), err);
	struct record *more;

	if (!limits)
		return -EBADMSG;
	if (!t)
		return error_set(err, EBADMSG, "limits of no process");
	for (unsigned i = 0; i < LIMITS; i++)
		if (limits[i].cur > limits[i].max)
			return error_set(err, EBADMSG, "process %u: limit %s is above its maximum",
					 t->rec->pid, limit_names[i]);
	more = vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading limits");
	*more = *rec;
	return 0;
}

/*
 * Signals are queued behind this, when the process has the user for whom they count, and can be
 * more than it may queue now. It is only lowered then, for which no capability is needed.
 */
static void lift_sigpending(struct ckpt_rlimit *limit)
{
	struct rlimit stub; /* it has what we have */

	if (!getrlimit(RLIMIT_SIGPENDING, &stub) && stub.rlim_max > limit->max)
		limit->max = stub.rlim_max;
	limit->cur = limit->max;
}

static int set_limits(struct restore_task *t, const struct ckpt_rlimit *wanted, struct error **err)
{
	uint64_t address;
	struct ckpt_rlimit *limits =
		remote_later_data(&t->remote, LIMITS * sizeof(*wanted), &address, err);
	int r = 0;

	if (!limits)
		return -error_code(*err);
	memcpy(limits, wanted, LIMITS * sizeof(*wanted));
	lift_sigpending(&limits[RLIMIT_SIGPENDING]);
	for (unsigned i = 0; !r && i < LIMITS; i++) {
		const struct remote_note note = {
			.what = "setting the limit",
			.object = limit_names[i],
			.hint = "raising the maximum needs CAP_SYS_RESOURCE",
		};

		r = remote_later(&t->remote, 0, &note, err, SYS_prlimit64, 0, i,
				 address + i * sizeof(*wanted), 0);
	}
	return r;
}

static const struct ckpt_rlimit *find_limits(const struct restore_task *t)
{
	vec_for_each (rec, &t->more)
		if (rec->type == CKPT_RLIMITS)
			return rec->data;
	return NULL;
}

/* Late: limits on files, memory and processes bind the restore too. */
static int rlimits_restore(struct restore *r, struct restore_task *none, struct error **err)
{
	vec_for_each (t, &r->tasks) {
		const struct ckpt_rlimit *limits = find_limits(t);

		if (limits && set_limits(t, limits, err))
			return error_wrap(err, "process %u", t->rec->pid);
	}
	return 0;
}

int rlimits_restore_sigpending(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {
		.what = "setting the limit",
		.object = "sigpending",
	};
	const struct ckpt_rlimit *limits = find_limits(t);
	struct ckpt_rlimit *limit;
	uint64_t address;

	if (!limits)
		return 0;
	limit = remote_later_data(&t->remote, sizeof(*limit), &address, err);
	if (!limit)
		return -error_code(*err);
	*limit = limits[RLIMIT_SIGPENDING];
	return remote_later(&t->remote, 0, &note, err, SYS_prlimit64, 0, RLIMIT_SIGPENDING, address,
			    0);
}

static const enum ckpt_type rlimits_types[] = {CKPT_RLIMITS, 0};

static const char *const rlimits_not_captured[] = {
	"the CPU time used so far, which the limit on CPU time counts",
	NULL,
};

static int rlimits_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	return t ? kernel_take(t, rlimits_types, err) : 0;
}

const struct resource_class resource_rlimits = {
	.name = "rlimits",
	.version = 1,
	.types = rlimits_types,
	.dump = rlimits_dump,
	.ask = rlimits_ask,
	.kernel = KERNEL_CLASS(CREDS),
	.adopt = rlimits_adopt,
	.load = rlimits_load,
	.restore = {[STAGE_ARM] = rlimits_restore},
	.not_captured = rlimits_not_captured,
};
