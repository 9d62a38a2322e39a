/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets: what unix.c (a checkpoint) and unix_restore.c share. */
#ifndef FIRN_RESOURCE_UNIX_H
#define FIRN_RESOURCE_UNIX_H

#include "checkpoint/resource/files.h"

/* A queued message in the record's tail: data padded to 8 bytes follows. */
struct unix_message {
	uint32_t len;
	uint32_t reserved;
};

int unix_load(struct restore *r, struct file_object *o, struct error **err);
int unix_open(struct restore *r, struct file_object *o, struct error **err);
int unix_cross(struct restore *r, struct file_object *o, struct error **err);

#endif
