// SPDX-License-Identifier: GPL-2.0-only
/* Which kinds of membarrier(2) a process has registered for: without that they are refused. */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/resource.h"
#include "util/error.h"

#define GET_REGISTRATIONS (1 << 9) /* Linux 6.3 */

/* All but MEMBARRIER_CMD_REGISTER_* are refused: others would be barriers, or mean nothing. */
#define REGISTRATIONS                                                                              \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |    \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |                                     \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

static void membarrier_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_membarrier, GET_REGISTRATIONS, 0, 0);
}

static int membarrier_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct ckpt_membarrier rec = {0};
	long got;

	if (!t)
		return 0;
	got = answers_of(t, &resource_membarrier)->ret;
	/* older kernels do not tell, and some have no membarrier at all */
	if (got <= 0)
		return 0;
	rec.registered = got & REGISTRATIONS;
	if (rec.registered && !record_add(&t->records, CKPT_MEMBARRIER, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording memory barriers");
	return 0;
}

static const enum ckpt_type types[] = {CKPT_MEMBARRIER, 0};

static int membarrier_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	return t ? kernel_take(t, types, err) : 0;
}

static int membarrier_load(struct restore *r, struct restore_task *t, const struct record *rec,
			   struct error **err)
{
	const struct ckpt_membarrier *m = record_head(rec, sizeof(*m), err);
	struct record *more;

	if (!m)
		return -EBADMSG;
	if (!t || m->registered & ~(uint32_t)REGISTRATIONS)
		return error_set(err, EBADMSG, "memory barriers that cannot be");
	more = vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading memory barriers");
	*more = *rec;
	return 0;
}

static int register_all(struct restore_task *t, uint32_t registered, struct error **err)
{
	static const struct remote_note note = {.what = "registering for membarrier"};
	int ret = 0;

	for (uint32_t bit = 1; !ret && bit <= registered; bit <<= 1)
		if (registered & bit)
			ret = remote_later(&t->remote, 0, &note, err, SYS_membarrier, bit, 0, 0);
	return ret ? error_wrap(err, "process %u", t->rec->pid) : 0;
}

static int membarrier_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	vec_for_each (rec, &t->more)
		if (!ret && rec->type == CKPT_MEMBARRIER)
			ret = register_all(
				t, ((const struct ckpt_membarrier *)rec->data)->registered, err);
	return ret;
}

static const char *const not_captured[] = {
	"on kernels before 6.3, which do not tell, what was registered",
	NULL,
};

const struct resource_class resource_membarrier = {
	.name = "memory barriers",
	.version = 1,
	.types = types,
	.dump = membarrier_dump,
	.ask = membarrier_ask,
	.kernel = KERNEL_CLASS(MEMORY),
	.adopt = membarrier_adopt,
	.load = membarrier_load,
	.restore = {[STAGE_TASK] = membarrier_restore},
	.not_captured = not_captured,
};
