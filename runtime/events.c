// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "libcontainer/state_file.h"
#include "runtime/events_stats.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json_write.h"

static const struct option_spec options[] = {
	{"states", 0, NULL, "print each change of state, until the container is deleted"},
	{"stats", 0, NULL, "print statistics once"},
	{"interval", 0, "TIME", "between statistics: 5s (default), 500ms, 1m"},
	{NULL, 0, NULL, NULL},
};

struct follower {
	const char *id;
	char last[64]; /* "STATE.status" as last printed */
	bool deleted;
};

/* One JSON object a line, for programs at the other end of a pipe: flushed at once. */
static int print_state(struct follower *f, const char *state_and_status, struct error **err)
{
	__cleanup_json struct json *j = json_new(false);
	char when[40], state[64];
	struct timespec now;
	struct tm tm;
	size_t len;
	char *dot;

	if (!strcmp(f->last, state_and_status))
		return 0;
	snprintf(f->last, sizeof(f->last), "%s", state_and_status);
	snprintf(state, sizeof(state), "%s", state_and_status);
	dot = strchr(state, '.');
	if (!dot)
		return 0;
	*dot = '\0';
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + len, sizeof(when) - len, ".%06ldZ", now.tv_nsec / 1000);
	json_object_begin(j);
	json_add_string(j, "type", "state");
	json_add_string(j, "id", f->id);
	json_add_string(j, "time", when);
	json_key(j, "data");
	json_object_begin(j);
	json_add_string(j, "firn", state);
	json_add_string(j, "status", dot + 1);
	json_object_end(j);
	json_object_end(j);
	return view_print(j, err);
}

/*
 * The names that state.json was renamed from tell every state it went through,
 * also those that were over before we got to read the file.
 */
static int read_changes(struct follower *f, int watch, struct error **err)
{
	char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	const size_t prefix = strlen(STATE_FILE ".");
	ssize_t n = read(watch, buf, sizeof(buf));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : error_errno(err, errno, "reading changes of state");
	for (char *p = buf; p < buf + n;) {
		const struct inotify_event *event = (void *)p;
		int r = 0;

		if ((event->mask & IN_MOVED_FROM) && !strncmp(event->name, STATE_FILE ".", prefix))
			r = print_state(f, event->name + prefix, err);
		if (r < 0)
			return r;
		if ((event->mask & (IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT)) ||
		    ((event->mask & IN_DELETE) && !strcmp(event->name, STATE_FILE)))
			f->deleted = true;
		p += sizeof(*event) + event->len;
	}
	return 0;
}

/* The death of an init is written down by nobody until the next verb: its pidfd tells. */
static int follow(struct follower *f, const struct runtime *rt, int watch, struct error **err)
{
	__cleanup_fd int pidfd = -1;
	pid_t pid = 0;

	while (!f->deleted) {
		__cleanup_container struct container *c = NULL;
		struct pollfd fds[] = {{.fd = watch, .events = POLLIN}, {.events = POLLIN}};
		char now[64];
		int r = container_read(rt->root, rt->id, &c, NULL);

		if (r == 0 && c->state == CONTAINER_DEAD) {
			/* what the queue tells came before */
			r = read_changes(f, watch, err);
			snprintf(now, sizeof(now), "%s.%s", container_state_name(c->state),
				 container_oci_status(c));
			if (r == 0)
				r = print_state(f, now, err);
			if (r < 0)
				return r;
		}
		if (c && (c->state == CONTAINER_DEAD || c->init.pid != pid)) {
			if (pidfd >= 0)
				close(pidfd);
			pid = c->state == CONTAINER_DEAD ? 0 : c->init.pid;
			pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
			if (pidfd >= 0 && !process_alive(&c->init))
				continue;
		}
		fds[1].fd = pidfd;
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for changes of state");
		r = read_changes(f, watch, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_interval(const char *text, int *ms)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60000}, {"h", 3600000}};
	char *end;
	double n = strtod(text, &end);

	for (size_t i = 0; end != text && i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].unit) && n * units[i].ms >= 1 &&
		    n * units[i].ms < INT_MAX) {
			*ms = n * units[i].ms;
			return 0;
		}
	return -EINVAL;
}

static int run_stats(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	const char *interval = option_string(rt, "interval");
	int ms = 5000;
	int r = interval ? parse_interval(interval, &ms) : 0;

	if (r < 0)
		return error_set(err, EINVAL, "option \"--interval\": \"%s\" is no time like 5s",
				 interval);
	r = view_container(rt, rt->id, &c, err);
	if (r < 0)
		return r;
	return option_flag(rt, "stats") ? events_print_stats(c, err)
					: events_follow_stats(c, ms, err);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	__cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct follower f = {.id = rt->id};
	char path[PATH_MAX], now[64];
	int r;

	if (!option_flag(rt, "states"))
		return run_stats(rt, err);
	r = container_check_id(rt->id, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s", rt->root, rt->id);
	/* watched before it is read: no change falls between */
	if (watch < 0 ||
	    (inotify_add_watch(watch, path, IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF) < 0 &&
	     errno != ENOENT))
		return error_errno(err, errno, "watching \"%s\"", path);
	r = view_container(rt, rt->id, &c, err);
	if (r < 0)
		return r;
	snprintf(now, sizeof(now), "%s.%s", container_state_name(c->state),
		 container_oci_status(c));
	r = print_state(&f, now, err);
	return r < 0 ? r : follow(&f, rt, watch, err);
}

const struct verb verb_events = {
	.name = "events",
	.summary = "statistics, OOM events or changes of state of a container",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "Each event is a line of JSON. Without --stats or --states: statistics at every\n"
		 "interval, and OOM events, until the container has ended.",
	.run = run,
};
