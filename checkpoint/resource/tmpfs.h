/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Contents of file systems in memory (tmpfs-N.tar): tmpfs.c has the class, tmpfs_save.c reads
 * them, tmpfs_fill.c makes them again. All three work on mounts of their own with nothing
 * mounted on them, in which no path leads anywhere else.
 */
#ifndef FIRN_CHECKPOINT_TMPFS_H
#define FIRN_CHECKPOINT_TMPFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "checkpoint/image/records.h"

struct checkpoint;
struct error;
struct restore;

#define TMPFS_PATH_SIZE	 4096	      /* of a path from its root, with the NUL */
#define TMPFS_DEPTH_MAX	 256	      /* of directories, each of which takes a descriptor */
#define TMPFS_FILE_MAX	 (1ull << 44) /* with its holes, which take libarchive time by GiB */
#define TMPFS_XATTRS_MAX (512 << 10)  /* bytes in one file: the reader takes 1 MiB for a header */

/* Extended attributes that are saved: labels of security modules are the mount's. */
bool tmpfs_xattr_is_kept(const char *name);

/* --- a checkpoint --- */

struct tmpfs_entry {
	const char *path; /* from the root, which is "." itself */
	const char *name; /* in the working directory */
	struct statx st;
	bool unreachable; /* its path is too long, or it is too deep: what is below is not visited
			   */
};

/*
 * Calls fn for everything in the directory root and then for that itself; a directory comes
 * behind what is in it. Working directories are the calling thread's own: in_namespaces() with
 * CLONE_NEWNS gives it some. Once *cancel is set it fails with -ECANCELED.
 */
int tmpfs_walk(int root, int (*fn)(void *ctx, const struct tmpfs_entry *e, struct error **err),
	       void *ctx, const volatile int *cancel, struct error **err);

/* Adds tmpfs-NUMBER.tar with all that is below root but sockets. In such a thread as well. */
int tmpfs_save(struct checkpoint *c, uint32_t number, int root, struct error **err);

/* --- a restore --- */

/*
 * Makes what is below root what tmpfs-NUMBER.tar has: all that is there goes before, but what
 * something is mounted on. In a process of its own, in the container's mount namespace.
 */
int tmpfs_fill(struct restore *r, uint32_t number, int root, struct error **err);

/* A path of an archive: relative, and without a step that is empty, "." or "..". */
bool tmpfs_path_is_sound(const char *path);

#endif
