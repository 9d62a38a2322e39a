/* SPDX-License-Identifier: GPL-2.0-only */
/* Watched inodes, as fdinfo names them, and the paths that lead to them. */
#ifndef FIRN_RESOURCE_INOTIFY_H
#define FIRN_RESOURCE_INOTIFY_H

#include "checkpoint/resource/files.h"

#define WATCH_HANDLE_MAX 128 /* MAX_HANDLE_SZ */

struct watch {
	uint32_t wd, mask;
	uint32_t dev; /* of the file system, as the kernel writes it: minor in the low 20 bits */
	uint64_t ino; /* overlayfs shows others in stat(2) */
	int handle_type;
	unsigned handle_len; /* 0: the file system makes none */
	uint8_t handle[WATCH_HANDLE_MAX];
	char *path; /* from the container's root; NULL: not found (yet) */
};
typedef VEC(struct watch) watch_vec;

/* The handle in a line of fdinfo. */
int watch_parse_handle(const char *line, struct watch *w);

void watches_free(watch_vec *watches);

/* Finds the paths of those that have none, as far as no watch would notice. */
int watches_find(struct checkpoint *c, watch_vec *watches, struct error **err);

/*
 * Whether no watch of the container sees that this inode is opened and read as a directory; with
 * dev 0 that any is.
 */
bool watches_blind(const struct checkpoint *c, uint32_t dev, uint64_t ino);

/* Whether none sees that anything in this file system is read through a mount of our own. */
bool watches_blind_in(const struct checkpoint *c, dev_t dev);

#endif
