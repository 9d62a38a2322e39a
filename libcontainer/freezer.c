// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/freezer_stuck.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* How long a thaw may take: it waits for no task, only for other writers of the file. */
#define THAW_DEADLINE_MS 5000

/* The two kernel interfaces; each waits in the way that its kernel code allows. */
struct freezer_ops {
	int version;
	/* Asks for it without waiting. */
	int (*ask)(struct freezer *f, bool freeze);
	/* Whether all is frozen now, by whomever. */
	int (*reached)(struct freezer *f, bool *frozen);
	/* Whether we, and whether an ancestor, asked for it. */
	int (*who)(struct freezer *f, bool *self, bool *parent);
	/* Lets some time pass, less if something changes; waited_ns is what passed since asking. */
	void (*pause)(struct freezer *f, long long waited_ns, long long left_ns);
};

struct freezer {
	struct cgroup *cg;
	const struct hierarchy *h;
	const struct freezer_ops *ops;
	int events_fd; /* v2: cgroup.events */
	const volatile int *cancel;
};

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The first byte of a one-line file. */
static int read_char(int dir_fd, const char *file, char *c)
{
	__cleanup_fd int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return read_full(fd, c, 1);
}

static int v1_ask(struct freezer *f, bool freeze)
{
	return write_file(f->h->fd, "freezer.state", freeze ? "FROZEN" : "THAWED");
}

static int v1_reached(struct freezer *f, bool *frozen)
{
	__cleanup_free char *text = NULL;
	int r = read_file(f->h->fd, "freezer.state", 64, &text, NULL);

	if (r < 0)
		return r;
	*frozen = !strncmp(text, "FROZEN", 6);
	/*
	 * A task that forked while it froze brings FROZEN back to FREEZING, and
	 * one that missed the signal is only told again by another write
	 * (kernel/cgroup/legacy_freezer.c, freezer_fork() and freeze_cgroup()).
	 */
	if (!strncmp(text, "FREEZING", 8)) {
		char self;

		if (read_char(f->h->fd, "freezer.self_freezing", &self) == 0 && self == '1')
			return v1_ask(f, true);
	}
	return 0;
}

static int v1_who(struct freezer *f, bool *self, bool *parent)
{
	char c = '0';
	int r = read_char(f->h->fd, "freezer.self_freezing", &c);

	if (r < 0)
		return r;
	*self = c == '1';
	r = read_char(f->h->fd, "freezer.parent_freezing", &c);
	*parent = c == '1';
	return r;
}

/*
 * Nothing tells of a change on v1. Tasks that run freeze within microseconds,
 * so the steps start there and grow with the time already spent.
 */
static void v1_pause(struct freezer *f, long long waited_ns, long long left_ns)
{
	long long step = waited_ns / 8;

	if (waited_ns < 20000) {
		sched_yield();
		return;
	}
	if (step > 100000)
		step = 100000;
	/* ten thousand looks a second at a task stuck in the kernel help nobody */
	if (waited_ns > 1000000000LL)
		step = 1000000;
	if (step > left_ns)
		step = left_ns;
	nanosleep(&(struct timespec){.tv_nsec = step}, NULL);
}

static int v2_ask(struct freezer *f, bool freeze)
{
	return write_file(f->h->fd, "cgroup.freeze", freeze ? "1" : "0");
}

static int v2_reached(struct freezer *f, bool *frozen)
{
	char text[256];
	ssize_t n = pread(f->events_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	*frozen = strstr(text, "frozen 1") != NULL;
	return 0;
}

static int v2_who(struct freezer *f, bool *self, bool *parent)
{
	char path[CGROUP_MAX_DEPTH * 3 + 16] = "cgroup.freeze";
	char c = '0';
	int r = read_char(f->h->fd, path, &c);

	if (r < 0)
		return r;
	*self = c == '1';
	*parent = false;
	/* the root has no such file: it ends there */
	for (int depth = 1; depth < CGROUP_MAX_DEPTH && !*parent; depth++) {
		memmove(path + 3, path, strlen(path) + 1);
		memcpy(path, "../", 3);
		if (read_char(f->h->fd, path, &c) < 0)
			break;
		*parent = c == '1';
	}
	return 0;
}

/* kernfs wakes POLLPRI when cgroup.events changes; the read before this armed it. */
static void v2_pause(struct freezer *f, long long waited_ns, long long left_ns)
{
	struct pollfd pfd = {.fd = f->events_fd, .events = POLLPRI};
	struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};

	ppoll(&pfd, 1, &left, NULL);
}

static const struct freezer_ops v1_ops = {1, v1_ask, v1_reached, v1_who, v1_pause};
static const struct freezer_ops v2_ops = {2, v2_ask, v2_reached, v2_who, v2_pause};

