/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What resource classes see of a checkpoint and of a restore. The phases of
 * both are tables in checkpoint.c and restore.c beside this.
 */
#ifndef FIRN_CHECKPOINT_ENGINE_H
#define FIRN_CHECKPOINT_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/engine/ask.h"
#include "checkpoint/image/image.h"
#include "checkpoint/kernel/kernel.h"
#include "checkpoint/user/pages.h"
#include "checkpoint/user/proc.h"
#include "checkpoint/user/remote.h"
#include "checkpoint/user/trace.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/undo.h"

struct cow_loan;
struct error;
struct file_table;
struct ipc_state;
struct page_pool;
struct tmpfs_table;
struct tty_table;

/* --- a checkpoint --- */

struct dump_thread {
	pid_t tid;		   /* ours */
	struct proc_status status; /* as the survey found it: what only it itself could change */
	struct ckpt_thread rec;
	struct user_regs_struct regs;	 /* what will be restored and put back */
	struct user_regs_struct stopped; /* as found */
	uint64_t stopped_mask;
	struct syscall_dispatch dispatch; /* as found; it is off while the thread is ours */
	void *xstate;
	size_t xstate_len;
	bool seized;
	bool stopped_once; /* regs, stopped and stopped_mask are filled in */
};

struct dump_task {
	struct ckpt_task rec; /* pids as the container sees them */
	pid_t pid;	      /* ours */
	/* The parent's first thread has exited, and this is no child of its speaker. */
	bool astray;
	/*
	 * The thread by which all is asked and read that a process has: the first one, unless that
	 * has exited, see util/speaker.h. By pid it is known to others, and signalled.
	 */
	pid_t speaker;
	int pidfd;				  /* of the speaker */
	struct proc_stat stat;			  /* as the survey found it: the speaker's */
	uint32_t stop_signal;			  /* of the job-control stop that it is in */
	bool stops_again;			  /* stopped, and a SIGSTOP is pending */
	const struct dump_task *files_of, *fs_of; /* whose it has; NULL: its own */
	VEC(struct dump_thread) threads;	  /* those that run, the speaker first */
	struct dump_thread exited;		  /* the first thread, if it has; tid 0: it runs */
	uint32_t exited_code;			  /* with which wait status */
	vma_vec vmas;
	struct remote remote;
	struct answers answers;
	struct buf records; /* of the process, then of its threads: becomes the core's notes */
	struct buf kernel;  /* what the kernel has recorded of it */
	struct buf aio;	    /* records of its rings, as they were before its memory was read */
	struct image_file *core;
	char core_name[32];
	struct page_area pages;
	page_run_vec guards; /* in mappings that have been looked through for pages */
	bool guards_found;
	bool pages_written;    /* by the kernel: checksums are to be made */
	uint64_t syscall_insn; /* in its own code, if it has unmapped the vdso */
	bool kin;	       /* others have begun with the same memory, see memory_cow.c */
	size_t first_use;      /* its descriptors in the file table's list */
	int snapshot;	       /* of its memory, whose pages are not written yet; -1: none */
	uint32_t exe_file;     /* its program's CKPT_FILE */
	char *exe, *args;
	void *auxv;
	size_t auxv_len;
};

typedef VEC(struct dump_task) task_vec;

struct checkpoint {
	const struct checkpoint_request *request;
	struct checkpoint_result *result;
	struct image_writer *image;
	struct buf records; /* container.rec */
	struct ckpt_begin begin;
	task_vec tasks;
	task_vec outside; /* entered by exec and left behind: stopped, and otherwise let alone */
	pid_t init;	  /* the init's speaker: its namespaces are the container's */
	int rootfd;	  /* the container's root: O_PATH */
	struct undo undo;
	struct file_table *files;  /* resource/files.c's */
	struct ipc_state *ipc;	   /* resource/sysvipc.c's */
	struct tty_table *ttys;	   /* resource/tty.c's */
	struct tmpfs_table *tmpfs; /* resource/tmpfs.c's */
	VEC(struct memory_object *) objects;
	struct page_pool *pages; /* at work from the capture's beginning to the pages' end */
	uint64_t page_bytes;
	bool rewinds;	      /* calls that our freeze has ended are still to be issued again */
	bool stopping;	      /* all are seized, and thawed into their stops */
	bool refreeze_failed; /* the tasks ran after they were let go */
	uint64_t started;     /* CLOCK_MONOTONIC when it all began */
	uint64_t frozen;      /* when the tasks were frozen */
	uint64_t begin_host_monotonic; /* of ckpt_begin, as we see it */
	uint64_t begin_host_boottime;
	char *net_hold; /* the table that holds connections back until the restore; NULL: none */
	uint64_t xstate_features;
	uint32_t xstate_size;
	uint64_t vdso_hash;
	struct kernel kernel; /* what of it is used; all 0: nothing */
	int hold;	      /* -1: none */
	size_t passing;	      /* blockers that go by themselves, in a moment */
	bool own_ipc;	      /* the container has an IPC namespace of its own */
	long cpus_online;     /* 0: not known yet */
	struct {
		uint32_t sid; /* 0: of none yet */
		int32_t nice;
	} autogroup; /* of the session that was last looked at */
};

