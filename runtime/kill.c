// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "runtime/verb.h"
#include "util/error.h"

static const struct option_spec options[] = {
	{"all", 'a', NULL, "signal every process in the container, not only its init"},
	{"wait", 0, NULL, "wait while another verb works on the container"},
	{NULL, 0, NULL, NULL},
};

/* RTMIN, RTMIN+n, RTMAX, RTMAX-n; without SIG. 0 if it is none. */
static int realtime_signal(const char *name)
{
	bool from_max = !strncasecmp(name, "RTMAX", 5);
	char *end;
	long n;

	if (!from_max && strncasecmp(name, "RTMIN", 5))
		return 0;
	if (!name[5])
		return from_max ? SIGRTMAX : SIGRTMIN;
	if (name[5] != (from_max ? '-' : '+') || !isdigit((unsigned char)name[6]))
		return 0;
	n = strtol(name + 6, &end, 10);
	if (*end || n > SIGRTMAX - SIGRTMIN)
		return 0;
	return from_max ? SIGRTMAX - n : SIGRTMIN + n;
}

/* "9", "KILL", "SIGKILL", "kill"; 0 asks whether there is somebody to signal. */
static int parse_signal(const char *text, int *signo, struct error **err)
{
	const char *name = strncasecmp(text, "SIG", 3) ? text : text + 3;
	char *end;

	if (isdigit((unsigned char)*text)) {
		long n = strtol(text, &end, 10);

		if (!*end && n <= SIGRTMAX) {
			*signo = n;
			return 0;
		}
	}
	for (int n = 1; n < SIGRTMIN; n++) {
		const char *abbreviation = sigabbrev_np(n);

		if (abbreviation && !strcasecmp(abbreviation, name)) {
			*signo = n;
			return 0;
		}
	}
	*signo = realtime_signal(name);
	if (*signo)
		return 0;
	return error_set(err, EINVAL, "unknown signal \"%.32s\"", text);
}

/* A freeze or thaw under way is over in a moment; more than that is waited for on demand only. */
static bool is_momentary(const struct runtime *rt)
{
	__cleanup_container struct container *c = NULL;

	return container_read(rt->root, rt->id, &c, NULL) == 0 &&
	       (c->state == CONTAINER_FREEZING || c->state == CONTAINER_THAWING);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	int signo = SIGTERM;
	int r = 0;

	if (rt->argc > 1)
		r = parse_signal(rt->argv[1], &signo, err);
	if (r < 0)
		return r;
	/* a checkpoint or restore is cancelled first: its tasks are not to be signalled */
	if (signo)
		r = container_interrupt(rt->root, rt->id, false, err);
	if (r >= 0)
		r = container_open(rt->root, rt->id, "kill",
				   option_flag(rt, "wait") || is_momentary(rt), &c, err);
	if (r < 0)
		return r;
	if (c->state == CONTAINER_CREATING)
		return error_set(err, EINVAL, "container not running: it is creating");
	return container_signal(c, signo, option_flag(rt, "all"), err);
}

const struct verb verb_kill = {
	.name = "kill",
	.summary = "send a signal to a container",
	.usage = "ID [SIGNAL]",
	.options = options,
	.min_args = 1,
	.max_args = 2,
	.takes_id = true,
	.notes = "SIGNAL is a name or a number; without it, TERM. A running checkpoint or restore\n"
		 "of the container is cancelled first. A paused container dies of KILL without\n"
		 "running again; other signals reach it when it is resumed.",
	.run = run,
};
