/* SPDX-License-Identifier: GPL-2.0-only */
/* Which tasks kept a cgroup from freezing, and where in the kernel they wait. */
#ifndef FIRN_LIBCONTAINER_FREEZER_STUCK_H
#define FIRN_LIBCONTAINER_FREEZER_STUCK_H

#include <stddef.h>
#include <sys/types.h>

struct cgroup;
struct error;

struct stuck_task {
	pid_t pid, tid;
	char state;
	char wchan[64];
	char name[20];
};

struct stuck_list {
	struct stuck_task *items;
	size_t count, size;
};

/* Collects the suspects while the cgroup is still freezing. Never fails: it only serves a message.
 */
void stuck_collect(struct cgroup *cg, struct stuck_list *list);

/*
 * After the freeze was taken back: drops those who were frozen after all and
 * names the rest in an -ETIMEDOUT error.
 */
int stuck_report(struct stuck_list *list, int deadline_ms, struct error **err);

void stuck_free(struct stuck_list *list);

#endif
