/* SPDX-License-Identifier: GPL-2.0-only */
/* What verbs do to a container as a whole: state, freezer and cgroup moved together. */
#ifndef FIRN_LIBCONTAINER_LIFECYCLE_H
#define FIRN_LIBCONTAINER_LIFECYCLE_H

#include <stdbool.h>

struct container;
struct error;

/*
 * RUNNING, FREEZING, FROZEN: returns with every task frozen. user says who
 * asked, see user_paused; a container that is FROZEN already only gets that
 * noted. If the tasks do not freeze within deadline_ms the container is RUNNING
 * again and the error (-ETIMEDOUT) names them; so it is once *cancel is set
 * (-ECANCELED; cancel may be NULL). The container must be locked.
 */
int container_freeze(struct container *c, bool user, int deadline_ms, const volatile int *cancel,
		     struct error **err);

/*
 * FROZEN, THAWING, RUNNING. -EBUSY, the container FROZEN as before, when the
 * freeze of a cgroup above would keep the tasks from running.
 */
int container_thaw(struct container *c, struct error **err);

/*
 * Signals the init, or every process with all. SIGKILL makes a frozen container
 * die without running again and sets it DEAD; otherwise nothing is waited for.
 * -ESRCH "container not running".
 */
int container_signal(struct container *c, int signo, bool all, struct error **err);

/*
 * Kills what is left, removes the cgroup and sets the container DEAD. Hooks
 * and the state directory are the caller's (container_remove()).
 */
int container_destroy(struct container *c, struct error **err);

/*
 * Removes directories of resctrl that were made for it, and its mounts on the host; a part of
 * container_destroy().
 */
void container_remove_made(const struct container *c);

#endif
