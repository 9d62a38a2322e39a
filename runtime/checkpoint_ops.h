/* SPDX-License-Identifier: GPL-2.0-only */
/* A container's freezer and kill as the checkpoint engine wants them. */
#ifndef FIRN_RUNTIME_CHECKPOINT_OPS_H
#define FIRN_RUNTIME_CHECKPOINT_OPS_H

#include <stdbool.h>

#include "checkpoint/checkpoint.h"

struct cgroup;
struct container;
struct freezer;
struct runtime;

struct checkpoint_ctx {
	struct container *c;
	struct cgroup *cg;
	struct freezer *f;
	bool bar;		       /* a progress bar on standard error */
	uint64_t first_ns, first_done; /* of its first row */
	uint64_t shown_ns;	       /* when the last one was; 0: there is none */
};

extern const struct checkpoint_ops checkpoint_ops;

/* Opens the container's cgroup and freezer; c stays the caller's. */
int checkpoint_ctx_open(struct checkpoint_ctx *ctx, struct container *c, struct error **err);
void checkpoint_ctx_close(struct checkpoint_ctx *ctx);

/*
 * SIGINT and SIGTERM cancel the work instead of ending the process; the
 * returned flag is set when one has come.
 */
const volatile int *checkpoint_catch_signals(void);

/* Refuses words that --empty-ns and --manage-cgroups-mode do not know, for both verbs. */
int checkpoint_check_words(const struct runtime *rt, struct error **err);

/* The value of --provider, NULL if it was not given. */
int checkpoint_parse_provider(const char *word, enum checkpoint_provider *provider,
			      struct error **err);

#endif
