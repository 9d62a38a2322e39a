// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/kernel/restart.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/kernel/kernel.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"

/* The window's data while a thread makes the call; the records follow. */
struct call_data {
	struct restart_args args;
	struct checkpoint_error why;
};
#define STREAM_MAX (REMOTE_DATA_SIZE - sizeof(struct call_data))
/* more than a record's header and padding, and than a thread's own record in front */
#define RECORD_SLACK 1024

bool kernel_restores(const struct restore *r, uint64_t classes)
{
	return classes && !(classes & ~r->kernel.classes);
}

static bool is_one_of(uint32_t type, const uint32_t *types)
{
	while (*types && *types != type)
		types++;
	return *types;
}

bool kernel_restores_of(const struct restore *r, const struct restore_task *t, uint64_t classes,
			const uint32_t *types)
{
	struct record rec;
	size_t pos = 0, len = 0;

	if (!kernel_restores(r, classes))
		return false;
	while (record_next(t->core.records, t->core.records_len, &pos, &rec) == 1)
		if (is_one_of(rec.type, types))
			len += rec.len + RECORD_SLACK;
	return len + RECORD_SLACK <= STREAM_MAX;
}

bool kernel_stream_fits(const struct buf *stream, size_t len)
{
	return stream->len + len + RECORD_SLACK <= STREAM_MAX;
}

bool kernel_arms(const struct restore *r, const struct restore_task *t)
{
	static const uint32_t types[] = {CKPT_SIGACTIONS, CKPT_SIGPENDING, CKPT_ITIMERS,
					 CKPT_POSIX_TIMERS, 0};

	return kernel_restores_of(r, t, KERNEL_CLASS(SIGNALS) | KERNEL_CLASS(TIMERS), types);
}

int kernel_add_records(struct buf *stream, const struct restore_task *t,
		       const struct restore_thread *th, const uint32_t *types, struct error **err)
{
	const struct ckpt_thread *of = NULL;
	struct record rec;
	size_t pos = 0;

	while (record_next(t->core.records, t->core.records_len, &pos, &rec) == 1) {
		/* its head was checked when it was loaded */
		if (rec.type == CKPT_THREAD)
			of = rec.data;
		if ((of && of->tid != th->rec->tid) ||
		    (rec.type != CKPT_THREAD && !is_one_of(rec.type, types)))
			continue;
		if (!record_add(stream, rec.type, rec.data, rec.len))
			return error_errno(err, ENOMEM, "preparing restart(2)");
	}
	return 0;
}

/* Returns the address of the arguments in the stub, or 0. */
static uint64_t prepare(const struct restore *r, const struct restore_task *t, uint64_t classes,
			const struct buf *stream, struct error **err)
{
	struct call_data *data = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	/* what is restored before the arming is counted from now: leases, by the host's clock */
	const struct clocks clocks = r->armed.monotonic ? r->armed : clocks_now();

	if (stream->len > STREAM_MAX) {
		error_set(err, E2BIG, "process %u: too many records for restart(2)", t->rec->pid);
		return 0;
	}
	memset(data, 0, sizeof(*data));
	data->args = (struct restart_args){
		.classes = classes,
		.realtime = clocks.realtime,
		.monotonic = clocks.monotonic,
		.boottime = clocks.boottime,
		.pages = -1,
		.error = at + offsetof(struct call_data, why),
		.error_size = sizeof(data->why),
		.stream_at = at + sizeof(*data),
		.stream_len = stream->len,
	};
	memcpy(data + 1, stream->data, stream->len);
	return at;
}

static int call_error(const struct restore_task *t, long ret, struct error **err)
{
	const struct call_data *data = remote_data(&t->remote);
	struct checkpoint_error why = data->why;

	kernel_error(&why, -ret, "restoring by restart(2)", err);
	return error_wrap(err, "process %u", t->rec->pid);
}

int kernel_restart(struct restore *r, struct restore_task *t, const struct restore_thread *th,
		   uint64_t classes, const struct buf *stream, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	uint64_t at = prepare(r, t, classes, stream, err);
	int ret;

	if (!at)
		return -error_code(*err);
	remote_set(call, r->kernel.restart_nr, -1, at, sizeof(struct restart_args));
	ret = remote_run(&t->remote, th ? th->tid : 0, 1, err);
	return ret || call->ret >= 0 ? ret : call_error(t, call->ret, err);
}

#define BECOME (KERNEL_CLASS(CREDS) | KERNEL_CLASS(THREADS))

/* last: nobody needs the window any more */
static int become_thread(struct restore *r, struct restore_task *t, struct restore_thread *th,
			 bool last, struct error **err)
{
	static const uint32_t types[] = {CKPT_PROCESS, CKPT_CREDS, CKPT_XSTATE, 0};
	struct call_data *data = remote_data(&t->remote);
	__cleanup_buf struct buf stream = {0};
	uint64_t at = 0;
	int ret = kernel_add_records(&stream, t, th, types, err);

	if (!ret)
		at = prepare(r, t, BECOME, &stream, err);
	if (!at)
		return -error_code(*err);
	if (last) {
		data->args.drop_start = t->remote.address;
		data->args.drop_len = REMOTE_WINDOW;
	}
	ret = trace_become(th->tid, t->remote.syscall_insn, err, r->kernel.restart_nr, -1, at,
			   sizeof(struct restart_args));
	/* it kills itself rather than be half of what it was; the reason is in the window */
	if (ret && data->why.reason[0]) {
		error_free(*err);
		*err = NULL;
		ret = call_error(t, ret, err);
	}
	return ret;
}

int kernel_become(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = remote_settle(&t->remote, err);

	/* the leader is the first: its process's credentials decide about dumpable */
	for (size_t i = t->threads.count; !ret && i-- > 0;)
		ret = become_thread(r, t, &t->threads.items[i], !i, err);
	remote_forget(&t->remote);
	return ret;
}

#define HOLD_PATIENCE_NS 5000000000ull

/* Who was let go by ptrace only now freezes anew: for a moment the cgroup is not frozen. */
static int hold_frozen(struct restore *r, struct error **err)
{
	const struct restore_request *q = r->request;
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + HOLD_PATIENCE_NS;

	for (;;) {
		int fd, ret = q->ops->freeze(q->ctx, err);

		if (ret)
			return ret;
		fd = kernel_hold(&r->kernel, r->tasks.items[0].pidfd, err);
		if (fd != -EBUSY || clock_ns(CLOCK_MONOTONIC) > until)
			return fd;
		error_free(*err);
		*err = NULL;
	}
}

int kernel_put_clocks_back(struct restore *r, struct error **err)
{
	__cleanup_fd int hold = -1;
	int ret;

	if (!kernel_restores(r, KERNEL_CLASS(TIME)))
		return 0;
	ret = same_namespace(r->init, "time", err);
	if (ret)
		return ret < 0 ? ret : 0;
	hold = hold_frozen(r, err);
	if (hold < 0)
		return hold;
	/* what was armed has run since then, and ends neither early nor late by them */
	return kernel_set_clocks(
		&r->kernel, r->tasks.items[0].pidfd, hold,
		r->begin->monotonic + clock_ns(CLOCK_MONOTONIC) - r->armed.monotonic,
		r->begin->boottime + clock_ns(CLOCK_BOOTTIME) - r->armed.boottime, err);
}
