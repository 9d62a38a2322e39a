/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Remote system calls: a few dozen bytes of assembly run an array of system
 * calls inside a ptrace-stopped task in one round trip. Nothing else of Firn's
 * ever runs in a task. The scratch mapping (code, call array, data) is shared memory
 * that both sides have mapped.
 */
#ifndef FIRN_CHECKPOINT_REMOTE_H
#define FIRN_CHECKPOINT_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "checkpoint/user/trace.h"
#include "util/buf.h"

struct error;

struct remote_call {
	long nr;
	unsigned long args[6];
	long ret; /* as the kernel returns it: -errno on failure */
};

#define REMOTE_CALLS_MAX  384
#define REMOTE_DATA_SIZE  (96 * 1024)
#define REMOTE_LATER_DATA (32 * 1024)
#define REMOTE_WINDOW	  (192 * 1024)

/* What a call that is made later was for. The strings stay. */
struct remote_note {
	const char *what, *object; /* "setting the limit", "nofile"; object may be NULL */
	const char *hint;	   /* after EPERM; may be NULL */
	int forgiven;		   /* an errno that is no failure */
	bool any;		   /* every result is right */
};

struct remote_later;

/* What has been started with a window and is not finished yet. */
enum remote_move {
	REMOTE_STILL,
	REMOTE_ATTACHING,
	REMOTE_ATTACHING_CODE, /* again, without being writable */
	REMOTE_SPLITTING,      /* what is not code is made writable */
	REMOTE_DETACHING,
};

/* The scratch window of one process; all of its threads share it, one at a time. */
struct remote {
	pid_t tid;	       /* the thread that runs calls unless told otherwise */
	uint64_t address;      /* of the window in the process; 0: not there */
	uint64_t wanted;       /* where it is to be; 0: anywhere */
	char *window;	       /* ours */
	uint64_t syscall_insn; /* a syscall instruction in the process, outside the window */
	int stop_signal;       /* that the process ignores; 0: none, calls are made one by one */
	bool protect;	       /* the task survives our death: its state is in the window */
	/* the same while there is no window: 16 unused bytes of code, unused stack; 0: none */
	uint64_t spare_code, spare_stack;
	/*
	 * The thread that waits behind its last call for the next, 0 if there is none,
	 * and what is to be put back in it.
	 */
	pid_t parked;
	int parked_signal; /* stop_signal then */
	struct user_regs_struct parked_regs;
	uint64_t parked_mask;
	enum remote_move moving;
	struct trace_call window_call;
	bool leaves; /* is to be unmapped as soon as it is mapped */
	bool runs;
	unsigned run_queued, run_count; /* calls of the run: queued ones, then the caller's */
	/* calls that wait for the next run */
	struct remote_later *later;
	unsigned later_count, later_room;
	pid_t later_tid;
	size_t later_data;
};

/*
 * Maps a window into a ptrace-stopped process at address (0: anywhere). vdso and
 * vdso_len say where a syscall instruction can be found. caught: the signals that it handles or
 * that are pending (SigCgt, SigPnd, ShdPnd of /proc/PID/status).
 */
int remote_attach(struct remote *r, pid_t tid, uint64_t address, uint64_t vdso, uint64_t vdso_len,
		  uint64_t caught, struct error **err);

/*
 * In steps: of many tasks each can be on its way while others are looked after. Start it,
 * then proceed as long as it returns 1; 0: the window is there. proceed waits for the task.
 */
int remote_start_attach(struct remote *r, pid_t tid, uint64_t address, uint64_t vdso,
			uint64_t vdso_len, uint64_t caught, struct error **err);
int remote_proceed(struct remote *r, struct error **err);
/* All steps that are left, at once. */
int remote_arrive(struct remote *r, struct error **err);
/* Nearly every window takes three stops: the call's entry, its exit, and the one that it is left
 * in. */
#define REMOTE_WINDOW_STEPS 3

/* A step of each, until all are there: none is waited for while others could be on their way. */
typedef VEC(struct remote *) remote_vec;
int remotes_add(remote_vec *remotes, struct remote *r, struct error **err);
int remotes_proceed(const remote_vec *remotes, struct error **err);

/*
 * The same for a task that must survive our death. Instead of a vdso it may be the two bytes of
 * one syscall instruction. stack is the address of
 * REMOTE_SPARE_STACK bytes that it does not use, page aligned, or 0: then it is
 * in danger while the window is mapped and unmapped.
 */
#define REMOTE_SPARE_STACK (32 * 1024)
int remote_start_protected(struct remote *r, pid_t tid, uint64_t vdso, uint64_t vdso_len,
			   uint64_t caught, uint64_t stack, struct error **err);

