// SPDX-License-Identifier: GPL-2.0-only
/* What belongs to a process as a whole: dumpable, personality, OOM score, subreaper. */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/syscall.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Bits of addresses that do not count (LAM) do not count in calls either, and not in records. */
static int process_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	uint64_t mask = t ? t->threads.items[0].status.untag_mask : 0;

	return !mask || !~mask ? 0
			       : checkpoint_block(c, t->rec.pid, -1, 0, "end it",
						  "tagged addresses (ARCH_ENABLE_TAGGED_ADDR)");
}

static void process_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0);
	ask_call(q, SYS_personality, 0xffffffff);
	prctl_ask(q, CKPT_PRCTLS);
}

static int process_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	__cleanup_free char *oom = NULL;
	struct ckpt_process rec = {0};
	const struct remote_call *call;
	int r;

	if (!t)
		return 0;
	call = answers_of(t, &resource_process);
	rec.dumpable = call[0].ret;
	rec.personality = call[1].ret;
	r = proc_read(&oom, NULL, "%d/oom_score_adj", t->pid);
	if (r)
		return error_errno(err, -r, "reading the OOM score of process %u", t->rec.pid);
	rec.oom_score_adj = atoi(oom);
	if (!record_add(&t->records, CKPT_PROCESS, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a process");
	return prctl_dump(t, NULL, CKPT_PRCTLS, &t->answers, call + 2, err);
}

static int keep_record(struct restore_task *t, const struct record *rec, struct error **err)
{
	struct record *more = vec_add(&t->more);

	if (!more)
		return error_errno(err, ENOMEM, "loading a process");
	*more = *rec;
	return 0;
}

static int process_load(struct restore *r, struct restore_task *t, const struct record *rec,
			struct error **err)
{
	const struct ckpt_process *p;
	int ret;

	if (rec->type == CKPT_PRCTLS) {
		ret = t ? prctl_validate(r->request, rec, err)
			: error_set(err, EBADMSG, "prctl outside of a process");
		return ret ? ret : keep_record(t, rec, err);
	}
	p = record_head(rec, sizeof(*p), err);
	if (!p)
		return -EBADMSG;
	if (!t || p->dumpable > 2 || p->oom_score_adj < -1000 || p->oom_score_adj > 1000)
		return error_set(err, EBADMSG, "a process that cannot be");
	return keep_record(t, rec, err);
}

static const struct ckpt_process *find_record(const struct restore_task *t)
{
	vec_for_each (rec, &t->more)
		if (rec->type == CKPT_PROCESS)
			return rec->data;
	return NULL;
}

/* Only lowering it below the runtime's own needs CAP_SYS_RESOURCE. */
static int restore_oom(struct restore_task *t, int score, struct error **err)
{
	__cleanup_free char *now = NULL;
	__cleanup_fd int fd = -1;
	int r = proc_read(&now, NULL, "%d/oom_score_adj", t->pid);

	if (r)
		return error_errno(err, -r, "reading the OOM score of process %u", t->rec->pid);
	if (atoi(now) == score)
		return 0;
	fd = open_fmt(O_WRONLY, "/proc/%d/oom_score_adj", t->pid);
	if (fd < 0 || dprintf(fd, "%d", score) < 0)
		return error_errno(err, fd < 0 ? -fd : errno,
				   "setting the OOM score of process %u to %d", t->rec->pid, score);
	return 0;
}

static int process_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	static const struct remote_note personality = {.what = "setting the personality"},
					subreaper = {.what = "setting the subreaper flag"};
	const struct ckpt_process *p = find_record(t);
	int ret;

	if (!p)
		return error_set(err, EBADMSG, "process %u has no process record", t->rec->pid);
	ret = remote_later(&t->remote, 0, &personality, err, SYS_personality, p->personality);
	if (!ret && t->rec->subreaper)
		ret = remote_later(&t->remote, 0, &subreaper, err, SYS_prctl,
				   PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (!ret)
		ret = prctl_restore_process(t, false, err);
	/* set by restart(2) with the credentials */
	if (kernel_restores(r, resource_threads.kernel))
		return ret;
	return ret ? ret : restore_oom(t, p->oom_score_adj, err);
}

/* Any change of credentials resets it, so it is the last. 2 is what the kernel itself then sets. */
int process_finish(struct restore_task *t, struct error **err)
{
	static const struct remote_note note = {.what = "setting dumpable"};
	const struct ckpt_process *p = find_record(t);

	if (!p || p->dumpable == 2)
		return 0;
	return remote_later(&t->remote, 0, &note, err, SYS_prctl, PR_SET_DUMPABLE, p->dumpable, 0,
			    0, 0);
}

static const enum ckpt_type process_types[] = {CKPT_PROCESS, CKPT_PRCTLS, 0};

static const char *const process_not_captured[] = {
	"dumpable when it is 2 and the credentials did not make it so",
	"whom Yama lets trace the process (PR_SET_PTRACER)",
	"the size of its table of private futexes (PR_FUTEX_HASH)",
	NULL,
};

static const enum ckpt_type prctl_types[] = {CKPT_PRCTLS, 0};

static int process_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct ckpt_process *found;
	struct ckpt_process rec;

	if (!t)
		return 0;
	found = kernel_find_record(t, CKPT_PROCESS, sizeof(rec), NULL);
	if (!found)
		return error_set(err, EPROTO, "the kernel has not recorded process %u", t->rec.pid);
	rec = *found;
	rec.subreaper = rec.stopped = 0; /* these are in the tree */
	if (!record_add(&t->records, CKPT_PROCESS, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a process");
	return kernel_take(t, prctl_types, err);
}

const struct resource_class resource_process = {
	.name = "process",
	.version = 1,
	.types = process_types,
	.admit = process_admit,
	.dump = process_dump,
	.ask = process_ask,
	.kernel = KERNEL_CLASS(CREDS),
	.adopt = process_adopt,
	.load = process_load,
	.restore = {[STAGE_TASK] = process_restore},
	.not_captured = process_not_captured,
};
