// SPDX-License-Identifier: GPL-2.0-only
/*
 * What prctl(2) and arch_prctl(2) have set and can be asked for, of a process and of a thread.
 * The record is the calls that set it again. Most has no other trace than that, and is in
 * the table below; dispatch of system calls is seen, and set, by the tracer.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/trace.h"
#include "util/error.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65 /* Linux 6.3 */
#define PR_GET_MDWE 66
#endif
#ifndef PR_MDWE_NO_INHERIT
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#define PR_MDWE_NO_INHERIT	 2 /* Linux 6.7 */
#endif
#ifndef PR_SPEC_L1D_FLUSH
#define PR_SPEC_L1D_FLUSH 2
#endif
#ifndef PR_SPEC_DISABLE_NOEXEC
#define PR_SPEC_DISABLE_NOEXEC 16
#endif
#ifndef ARCH_GET_XCOMP_PERM
#define ARCH_GET_XCOMP_PERM 0x1022
#define ARCH_REQ_XCOMP_PERM 0x1023
#endif
#ifndef PR_SYS_DISPATCH_INCLUSIVE_ON
#define PR_SYS_DISPATCH_INCLUSIVE_ON 2 /* Linux 6.17 */
#endif

#define VALUE(v) (1ull << (v))

/* A row of the table: the call that asks, what it answers, and the call that sets it. */
struct control {
	const char *name; /* "setting NAME" */
	enum ckpt_type type;
	long nr; /* SYS_prctl or SYS_arch_prctl */
	uint32_t get, set;
	/* WHICH() of the first argument of each, behind which the value comes; 0: there is none */
	uint32_t which, set_which;
	bool stored;	  /* the answer is where the argument points */
	uint32_t member;  /* the answer is a set: the value is this number, if it is in it, or 0 */
	uint32_t ours;	  /* a bit without which nobody may set it; not a part of the value */
	uint32_t normal;  /* of a program that has set nothing */
	uint64_t allowed; /* VALUE()s that it may have otherwise */
	int forgiven;	  /* an errno of the setting that is no failure */
	uint64_t cap;	  /* bit of the capability that setting it takes; 0: none */
	bool last;	  /* when everything else of the process is there */
};

#define WHICH(argument) ((argument) + 1u)

/* Where a CPU or a kernel offers no choice (ENXIO), nobody has one. */
#define SPECULATION(what, as, is_normal, values)                                                   \
	{                                                                                          \
		.name = (what), .type = CKPT_THREAD_PRCTLS, .nr = SYS_prctl,                       \
		.get = PR_GET_SPECULATION_CTRL, .set = PR_SET_SPECULATION_CTRL,                    \
		.which = WHICH(as), .set_which = WHICH(as), .ours = PR_SPEC_PRCTL,                 \
		.normal = (is_normal), .allowed = (values), .forgiven = ENXIO                      \
	}

