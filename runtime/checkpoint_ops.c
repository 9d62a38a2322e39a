// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/checkpoint_ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/cgroup_enter.h"
#include "libcontainer/freezer.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "runtime/verb.h"
#include "util/clock.h"
#include "util/error.h"

#define FREEZE_DEADLINE_MS 10000
#define BAR_WIDTH	   30
#define BAR_INTERVAL_NS	   50000000ull

static volatile int cancelled;

int checkpoint_ctx_open(struct checkpoint_ctx *ctx, struct container *c, struct error **err)
{
	int r;

	*ctx = (struct checkpoint_ctx){.c = c, .bar = isatty(STDERR_FILENO)};
	if (!c->cgroup_path)
		return error_set(err, ENOENT, "container \"%s\" has no cgroup", c->id);
	r = cgroup_open(c->cgroup_path, &ctx->cg, err);
	return r < 0 ? r : freezer_open(ctx->cg, &ctx->f, err);
}

void checkpoint_ctx_close(struct checkpoint_ctx *ctx)
{
	/* an error has a line of its own */
	if (ctx->shown_ns)
		fputc('\n', stderr);
	freezer_free(ctx->f);
	cgroup_free(ctx->cg);
}

/*
 * The first time the container goes through FREEZING and FROZEN to CKPTING, in
 * which it stays: what the engine thaws and freezes within is nobody else's business.
 */
static int op_freeze(void *data, struct error **err)
{
	struct checkpoint_ctx *ctx = data;
	int r;

	if (ctx->c->state == CONTAINER_CKPTING || ctx->c->state == CONTAINER_RSTRTING)
		return freezer_freeze(ctx->f, FREEZE_DEADLINE_MS, err);
	r = container_freeze(ctx->c, ctx->c->user_paused, FREEZE_DEADLINE_MS, &cancelled, err);
	/* the state says so; that nobody has thawed the cgroup by hand, the cgroup says */
	if (r == 0)
		r = freezer_freeze(ctx->f, FREEZE_DEADLINE_MS, err);
	if (r == 0)
		r = container_set_state(ctx->c, CONTAINER_CKPTING, err);
	if (r == 0)
		container_unlock(ctx->c);
	return r;
}

static int op_thaw(void *data, struct error **err)
{
	struct checkpoint_ctx *ctx = data;

	return freezer_thaw(ctx->f, err);
}

static int op_freezer_version(void *data)
{
	struct checkpoint_ctx *ctx = data;

	return freezer_version(ctx->f);
}

static int op_tasks(void *data, pid_vec *pids, struct error **err)
{
	struct checkpoint_ctx *ctx = data;
	struct pid_list list = {0};
	int r = cgroup_pids(ctx->cg, &list, err);

	for (size_t i = 0; r == 0 && i < list.count; i++) {
		pid_t *pid = vec_add(pids);

		if (pid)
			*pid = list.pids[i];
		else
			r = error_errno(err, ENOMEM, "listing tasks");
	}
	free(list.pids);
	return r;
}

static int op_nested_cgroups(void *data, struct buf *paths, struct error **err)
{
	struct checkpoint_ctx *ctx = data;

	return cgroup_nested(ctx->cg, paths, err);
}

static int op_enter(void *data, struct error **err)
{
	struct checkpoint_ctx *ctx = data;

	return cgroup_enter(ctx->cg, err);
}

/* As long as the tasks live: who follows the states would see one that is dead in CKPTING. */
static int op_before_kill(void *data, struct error **err)
{
	struct checkpoint_ctx *ctx = data;
	int r = container_lock(ctx->c, err);

	return r < 0 ? r : container_set_state(ctx->c, CONTAINER_FROZEN, err);
}

static int op_kill(void *data, struct error **err)
{
	struct checkpoint_ctx *ctx = data;

	return container_destroy(ctx->c, err);
}

/*
 * The rate is that since the first row: how much had been written by then is known, but not since
 * when. What is done may be all that there is so far, with more to come: the row ends with the
 * work.
 */
static void op_progress(void *data, uint64_t done, uint64_t total)
{
	struct checkpoint_ctx *ctx = data;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	char bar[BAR_WIDTH + 1];

	if (!ctx->bar || !total || (done < total && now - ctx->shown_ns < BAR_INTERVAL_NS))
		return;
	if (!ctx->shown_ns) {
		ctx->first_ns = now;
		ctx->first_done = done;
	}
	ctx->shown_ns = now;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (double)done / total * BAR_WIDTH);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %llu of %llu MiB", bar, (unsigned long long)(done >> 20),
		(unsigned long long)(total >> 20));
	if (now - ctx->first_ns >= BAR_INTERVAL_NS)
		fprintf(stderr, ", %5.0f MiB/s",
			((done - ctx->first_done) / 1048576.0) / ((now - ctx->first_ns) / 1e9));
}

const struct checkpoint_ops checkpoint_ops = {
	.freeze = op_freeze,
	.thaw = op_thaw,
	.freezer_version = op_freezer_version,
	.tasks = op_tasks,
	.nested_cgroups = op_nested_cgroups,
	.enter = op_enter,
	.before_kill = op_before_kill,
	.kill = op_kill,
	.progress = op_progress,
};

static void on_signal(int signo)
{
	cancelled = 1;
}

const volatile int *checkpoint_catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return &cancelled;
}

int checkpoint_parse_provider(const char *word, enum checkpoint_provider *provider,
			      struct error **err)
{
	static const char *const words[] = {
		[PROVIDER_AUTO] = "auto", [PROVIDER_KERNEL] = "kernel", [PROVIDER_USER] = "user"};

	for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!word || !strcmp(word, words[i])) {
			*provider = i;
			return 0;
		}
	return error_set(err, EINVAL, "--provider \"%s\": must be auto, kernel or user", word);
}

static bool is_among(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words))
		words++;
	return *words;
}

/*
 * Both ask for what is done anyway: a network namespace that config.json makes is made anew, and
 * cgroups are those of config.json. A word that nobody knows asks for something else.
 */
int checkpoint_check_words(const struct runtime *rt, struct error **err)
{
	static const struct {
		const char *option, *list;
		const char *words[6];
	} known[] = {
		{"empty-ns", "network", {"network"}},
		{"manage-cgroups-mode",
		 "soft, full, strict or ignore",
		 {"soft", "full", "strict", "ignore", ""}},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t position = 0;
		const char *word;

		while ((word = option_next(rt, known[i].option, &position)))
			if (!is_among(word, known[i].words))
				return error_set(err, EINVAL, "--%s \"%s\": must be %s",
						 known[i].option, word, known[i].list);
	}
	return 0;
}