/*
 * Names something that cannot be saved. pid is the container's (0: none), fd -1
 * for none. Returns 0: the rest is looked at too.
 */
int checkpoint_block(struct checkpoint *c, pid_t pid, int fd, uint64_t address, const char *remedy,
		     const char *object_fmt, ...) __attribute__((format(printf, 6, 7)));

/* Makes the task's file in the image: t->core. */
int task_add_core(struct checkpoint *c, struct dump_task *t, struct error **err);

/* -ECANCELED with an error if the user wants out. */
int checkpoint_cancelled(const volatile int *cancel, struct error **err);

/*
 * The file id (CKPT_FILE) for a file that is mapped, executed, or a working
 * directory. fd is ours (O_PATH suffices). The same file by the same name
 * gets the same id. Blocks, with pid and address, what cannot be opened again.
 */
int files_register(struct checkpoint *c, struct dump_task *t, uint64_t address, int fd,
		   uint32_t *id, struct error **err);

/*
 * Shared anonymous memory, by inode: the number of its object (contents are
 * dumped once, from any open fd of it). fd is borrowed, readable.
 */
int memory_object_register(struct checkpoint *c, int fd, uint64_t size, uint32_t *object,
			   struct error **err);

/* --- a restore --- */

struct restore_thread {
	pid_t tid; /* ours */
	const struct ckpt_thread *rec;
	const void *xstate;
	size_t xstate_len;
	const struct ckpt_creds *creds;
	size_t creds_len;
	const void *sigpending;
	size_t sigpending_len;
	VEC(struct record) more; /* the thread's other records */
	bool sleep_again;	 /* the call it slept in is to be issued anew */
	bool sleep_over;	 /* the call it slept in has ended, with sleep_result */
	long sleep_result;
};

/* A descriptor that a stub has of what it maps, or its program. */
struct stub_file {
	uint32_t kind, source; /* as in struct ckpt_vma */
	int flags;
	int number;
};
typedef VEC(struct stub_file) stub_file_vec;

struct restore_task {
	const struct ckpt_task *rec;
	pid_t pid; /* ours; 0 until cloned */
	int pidfd;
	struct core core;
	char core_name[32];
	struct remote remote;
	VEC(struct restore_thread) threads; /* those that run */
	/*
	 * The first thread, if it has exited while the others ran: it does what a first thread does
	 * in a restore, and exits again at last. NULL: it runs, as the first of the threads.
	 */
	const struct ckpt_exited *exited;
	struct restore_thread exited_thread;
	struct ckpt_thread exited_rec; /* exited_thread.rec */
	const struct ckpt_mm *mm;
	const struct ckpt_vma *vmas;
	size_t vma_count;
	const struct ckpt_fd *fds; /* sorted by number, checked */
	size_t fd_count;
	const struct ckpt_fs *fs;
	const struct ckpt_sigaction *sigactions; /* 64 */
	const void *auxv;
	size_t auxv_len;
	const void *sigpending; /* the shared queue */
	size_t sigpending_len;
	VEC(struct record) more;  /* the process's other records */
	uint32_t files_of, fs_of; /* as in struct ckpt_sharing */
	uint32_t birth;		  /* the session it is cloned into; births.c's */
	uint32_t below;		  /* whom it is made below, before it is left to its parent; or 0 */
	uint32_t below_for;	  /* the session whose members want it there; births.c's */
	bool lined_up; /* the parents of its session's members are below each other; births.c's */
	uint32_t stop_signal;	 /* that it was stopped by; 0: not known */
	unsigned common_filters; /* of seccomp, that all its threads begin with */
	bool reaped;		 /* a zombie: made and exited */
	bool inherits;		 /* pages of its parent's */
	bool bequeaths;		 /* pages to children, who are cloned when it has its memory */
	bool laid_out;		 /* its memory is the recorded one */
	stub_file_vec sources;	 /* what it maps, as long as that is open */
	int exe_number;		 /* of its program's descriptor */
	const struct restore_task *born; /* whose memory its stub began with; NULL: the runtime's */
	VEC(struct cow_loan *) loans;	 /* memory_cow.c's */
};

/* What is free behind the window of a stub: the vdso is there while it moves. */
#define STUB_PARKING (256 * 1024ull)