static const struct control controls[] = {
	{
		/* refuses mappings that are writable and executable: those of before stay */
		.name = "memory-deny-write-execute",
		.type = CKPT_PRCTLS,
		.nr = SYS_prctl,
		.get = PR_GET_MDWE,
		.set = PR_SET_MDWE,
		.allowed = VALUE(PR_MDWE_REFUSE_EXEC_GAIN) |
			   VALUE(PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT),
		.last = true,
	},
	{
		/* before threads have alternate stacks, which then must have room for them */
		.name = "the permission to use AMX tiles",
		.type = CKPT_PRCTLS,
		.nr = SYS_arch_prctl,
		.get = ARCH_GET_XCOMP_PERM,
		.set = ARCH_REQ_XCOMP_PERM,
		.stored = true,
		/* the one component of the extended state that has to be asked for */
		.member = XSTATE_TILES,
		.allowed = VALUE(XSTATE_TILES),
	},
	{
		.name = "the use of the time stamp counter",
		.type = CKPT_THREAD_PRCTLS,
		.nr = SYS_prctl,
		.get = PR_GET_TSC,
		.set = PR_SET_TSC,
		.stored = true,
		.normal = PR_TSC_ENABLE,
		.allowed = VALUE(PR_TSC_SIGSEGV),
	},
	{
		.name = "the policy for memory errors",
		.type = CKPT_THREAD_PRCTLS,
		.nr = SYS_prctl,
		.get = PR_MCE_KILL_GET,
		.set = PR_MCE_KILL,
		.set_which = WHICH(PR_MCE_KILL_SET),
		.normal = PR_MCE_KILL_DEFAULT,
		.allowed = VALUE(PR_MCE_KILL_LATE) | VALUE(PR_MCE_KILL_EARLY),
	},
	{
		.name = "the I/O flusher state",
		.type = CKPT_THREAD_PRCTLS,
		.nr = SYS_prctl,
		.get = PR_GET_IO_FLUSHER,
		.set = PR_SET_IO_FLUSHER,
		.allowed = VALUE(1),
		.cap = 1ull << CAP_SYS_RESOURCE,
	},
	{
		.name = "the use of CPUID",
		.type = CKPT_THREAD_PRCTLS,
		.nr = SYS_arch_prctl,
		.get = ARCH_GET_CPUID,
		.set = ARCH_SET_CPUID,
		.normal = 1,
		.allowed = VALUE(0),
	},
	SPECULATION("the speculation of stores", PR_SPEC_STORE_BYPASS, PR_SPEC_ENABLE,
		    VALUE(PR_SPEC_DISABLE) | VALUE(PR_SPEC_FORCE_DISABLE) |
			    VALUE(PR_SPEC_DISABLE_NOEXEC)),
	SPECULATION("the speculation of indirect branches", PR_SPEC_INDIRECT_BRANCH, PR_SPEC_ENABLE,
		    VALUE(PR_SPEC_DISABLE) | VALUE(PR_SPEC_FORCE_DISABLE)),
	SPECULATION("the flushing of the L1 data cache", PR_SPEC_L1D_FLUSH, PR_SPEC_DISABLE,
		    VALUE(PR_SPEC_ENABLE)),
};
#define CONTROLS (sizeof(controls) / sizeof(*controls))

/* --- dump --- */

void prctl_ask(struct questions *q, enum ckpt_type type)
{
	for (const struct control *c = controls; c < controls + CONTROLS; c++)
		if (c->type == type && c->stored)
			ask_call(q, c->nr, c->get, ask_room(q, sizeof(uint64_t)), 0, 0, 0);
		else if (c->type == type)
			ask_call(q, c->nr, c->get, c->which ? c->which - 1 : 0, 0, 0, 0);
}

/* What a kernel cannot be asked for, it has not either. */
static uint32_t value_of(const struct control *c, const struct answers *a,
			 const struct remote_call *call)
{
	uint64_t answer = call->ret;

	if (call->ret < 0 || (c->ours && !(answer & c->ours)))
		return c->normal;
	if (c->stored)
		answer = *(const uint64_t *)answer_data(a, call->args[1]);
	if (c->member)
		return answer & 1ull << c->member ? c->member : c->normal;
	return answer & ~(uint64_t)c->ours;
}

static bool is_allowed(const struct control *c, uint64_t value)
{
	return value < 64 && c->allowed & VALUE(value);
}

static struct ckpt_prctl set_call(const struct control *c, uint32_t value)
{
	struct ckpt_prctl row = {.option = c->set};

	if (c->set_which)
		row.args[0] = c->set_which - 1;
	row.args[c->set_which ? 1 : 0] = value;
	return row;
}

static struct ckpt_prctl dispatch_call(const struct syscall_dispatch *d)
{
	return (struct ckpt_prctl){.option = PR_SET_SYSCALL_USER_DISPATCH,
				   .args = {d->mode, d->offset, d->len, d->selector}};
}

int prctl_dump(struct dump_task *t, const struct dump_thread *th, enum ckpt_type type,
	       const struct answers *a, const struct remote_call *call, struct error **err)
{
	struct ckpt_prctl rows[CONTROLS + 1];
	unsigned n = 0;

	for (const struct control *c = controls; c < controls + CONTROLS; c++) {
		uint32_t value;

		if (c->type != type)
			continue;
		value = value_of(c, a, call++);
		if (value == c->normal)
			continue;
		if (!is_allowed(c, value))
			return error_set(err, EOPNOTSUPP, "%s of process %u is %#x, which is new",
					 c->name, t->rec.pid, value);
		rows[n++] = set_call(c, value);
	}
	if (th && th->dispatch.mode)
		rows[n++] = dispatch_call(&th->dispatch);
	if (n && !record_add(&t->records, type, rows, n * sizeof(*rows)))
		return error_errno(err, ENOMEM, "recording what prctl has set");
	return 0;
}

