/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that several processes share: anonymous, memfd, SysV. */
#ifndef FIRN_CHECKPOINT_RESOURCE_MEMORY_OBJECT_H
#define FIRN_CHECKPOINT_RESOURCE_MEMORY_OBJECT_H

#include <stdint.h>

struct error;
struct restore;

/*
 * Loads the contents of an object into fd (borrowed), which is of the recorded
 * size and empty. size: what the caller expects it to be; -EBADMSG if it is not.
 */
int memory_object_fill(struct restore *r, uint32_t object, int fd, uint64_t size,
		       struct error **err);

#endif
