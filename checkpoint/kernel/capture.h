/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel provider does in a checkpoint. */
#ifndef FIRN_CHECKPOINT_KERNEL_CAPTURE_H
#define FIRN_CHECKPOINT_KERNEL_CAPTURE_H

#include "checkpoint/image/records.h"

struct checkpoint;
struct dump_task;
struct error;

/* Holds the frozen container, if the kernel has a part in its checkpoint: c->hold. */
int kernel_hold_tasks(struct checkpoint *c, struct error **err);

/*
 * Lets the kernel record the held tasks, with the page contents, as far as classes have
 * it for a provider. As long as others have to be traced, the hold is over when this
 * returns: a held task cannot run calls for anybody.
 */
int kernel_capture(struct checkpoint *c, struct error **err);

/* Takes over those of a process's own records (not its threads') that have one of these types. */
int kernel_take(struct dump_task *t, const enum ckpt_type *types, struct error **err);

#endif