/* --- load --- */

static bool is_dispatch(const struct ckpt_prctl *row)
{
	return row->option == PR_SET_SYSCALL_USER_DISPATCH &&
	       (row->args[0] == PR_SYS_DISPATCH_ON || row->args[0] == PR_SYS_DISPATCH_INCLUSIVE_ON);
}

/* The row of the table that would have written this one, or NULL. */
static const struct control *find_control(enum ckpt_type type, const struct ckpt_prctl *row)
{
	for (const struct control *c = controls; c < controls + CONTROLS; c++) {
		uint64_t value = row->args[c->set_which ? 1 : 0];
		struct ckpt_prctl same;

		if (c->type != type || !is_allowed(c, value))
			continue;
		same = set_call(c, value);
		if (!memcmp(&same, row, sizeof(same)))
			return c;
	}
	return NULL;
}

static int check_row(const struct restore_request *request, enum ckpt_type type,
		     const struct ckpt_prctl *row, struct error **err)
{
	const struct control *c = find_control(type, row);

	if (type == CKPT_THREAD_PRCTLS && is_dispatch(row))
		return 0;
	if (!c)
		return error_set(err, EBADMSG, "a prctl %#x that nobody can have called",
				 row->option);
	if (!request->caps_bounded || !(c->cap & ~request->caps_allowed))
		return 0;
	error_set(err, EPERM, "a thread has set %s", c->name);
	return error_hint(err, "config.json does not allow it");
}

int prctl_validate(const struct restore_request *request, const struct record *rec,
		   struct error **err)
{
	const struct ckpt_prctl *rows = rec->data;
	size_t n = rec->len / sizeof(*rows);
	int ret = 0;

	if (rec->len % sizeof(*rows) || n > CONTROLS + 1)
		return error_set(err, EBADMSG, "%zu bytes of calls of prctl", rec->len);
	for (size_t i = 0; !ret && i < n; i++)
		ret = check_row(request, rec->type, &rows[i], err);
	return ret;
}

/* --- restore --- */

static int restore_row(struct restore_task *t, pid_t tid, const struct control *c,
		       const struct ckpt_prctl *row, struct error **err)
{
	const struct remote_note note = {
		.what = "setting",
		.object = c->name,
		.forgiven = c->forgiven,
		.hint = c->cap ? "only root of the host may" : NULL,
	};

	return remote_later(&t->remote, tid, &note, err, c->nr, row->option, row->args[0],
			    row->args[1], row->args[2], row->args[3]);
}

static int restore_rows(struct restore_task *t, pid_t tid, const struct record *rec, bool last,
			struct error **err)
{
	const struct ckpt_prctl *rows = rec->data;
	int ret = 0;

	for (size_t i = 0; !ret && i < rec->len / sizeof(*rows); i++) {
		const struct control *c = find_control(rec->type, &rows[i]);

		if (c && c->last == last)
			ret = restore_row(t, tid, c, &rows[i], err);
	}
	return ret;
}

int prctl_restore_process(struct restore_task *t, bool last, struct error **err)
{
	int ret = 0;

	vec_for_each (rec, &t->more)
		if (!ret && rec->type == CKPT_PRCTLS)
			ret = restore_rows(t, 0, rec, last, err);
	return ret;
}

int prctl_restore_thread(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	int ret = 0;

	vec_for_each (rec, &th->more)
		if (!ret && rec->type == CKPT_THREAD_PRCTLS)
			ret = restore_rows(t, th->tid, rec, false, err);
	return ret;
}

static int restore_dispatch(const struct restore_thread *th, const struct record *rec,
			    struct error **err)
{
	const struct ckpt_prctl *rows = rec->data;
	int ret = 0;

	for (size_t i = 0; !ret && i < rec->len / sizeof(*rows); i++) {
		const __u64 *args = rows[i].args;
		const struct syscall_dispatch dispatch = {
			.mode = args[0], .offset = args[1], .len = args[2], .selector = args[3]};

		if (is_dispatch(&rows[i]))
			ret = trace_set_dispatch(th->tid, &dispatch, err);
	}
	return ret;
}

int prctl_restore_dispatch(const struct restore_thread *th, struct error **err)
{
	int ret = 0;

	vec_for_each (rec, &th->more)
		if (!ret && rec->type == CKPT_THREAD_PRCTLS)
			ret = restore_dispatch(th, rec, err);
	return ret;
}
