// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/resource.h"

/*
 * The order is that of admission, dump, and of each stage of a restore. In a core
 * the records of threads come last; container.rec begins with the tree.
 */
const struct resource_class *const resource_classes[] = {
	&resource_tree,
	&resource_memory,
	&resource_process,
	&resource_signals,
	&resource_threads,
	NULL,
};
