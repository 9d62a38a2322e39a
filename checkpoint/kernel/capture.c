// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/kernel/capture.h"

#include <errno.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"
#include "util/log.h"

static uint64_t wanted_classes(const struct checkpoint *c)
{
	uint64_t wanted = 0;

	for (unsigned i = 0; resource_classes[i]; i++)
		if (provider_is_kernel(&c->kernel, resource_classes[i]))
			wanted |= resource_classes[i]->kernel;
	/* their records of threads are told from those of the process by what is between */
	if (wanted & (KERNEL_CLASS(SIGNALS) | KERNEL_CLASS(CREDS)))
		wanted |= KERNEL_CLASS(THREADS) & c->kernel.classes;
	return wanted;
}

static void drop_hold(void *ctx)
{
	struct checkpoint *c = ctx;

	if (c->hold >= 0)
		close(c->hold);
	c->hold = -1;
}

void kernel_drop_hold(struct checkpoint *c)
{
	if (c->hold < 0)
		return;
	undo_drop(&c->undo, "hold");
	drop_hold(c);
}

int kernel_hold_tasks(struct checkpoint *c, struct error **err)
{
	int fd = wanted_classes(c) ? kernel_hold(&c->kernel, c->tasks.items[0].pidfd, err) : -1;

	if (fd < 0)
		return wanted_classes(c) ? fd : 0;
	c->hold = fd;
	return undo_push(&c->undo, "hold", drop_hold, c) ? error_errno(err, ENOMEM, "holding") : 0;
}

/* One that cannot be had makes the container stand still for longer, and no more than that. */
static bool can_do_without(int ret)
{
	return ret == -EOPNOTSUPP || ret == -ENOMEM || ret == -EMFILE || ret == -ENFILE;
}

static int take_snapshot(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct error *why = NULL;
	int fd = kernel_snapshot(&c->kernel, t->pidfd, c->hold, &why);

	if (!can_do_without(fd)) {
		t->snapshot = fd < 0 ? -1 : fd;
		*err = why;
		return fd < 0 ? fd : 0;
	}
	log_warning("process %u is saved while it is frozen: %s", t->rec.pid, error_message(why));
	error_free(why);
	return 0;
}

/* By itself: when it is interrupted it goes on where it was. */
static int capture_memory(struct checkpoint *c, struct dump_task *t, struct kernel_dump *dump,
			  struct error **err)
{
	int r = task_add_core(c, t, err);

	t->pages_written = true;
	if (!r && c->request->snapshot)
		r = take_snapshot(c, t, err);
	if (r)
		return r;
	dump->classes = KERNEL_CLASS(MEMORY);
	dump->pages = t->snapshot < 0 ? image_file_fd(t->core) : -1;
	r = kernel_dump(&c->kernel, dump, &t->kernel, err);
	dump->pages = -1;
	return r;
}

static int capture_task(struct checkpoint *c, struct dump_task *t, uint64_t classes,
			struct error **err)
{
	struct kernel_dump dump = {
		.pidfd = t->pidfd,
		.hold = c->hold,
		.classes = classes,
		.realtime = c->begin.realtime,
		.monotonic = c->begin_host_monotonic,
		.boottime = c->begin_host_boottime,
		.pages = -1,
		.pages_offset = CORE_DATA_OFFSET,
		.cancel = c->request->cancel,
	};
	int r = 0;

	/* a namespace's, once; the host's is not the container's */
	if (t != c->tasks.items || !c->own_ipc)
		dump.classes = classes &= ~KERNEL_CLASS(SYSVIPC);
	if (!c->own_ipc)
		dump.classes = classes &= ~KERNEL_CLASS(SEMUNDO);
	if (classes & KERNEL_CLASS(MEMORY)) {
		r = capture_memory(c, t, &dump, err);
		dump.classes = classes &= ~KERNEL_CLASS(MEMORY);
	}
	if (!r && classes)
		r = kernel_dump(&c->kernel, &dump, &t->kernel, err);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

int kernel_capture(struct checkpoint *c, struct error **err)
{
	uint64_t classes = wanted_classes(c);
	int r = classes ? same_namespace(c->request->init, "ipc", err) : 0;

	c->own_ipc = !r;
	if (r > 0)
		r = 0;
	vec_for_each (t, &c->tasks)
		if (!r && classes && t->rec.state != CKPT_TASK_ZOMBIE)
			r = capture_task(c, t, classes, err);
	if (!r && provider_traces(&c->kernel))
		kernel_drop_hold(c);
	return r;
}

const void *kernel_find_record(const struct dump_task *t, enum ckpt_type type, size_t least,
			       size_t *len)
{
	struct record rec;
	size_t pos = 0;

	while (record_next(t->kernel.data, t->kernel.len, &pos, &rec) == 1 &&
	       rec.type != CKPT_THREAD) {
		if (rec.type != type || rec.len < least)
			continue;
		if (len)
			*len = rec.len;
		return rec.data;
	}
	return NULL;
}

static bool is_one_of(uint32_t type, const enum ckpt_type *types)
{
	while (*types && *types != type)
		types++;
	return *types;
}

int kernel_take(struct dump_task *t, const enum ckpt_type *types, struct error **err)
{
	struct record rec;
	size_t pos = 0;
	int n;

	while ((n = record_next(t->kernel.data, t->kernel.len, &pos, &rec)) == 1) {
		if (rec.type == CKPT_THREAD)
			return 0;
		if (is_one_of(rec.type, types) &&
		    !record_add(&t->records, rec.type, rec.data, rec.len))
			return error_errno(err, ENOMEM, "recording %s", record_name(rec.type));
	}
	return n < 0 ? error_set(err, EPROTO, "the kernel's records are malformed") : 0;
}
