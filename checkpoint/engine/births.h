/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the tasks of a tree are born: decided for all of them before the first one is made. */
#ifndef FIRN_CHECKPOINT_BIRTHS_H
#define FIRN_CHECKPOINT_BIRTHS_H

#include "checkpoint/engine/engine.h"

/*
 * Sets birth, and where it has to be below and below_for, of each task, from the ppid, sid and pid
 * of all records. Parents stand before their children. An image's records may contradict
 * each other: then some of them cannot be made, which stubs_make() finds.
 */
void births_find(struct restore *r);

/* It is the leader of its session. */
bool births_leads(const struct restore_task *t);

/* The pid of its parent, as long as it is where it is made. */
uint32_t births_parent(const struct restore_task *t);

/* Whether pid is the parent of t, or of one above, as long as they are where they are made. */
bool births_is_below(struct restore *r, const struct restore_task *t, uint32_t pid);

#endif
