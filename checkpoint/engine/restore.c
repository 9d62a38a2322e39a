// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/load.h"
#include "checkpoint/engine/phases.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/engine/tasks.h"
#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/files.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "checkpoint/user/machine.h"
#include "checkpoint/user/pages.h"
#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"

/* --- admission: before any side effect --- */

int restore_admit(struct image_reader *image, enum checkpoint_provider provider, struct error **err)
{
	const struct image_info *info = image_reader_info(image);
	uint64_t missing = info->xstate_features & ~machine_xstate_features();
	struct kernel unused;
	int r = provider_choose(provider, &unused, err);

	if (r)
		return r;
	if (missing) {
		error_set(err, EOPNOTSUPP,
			  "the container used CPU features (xstate %#llx) that this CPU has not",
			  (unsigned long long)missing);
		return error_hint(err, "restore on a machine with the same CPU features");
	}
	if (info->vdso_hash && info->vdso_hash != machine_vdso_hash()) {
		error_set(err, EOPNOTSUPP,
			  "this kernel's vdso is another one than the image's (%s)",
			  info->kernel ? info->kernel : "kernel unknown");
		return error_hint(err,
				  "restore on the kernel build that the checkpoint was taken on");
	}
	return 0;
}

int restore_clocks(struct image_reader *image, uint64_t *monotonic, uint64_t *boottime,
		   struct error **err)
{
	const struct image_info *info = image_reader_info(image);

	*monotonic = info->begin_monotonic;
	*boottime = info->begin_boottime;
	return 0;
}

int restore_init_pid(struct image_reader *image, pid_t *pid, struct error **err)
{
	const struct ckpt_task *init = NULL;
	const void *records;
	struct record rec;
	size_t len, pos = 0;
	int ret = image_reader_records(image, &records, &len, err);

	if (ret)
		return ret;
	while (!init && record_next(records, len, &pos, &rec) == 1)
		if (rec.type == CKPT_TASK)
			init = record_head(&rec, sizeof(*init), err);
	if (!init)
		return *err ? -EBADMSG : error_set(err, EBADMSG, "container.rec: no task");
	*pid = init->pid;
	return 0;
}

/* --- building --- */

static int phase_load(void *ctx, struct error **err)
{
	return load_image(ctx, err);
}

static int phase_stub(void *ctx, struct error **err)
{
	struct restore *r = ctx;
	struct restore_task *init = &r->tasks.items[0];
	pid_t pid = r->request->init;
	int ret;

	r->rootfd = open_fmt(O_PATH | O_DIRECTORY, "/proc/%d/root", pid);
	if (r->rootfd < 0)
		return error_errno(err, -r->rootfd, "opening the container's root");
	ret = memory_find_window(r, &r->window, err);
	if (!ret)
		ret = trace_seize(pid, TRACE_EXITKILL | TRACE_SUSPEND_SECCOMP, err);
	if (!ret)
		ret = trace_wait_stop(pid, NULL, err);
	if (!ret)
		ret = trace_set_sigmask(pid, ~0ull, err);
	if (!ret)
		ret = remote_attach(&init->remote, pid, r->window, r->vdso, r->vdso_len, 0, err);
	if (ret)
		return ret;
	init->pid = pid;
	init->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (init->pidfd < 0)
		return error_errno(err, errno, "opening a pidfd of the init");
	return stub_forget_runtime(r, err);
}

/* Every class has its turn in a stage; STAGE_TASK once per process. */
static int run_stage(struct restore *r, enum restore_stage stage, struct error **err)
{
	int ret = 0;

	for (unsigned i = 0; !ret && resource_classes[i]; i++) {
		const struct resource_class *class = resource_classes[i];

		if (!class->restore[stage])
			continue;
		if (stage != STAGE_TASK)
			ret = class->restore[stage](r, NULL, err);
		else
			vec_for_each (t, &r->tasks)
				if (!ret && t->rec->state != CKPT_TASK_ZOMBIE)
					ret = class->restore[stage](r, t, err);
		if (ret)
			error_wrap(err, "class %s", class->name);
	}
	return ret;
}

static int phase_contents(void *ctx, struct error **err)
{
	return run_stage(ctx, STAGE_CONTENTS, err);
}

static int phase_objects(void *ctx, struct error **err)
{
	return run_stage(ctx, STAGE_OBJECTS, err);
}

static int phase_tree(void *ctx, struct error **err)
{
	return stubs_make(ctx, err);
}

static int phase_layout(void *ctx, struct error **err)
{
	return memory_layout(ctx, err);
}

/* A thousand windows that we have looked into are 20 MiB of the runtime's memory. */
static void rest_all(const struct restore *r)
{
	vec_for_each (t, &r->tasks)
		remote_rest(&t->remote);
}

static int phase_pages(void *ctx, struct error **err)
{
	rest_all(ctx);
	return memory_end_load(ctx, err);
}

static int phase_tasks(void *ctx, struct error **err)
{
	return run_stage(ctx, STAGE_TASK, err);
}

