/* SPDX-License-Identifier: GPL-2.0-only */
/* The mounts of a mount namespace, from /proc/PID/mountinfo. */
#ifndef FIRN_CHECKPOINT_MOUNTS_H
#define FIRN_CHECKPOINT_MOUNTS_H

#include <stdbool.h>

#include "util/buf.h"

struct error;

struct mount {
	unsigned id, major, minor;
	unsigned shared, master; /* peer groups; 0: none */
	char *root, *point, *options, *type;
	char *super; /* options of the file system; may be NULL */
};
typedef VEC(struct mount) mount_vec;

/* pid is text, "self" too. The caller frees with mounts_free(). */
int mounts_read(const char *pid, mount_vec *mounts, struct error **err);

/* The same from a text, which is changed. -EPROTO, -ENOMEM. */
int mounts_parse(char *text, mount_vec *mounts);
void mounts_free(mount_vec *mounts);

/* In now, but not in then (of the same namespace), nor come from ours (host) by propagation. */
bool mount_is_new(const struct mount *m, const mount_vec *then, const mount_vec *host);

/* The one that m was in now, or NULL if it is gone. */
const struct mount *mount_find(const mount_vec *now, const struct mount *m);

/* Of a tmpfs, by what it shows: a size that only one of the two shows may be the machine's. */
bool tmpfs_options_differ(const char *then, const char *now);

#endif
