// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/resource.h"

/*
 * The order is that of admission, dump, and of each stage of a restore. In a core
 * the records of threads come last; container.rec begins with the tree. Memory
 * objects are dumped when everything that has some has named them; limits are
 * set behind the timers, which they bind.
 */
const struct resource_class *const resource_classes[] = {
	/* each in a line of its own */
	/* clang-format off */
	&resource_tree,
	&resource_memory_policy, /* before the mappings, of which it learns something */
	&resource_memory,
	&resource_aio,
	&resource_mounts,
	&resource_netdev,
	&resource_uts,
	&resource_sysvipc,
	&resource_tty,
	&resource_mqueue,
	&resource_files,
	&resource_tmpfs, /* by what is open it knows sockets, watches and leases */
	&resource_locks,
	&resource_owners,
	&resource_memory_object,
	&resource_membarrier,
	&resource_process,
	&resource_timers,
	&resource_rlimits,
	&resource_signals,
	&resource_threads,
	NULL,
	/* clang-format on */
};