static int phase_cross(void *ctx, struct error **err)
{
	rest_all(ctx);
	return run_stage(ctx, STAGE_CROSS, err);
}

static int phase_arm(void *ctx, struct error **err)
{
	struct restore *r = ctx;

	r->armed = clocks_now();
	return run_stage(r, STAGE_ARM, err);
}

/* --- release --- */

static int set_registers(const struct restore_thread *th, struct error **err)
{
	struct user_regs_struct regs;
	int ret = trace_set_xstate(th->tid, th->xstate, th->xstate_len, err);

	memcpy(&regs, th->rec->regs, sizeof(regs));
	if (th->sleep_again) {
		regs.rip -= 2; /* back to the instruction */
		regs.rax = th->rec->sleep_nr;
		regs.orig_rax = -1;
	} else if (th->sleep_over) {
		regs.rax = th->sleep_result;
		regs.orig_rax = -1;
	}
	if (!ret)
		ret = trace_set_regs(th->tid, &regs, err);
	return ret ? ret : trace_set_sigmask(th->tid, th->rec->sigmask, err);
}

/* Every stub makes its last calls and loses its window; all are on their way at once. */
static int unmap_windows(struct restore *r, struct error **err)
{
	remote_vec started = {0};
	int ret = 0;

	vec_for_each (t, &r->tasks)
		if (!ret)
			ret = remote_start_queued(&t->remote, err);
	vec_for_each (t, &r->tasks) {
		if (!ret)
			ret = remotes_add(&started, &t->remote, err);
		if (!ret)
			ret = remote_start_detach(&t->remote, err);
	}
	if (!ret)
		ret = remotes_proceed(&started, err);
	vec_free(&started);
	return ret;
}

/* Stubs become what they stand for. */
static int become_tasks(struct restore *r, struct error **err)
{
	bool by_kernel = kernel_restores(r, resource_threads.kernel);
	int ret = by_kernel ? 0 : unmap_windows(r, err);

	vec_for_each (t, &r->tasks) {
		if (t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		if (!ret && by_kernel)
			ret = kernel_become(r, t, err);
		for (size_t i = 0; !ret && !by_kernel && i < t->threads.count; i++)
			ret = set_registers(&t->threads.items[i], err);
		vec_for_each (th, &t->threads)
			if (!ret)
				ret = prctl_restore_dispatch(th, err);
	}
	return ret;
}

/* Frozen first, so that nobody runs before everybody is let go. */
static int phase_release(void *ctx, struct error **err)
{
	struct restore *r = ctx;
	const struct restore_request *q = r->request;
	int ret = become_tasks(r, err);

	if (!ret)
		ret = q->ops->freeze(q->ctx, err);
	vec_for_each (t, &r->tasks) {
		if (t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		vec_for_each (th, &t->threads)
			if (!ret)
				ret = trace_detach(th->tid, err);
	}
	if (!ret)
		ret = kernel_put_clocks_back(r, err);
	for (unsigned i = 0; !ret && resource_classes[i]; i++)
		if (resource_classes[i]->let_go)
			ret = resource_classes[i]->let_go(r, err);
	return ret;
}

static const struct phase restore_phases[] = {
	{"load", phase_load},	    {"stub", phase_stub},	{"contents", phase_contents},
	{"objects", phase_objects}, {"tree", phase_tree},	{"layout", phase_layout},
	{"pages", phase_pages},	    {"tasks", phase_tasks},	{"cross", phase_cross},
	{"arm", phase_arm},	    {"release", phase_release},
};

/*
 * Traced stubs are zombies until their tracer has looked, and the init of a pid
 * namespace does not die before the others have: nobody but us can end this.
 */
static void kill_stubs(struct restore *r)
{
	const struct restore_request *q = r->request;
	struct error *err = NULL;
	pid_vec pids = {0};

	kill(q->init, SIGKILL);
	if (!q->ops->tasks(q->ctx, &pids, &err))
		for (size_t i = 0; i < pids.count; i++)
			kill(pids.items[i], SIGKILL);
	error_free(err);
	err = NULL;
	q->ops->thaw(q->ctx, &err);
	error_free(err);
	vec_free(&pids);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

int restore_load(const struct restore_request *request, struct restore_result *result,
		 struct error **err)
{
	struct restore r = {
		.request = request, .image = request->image, .init = request->init, .rootfd = -1};
	struct timespec start, end;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	limit_raise_descriptors(FILES_MAX); /* several for each process */
	ret = provider_choose(request->provider, &r.kernel, err);
	if (!ret)
		ret = phases_run("restore", restore_phases,
				 sizeof(restore_phases) / sizeof(*restore_phases), &r,
				 request->cancel, err);
	page_pool_free(r.pages);
	if (ret)
		kill_stubs(&r);
	clock_gettime(CLOCK_MONOTONIC, &end);
	result->total_ns =
		(end.tv_sec - start.tv_sec) * 1000000000ull + end.tv_nsec - start.tv_nsec;
	result->page_bytes = r.page_bytes;
	undo_run(&r.undo);
	load_free(&r);
	if (r.rootfd >= 0)
		close(r.rootfd);
	return ret;
}
