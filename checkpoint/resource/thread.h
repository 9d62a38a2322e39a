/* SPDX-License-Identifier: GPL-2.0-only */
/* A thread's own state: registers, masks, pending signals, credentials, sleep. */
#ifndef FIRN_CHECKPOINT_RESOURCE_THREAD_H
#define FIRN_CHECKPOINT_RESOURCE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "checkpoint/engine/engine.h"

/* __USER32_CS: in a 32-bit program, where system calls have other numbers. */
#define USER32_CS 0x23

/* The registers and the mask of one that has stopped, for who is to be let go again and no more. */
int thread_read_regs(struct dump_thread *th, struct error **err);

/*
 * What must be read as soon as a thread has stopped: registers, mask and rseq.
 * A remote call in a restartable sequence would clear the sequence and then commit it.
 */
int thread_read_stopped(struct dump_thread *th, struct error **err);

/* Takes note of what the FPU state of a thread wants of a CPU; -EBUSY if nobody could set it. */
int thread_note_xstate(struct checkpoint *c, const struct dump_thread *th, struct error **err);

/* --- thread_adopt.c: threads as the kernel has recorded them --- */

int threads_adopt(struct checkpoint *c, struct dump_task *t, struct error **err);

/* --- thread_exited.c: a first thread that has exited while others run --- */

/* Blocks what cannot be made again, and leaves the process to the user provider. */
int exited_admit(struct checkpoint *c, struct dump_task *t, struct error **err);
int exited_dump(struct checkpoint *c, struct dump_task *t, struct error **err);
int exited_load(struct restore_task *t, const struct record *rec, struct error **err);
/* Its records are all there. restart(2) is not used then. */
int exited_check(struct restore *r, struct restore_task *t, struct error **err);
/* It exits, and another thread makes the remote calls from now on. */
int exited_restore(struct restore *r, struct restore_task *t, struct error **err);

/* --- sleep.c --- */

/*
 * Finds out what an interrupted system call needs to go on: the time that a
 * sleep had left, and calls that returned EINTR for no signal's sake.
 * Changes th->regs, with which the thread goes on if it is let go, and th->rec.
 */
int sleep_dump(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
	       struct error **err);

/* Whether this call did nothing yet if it ends with EINTR, and can be issued again. */
bool sleep_may_reissue(long nr);

/*
 * th->regs, of a thread of process pid (ours), go back to its system call if that has ended with
 * EINTR and no signal is the reason, but that the thread was frozen or stopped. Done once it is
 * done.
 */
int sleep_rewind(pid_t pid, struct dump_thread *th, struct error **err);

/* th->regs, as they are to be recorded: those of a sleep are in it, whatever became of it since. */
void sleep_save_regs(struct dump_thread *th);

/* Whether a recorded sleep is one that sleep_restore() can make. */
int sleep_validate(const struct ckpt_thread *rec, struct error **err);

/* Gives the stopped stub a restart block for what was left; its registers are set afterwards. */
int sleep_restore(struct restore_task *t, struct restore_thread *th, struct error **err);

/* --- sleep_find.c --- */

/*
 * When a call that was stopped with -ERESTART_RESTARTBLOCK ends, in nanoseconds on its clock as the
 * host sees it. The thread is stopped again afterwards, its signal mask full before and after;
 * th->regs are its registers then: the call may have ended meanwhile, and *expiry is not set.
 */
int sleep_find_expiry(struct dump_thread *th, int64_t *expiry, struct error **err);

/* --- creds.c --- */

/* Credentials of one thread: what it is asked, and what becomes of the answers. */
#define CREDS_CALLS 7
void creds_ask(struct questions *q);
int creds_dump(struct dump_task *t, const struct dump_thread *th, const struct answers *a,
	       const struct remote_call *call, struct error **err);