/* Makes a copy of a task's vdso what it was before a runtime was killed while it mapped a window.
 */
void remote_clean_vdso(void *vdso, size_t len);

/*
 * A syscall instruction in these len bytes of another process, or 0: there is none, or they cannot
 * be read.
 */
uint64_t remote_find_syscall(pid_t tid, uint64_t start, uint64_t len);

/* The signal for stop_signal: one that is ignored by default and not in caught; 0 if there is none.
 */
int remote_choose_stop_signal(uint64_t caught);

/* Unmaps it, in the task and here, in steps, see remote_proceed(); then *r is cleared. */
int remote_start_detach(struct remote *r, struct error **err);

/*
 * Nobody looks at the window for some time: it counts as memory of the runtime's no longer. What is
 * in it stays.
 */
void remote_rest(const struct remote *r);

/* Only ours goes: the task is dead, or keeps it. */
void remote_forget(struct remote *r);

/*
 * A clone3 on r->tid, which is traced with what it clones. tid is the number
 * that the new task is to have in its pid namespace. *child is ours, and
 * stopped. -EEXIST if the number is taken.
 */
int remote_clone(struct remote *r, uint64_t flags, int exit_signal, pid_t tid, pid_t *child,
		 struct error **err);

/*
 * The same for many, whose maker goes on while they are looked after: start, next for each as
 * long as it returns 1, then end, with how many that were. *child has not been waited for.
 */
struct remote_child {
	uint64_t flags;
	int exit_signal;
	pid_t tid;
};
#define REMOTE_CLONES_MAX 256
int remote_start_clones(struct remote *r, const struct remote_child *children, unsigned count,
			struct error **err);
int remote_next_clone(struct remote *r, pid_t *child, struct error **err);
int remote_end_clones(struct remote *r, unsigned count, unsigned made, struct error **err);

/* Starts a call that does not return (exit), of a settled task: the caller waits for the death. */
int remote_start(struct remote *r, pid_t tid, unsigned count, struct error **err);

/* The call array and the data area, in our address space; the data area's address in theirs. */
struct remote_call *remote_calls(const struct remote *r);
void *remote_data(const struct remote *r);
uint64_t remote_data_address(const struct remote *r);

/* Fills in one entry of the array. */
#define remote_set(call, number, ...)                                                              \
	(*(call) = (struct remote_call){.nr = (number), .args = {__VA_ARGS__}, .ret = -4095})

/*
 * Runs the first count entries of the array on tid (0: r->tid), which must be
 * ptrace-stopped by us. Each entry's ret is filled in; a failed call does not stop
 * those behind it. -ESRCH if the task died. The thread is parked afterwards: its
 * registers and signal mask are put back by remote_settle(), which comes before
 * whatever else is done with it than another run.
 */
int remote_run(struct remote *r, pid_t tid, unsigned count, struct error **err);

/*
 * The same without waiting: others can be looked after while the task makes its calls.
 * Until remote_finish() has waited, the array and the data area are the task's.
 */
int remote_start_run(struct remote *r, pid_t tid, unsigned count, struct error **err);
int remote_finish(struct remote *r, struct error **err);

/*
 * Queues a call on tid (0: r->tid) of which nobody needs more than that it succeeds. It is
 * made before the calls of the next remote_run(), in the same round trip, or when the
 * thread is settled: which is where its failure is reported. note is copied.
 */
int remote_queue(struct remote *r, pid_t tid, const struct remote_note *note,
		 const struct remote_call *call, struct error **err);
#define remote_later(remote, tid, note, err, number, ...)                                          \
	remote_queue(remote, tid, note,                                                            \
		     &(struct remote_call){.nr = (number), .args = {__VA_ARGS__}}, err)

/*
 * Room for the data of such calls, up to REMOTE_LATER_DATA, zeroed; *address is where the
 * process has it. Makes the queued calls if there is no room left, so queue yours
 * before asking for more. NULL: see err.
 */
void *remote_later_data(struct remote *r, size_t len, uint64_t *address, struct error **err);

/*
 * Makes the queued calls now: something outside of the process depends on them. Or only starts
 * them; whatever is done with the process next waits, and reports their failure.
 */
int remote_flush(struct remote *r, struct error **err);
int remote_start_queued(struct remote *r, struct error **err);

/* Nothing is queued; registers and signal mask of the parked thread, if there is one, are as they
 * were. */
int remote_settle(struct remote *r, struct error **err);

/* One call on r->tid. *ret may be NULL: then a failed call is an error that names the call. */
int remote_syscall(struct remote *r, struct error **err, const char *what, long *ret, long nr,
		   unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
		   unsigned long a4, unsigned long a5);

#endif
