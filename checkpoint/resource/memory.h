/* SPDX-License-Identifier: GPL-2.0-only */
/* The address space: layout and page contents. */
#ifndef FIRN_CHECKPOINT_RESOURCE_MEMORY_H
#define FIRN_CHECKPOINT_RESOURCE_MEMORY_H

#include <stdint.h>

struct checkpoint;
struct error;
struct restore;
struct record;
struct restore_task;

/* Writes the page contents of all tasks and finishes their cores. Tasks are stopped. */
int memory_dump_pages(struct checkpoint *c, struct error **err);

/* The class's load, in memory_restore.c. */
int memory_load(struct restore *r, struct restore_task *t, const struct record *rec,
		struct error **err);

/*
 * An address where a window and the parked vdso fit in every process of the
 * image and in the stub.
 */
int memory_find_window(struct restore *r, uint64_t *address, struct error **err);

/* Replaces the stub's address space by the recorded layout, without contents. */
int memory_layout(struct restore *r, struct restore_task *t, struct error **err);

/* Loads the contents of all tasks' pages, then sets the final protections. */
int memory_load_pages(struct restore *r, struct error **err);

#endif
