/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * restart(2): stubs call it on themselves, by remote calls. What it is given are the
 * records of the image as they are, whoever has written them.
 */
#ifndef FIRN_CHECKPOINT_KERNEL_RESTART_H
#define FIRN_CHECKPOINT_KERNEL_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

struct error;
struct restore;
struct restore_task;
struct restore_thread;

/* Whether the running kernel restores all these classes and may be used for that. */
bool kernel_restores(const struct restore *r, uint64_t classes);

/*
 * The same for one process, whose records of these types (zero-terminated) have to fit into
 * the window, too: thousands of pending signals or of timers do not.
 */
bool kernel_restores_of(const struct restore *r, const struct restore_task *t, uint64_t classes,
			const uint32_t *types);

/* Whether another record of so many bytes can be given to kernel_restart(). */
bool kernel_stream_fits(const struct buf *stream, size_t len);

/* Whether it is the kernel that restores a process's signals and timers. */
bool kernel_arms(const struct restore *r, const struct restore_task *t);

/*
 * Adds those records of a process and of one of its threads that have one of these
 * types (zero-terminated), with the thread's own record.
 */
int kernel_add_records(struct buf *stream, const struct restore_task *t,
		       const struct restore_thread *th, const uint32_t *types, struct error **err);

/* Lets a thread (NULL: what runs remote calls) restore these classes; it goes on as a stub. */
int kernel_restart(struct restore *r, struct restore_task *t, const struct restore_thread *th,
		   uint64_t classes, const struct buf *stream, struct error **err);

/*
 * Makes all threads of a process what they were: credentials and registers, the sleeping
 * calls with the time that they had left. The window is gone; they are ptrace-stopped.
 */
int kernel_become(struct restore *r, struct restore_task *t, struct error **err);

/*
 * The restore has taken its time: gives the container's clocks, if they are its own, the
 * readings of the checkpoint. The tasks are frozen, and traced no more.
 */
int kernel_put_clocks_back(struct restore *r, struct error **err);

#endif
