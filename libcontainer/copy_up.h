/* SPDX-License-Identifier: GPL-2.0-only */
/* tmpcopyup: what was in a directory before a tmpfs came over it. */
#ifndef FIRN_LIBCONTAINER_COPY_UP_H
#define FIRN_LIBCONTAINER_COPY_UP_H

#include <stdbool.h>

struct error;

/*
 * Copies everything below the directory from (opened for reading) into the directory to, with
 * modes, owners, times and extended attributes, following no link. The directory to itself gets
 * from's owner only if keep_owner is not set, and never its mode.
 */
int copy_up(int from, int to, bool keep_owner, struct error **err);

#endif
