/* SPDX-License-Identifier: GPL-2.0-only */
/* Who saves a class: the patched kernel, or stock interfaces (checkpoint/kernel/,
 * checkpoint/user/). */
#ifndef FIRN_CHECKPOINT_PROVIDER_H
#define FIRN_CHECKPOINT_PROVIDER_H

#include <stdbool.h>

#include "checkpoint/checkpoint.h"

struct checkpoint;
struct dump_task;
struct error;
struct kernel;
struct resource_class;

/*
 * What of the running kernel is to be used. With PROVIDER_KERNEL it must have all
 * that the table of classes wants of one: the error names what is missing.
 */
int provider_choose(enum checkpoint_provider wanted, struct kernel *k, struct error **err);

/* Whether that kernel saves the class: all or nothing of it. */
bool provider_is_kernel(const struct kernel *k, const struct resource_class *class);

/*
 * Whether tasks have to be traced: some class that asks them is left to the user provider.
 * Else they stay held until the capture is over.
 */
bool provider_traces(const struct kernel *k);

/*
 * For a class's admit: the kernel cannot save this, so these classes of its are left to
 * the user provider, or with PROVIDER_KERNEL it is a blocker.
 */
int provider_leave(struct checkpoint *c, uint64_t classes, const struct dump_task *t,
		   uint64_t address, const char *object);

#define KERNEL_NAMES_MAX 64

/* The names of the classes that it saves, with a NULL behind them. Returns how many. */
unsigned provider_names(const struct kernel *k, const char *names[KERNEL_NAMES_MAX]);

#endif
