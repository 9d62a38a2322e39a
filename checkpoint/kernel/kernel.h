/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The provider for kernels with Firn's patches: checkpoint(2) and restart(2), as
 * linux_checkpoint.h has them. Other kernels may have other calls under these
 * numbers: nothing here makes one before /sys/kernel/checkpoint has told its number.
 */
#ifndef FIRN_CHECKPOINT_KERNEL_H
#define FIRN_CHECKPOINT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct error;

#define KERNEL_SYSFS "/sys/kernel/checkpoint"

/* A set of classes has bit 1 << enum checkpoint_class for each. */
#define KERNEL_CLASS(name) (1ull << CHECKPOINT_CLASS_##name)

/* What the running kernel has. All 0: not these calls. */
struct kernel {
	long checkpoint_nr, restart_nr;
	uint64_t classes; /* whose records are of the version that is known here */
};

/* -ENOENT: the kernel has none of this, -EPROTO: it has something else; the error says what. */
int kernel_find(struct kernel *k, struct error **err);

/* Its first part: what the files below a directory say, which is KERNEL_SYSFS. */
int kernel_read(const char *directory, struct kernel *k, struct error **err);

/*
 * Holds the frozen cgroup that the process is in: until the descriptor that this
 * returns is closed, or we are dead, nothing in it is thawed, moved or acts on a signal.
 */
int kernel_hold(const struct kernel *k, int pidfd, struct error **err);

/*
 * Copies the memory of a held process as a fork would, and returns a descriptor of the copy. The
 * process may go on then. Memory that a fork leaves out is refused (-EOPNOTSUPP).
 */
int kernel_snapshot(const struct kernel *k, int pidfd, int hold, struct error **err);

/*
 * What the clocks of the process's time namespace are now. It and all others that have the
 * namespace are held.
 */
int kernel_set_clocks(const struct kernel *k, int pidfd, int hold, uint64_t monotonic,
		      uint64_t boottime, struct error **err);

struct kernel_dump {
	int pidfd, hold;
	bool from_snapshot; /* hold is one, pidfd -1: the pages, and nothing else */
	uint64_t classes;
	uint64_t realtime, monotonic, boottime; /* our clocks at the begin of the checkpoint */
	int pages;				/* where page contents go */
	uint64_t pages_offset;			/* where the first goes; moved on */
	const volatile int *cancel;		/* becomes nonzero: -ECANCELED. May be NULL */
};

/* Appends the records of a held process. Errors say what the kernel says. */
int kernel_dump(const struct kernel *k, struct kernel_dump *d, struct buf *records,
		struct error **err);

/* An error of a call that failed, with what the kernel says of it; what was being done is what. */
struct checkpoint_error;
int kernel_error(const struct checkpoint_error *why, int errnum, const char *what,
		 struct error **err);

/* "memory", ... or NULL for a class that is not known. */
const char *kernel_class_name(unsigned id);

#endif
