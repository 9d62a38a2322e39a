// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/io.h"

/* The fields of /proc/PID/stat that tell a process from a later one with its pid. */
static int read_stat(pid_t pid, char *state, long *threads, uint64_t *start_time)
{
	__cleanup_free char *text = NULL;
	unsigned long long start;
	int r = proc_read(&text, NULL, "%d/stat", pid);
	char *after;

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* the name in parentheses may hold anything, parentheses too */
	after = strrchr(text, ')');
	if (!after || sscanf(after + 1,
			     " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			     "%ld %*d %llu",
			     state, threads, &start) != 3)
		return -EUCLEAN;
	*start_time = start;
	return 0;
}

bool process_alive(const struct process_id *p)
{
	uint64_t start_time;
	long threads;
	char state;

	if (p->pid <= 0 || read_stat(p->pid, &state, &threads, &start_time) < 0)
		return false;
	if (start_time != p->start_time || state == 'X')
		return false;
	/* a leader that has called pthread_exit() is a zombie while its threads run */
	return state != 'Z' || threads > 1;
}

bool process_stopped(const struct process_id *p)
{
	uint64_t start_time;
	long threads;
	char state;

	return read_stat(p->pid, &state, &threads, &start_time) == 0 &&
	       start_time == p->start_time && (state == 'T' || state == 't');
}

int process_identify(pid_t pid, struct process_id *p)
{
	uint64_t start_time;
	long threads;
	char state;
	int r = read_stat(pid, &state, &threads, &start_time);

	if (r < 0)
		return r;
	*p = (struct process_id){.pid = pid, .start_time = start_time};
	return 0;
}

static pid_t parent_of(pid_t pid)
{
	__cleanup_free char *text = NULL;
	const char *after;
	pid_t parent;

	if (proc_read(&text, NULL, "%d/stat", pid) < 0)
		return 0;
	after = strrchr(text, ')');
	return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool process_is_above(pid_t pid)
{
	for (pid_t up = getppid(); up > 1; up = parent_of(up))
		if (up == pid)
			return true;
	return false;
}
