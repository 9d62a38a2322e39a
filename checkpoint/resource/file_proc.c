// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose processes a proc shows. Only a proc of the container's own pid namespace has the same
 * ones behind a restore. In another one, the host's for example, the pids are those of strangers;
 * and the runtime, which opens what an image names with its own rights, would get at what of
 * them the container itself may not open.
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/io.h"

#define PROC_ROOT  1 /* its inode */
#define STATUS_MAX 65536
#define NSPID	   "\nNSpid:\t"

static bool is_proc(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == PROC_SUPER_MAGIC;
}

/*
 * The process has a pid in the proc's namespace and in each below that it is in: with one only
 * the proc is of the process's own namespace.
 */
static bool has_one_pid(int proc, uint32_t pid)
{
	__cleanup_free char *text = NULL;
	char path[32];
	const char *at;

	snprintf(path, sizeof(path), "%u/status", pid);
	if (read_file(proc, path, STATUS_MAX, &text, NULL))
		return false;
	at = strstr(text, NSPID);
	return at && !strchr("\t ", at[strlen(NSPID) + strspn(at + strlen(NSPID), "0123456789")]);
}

/* The init is there under its pid in the container, and in no namespace below. */
static bool shows_own_pids(const struct own_root *own, int proc)
{
	struct stat wanted, there;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", own->init);
	if (stat(path, &wanted))
		return false;
	snprintf(path, sizeof(path), "%u/ns/pid", own->pid);
	return !fstatat(proc, path, &there, 0) && there.st_dev == wanted.st_dev &&
	       there.st_ino == wanted.st_ino && has_one_pid(proc, own->pid);
}

bool file_proc_is_own(const struct own_root *own, const char *path, size_t len, dev_t dev)
{
	__cleanup_free char *copy = strndup(path, len);
	__cleanup_fd int fd =
		copy ? open_in_root(own->fd, *copy ? copy : "/", O_PATH | O_DIRECTORY, 0) : -1;
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && st.st_ino == PROC_ROOT && st.st_dev == dev &&
	       is_proc(fd) && shows_own_pids(own, fd);
}

bool file_proc_is_foreign(const struct own_root *own, const char *path, int fd)
{
	struct stat st;

	if (!is_proc(fd))
		return false;
	if (fstat(fd, &st))
		return true;
	for (const char *at = path; (at = strchr(at, '/')); at++)
		if (file_proc_is_own(own, path, at - path, st.st_dev))
			return false;
	return !file_proc_is_own(own, path, strlen(path), st.st_dev);
}
