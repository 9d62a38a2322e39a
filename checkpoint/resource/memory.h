/* SPDX-License-Identifier: GPL-2.0-only */
/* The address space: layout and page contents. */
#ifndef FIRN_CHECKPOINT_RESOURCE_MEMORY_H
#define FIRN_CHECKPOINT_RESOURCE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

struct checkpoint;
struct ckpt_mm;
struct ckpt_vma;
struct dump_task;
struct error;
struct restore;
struct record;
struct restore_task;

/*
 * Page contents of all tasks, as far as the kernel has not written them: other threads
 * begin, and it ends when they are done. Tasks are stopped all the time.
 */
int memory_begin_pages(struct checkpoint *c, struct error **err);
int memory_end_pages(struct checkpoint *c, struct error **err);

/* Whether pages of this mapping can be the process's own: it is looked through for them. */
bool memory_has_own_pages(const struct ckpt_vma *v);

/* Finishes the tasks' cores, out of what was recorded; the tasks may run. */
int memory_write_cores(struct checkpoint *c, struct error **err);

/* A stub is born with what its maker has open of what that maps. */
int memory_inherit_sources(const struct restore_task *maker, struct restore_task *t,
			   struct error **err);

/* memory_adopt.c: the class's part where the kernel has recorded memory. */
int memory_adopt(struct checkpoint *c, struct dump_task *t, struct error **err);

/* Writes and takes over the pages of the snapshot; the process itself may run. */
int memory_adopt_snapshot(struct checkpoint *c, struct dump_task *t, struct error **err);

/* Fills in what the kernel does not know: the program's file, the vdso's checksum. */
int memory_complete_mm(struct checkpoint *c, struct dump_task *t, struct ckpt_mm *mm,
		       struct error **err);
/* Records the auxiliary vector and notes the command line. */
int memory_note_auxv(struct dump_task *t, void *auxv, size_t len, struct error **err);

/*
 * aio.c: -EBUSY if a request has ended since rings were read, whose data may be in memory or not.
 * The pages of all tasks have been read.
 */
int aio_check_still(struct checkpoint *c, struct error **err);

/* The class's load, in memory_restore.c. */
int memory_load(struct restore *r, struct restore_task *t, const struct record *rec,
		struct error **err);

/*
 * An address where a window and the parked vdso fit in every process of the
 * image and in the stub.
 */
int memory_find_window(struct restore *r, uint64_t *address, struct error **err);

/*
 * Whether t's children are to be born with its memory. Not if it has unmapped a part of vdso and
 * vvar, which they may have, or could make no call with.
 */
bool memory_to_bequeath(const struct restore *r, const struct restore_task *t);

/* Where a stub that was born with this one's memory (NULL: the runtime's) has the vdso. */
uint64_t memory_vdso_at(const struct restore *r, const struct restore_task *born);

/* memory_layout() for one whose memory others are to be born with, contents included. */
int memory_prepare(struct restore *r, struct restore_task *t, struct error **err);

/* Makes a stub that was born with another's memory one that was born with the runtime's. */
int memory_give_up(struct restore *r, struct restore_task *t, struct error **err);

/*
 * Replaces the address space of every stub by the recorded layout; other threads load the
 * contents, each as soon as its layout stands.
 */
int memory_layout(struct restore *r, struct error **err);

/* Waits for the contents, then sets the final protections. */
int memory_end_load(struct restore *r, struct error **err);

#endif
