/* SPDX-License-Identifier: GPL-2.0-only */
/* Every resource class, one line each; the table with their order is table.c's. */
#ifndef FIRN_CHECKPOINT_RESOURCE_H
#define FIRN_CHECKPOINT_RESOURCE_H

#include "checkpoint/engine/engine.h"

extern const struct resource_class resource_tree;
extern const struct resource_class resource_aio;
extern const struct resource_class resource_files;
extern const struct resource_class resource_locks;
extern const struct resource_class resource_membarrier;
extern const struct resource_class resource_memory;
extern const struct resource_class resource_memory_object;
extern const struct resource_class resource_memory_policy;
extern const struct resource_class resource_mqueue;
extern const struct resource_class resource_owners;
extern const struct resource_class resource_mounts;
extern const struct resource_class resource_netdev;
extern const struct resource_class resource_process;
extern const struct resource_class resource_rlimits;
extern const struct resource_class resource_signals;
extern const struct resource_class resource_sysvipc;
extern const struct resource_class resource_threads;
extern const struct resource_class resource_timers;
extern const struct resource_class resource_tmpfs;
extern const struct resource_class resource_tty;
extern const struct resource_class resource_uts;

#endif
