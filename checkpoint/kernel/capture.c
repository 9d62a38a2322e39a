// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/kernel/capture.h"

#include <errno.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"
#include "util/log.h"
#include "util/parallel.h"

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

/* Pages by themselves: when that is interrupted it goes on where it was. */
static int capture_pages(struct checkpoint *c, struct dump_task *t, struct kernel_dump *dump,
			 struct error **err)
{
	uint64_t rest = dump->classes & ~KERNEL_CLASS(MEMORY);
	int r;

	dump->classes = KERNEL_CLASS(MEMORY);
	dump->pages = image_file_fd(t->core);
	r = kernel_dump(&c->kernel, dump, &t->kernel, err);
	dump->classes = rest;
	dump->pages = -1;
	return r;
}

/* Without its pages memory is recorded with all the rest. */
static int capture_memory(struct checkpoint *c, struct dump_task *t, struct kernel_dump *dump,
			  struct error **err)
{
	int r = c->request->snapshot ? take_snapshot(c, t, err) : 0;

	t->pages_written = true;
	return r || t->snapshot >= 0 ? r : capture_pages(c, t, dump, err);
}

struct capture {
	struct checkpoint *c;
	uint64_t classes;
};

/* A namespace's objects are recorded once, and the host's are not the container's. */
static uint64_t classes_of(const struct capture *w, const struct dump_task *t)
{
	uint64_t classes = w->classes;

	if (t != w->c->tasks.items || !w->c->own_ipc)
		classes &= ~KERNEL_CLASS(SYSVIPC);
	if (!w->c->own_ipc)
		classes &= ~KERNEL_CLASS(SEMUNDO);
	return classes;
}

static int capture_task(void *ctx, size_t i, struct error **err)
{
	const struct capture *w = ctx;
	struct checkpoint *c = w->c;
	struct dump_task *t = &c->tasks.items[i];
	struct kernel_dump dump = {
		.pidfd = t->pidfd,
		.hold = c->hold,
		.classes = classes_of(w, t),
		.realtime = c->begin.realtime,
		.monotonic = c->begin_host_monotonic,
		.boottime = c->begin_host_boottime,
		.pages = -1,
		.pages_offset = CORE_DATA_OFFSET,
		.cancel = c->request->cancel,
	};
	int r = 0;

	if (t->rec.state == CKPT_TASK_ZOMBIE)
		return 0;
	if (dump.classes & KERNEL_CLASS(MEMORY))
		r = capture_memory(c, t, &dump, err);
	if (!r && dump.classes)
		r = kernel_dump(&c->kernel, &dump, &t->kernel, err);
	return r ? error_wrap(err, "process %u", t->rec.pid) : 0;
}

static int add_cores(struct checkpoint *c, struct error **err)
{
	int r = 0;

	vec_for_each (t, &c->tasks)
		if (!r && t->rec.state != CKPT_TASK_ZOMBIE)
			r = task_add_core(c, t, err);
	return r;
}

/* Nobody runs, so the order does not matter. */
int kernel_capture(struct checkpoint *c, struct error **err)
{
	struct capture w = {c, wanted_classes(c)};
	int r = w.classes ? same_namespace(c->init, "ipc", err) : 0;

	c->own_ipc = !r;
	if (r > 0)
		r = 0;
	if (!r && w.classes & KERNEL_CLASS(MEMORY))
		r = add_cores(c, err);
	if (!r && w.classes)
		r = parallel_each(c->tasks.count, capture_task, &w, err);
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
