/* SPDX-License-Identifier: GPL-2.0-only */
/* The lock of a container, as state.c uses it; others: container_lock(), container_unlock(). */
#ifndef FIRN_LIBCONTAINER_STATE_LOCK_H
#define FIRN_LIBCONTAINER_STATE_LOCK_H

#include <stdbool.h>

#include "libcontainer/state.h"

/* A descriptor of the lock's file, made if it is not there; negative errno. */
int state_lock_open(struct container *c);

/* wait: as long as it takes; else -EAGAIN if somebody has it. */
int state_lock_try(int fd, bool wait);

/* Locks; -ENOENT if the container was deleted, or deleted and made anew, meanwhile. */
int state_lock_take(struct container *c, bool wait, struct error **err);

/* Locked, read, and nobody else's: or -EBUSY, or as long as it takes. */
int state_lock_idle(struct container *c, bool wait, struct error **err);

/* state.c: reads the file into c, anew. */
int state_read(struct container *c, struct error **err);

/* state.c: whether the state alone, whatever a user wanted, lasts only while somebody works. */
bool container_state_passes(enum container_state state);

#endif
