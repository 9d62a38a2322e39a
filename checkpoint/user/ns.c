// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/ns.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/speaker.h"
#include "util/thread.h"

struct visit {
	int pidfd;
	int nsflags;
	int (*fn)(void *ctx, struct error **err);
	void *ctx;
	struct error **err;
	int result;
};

static void *visit_main(void *ctx)
{
	struct visit *v = ctx;

	/* a mount namespace comes with a root and a working directory: not those of all threads */
	if ((v->nsflags & CLONE_NEWNS && unshare(CLONE_FS)) ||
	    (v->nsflags && setns(v->pidfd, v->nsflags)))
		v->result = error_errno(v->err, errno, "entering the container's namespaces");
	else
		v->result = v->fn(v->ctx, v->err);
	return NULL;
}

static int run_visit(struct visit *v)
{
	pthread_t thread;
	int r = thread_start(&thread, NULL, visit_main, v);

	if (r)
		return error_errno(v->err, r, "starting a thread");
	pthread_join(thread, NULL);
	return v->result;
}

int in_namespaces(pid_t pid, int nsflags, int (*fn)(void *ctx, struct error **err), void *ctx,
		  struct error **err)
{
	__cleanup_fd int pidfd = speaker_pidfd(pid);
	struct visit v = {.pidfd = pidfd, .nsflags = nsflags, .fn = fn, .ctx = ctx, .err = err};

	if (pidfd < 0)
		return error_errno(err, -pidfd, "opening a pidfd of process %d", pid);
	return run_visit(&v);
}

int in_thread(int (*fn)(void *ctx, struct error **err), void *ctx, struct error **err)
{
	struct visit v = {.pidfd = -1, .fn = fn, .ctx = ctx, .err = err};

	return run_visit(&v);
}

/* By system calls of the thread: libc would change all of them. */
/* The kernel forgets PR_SET_PDEATHSIG with a change of ids: the parent may be gone by now. */
static void be_parents_again(pid_t parent, int signal)
{
	prctl(PR_SET_PDEATHSIG, signal);
	if (signal && getppid() != parent)
		raise(signal);
}

int take_fs_ids(uid_t uid, gid_t gid, struct error **err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	pid_t parent = getppid();
	int signal = 0;

	prctl(PR_GET_PDEATHSIG, &signal);
	if (syscall(SYS_capget, &header, caps))
		return error_errno(err, errno, "reading capabilities");
	syscall(SYS_setfsgid, gid);
	syscall(SYS_setfsuid, uid);
	/* the call says what it was before, and takes capabilities away */
	if ((gid_t)syscall(SYS_setfsgid, -1) != gid || (uid_t)syscall(SYS_setfsuid, -1) != uid ||
	    syscall(SYS_capset, &header, caps))
		return error_errno(err, EPERM, "taking the ids %u and %u for files", uid, gid);
	be_parents_again(parent, signal);
	return 0;
}

int same_namespace(pid_t pid, const char *name, struct error **err)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	if (stat(path, &ours))
		return error_errno(err, errno, "looking at %s", path);
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	if (stat(path, &theirs))
		return error_errno(err, errno, "looking at %s", path);
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

/* Lines of user_namespaces(7): first id inside, first id outside as the reader sees it, count. */
static int map_id(pid_t pid, const char *map, bool inwards, uint32_t id, uint32_t *found,
		  struct error **err)
{
	__cleanup_free char *text = NULL;
	unsigned long inside, outside, count;
	int r = proc_read(&text, NULL, "%d/%s", pid, map);

	if (r)
		return error_errno(err, -r, "reading /proc/%d/%s", pid, map);
	for (char *line = text; line && *line; line = strchr(line, '\n')) {
		unsigned long from, to;

		line += *line == '\n';
		if (sscanf(line, "%lu %lu %lu", &inside, &outside, &count) != 3)
			continue;
		from = inwards ? outside : inside;
		to = inwards ? inside : outside;
		if (id >= from && id - from < count) {
			*found = to + (id - from);
			return 0;
		}
	}
	return error_set(err, EBADMSG, "id %u is not in the container's %s", id, map);
}

static int map_ids(pid_t pid, bool inwards, struct id_pair *ids, struct error **err)
{
	int r = same_namespace(pid, "user", err);

	if (r)
		return r < 0 ? r : 0;
	r = map_id(pid, "uid_map", inwards, ids->uid, &ids->uid, err);
	return r ? r : map_id(pid, "gid_map", inwards, ids->gid, &ids->gid, err);
}

int ids_inside(pid_t pid, struct id_pair *ids, struct error **err)
{
	return map_ids(pid, true, ids, err);
}

int gid_inside(pid_t pid, gid_t *gid, struct error **err)
{
	int r = same_namespace(pid, "user", err);

	if (r)
		return r < 0 ? r : 0;
	return map_id(pid, "gid_map", true, *gid, gid, err);
}

int ids_outside(pid_t pid, struct id_pair *ids, struct error **err)
{
	return map_ids(pid, false, ids, err);
}

int ids_mapped(pid_t pid, uid_t uid, gid_t gid, struct error **err)
{
	return ids_inside(pid, &(struct id_pair){uid, gid}, err);
}

int uid_mapped(pid_t pid, uid_t uid, struct error **err)
{
	int r = same_namespace(pid, "user", err);

	if (r)
		return r < 0 ? r : 0;
	return map_id(pid, "uid_map", true, uid, &uid, err);
}