int freezer_open(struct cgroup *cg, struct freezer **f, struct error **err)
{
	const struct hierarchy *h = cgroup_freezer_hierarchy(cg);
	struct freezer *new;

	if (!h)
		return error_set(err, ENOENT, "the container has no cgroup with a freezer");
	new = calloc(1, sizeof(*new));
	if (!new)
		return error_errno(err, ENOMEM, "opening the freezer");
	new->cg = cg;
	new->h = h;
	new->ops = h->version == 1 ? &v1_ops : &v2_ops;
	new->events_fd = -1;
	if (h->version == 2) {
		new->events_fd = openat(h->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
		if (new->events_fd < 0) {
			free(new);
			return error_errno(err, errno, "opening cgroup.events of \"%s%s\"",
					   h->mount, h->path);
		}
	}
	*f = new;
	return 0;
}

void freezer_free(struct freezer *f)
{
	int saved = errno;

	if (!f)
		return;
	if (f->events_fd >= 0)
		close(f->events_fd);
	free(f);
	errno = saved;
}

int freezer_version(const struct freezer *f)
{
	return f->ops->version;
}

void freezer_cancel_by(struct freezer *f, const volatile int *cancel)
{
	f->cancel = cancel;
}

static int fail(struct freezer *f, int r, const char *doing, struct error **err)
{
	return error_errno(err, -r, "%s cgroup \"%s%s\"", doing, f->h->mount, f->h->path);
}

/* 0 when all is frozen, -ETIMEDOUT, or what the kernel said. */
static int wait_frozen(struct freezer *f, long long deadline_ns)
{
	long long start = now_ns();

	for (;;) {
		long long waited;
		bool frozen = false;
		int r = f->ops->reached(f, &frozen);

		if (r < 0 || frozen)
			return r;
		if (f->cancel && *f->cancel)
			return -ECANCELED;
		waited = now_ns() - start;
		if (waited >= deadline_ns)
			return -ETIMEDOUT;
		f->ops->pause(f, waited, deadline_ns - waited);
	}
}

int freezer_freeze(struct freezer *f, int deadline_ms, struct error **err)
{
	__cleanup(stuck_free) struct stuck_list stuck = {0};
	bool self, parent;
	int r = f->ops->who(f, &self, &parent);

	if (r < 0)
		return fail(f, r, "looking at the freezer of", err);
	r = f->ops->ask(f, true);
	if (r < 0)
		return fail(f, r, "freezing", err);
	r = wait_frozen(f, deadline_ms * 1000000LL);
	if (r == 0)
		return 0;
	if (r == -ETIMEDOUT)
		stuck_collect(f->cg, &stuck);
	if (!self)
		f->ops->ask(f, false);
	if (r == -ECANCELED)
		return error_set(err, ECANCELED, "cancelled");
	if (r != -ETIMEDOUT)
		return fail(f, r, "freezing", err);
	return stuck_report(&stuck, deadline_ms, err);
}

int freezer_may_thaw(struct freezer *f, struct error **err)
{
	bool self, parent;
	int r = f->ops->who(f, &self, &parent);

	if (r < 0)
		return fail(f, r, "looking at the freezer of", err);
	if (parent)
		return error_set(err, EBUSY,
				 "cgroup \"%s%s\" is frozen by a cgroup above it, not by Firn",
				 f->h->mount, f->h->path);
	return 0;
}

int freezer_thaw(struct freezer *f, struct error **err)
{
	long long start = now_ns();
	bool self, parent;
	int r = freezer_may_thaw(f, err);

	if (r < 0)
		return r;
	r = f->ops->ask(f, false);
	while (r == 0) {
		long long waited = now_ns() - start;
		bool frozen = false;

		r = f->ops->who(f, &self, &parent);
		if (r == 0)
			r = f->ops->reached(f, &frozen);
		if (r < 0 || parent || (!self && !frozen))
			break;
		if (waited >= THAW_DEADLINE_MS * 1000000LL)
			return fail(f, -ETIMEDOUT, "thawing", err);
		f->ops->pause(f, waited, THAW_DEADLINE_MS * 1000000LL - waited);
	}
	if (r < 0)
		return fail(f, r, "thawing", err);
	return 0;
}

int freezer_state(struct freezer *f, enum freezer_state *state, struct error **err)
{
	bool self, parent, frozen = false;
	int r = f->ops->who(f, &self, &parent);

	/* who asked first: reading freezer.state is what makes v1 notice that all are frozen */
	if (r == 0)
		r = f->ops->reached(f, &frozen);
	if (r < 0)
		return fail(f, r, "looking at the freezer of", err);
	if (self)
		*state = frozen ? FREEZER_FROZEN : FREEZER_FREEZING;
	else
		*state = parent ? FREEZER_INHERITED : FREEZER_THAWED;
	return 0;
}
