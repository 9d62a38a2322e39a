/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The provider for kernels with Firn's patches: checkpoint(2) and restart(2), as
 * linux_checkpoint.h has them. Other kernels may have other calls under these
 * numbers: nothing here makes one before /sys/kernel/checkpoint has told its number.
 */
#ifndef FIRN_CHECKPOINT_KERNEL_H
#define FIRN_CHECKPOINT_KERNEL_H

#include <stdint.h>

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

/* "memory", ... or NULL for a class that is not known. */
const char *kernel_class_name(unsigned id);

#endif
