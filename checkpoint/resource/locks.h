/* SPDX-License-Identifier: GPL-2.0-only */
/* File locks and leases, and who gets signals for a descriptor. */
#ifndef FIRN_RESOURCE_LOCKS_H
#define FIRN_RESOURCE_LOCKS_H

#include "checkpoint/resource/files.h"

/* One line of an fdinfo or of /proc/locks, see proc_locks(5). */
struct lock_line {
	char kind[8];	     /* POSIX, FLOCK, OFDLCK, LEASE */
	char mode[12];	     /* ADVISORY; of a lease ACTIVE, BREAKING or BREAKER */
	char access[8];	     /* READ, WRITE; of a lease what it is or will be: UNLCK too */
	pid_t pid;	     /* who took it, as we know it; -1: nobody in particular */
	uint64_t start, end; /* the last byte; UINT64_MAX: to the end */
};

/* text is what follows "1: " or "1: -> ". -EPROTO if it is of another form. */
int lock_parse(const char *text, struct lock_line *line);

/* Remembers what the fdinfo of a descriptor says of locks. */
int locks_note(struct checkpoint *c, const struct dump_task *t, int number, uint32_t description,
	       const char *fdinfo, struct error **err);

/* A lease of the process that has it, by a remote call; its break is begun again. */
int lease_load(struct restore *r, const struct record *rec, struct error **err);
int lease_restore(struct restore *r, const struct ckpt_lease *rec, struct error **err);
/* The record of a lease, as the lease's line tells, or as the kernel has recorded it. */
int lease_dump(struct checkpoint *c, const struct file_lock_use *use, const struct lock_line *line,
	       struct error **err);
int lease_adopt(struct checkpoint *c, const struct file_lock_use *use, struct error **err);

/* What the kernel has recorded about the description: the first that fits, or NULL. */
const void *locks_find_recorded(const struct checkpoint *c, const struct file_lock_use *use,
				uint32_t type, size_t size,
				bool (*fits)(const void *rec, const void *wanted),
				const void *wanted);

/* The task of an image if it has this description under this number, or NULL with an error. */
struct restore_task *lock_task(struct restore *r, uint32_t pid, uint32_t fd, uint32_t description,
			       struct error **err);

#endif