/* Of one that has exited and answers no more: from outside. */
int creds_dump_exited(struct dump_task *t, struct error **err);
int creds_validate(const struct record *rec, struct error **err);
/* -EPERM if the image gives a thread what the request, that is config.json, does not. */
int creds_check_allowed(const struct restore_request *request, const struct restore_thread *th,
			struct error **err);
/* The same of capabilities alone. */
int creds_check_capabilities(const struct restore_request *request, const struct restore_thread *th,
			     struct error **err);
int creds_restore(struct restore_task *t, struct restore_thread *th, struct error **err);
/* What no thread may have is taken from the init's stub, before it makes the others. */
int creds_drop_common(struct restore *r, struct error **err);

/* --- keys.c --- */

/* Calls whose results tell keys_check(), which is -EBUSY if the thread has keys. */
#define KEYS_CALLS 3
void keys_ask(struct questions *q);
int keys_check(struct dump_task *t, struct dump_thread *th, const struct remote_call *answers,
	       struct error **err);

/* --- prctl.c --- */

/*
 * What prctl(2) has set, of a process (type CKPT_PRCTLS) or of a thread (CKPT_THREAD_PRCTLS): what
 * is asked, and what becomes of the answers, which begin at call. th is NULL for a process.
 */
void prctl_ask(struct questions *q, enum ckpt_type type);
int prctl_dump(struct dump_task *t, const struct dump_thread *th, enum ckpt_type type,
	       const struct answers *a, const struct remote_call *call, struct error **err);
int prctl_validate(const struct restore_request *request, const struct record *rec,
		   struct error **err);
/* last: what comes when all else of the process is there, else what comes before its threads. */
int prctl_restore_process(struct restore_task *t, bool last, struct error **err);
int prctl_restore_thread(struct restore_task *t, struct restore_thread *th, struct error **err);
/* Dispatch of system calls, after the last remote call of the thread. */
int prctl_restore_dispatch(const struct restore_thread *th, struct error **err);

/* --- sched.c --- */

/* asked: what only the thread itself could tell. */
int sched_dump(struct checkpoint *c, struct dump_task *t, struct dump_thread *th,
	       const struct ckpt_sched *asked, struct error **err);
/* The personality of a thread that is not asked. */
int sched_read_personality(pid_t pid, pid_t tid, uint32_t *value, struct error **err);
int sched_validate(const struct record *rec, struct error **err);
/* The record of a thread, or NULL. */
const struct ckpt_sched *sched_find(const struct restore_thread *th);
int sched_restore(const struct restore_task *t, struct restore_thread *th, struct error **err);

/* --- process.c --- */

/* What must come after the credentials of all threads. */
int process_finish(struct restore_task *t, struct error **err);

/* --- seccomp.c --- */

int seccomp_dump(struct dump_task *t, struct dump_thread *th, struct error **err);
/* -EOPNOTSUPP if what was recorded, instructions included, wants somebody outside. */
int seccomp_check_listener(const struct dump_thread *th, const struct ckpt_seccomp *rec,
			   struct error **err);
/* What all threads begin with: in the first one, before the others are cloned. */
int seccomp_restore_common(struct restore_task *t, struct error **err);
int seccomp_validate(const struct record *rec, struct error **err);
int seccomp_restore(struct restore_task *t, struct restore_thread *th, struct error **err);

/* --- signals.c --- */

/* The queue of a thread, or with shared that of its process, as a CKPT_SIGPENDING record. */
int signals_dump_pending(struct dump_task *t, struct dump_thread *th, bool shared,
			 struct error **err);
/* Queues what was recorded. */
int signals_restore_pending(struct restore_task *t, struct restore_thread *th, const void *siginfo,
			    size_t len, bool shared, struct error **err);
int signals_validate_pending(const struct record *rec, struct error **err);

/* --- rlimits.c --- */

/* The limit on pending signals, as recorded: behind those that the process has. */
int rlimits_restore_sigpending(struct restore_task *t, struct error **err);

#endif
