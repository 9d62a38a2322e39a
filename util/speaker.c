// SPDX-License-Identifier: GPL-2.0-only
#include "util/speaker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static bool has_exited(pid_t pid, pid_t tid)
{
	__cleanup_free char *text = NULL;
	const char *after;

	if (proc_read(&text, NULL, "%d/task/%d/stat", pid, tid))
		return true;
	/* the name in parentheses may hold anything, parentheses too */
	after = strrchr(text, ')');
	return !after || after[1] != ' ' || after[2] == 'Z' || after[2] == 'X';
}

pid_t process_speaker(pid_t pid)
{
	__cleanup_dir DIR *dir = NULL;
	char path[64];

	if (!has_exited(pid, pid))
		return pid;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		pid_t tid = atoi(e->d_name);

		if (tid > 0 && tid != pid && !has_exited(pid, tid))
			return tid;
	}
	return pid;
}

int speaker_pidfd(pid_t tid)
{
	int fd = syscall(SYS_pidfd_open, tid, 0);

	/* ENOENT since Linux 6.16 */
	if (fd < 0 && (errno == EINVAL || errno == ENOENT))
		fd = syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	return fd < 0 ? -errno : fd;
}
