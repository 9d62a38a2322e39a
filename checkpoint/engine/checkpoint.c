// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/load.h"
#include "checkpoint/engine/phases.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/files.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"
#include "util/speaker.h"

int checkpoint_block(struct checkpoint *c, pid_t pid, int fd, uint64_t address, const char *remedy,
		     const char *object_fmt, ...)
{
	struct checkpoint_blocker *b = vec_add(&c->result->blockers);
	va_list args;

	if (!b)
		return -ENOMEM;
	b->pid = pid;
	b->fd = fd;
	b->address = address;
	va_start(args, object_fmt);
	if (vasprintf(&b->object, object_fmt, args) < 0)
		b->object = NULL;
	va_end(args);
	b->remedy = strdup(remedy);
	return 0;
}

void blockers_free(blocker_vec *blockers)
{
	vec_for_each (b, blockers) {
		free(b->object);
		free(b->remedy);
	}
	vec_free(blockers);
}

int task_add_core(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	snprintf(t->core_name, sizeof(t->core_name), "task-%u.core", t->rec.pid);
	return image_add_file(c->image, t->core_name, &t->core, err);
}

/* The container's clocks are ours plus the offsets of its time namespace. */
static int read_clock_offsets(pid_t init, int64_t *monotonic, int64_t *boottime, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = proc_read(&text, NULL, "%d/timens_offsets", init);

	*monotonic = *boottime = 0;
	if (r == -ENOENT)
		return 0;
	if (r)
		return error_errno(err, -r, "reading the clock offsets of task %d", init);
	for (char *line = text; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		char name[32];
		long long sec, nsec;

		if (sscanf(line, "%31s %lld %lld", name, &sec, &nsec) != 3)
			continue;
		if (!strcmp(name, "monotonic") || !strcmp(name, "1"))
			*monotonic = sec * NSEC_PER_SEC + nsec;
		else if (!strcmp(name, "boottime") || !strcmp(name, "7"))
			*boottime = sec * NSEC_PER_SEC + nsec;
	}
	return 0;
}

/* Opened already it stays, if the thread that speaks for the init is the same still. */
static int open_root(struct checkpoint *c, struct error **err)
{
	pid_t speaker = process_speaker(c->request->init);

	if (c->rootfd >= 0 && speaker == c->init)
		return 0;
	if (c->rootfd >= 0)
		close(c->rootfd);
	c->init = speaker;
	c->rootfd = open_fmt(O_PATH | O_DIRECTORY, "/proc/%d/root", speaker);
	return c->rootfd < 0 ? error_errno(err, -c->rootfd, "opening the root of task %d", speaker)
			     : 0;
}

static int phase_begin(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	int r = provider_choose(c->request->provider, &c->kernel, err);

	if (r)
		return r;
	if (c->request->snapshot && !(c->kernel.classes & KERNEL_CLASS(MEMORY))) {
		error_set(err, EOPNOTSUPP, "a snapshot wants checkpoint(2)");
		return error_hint(err, "without --snapshot memory is saved while it is frozen");
	}
	/* nobody waits for it yet; the thread may end on the way, one that is frozen stays */
	open_root(c, NULL);
	return 0;
}

/*
 * The reference of every relative time: read when nobody runs any more, so that
 * what the kernel has written down by itself on the way (what ppoll and select had
 * left) was counted from before. cgroup v1 freezes calls in place, and it does that only
 * when ptrace stops them.
 */
static int read_clocks(struct checkpoint *c, struct error **err)
{
	int64_t monotonic, boottime;
	int r = read_clock_offsets(c->init, &monotonic, &boottime, err);

	if (r)
		return r;
	c->begin_host_monotonic = clock_ns(CLOCK_MONOTONIC);
	c->begin_host_boottime = clock_ns(CLOCK_BOOTTIME);
	c->begin = (struct ckpt_begin){
		.magic = CKPT_MAGIC,
		.format = CKPT_FORMAT_VERSION,
		.realtime = clock_ns(CLOCK_REALTIME),
		.monotonic = c->begin_host_monotonic + monotonic,
		.boottime = c->begin_host_boottime + boottime,
	};
	return 0;
}

static void undo_freeze(void *ctx)
{
	struct checkpoint *c = ctx;
	struct error *err = NULL;

	if (tasks_thaw(c, &err))
		log_warning("thawing after the checkpoint: %s", error_message(err));
	error_free(err);
}

