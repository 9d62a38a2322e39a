// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/freezer_stuck.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/cgroup.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* Enough to see what is wrong; a message with ten thousand tasks helps nobody. */
#define NAMED_MAX 8

static char task_state(pid_t pid, pid_t tid, char *name, size_t name_size)
{
	__cleanup_free char *text = NULL;
	const char *open, *close;

	if (proc_read(&text, NULL, "%d/task/%d/stat", pid, tid) < 0)
		return 'X';
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || !close[1])
		return 'X';
	if (name)
		snprintf(name, name_size, "%.*s", (int)(close - open - 1), open + 1);
	return close[2];
}

/*
 * Where tasks sleep that are frozen: v1's refrigerator and v2's trap, which some
 * compilers make a part of get_signal(). A task
 * frozen by v1 in the middle of its sleep shows where it slept; whether it was
 * frozen there only shows after the thaw.
 */
static bool waits_frozen(const char *wchan)
{
	static const char *const places[] = {"__refrigerator", "do_freezer_trap", "get_signal"};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (!strcmp(wchan, places[i]))
			return true;
	return false;
}

static void look_at(struct stuck_list *list, pid_t pid, pid_t tid)
{
	__cleanup_free char *wchan = NULL;
	struct stuck_task task = {.pid = pid, .tid = tid};
	struct stuck_task *item;

	task.state = task_state(pid, tid, task.name, sizeof(task.name));
	if (strchr("XZtT", task.state))
		return;
	if (proc_read(&wchan, NULL, "%d/task/%d/wchan", pid, tid) < 0)
		return;
	if (waits_frozen(wchan))
		return;
	snprintf(task.wchan, sizeof(task.wchan), "%s", wchan);
	item = vec_add(list);
	if (item)
		*item = task;
}

void stuck_collect(struct cgroup *cg, struct stuck_list *list)
{
	struct pid_list pids = {0};

	if (cgroup_pids(cg, &pids, NULL) < 0)
		return;
	for (size_t i = 0; i < pids.count; i++) {
		char path[32];
		DIR *dir;
		struct dirent *entry;

		snprintf(path, sizeof(path), "/proc/%d/task", pids.pids[i]);
		dir = opendir(path);
		while (dir && (entry = readdir(dir)))
			if (atoi(entry->d_name) > 0)
				look_at(list, pids.pids[i], atoi(entry->d_name));
		if (dir)
			closedir(dir);
	}
	free(pids.pids);
}

/* Running all the time, or in a sleep that nothing but its end interrupts. */
static bool still_stuck(const struct stuck_task *task)
{
	if (task->state != 'D')
		return true;
	/* a vfork parent freezes in place, and is in D before and after */
	if (!strcmp(task->wchan, "kernel_clone") || strstr(task->wchan, "vfork"))
		return false;
	return task_state(task->pid, task->tid, NULL, 0) == 'D';
}

int stuck_report(struct stuck_list *list, int deadline_ms, struct error **err)
{
	__cleanup_buf struct buf text = {0};
	size_t named = 0, more = 0;
	char line[160];

	vec_for_each (task, list) {
		bool asleep;
		int len;

		if (!still_stuck(task))
			continue;
		if (named++ >= NAMED_MAX) {
			more++;
			continue;
		}
		asleep = *task->wchan && strcmp(task->wchan, "0");
		len = snprintf(line, sizeof(line), "%s%d (%s) %s%s", text.len ? ", " : "",
			       task->tid, task->name, asleep ? "in " : "",
			       asleep ? task->wchan : "running");
		buf_add(&text, line, len);
	}
	if (more) {
		int len = snprintf(line, sizeof(line), " and %zu more", more);

		buf_add(&text, line, len);
	}
	if (!text.len)
		return error_set(err, ETIMEDOUT, "not frozen within %d ms", deadline_ms);
	return error_set(err, ETIMEDOUT, "not frozen within %d ms: task %.*s", deadline_ms,
			 (int)text.len, (char *)text.data);
}

void stuck_free(struct stuck_list *list)
{
	vec_free(list);
}