struct restore {
	const struct restore_request *request;
	struct image_reader *image;
	const struct ckpt_begin *begin;
	const void *records;
	size_t records_len;
	VEC(struct restore_task) tasks; /* [0] is the init */
	pid_t init;			/* a thread of its that runs: it has the namespaces */
	int rootfd;			/* the new container's root, seen from its init */
	struct file_table *files;
	struct ipc_state *ipc;
	struct tty_table *ttys;
	VEC(struct memory_object *) objects;
	/* our clocks when arming began, 0 before: relative times are counted from here */
	struct clocks armed;
	const struct ckpt_stop *stops; /* checked */
	size_t stop_count;
	uint32_t tmpfs_count; /* checked; resource/tmpfs.c's */
	bool trial;	      /* nobody is made: it is seen whether all of them could be */
	uint32_t stuck;	      /* who could not be made, if anybody could not */
	struct undo undo;
	struct page_pool *pages; /* at work from the layout's beginning to the pages' end */
	struct kernel kernel;	 /* what of it is used; all 0: nothing */
	uint64_t page_bytes;
	uint64_t window;	 /* where every stub has its window, and behind it room to park */
	uint64_t vdso, vdso_len; /* of the stubs, before they get their layout */
	struct {
		uint64_t start, len;
		char name[16]; /* as in struct ckpt_vma */
	} parts[8];	       /* vvar and vdso of the stubs, by address */
	unsigned part_count;
};

/* A fresh descriptor (the caller's) of CKPT_FILE id, opened below the container's root. */
int files_open(struct restore *r, uint32_t id, int flags, int *fd, struct error **err);

/* A fresh descriptor of memory object N with its contents loaded, mapped MAP_SHARED by all. */
int memory_object_open(struct restore *r, uint32_t object, int *fd, struct error **err);

/* A process's first thread; it may have exited, but is there until all has been armed. */
static inline struct restore_thread *restore_first(struct restore_task *t)
{
	return t->exited ? &t->exited_thread : t->threads.items;
}

/* The task with this pid (the container's), or NULL. */
struct restore_task *restore_find(struct restore *r, uint32_t pid);

/* Whether others have its descriptor table, too: then no call on descriptors may wait. */
bool restore_shares_files(const struct restore *r, const struct restore_task *t);

/* --- resource classes --- */

/* The stages of a restore in which a class may have work; the order is the design's. */
enum restore_stage {
	STAGE_CONTENTS, /* IPC objects, hostname: the init stub is the only task */
	STAGE_OBJECTS, /* each description opened once, by us or by remote calls of the init stub */
	STAGE_TASK,    /* for each task, with the tree in place: fds, fs; memory is there already */
	STAGE_CROSS,   /* once: epoll, owners, queues, locks */
	STAGE_ARM,     /* once, last: relative expiries, against the clock now */
	STAGES,
};

struct resource_class {
	const char *name;
	uint16_t version;
	/* The record types it writes, zero-terminated. */
	const enum ckpt_type *types;

	/*
	 * KERNEL_CLASS()es which together save it on a kernel that has them all; 0: none does.
	 * Then adopt is called instead of dump, and t->kernel has their records. No task
	 * need be traced.
	 */
	uint64_t kernel;
	int (*adopt)(struct checkpoint *c, struct dump_task *t, struct error **err);

	/*
	 * Once per checkpoint with t NULL, then once per task. admit names what
	 * cannot be saved and changes nothing; tasks are frozen, none is traced yet.
	 * dump adds records to c->records (t NULL) or t->records. What the process itself is
	 * to be asked for, ask adds to the questions; they are answered when dump comes, and
	 * then, as long as one class has some, tasks are traced and remote calls work. Each
	 * may be NULL.
	 */
	int (*admit)(struct checkpoint *c, struct dump_task *t, struct error **err);
	int (*dump)(struct checkpoint *c, struct dump_task *t, struct error **err);
	void (*ask)(struct dump_task *t, struct questions *q);

	/* The tasks are about to go on; what could still fail does not concern them. */
	void (*spare)(struct checkpoint *c);
	/* The image is durable, the tasks are about to be killed. */
	int (*seal)(struct checkpoint *c, struct error **err);

	/* Each record of its types is shown to load once, validated here; t NULL: container.rec's.
	 */
	int (*load)(struct restore *r, struct restore_task *t, const struct record *rec,
		    struct error **err);
	/* t is NULL but in STAGE_TASK. NULL entries: nothing to do. */
	int (*restore[STAGES])(struct restore *r, struct restore_task *t, struct error **err);
	/* At the very end, with all tasks frozen: nothing but the thaw follows. */
	int (*let_go)(struct restore *r, struct error **err);
	/* Frees c->..., r->... of its own; either argument may be NULL. */
	void (*release)(struct checkpoint *c, struct restore *r);

	/* What it knows it does not capture, in words for the user; NULL-terminated. May be NULL.
	 */
	const char *const *not_captured;
};

/* The one table, in the order in which classes are dumped. */
extern const struct resource_class *const resource_classes[];

#endif