/* Those that have been seized are still. */
static void undo_refreeze(void *ctx)
{
	struct checkpoint *c = ctx;
	struct error *err = NULL;

	if (c->request->ops->thaw(c->request->ctx, &err))
		log_warning("thawing after the checkpoint: %s", error_message(err));
	error_free(err);
}

static int phase_freeze(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	const struct checkpoint_request *q = c->request;
	int r;

	if (!q->was_frozen && undo_push(&c->undo, "freeze", undo_freeze, c))
		return error_errno(err, ENOMEM, "freezing");
	c->frozen = clock_ns(CLOCK_MONOTONIC);
	r = q->ops->freeze(q->ctx, err);
	/* even if all was frozen before it failed; a kernel with checkpoint(2) does it by itself */
	c->rewinds = !q->was_frozen && !c->kernel.classes;
	if (!r)
		r = open_root(c, err);
	return r ? r : read_clocks(c, err);
}

static int phase_survey(void *ctx, struct error **err)
{
	return tasks_survey(ctx, err);
}

/* Every class sees the container, then every task. The first failure that is not a blocker ends it.
 */
static int for_each_class(struct checkpoint *c, bool dump, struct error **err)
{
	int r = 0;

	for (unsigned i = 0; !r && resource_classes[i]; i++) {
		const struct resource_class *class = resource_classes[i];
		int (*fn)(struct checkpoint *, struct dump_task *, struct error **) =
			!dump					? class->admit
			: provider_is_kernel(&c->kernel, class) ? class->adopt
								: class->dump;
		uint64_t start = clock_ns(CLOCK_MONOTONIC);

		if (!fn)
			continue;
		r = fn(c, NULL, err);
		vec_for_each (t, &c->tasks)
			if (!r && t->rec.state != CKPT_TASK_ZOMBIE)
				r = fn(c, t, err);
		log_debug("checkpoint: %s %s in %.2f ms", dump ? "dump" : "admit", class->name,
			  (clock_ns(CLOCK_MONOTONIC) - start) / 1e6);
		if (r)
			error_wrap(err, "class %s", class->name);
	}
	return r;
}

static int blocked(const struct checkpoint *c, struct error **err)
{
	const struct checkpoint_blocker *b = c->result->blockers.items;
	size_t more = c->result->blockers.count - 1;
	char where[96] = "";

	if (b->pid && b->fd >= 0)
		snprintf(where, sizeof(where), "process %d, fd %d: ", b->pid, b->fd);
	else if (b->pid && b->address)
		snprintf(where, sizeof(where), "process %d, address %#llx: ", b->pid,
			 (unsigned long long)b->address);
	else if (b->pid)
		snprintf(where, sizeof(where), "process %d: ", b->pid);
	error_set(err, EBUSY, "%s%s cannot be saved%s", where, b->object, more ? ", and more" : "");
	return error_hint(err, "%s; --check lists everything", b->remedy);
}

static int phase_admit(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	int r = for_each_class(c, false, err);

	if (r)
		return r;
	/* last: classes may have left something to the user provider */
	tasks_admit_traced(c);
	if (c->request->snapshot && !(c->kernel.classes & KERNEL_CLASS(MEMORY)))
		log_warning("memory is saved while the container is frozen: the kernel cannot save "
			    "all of it");
	return c->result->blockers.count ? blocked(c, err) : 0;
}

static int phase_image(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	struct image_file *f;
	int r = image_create(c->request->image, &c->image, err);

	if (r)
		return r;
	r = image_add_file(c->image, "config.json", &f, err);
	if (!r)
		r = image_file_write(f, c->request->config, c->request->config_len, err);
	return r;
}

static int phase_kernel(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	int r = kernel_hold_tasks(c, err);

	/* on cgroup v1 it is the hold that takes them out of their calls */
	if (!r && c->hold >= 0 && c->request->ops->freezer_version(c->request->ctx) == 1)
		r = read_clocks(c, err);
	return r ? r : kernel_capture(c, err);
}

static int phase_seize(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	int r = provider_traces(&c->kernel) ? tasks_seize(c, err) : 0;

	/* times that the kernel has recorded are counted from the readings before */
	if (r || c->request->ops->freezer_version(c->request->ctx) != 1 || c->kernel.classes)
		return r;
	return read_clocks(c, err);
}

