/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The directory of an image that is being written. A fresh one is written in
 * place. One that holds an image stays as it is until the new one, written
 * beside it, is durable; then the two change places.
 *
 * What a killed writer leaves is recognized: in place by manifest.json.tmp, which is
 * made first; beside an image by a name of its own and a lock that nobody holds.
 */
#ifndef FIRN_IMAGE_DIRECTORY_H
#define FIRN_IMAGE_DIRECTORY_H

#include <stdbool.h>

#include "util/buf.h"

struct error;

struct image_dir {
	char *path;	  /* as the user gave it */
	int fd;		  /* where files are written; locked */
	VEC(char *) made; /* directories that were not there, outermost first */

	/* of one that holds an image: */
	int old_fd;    /* it; locked. -1: written in place */
	int parent_fd; /* where both are */
	char *name;    /* the old one's in there */
	char temp[32]; /* the new one's, until they change places */
};

/* Refuses foreign files by name (-ENOTEMPTY), and a directory in use by another (-EBUSY). */
int image_dir_open(const char *path, struct image_dir *d, struct error **err);

/*
 * Makes a complete image (its files and its directory are on the disk) the one
 * at the path. The old one is removed.
 */
int image_dir_publish(struct image_dir *d, struct error **err);

/*
 * Removes every file of the unfinished image, and the directories that were
 * made for it. Needs no memory and no space.
 */
void image_dir_discard(struct image_dir *d);

/* Frees what d owns, not d. */
void image_dir_free(struct image_dir *d);

#endif
