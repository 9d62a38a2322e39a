/* SPDX-License-Identifier: GPL-2.0-only */
/* Readers of /proc/PID: what it says is the kernel's, the names in it are the container's. */
#ifndef FIRN_CHECKPOINT_PROC_H
#define FIRN_CHECKPOINT_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/image/image.h"
#include "util/buf.h"

struct error;

/* /proc/PID/stat, see proc(5) */
struct proc_stat {
	char comm[16];
	char state;
	pid_t ppid;
	int tty;
	pid_t foreground; /* group of the terminal, as we number it */
	uint64_t start_code, end_code, start_stack;
	uint64_t start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
	int exit_signal;
	int exit_code;
};
/* tid 0: that of the process, else of one thread. A process tells the wait status of its end, or
 * the signal that it was stopped by, a thread its own. */
int proc_stat(pid_t pid, pid_t tid, struct proc_stat *s, struct error **err);

#define PROC_PIDNS_MAX 32

/* /proc/PID/status; pids are those of each pid namespace from ours down to the task's own. */
struct proc_status {
	char state;
	unsigned levels;
	pid_t pid[PROC_PIDNS_MAX], pgid[PROC_PIDNS_MAX], sid[PROC_PIDNS_MAX];
	pid_t tracer;
	unsigned threads;
	unsigned umask;
	uint64_t sig_pending, shared_pending, sig_ignored, sig_caught;
	unsigned seccomp;    /* mode */
	uint64_t untag_mask; /* bits of addresses that count; 0: the kernel does not tell */
	uint64_t caps[CKPT_CAP_SETS]; /* inheritable, permitted, effective, bounding, ambient */
};
/* tid 0: that of the process, else of one thread. */
int proc_status(pid_t pid, pid_t tid, struct proc_status *s, struct error **err);

/* A mapping, from /proc/PID/smaps. */
struct vma {
	struct ckpt_vma rec;
	uint64_t dev, ino; /* 0: anonymous */
	char *path;	   /* as in maps, or NULL */
	bool deleted;
	uint32_t pkey;	  /* protection key */
	uint32_t page_kb; /* size of its pages */
	uint32_t flags;	  /* CKPT_VMA_* and the ones below */
};
/* "mw" of VmFlags; and what no class can restore: userfaultfd, huge pages of hugetlbfs, device
 * memory */
#define VMA_MAYWRITE (1u << 30)
#define VMA_REFUSED  (1u << 31)
#define VMA_HUGETLB  (1u << 29) /* of hugetlbfs: only shared memfds can be restored */
typedef VEC(struct vma) vma_vec;

/* The mappings by address, with the flags that smaps knows. Paths are malloc'ed. */
int proc_vmas(pid_t pid, vma_vec *vmas, struct error **err);
void vmas_free(vma_vec *vmas);

/* The children of one thread of a process, zombies included. */
int proc_children(pid_t pid, pid_t tid, pid_vec *children, struct error **err);

/* The thread ids of a process, its own first. */
int proc_threads(pid_t pid, pid_vec *tids, struct error **err);

#endif