static int phase_capture(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	bool traces = provider_traces(&c->kernel);
	int r;

	c->begin.tasks = c->tasks.count;
	if (!record_add(&c->records, CKPT_BEGIN, &c->begin, sizeof(c->begin)))
		return error_errno(err, ENOMEM, "recording");
	r = traces ? tasks_start_windows(c, err) : 0;
	/* the longest part: other CPUs can begin */
	if (!r)
		r = memory_begin_pages(c, err);
	if (!r && traces)
		r = tasks_finish_windows(c, err);
	if (!r && traces)
		r = ask_tasks(c, err);
	if (!r)
		r = for_each_class(c, true, err);
	/* nobody asks again for what a class found only now */
	return !r && c->result->blockers.count ? blocked(c, err) : r;
}

static int phase_pages(void *ctx, struct error **err)
{
	int r = memory_end_pages(ctx, err);

	return r ? r : aio_check_still(ctx, err);
}

static void spare_all(struct checkpoint *c)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		if (resource_classes[i]->spare)
			resource_classes[i]->spare(c);
}

/*
 * Whoever is to be killed is not let go first, which would cost a good part of what seizing
 * it did: frozen in its ptrace stop it waits for the image. The freeze is for the case
 * that we are killed, which lets go of it.
 */
static int freeze_seized(struct checkpoint *c, struct error **err)
{
	const struct checkpoint_request *q = c->request;

	/* a held one would not die */
	kernel_drop_hold(c);
	/* whom the kernel alone has saved has been frozen all the time */
	if (!provider_traces(&c->kernel))
		return 0;
	if (undo_push(&c->undo, "refreeze", undo_refreeze, c))
		return error_errno(err, ENOMEM, "freezing again");
	return q->ops->freeze(q->ctx, err);
}

/* From here on the tasks are only frozen; if they are to go on, they do so while the disk works. */
static int let_go(struct checkpoint *c, struct error **err)
{
	const struct checkpoint_request *q = c->request;

	undo_run_until(&c->undo, "freeze");
	if (!q->was_frozen) {
		spare_all(c);
		undo_run(&c->undo);
	}
	/* a user has paused it, and now it runs */
	if (c->refreeze_failed && q->was_frozen)
		return error_set(err, ETIMEDOUT, "the container did not freeze again");
	return 0;
}

static int phase_release(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	int r = c->request->leave_running ? let_go(c, err) : freeze_seized(c, err);

	c->result->frozen_ns = clock_ns(CLOCK_MONOTONIC) - c->frozen;
	return r;
}

static int phase_cores(void *ctx, struct error **err)
{
	return memory_write_cores(ctx, err);
}

static int phase_records(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	struct ckpt_end end = {0};
	struct image_file *f;
	struct record rec;
	size_t pos = 0;
	int r;

	while (record_next(c->records.data, c->records.len, &pos, &rec) == 1)
		end.records++;
	if (!record_add(&c->records, CKPT_END, &end, sizeof(end)))
		return error_errno(err, ENOMEM, "recording");
	if (c->records.len > CONTAINER_MAX)
		return error_set(err, EFBIG, "container.rec: %zu bytes, at most %u are read",
				 c->records.len, CONTAINER_MAX);
	r = image_add_file(c->image, "container.rec", &f, err);
	return r ? r : image_file_write(f, c->records.data, c->records.len, err);
}

/* Nobody is killed, and no older image replaced, for one that no restore would take. */
static int phase_review(void *ctx, struct error **err)
{
	return load_review(ctx, err);
}

const struct checkpoint_allowance checkpoint_allowances[CHECKPOINT_ALLOWANCES] = {
	{"exec", ALLOW_EXEC},
	{"ext-unix", ALLOW_EXT_UNIX},
	{"aio", ALLOW_AIO},
};

/* Connections that come back reset, and the end of the list. */
#define WAIVED_MAX (CHECKPOINT_ALLOWANCES + 2)

static void list_waived(const struct checkpoint_request *q, const char *waived[WAIVED_MAX])
{
	unsigned n = 0;

	for (size_t i = 0; i < CHECKPOINT_ALLOWANCES; i++)
		if (q->allow & checkpoint_allowances[i].flag)
			waived[n++] = checkpoint_allowances[i].word;
	if (q->tcp == TCP_POLICY_RESET)
		waived[n++] = "tcp";
}

