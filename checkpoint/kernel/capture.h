/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel provider does in a checkpoint. */
#ifndef FIRN_CHECKPOINT_KERNEL_CAPTURE_H
#define FIRN_CHECKPOINT_KERNEL_CAPTURE_H

#include <stddef.h>

#include "checkpoint/image/records.h"

struct checkpoint;
struct dump_task;
struct error;

/* Holds the frozen container, if the kernel has a part in its checkpoint: c->hold. */
int kernel_hold_tasks(struct checkpoint *c, struct error **err);

/*
 * Lets the kernel record the held tasks, with the page contents, as far as classes have
 * it for a provider. If some class has to trace them nevertheless, the hold is over when
 * this returns: a held task cannot run calls for anybody.
 */
int kernel_capture(struct checkpoint *c, struct error **err);

/* Signals to the tasks take effect again; they stay frozen. */
void kernel_drop_hold(struct checkpoint *c);

/* The record of this type among a process's own, or NULL. */
const void *kernel_find_record(const struct dump_task *t, enum ckpt_type type, size_t least,
			       size_t *len);

/* Takes over those of a process's own records (not its threads') that have one of these types. */
int kernel_take(struct dump_task *t, const enum ckpt_type *types, struct error **err);

#endif
