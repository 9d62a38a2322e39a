/* SPDX-License-Identifier: GPL-2.0-only */
/* The tasks of a container: found, seized and let go at a checkpoint; made anew at a restore. */
#ifndef FIRN_CHECKPOINT_TASKS_H
#define FIRN_CHECKPOINT_TASKS_H

#include <stdbool.h>
#include <stdint.h>

struct checkpoint;
struct dump_task;
struct error;
struct restore;
struct restore_task;

/*
 * Finds every task below the container's init, parents before children, with
 * threads and zombies. What has no ancestor inside entered by exec and is blocked.
 * The container is frozen.
 */
int tasks_survey(struct checkpoint *c, struct error **err);
void tasks_free(struct checkpoint *c);

/* Blocks those that a debugger has, unless the kernel saves all that they would be traced for. */
void tasks_admit_traced(struct checkpoint *c);

/*
 * Stops every thread by ptrace. The undo stack gets what puts everything back with the
 * container frozen.
 */
int tasks_seize(struct checkpoint *c, struct error **err);

/*
 * Thaws who was frozen for a checkpoint that comes to nothing. Sleeping calls that the freeze has
 * ended with EINTR (c->rewinds) are issued again: their threads are seized, those alone, thawed
 * into the stop and let go.
 */
int tasks_thaw(struct checkpoint *c, struct error **err);

/*
 * Maps the scratch windows into what is seized, which from then on makes calls for us. What
 * that writes to a task's stack is there when it has started, and before its pages are looked at:
 * the write could end that a page is shared.
 */
int tasks_start_windows(struct checkpoint *c, struct error **err);
int tasks_finish_windows(struct checkpoint *c, struct error **err);

/*
 * Kills what is seized, and returns when it is gone: then its parents hear of it. Tasks
 * that are only frozen are left to whoever kills the rest of the cgroup.
 */
void tasks_end(struct checkpoint *c);

/*
 * Clones the stubs along the tree, each with its pid, session and group;
 * zombies have exited. Every stub is ptrace-stopped with a window.
 */
int stubs_make(struct restore *r, struct error **err);

/*
 * Whether stubs_make() could make the container's tree: 0, or the error that it would end with, and
 * in *stuck whom it could not make. It goes through all of it but for the calls.
 */
int tree_can_be_made(struct checkpoint *c, uint32_t *stuck, struct error **err);

/*
 * For what refers to a process that has ended: one with this pid (0: with one that nobody in
 * the image has) that ends with this wait status and is reaped by maker. look() is called with it
 * while it lives; it may make calls in maker, and others.
 */
int stubs_make_ended(struct restore *r, struct restore_task *maker, uint32_t pid, uint32_t status,
		     int (*look)(void *ctx, const struct restore_task *t, struct error **err),
		     void *ctx, struct error **err);

/* Whether a process can: it ends as its zombie did, or would be waited for in vain. */
bool stub_can_end_with(uint32_t status);

/* Unregisters what the init stub has inherited of the runtime's own thread. */
int stub_forget_runtime(struct restore *r, struct error **err);

#endif
