/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that several processes share: anonymous, memfd, SysV. */
#ifndef FIRN_CHECKPOINT_RESOURCE_MEMORY_OBJECT_H
#define FIRN_CHECKPOINT_RESOURCE_MEMORY_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "checkpoint/image/image.h"
#include "checkpoint/user/pages.h"

struct checkpoint;
struct error;
struct restore;

#define MEMFD_PREFIX   "/memfd:" /* of its name in /proc */
#define MEMFD_NAME_MAX 249

struct memory_object {
	struct ckpt_memory_object rec;
	struct page_area area;
	dev_t dev; /* a checkpoint: what it is known by */
	ino_t ino;
	int fd; /* a checkpoint: to read it; a restore: the new one, -1 until somebody asks */
	/* of a memfd; memfd.object is 0 for others */
	struct ckpt_memfd memfd;
	char name[MEMFD_NAME_MAX + 1];
	bool claimed; /* a restore */
};

/*
 * Loads the contents of an object into fd (borrowed), which is of the recorded
 * size and empty. size: what the caller expects it to be; -EBADMSG if it is not.
 */
int memory_object_fill(struct restore *r, uint32_t object, int fd, uint64_t size,
		       struct error **err);

/* True for the first who asks: the description that made the object is theirs. */
bool memory_object_claim(struct restore *r, uint32_t object);

/* With an error if there is none. */
struct memory_object *memory_object_find(struct restore *r, uint32_t object, struct error **err);

/* --- memfd.c --- */

bool memfd_is_huge(const struct memory_object *o);

/* Reads name, seals and owner through o->fd. */
int memfd_describe(struct memory_object *o, struct error **err);
int memfd_record(struct checkpoint *c, const struct memory_object *o, struct error **err);

/* Those pages of huge ones that hold anything: hugetlbfs has no SEEK_DATA. */
int memfd_find_runs(const struct memory_object *o, page_run_vec *runs, struct error **err);

int memfd_load(struct restore *r, const struct record *rec, struct error **err);

/* Empty and unsealed; a negative errno on failure. */
int memfd_make(const struct memory_object *o);

/* Huge pages cannot be written to: contents of file go in by a mapping. */
int memfd_fill_huge(struct restore *r, struct memory_object *o, int fd, int file, const char *name,
		    struct error **err);

/* Mode, owner and times, with the contents in place. */
int memfd_finish(struct restore *r, const struct memory_object *o, int fd, struct error **err);

/* The seals, when everybody has mapped it: what may be written to stays so, and nothing else. */
int memfd_seal(const struct memory_object *o, struct error **err);

#endif