static int phase_commit(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	const char *waived[WAIVED_MAX] = {0}, *by_kernel[KERNEL_NAMES_MAX] = {0};
	unsigned names = provider_names(&c->kernel, by_kernel);
	struct image_info info = {
		.id = c->request->id,
		.begin_realtime = c->begin.realtime,
		.begin_monotonic = c->begin.monotonic,
		.begin_boottime = c->begin.boottime,
		.frozen_ns = c->result->frozen_ns,
		.total_ns = clock_ns(CLOCK_MONOTONIC) - c->started,
		.page_bytes = c->page_bytes,
		.tasks = c->tasks.count,
		.xstate_features = c->xstate_features,
		.xstate_size = c->xstate_size,
		.vdso_hash = c->vdso_hash,
		.waived = waived,
		.provider = names ? "kernel" : "user",
		.kernel_classes = names ? by_kernel : NULL,
	};

	list_waived(c->request, waived);
	info.net_hold = c->net_hold;
	vec_for_each (t, &c->tasks)
		info.threads += t->threads.count;
	return image_commit(c->image, &info, err);
}

/* All that can fail, as long as there is a way back. */
static int prepare_kill(struct checkpoint *c, struct error **err)
{
	int r = 0;

	for (unsigned i = 0; !r && resource_classes[i]; i++)
		if (resource_classes[i]->seal)
			r = resource_classes[i]->seal(c, err);
	if (!r)
		r = fault_point("checkpoint-seal", err);
	if (!r)
		r = c->request->ops->before_kill(c->request->ctx, err);
	return r ? r : fault_point("checkpoint-kill", err);
}

/* The image is durable: now, and only now, may the container go. */
static int phase_finish(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	const struct checkpoint_request *q = c->request;
	int r;

	if (q->leave_running)
		return 0;
	r = prepare_kill(c, err);
	if (r) {
		spare_all(c);
		image_withdraw(c->image);
		return r;
	}
	undo_forget(&c->undo);
	tasks_end(c);
	return q->ops->kill(q->ctx, err);
}

static const struct phase checkpoint_phases[] = {
	{"begin", phase_begin},	    {"freeze", phase_freeze},	{"survey", phase_survey},
	{"admit", phase_admit},	    {"image", phase_image},	{"kernel", phase_kernel},
	{"seize", phase_seize},	    {"capture", phase_capture}, {"pages", phase_pages},
	{"release", phase_release}, {"cores", phase_cores},	{"records", phase_records},
	{"review", phase_review},   {"commit", phase_commit},
};
#define CHECK_PHASES 4

static const struct phase finish_phases[] = {{"finish", phase_finish}};

/* *passes: what was in the way goes by itself. */
static int attempt(const struct checkpoint_request *request, struct checkpoint_result *result,
		   bool *passes, struct error **err)
{
	struct checkpoint c = {.request = request, .result = result, .rootfd = -1, .hold = -1};
	unsigned count = sizeof(checkpoint_phases) / sizeof(*checkpoint_phases);
	int r;

	c.started = clock_ns(CLOCK_MONOTONIC);
	limit_raise_descriptors(FILES_MAX); /* several for each process */
	r = phases_run("checkpoint", checkpoint_phases, request->check_only ? CHECK_PHASES : count,
		       &c, request->cancel, err);
	/* after the commit there is an image: nothing cancels the rest */
	if (!r && !request->check_only)
		r = phases_run("checkpoint", finish_phases, 1, &c, NULL, err);
	page_pool_free(c.pages);
	undo_run(&c.undo);
	result->page_bytes = c.page_bytes;
	result->total_ns = clock_ns(CLOCK_MONOTONIC) - c.started;
	image_close(c.image);
	for (unsigned i = 0; resource_classes[i]; i++)
		if (resource_classes[i]->release)
			resource_classes[i]->release(&c, NULL);
	free(c.net_hold);
	tasks_free(&c);
	buf_free(&c.records);
	if (c.rootfd >= 0)
		close(c.rootfd);
	*passes = r && c.passing && c.passing == result->blockers.count;
	return r;
}

#define ATTEMPTS	 30
#define ATTEMPT_PAUSE_NS 2000000

int checkpoint_save(const struct checkpoint_request *request, struct checkpoint_result *result,
		    struct error **err)
{
	const struct timespec pause = {.tv_nsec = ATTEMPT_PAUSE_NS};
	bool passes;
	int r = attempt(request, result, &passes, err);

	for (unsigned i = 1; r && passes && !request->was_frozen && i < ATTEMPTS; i++) {
		error_free(*err);
		*err = NULL;
		blockers_free(&result->blockers);
		nanosleep(&pause, NULL);
		r = attempt(request, result, &passes, err);
	}
	return r;
}
