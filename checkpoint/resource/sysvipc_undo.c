// SPDX-License-Identifier: GPL-2.0-only
/*
 * What semaphore operations have to be undone when a task exits (SEM_UNDO). Only the
 * patched kernel tells; any kernel can be given it again: an operation and its opposite,
 * of which one is remembered, leave the semaphore as it is.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>

#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/sysvipc.h"
#include "util/cleanup.h"
#include "util/error.h"

static const int16_t *adjustments(const struct ckpt_sem_undo *undo)
{
	return (const int16_t *)(undo + 1);
}

int sysvipc_load_undo(struct restore_task *t, const struct record *rec, struct error **err)
{
	const struct ckpt_sem_undo *undo = record_head(rec, sizeof(*undo), err);
	struct record *more;

	if (!undo)
		return -EBADMSG;
	if (!t || undo->semid > INT_MAX || !undo->nsems || undo->nsems > SYSVIPC_SEMS_MAX ||
	    rec->len - sizeof(*undo) < undo->nsems * sizeof(int16_t))
		return error_set(err, EBADMSG, "semaphore adjustments that cannot be");
	for (uint32_t i = 0; i < undo->nsems; i++)
		if (adjustments(undo)[i] == INT16_MIN)
			return error_set(err, EBADMSG, "semaphore adjustments that cannot be");
	more = t->threads.count ? vec_add(&t->threads.items[t->threads.count - 1].more)
				: vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading semaphore adjustments");
	*more = *rec;
	return 0;
}

bool sysvipc_has_undo(const struct restore_thread *th)
{
	vec_for_each (rec, &th->more)
		if (rec->type == CKPT_SEM_UNDO)
			return true;
	return false;
}

/* The operation that raises the value is first: the other one would wait for it. */
static void fill_pair(struct sembuf ops[2], uint16_t sem, int16_t adjustment)
{
	bool raised_by_undo = adjustment < 0;
	int16_t size = raised_by_undo ? -adjustment : adjustment;

	ops[0] = (struct sembuf){sem, size, IPC_NOWAIT | (raised_by_undo ? SEM_UNDO : 0)};
	ops[1] = (struct sembuf){sem, -size, IPC_NOWAIT | (raised_by_undo ? 0 : SEM_UNDO)};
}

static int operate(struct restore_task *t, pid_t tid, const struct ckpt_sem_undo *undo,
		   struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	struct sembuf *ops = remote_data(&t->remote);
	int ret = 0;

	for (uint32_t i = 0; !ret && i < undo->nsems; i++) {
		if (!adjustments(undo)[i])
			continue;
		fill_pair(ops, i, adjustments(undo)[i]);
		remote_set(call, SYS_semop, undo->semid, remote_data_address(&t->remote), 2);
		ret = remote_run(&t->remote, tid, 1, err);
		if (!ret && call->ret)
			ret = error_errno(err, -call->ret,
					  "process %u: what is to be undone of semaphore %u of "
					  "set %u",
					  t->rec->pid, i, undo->semid);
	}
	return ret;
}

static const uint32_t undo_types[] = {CKPT_SEM_UNDO, 0};

/* Which of them are the thread's own, restart(2) knows by the thread's record in front. */
static int restart_undo(struct restore *r, struct restore_task *t, struct restore_thread *th,
			struct error **err)
{
	__cleanup_buf struct buf stream = {0};
	int ret = kernel_add_records(&stream, t, th, undo_types, err);

	return ret ? ret : kernel_restart(r, t, th, KERNEL_CLASS(SEMUNDO), &stream, err);
}

static int restore_process(struct restore *r, struct restore_task *t, struct error **err)
{
	bool by_kernel = kernel_restores_of(r, t, KERNEL_CLASS(SEMUNDO), undo_types);
	bool shared = false;
	int ret = 0;

	vec_for_each (rec, &t->more) {
		if (rec->type != CKPT_SEM_UNDO)
			continue;
		shared = true;
		if (!ret && !by_kernel)
			ret = operate(t, 0, rec->data, err);
	}
	vec_for_each (th, &t->threads) {
		bool leader = th == t->threads.items;

		if (ret || !(sysvipc_has_undo(th) || (leader && shared)))
			continue;
		if (by_kernel) {
			ret = restart_undo(r, t, th, err);
			continue;
		}
		vec_for_each (rec, &th->more)
			if (!ret && rec->type == CKPT_SEM_UNDO)
				ret = operate(t, th->tid, rec->data, err);
	}
	return ret;
}

int sysvipc_restore_undo(struct restore *r, struct error **err)
{
	int ret = 0;

	vec_for_each (t, &r->tasks)
		if (!ret && t->rec->state != CKPT_TASK_ZOMBIE)
			ret = restore_process(r, t, err);
	return ret;
}
