/* SPDX-License-Identifier: GPL-2.0-only */
/* How many descriptors the runtime may have while it saves or loads a container. */
#ifndef FIRN_UTIL_LIMIT_H
#define FIRN_UTIL_LIMIT_H

#include <sys/resource.h>

/*
 * As many as the hard limit allows or, with CAP_SYS_RESOURCE, as any process may, but `most` at
 * most. Who runs another program puts the limit back for it.
 */
void limit_raise_descriptors(rlim_t most);

/* What the runtime was started with; nothing if it was not raised. */
void limit_put_back(void);

#endif
