/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a process runs and where its memory comes from: CPU affinity and memory policy. */
#ifndef FIRN_LIBCONTAINER_NUMA_H
#define FIRN_LIBCONTAINER_NUMA_H

#include <stddef.h>

struct error;
struct oci_memory_policy;

/*
 * Sets the bits of a list like "0-3,7" in a bitmap of that many bits, as the kernel's
 * bitmaps are laid out. -EINVAL for what is no list, -ERANGE beyond the bitmap.
 */
int numa_parse_list(const char *list, unsigned long *bits, size_t count);

/* Lets the caller run on these CPUs alone; list may be NULL. what names the field. */
int numa_set_affinity(const char *list, const char *what, struct error **err);

/* linux.memoryPolicy, for the caller and what it executes; policy may be NULL. */
int numa_set_memory_policy(const struct oci_memory_policy *policy, struct error **err);

#endif
