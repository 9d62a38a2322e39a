/* SPDX-License-Identifier: GPL-2.0-only */
/* The text of state.json, written and read by state.c; followers of changes need its name. */
#ifndef FIRN_LIBCONTAINER_STATE_FILE_H
#define FIRN_LIBCONTAINER_STATE_FILE_H

#include <stddef.h>

struct buf;
struct container;
struct error;

#define STATE_FILE     "state.json"
#define STATE_FILE_MAX (256u << 10)

/* Appends the text to b. -ENOMEM. */
int state_file_encode(const struct container *c, struct buf *b);

/* Fills in c, whose id is set, from the text. -EUCLEAN naming the field that is missing or wrong.
 */
int state_file_decode(struct container *c, const char *text, struct error **err);

/* Removes a container's directory, which is at path, with all files in it. */
int container_remove_directory(int dir_fd, const char *path);

#endif
