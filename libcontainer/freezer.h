/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The freezer: cgroup v1, v2 and hybrid behind one object. Never SIGSTOP: the
 * contained program must not be able to tell. Facts: Linux
 * kernel/cgroup/freezer.c, legacy_freezer.c.
 */
#ifndef FIRN_LIBCONTAINER_FREEZER_H
#define FIRN_LIBCONTAINER_FREEZER_H

#include <stdbool.h>

struct cgroup;
struct error;
struct freezer;

enum freezer_state {
	FREEZER_THAWED,
	FREEZER_FREEZING,
	FREEZER_FROZEN,
	FREEZER_INHERITED, /* frozen by an ancestor, not by us */
};

/* Borrows the cgroup, which must outlive it. */
int freezer_open(struct cgroup *cg, struct freezer **f, struct error **err);

/*
 * Returns when every task is frozen. After deadline_ms without that, the
 * cgroup is put back as it was found and -ETIMEDOUT names each task that did
 * not freeze with its wait channel. Already frozen is success.
 */
int freezer_freeze(struct freezer *f, int deadline_ms, struct error **err);

/* From now on freezer_freeze() gives up, as at its deadline, with -ECANCELED once *cancel is set.
 */
void freezer_cancel_by(struct freezer *f, const volatile int *cancel);

/* -EBUSY if an ancestor is frozen, so that a thaw would not make the tasks run. */
int freezer_may_thaw(struct freezer *f, struct error **err);

/* Returns when thawed. An inherited freeze is left alone: -EBUSY says so. */
int freezer_thaw(struct freezer *f, struct error **err);

int freezer_state(struct freezer *f, enum freezer_state *state, struct error **err);

/* 1 or 2: which of the two behaviours of freezer-facts holds. */
int freezer_version(const struct freezer *f);

void freezer_free(struct freezer *f);
static inline void cleanup_freezer(struct freezer **f)
{
	freezer_free(*f);
}
#define __cleanup_freezer __attribute__((cleanup(cleanup_freezer)))

#endif
