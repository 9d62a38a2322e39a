// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resource limits. They are asked for and set in the process itself: prlimit(2)
 * on a process of another user needs CAP_SYS_RESOURCE.
 */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "checkpoint/resource/resource.h"
#include "util/error.h"

#define LIMITS RLIM_NLIMITS

static const char *const limit_names[LIMITS] = {
	"cpu",	   "fsize", "data",  "stack",	   "core",     "rss",  "nproc",	 "nofile",
	"memlock", "as",    "locks", "sigpending", "msgqueue", "nice", "rtprio", "rttime",
};

static int read_limits(struct remote *remote, struct ckpt_rlimit *limits, struct error **err)
{
	struct remote_call *calls = remote_calls(remote);
	uint64_t address = remote_data_address(remote);
	int r;

	for (unsigned i = 0; i < LIMITS; i++)
		remote_set(&calls[i], SYS_prlimit64, 0, i, 0, address + i * sizeof(*limits));
	r = remote_run(remote, 0, LIMITS, err);
	for (unsigned i = 0; !r && i < LIMITS; i++)
		if (calls[i].ret)
			return error_errno(err, -calls[i].ret, "reading the limit %s",
					   limit_names[i]);
	if (!r)
		memcpy(limits, remote_data(remote), LIMITS * sizeof(*limits));
	return r;
}

static int rlimits_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct ckpt_rlimit limits[LIMITS];
	int r;

	if (!t)
		return 0;
	r = read_limits(&t->remote, limits, err);
	if (r)
		return error_wrap(err, "process %u", t->rec.pid);
	if (!record_add(&t->records, CKPT_RLIMITS, limits, sizeof(limits)))
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

static int set_limits(struct restore_task *t, const struct ckpt_rlimit *wanted, struct error **err)
{
	struct remote_call *calls = remote_calls(&t->remote);
	uint64_t address = remote_data_address(&t->remote);
	struct ckpt_rlimit now[LIMITS];
	unsigned which[LIMITS], count = 0;
	int r = read_limits(&t->remote, now, err);

	if (r)
		return r;
	memcpy(remote_data(&t->remote), wanted, sizeof(now));
	for (unsigned i = 0; i < LIMITS; i++) {
		if (!memcmp(&now[i], &wanted[i], sizeof(now[i])))
			continue;
		remote_set(&calls[count], SYS_prlimit64, 0, i, address + i * sizeof(*wanted), 0);
		which[count++] = i;
	}
	r = count ? remote_run(&t->remote, 0, count, err) : 0;
	for (unsigned i = 0; !r && i < count; i++) {
		if (!calls[i].ret)
			continue;
		r = error_errno(err, -calls[i].ret, "setting the limit %s", limit_names[which[i]]);
		if (r == -EPERM)
			error_hint(err, "the maximum was %llu; raising it needs CAP_SYS_RESOURCE",
				   (unsigned long long)wanted[which[i]].max);
	}
	return r;
}

/* The last thing of all: limits on files, memory, signals and processes bind the restore too. */
static int rlimits_restore(struct restore *r, struct restore_task *none, struct error **err)
{
	vec_for_each (t, &r->tasks) {
		vec_for_each (rec, &t->more) {
			if (rec->type != CKPT_RLIMITS)
				continue;
			if (set_limits(t, rec->data, err))
				return error_wrap(err, "process %u", t->rec->pid);
		}
	}
	return 0;
}

static const enum ckpt_type rlimits_types[] = {CKPT_RLIMITS, 0};

static const char *const rlimits_not_captured[] = {
	"the CPU time used so far, which the limit on CPU time counts",
	NULL,
};

const struct resource_class resource_rlimits = {
	.name = "rlimits",
	.version = 1,
	.types = rlimits_types,
	.dump = rlimits_dump,
	.load = rlimits_load,
	.restore = {[STAGE_ARM] = rlimits_restore},
	.not_captured = rlimits_not_captured,
};
