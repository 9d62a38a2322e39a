// SPDX-License-Identifier: GPL-2.0-only
/*
 * SO_PEERCRED shows who made a pair, listened or connected: so that very task does it
 * again, by remote calls with the ids that it had. For one that is not there any
 * more a thread of ours does, whose pid is nobody's in the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/unix.h"
#include "checkpoint/user/fdpass.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"

#ifndef SIOCUNIXFILE
#define SIOCUNIXFILE (0x89e0 + 0)
#endif

int unix_reach(int fd, struct sockaddr_un *un, socklen_t *len, int *file, struct error **err)
{
	int path_len;

	*len = sizeof(*un);
	*file = -1;
	if (getsockname(fd, (struct sockaddr *)un, len))
		return error_errno(err, errno, "asking for the name of a unix socket");
	if (*len <= offsetof(struct sockaddr_un, sun_path))
		return error_set(err, EBADMSG, "a unix socket that is sent to has no name");
	if (!un->sun_path[0])
		return 0;
	*file = ioctl(fd, SIOCUNIXFILE);
	if (*file < 0)
		return error_errno(err, errno, "opening the file of a unix socket");
	path_len = snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d", *file);
	*len = offsetof(struct sockaddr_un, sun_path) + path_len + 1;
	return 0;
}

struct act {
	enum { PAIR, LISTEN, CONNECT } what;
	struct unix_actor as;
	int type, fd, backlog;
	const struct sockaddr_un *to;
	socklen_t to_len;
	int pair[2];
};

/* --- by a thread of ours --- */

static int act(struct act *a)
{
	switch (a->what) {
	case PAIR:
		return socketpair(AF_UNIX, a->type | SOCK_CLOEXEC, 0, a->pair);
	case LISTEN:
		return listen(a->fd, a->backlog);
	default:
		return connect(a->fd, (const struct sockaddr *)a->to, a->to_len);
	}
}

/* The thread ends afterwards, and its ids with it; files are found with those it began with. */
static int act_here(void *ctx, struct error **err)
{
	struct act *a = ctx;

	if (a->as.uid || a->as.gid) {
		if (syscall(SYS_setresgid, -1, a->as.gid, -1) ||
		    syscall(SYS_setresuid, -1, a->as.uid, -1))
			return error_errno(err, errno, "taking the ids of the maker of a socket");
		syscall(SYS_setfsuid, 0);
	}
	if (act(a))
		return error_errno(err, errno, "making a unix connection");
	return 0;
}

/* --- by a task --- */

static unsigned take_ids(struct restore *r, const struct act *a, struct remote_call *call,
			 struct error **err)
{
	struct id_pair as = {a->as.uid, a->as.gid};

	if (ids_inside(r->init, &as, err))
		return 0;
	remote_set(&call[0], SYS_setresgid, -1, as.gid, -1);
	remote_set(&call[1], SYS_setresuid, -1, as.uid, -1);
	remote_set(&call[2], SYS_setfsuid, 0);
	return 3;
}

/* Where the call's memory is in the window: behind what receiving descriptors uses. */
#define SCRATCH 8192

static void set_call(const struct restore_task *t, const struct act *a, const int *numbers,
		     struct remote_call *call)
{
	uint64_t at = remote_data_address(&t->remote) + SCRATCH;
	struct sockaddr_un *un = (void *)((char *)remote_data(&t->remote) + SCRATCH);

	switch (a->what) {
	case PAIR:
		remote_set(call, SYS_socketpair, AF_UNIX, a->type | SOCK_CLOEXEC, 0, at);
		break;
	case LISTEN:
		remote_set(call, SYS_listen, numbers[0], a->backlog);
		break;
	case CONNECT:
		*un = *a->to;
		if (un->sun_path[0])
			snprintf(un->sun_path, sizeof(un->sun_path), "/proc/self/fd/%d",
				 numbers[1]);
		remote_set(call, SYS_connect, numbers[0], at, a->to_len);
		break;
	}
}

static int fetch_pair(struct restore_task *t, struct act *a, struct error **err)
{
	int numbers[2];

	memcpy(numbers, (char *)remote_data(&t->remote) + SCRATCH, sizeof(numbers));
	for (int i = 0; i < 2; i++) {
		a->pair[i] = syscall(SYS_pidfd_getfd, t->pidfd, numbers[i], 0);
		if (a->pair[i] < 0) {
			error_errno(err, errno, "fetching a socket of process %u", t->rec->pid);
			if (i)
				close(a->pair[0]);
			return -EBADF;
		}
		fcntl(a->pair[i], F_SETFD, FD_CLOEXEC);
	}
	remote_set(remote_calls(&t->remote), SYS_close, numbers[0]);
	remote_set(remote_calls(&t->remote) + 1, SYS_close, numbers[1]);
	return remote_run(&t->remote, 0, 2, err);
}

static int act_there(struct restore *r, struct restore_task *t, struct act *a, int file,
		     struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	int fds[2] = {a->fd, file}, numbers[2] = {-1, -1}, ret = 0;
	unsigned n, count = a->what == PAIR ? 0 : file >= 0 ? 2 : 1;
	long done;

	if (count)
		ret = fdpass_send(r, t, fds, count, numbers, err);
	n = ret ? 0 : take_ids(r, a, call, err);
	if (!n)
		return ret ? ret : -EBADMSG;
	set_call(t, a, numbers, &call[n]);
	remote_set(&call[n + 1], SYS_setresuid, -1, 0, -1);
	remote_set(&call[n + 2], SYS_setresgid, -1, 0, -1);
	for (unsigned i = 0; i < count; i++)
		remote_set(&call[n + 3 + i], SYS_close, numbers[i]);
	ret = remote_run(&t->remote, 0, n + 3 + count, err);
	if (ret)
		return ret;
	done = call[n].ret;
	if (call[0].ret || call[1].ret || call[n + 1].ret || call[n + 2].ret)
		return error_set(err, EPERM, "process %u: taking the ids of a socket's maker",
				 t->rec->pid);
	if (done)
		return error_errno(err, -done, "process %u: making a unix connection", t->rec->pid);
	return a->what == PAIR ? fetch_pair(t, a, err) : 0;
}

static int act_as(struct restore *r, struct act *a, int file, struct error **err)
{
	struct restore_task *t = a->as.pid ? restore_find(r, a->as.pid) : NULL;
	struct error *lost = NULL;
	int ret;

	if (!t || t->rec->state == CKPT_TASK_ZOMBIE || !t->remote.address)
		return in_namespaces(r->init, CLONE_NEWNET, act_here, a, err);
	ret = act_there(r, t, a, file, &lost);
	/* without /proc a task cannot reach the file of a socket */
	if (ret == -ENOENT && file >= 0) {
		error_free(lost);
		return in_namespaces(r->init, CLONE_NEWNET, act_here, a, err);
	}
	*err = lost;
	return ret;
}

int unix_pair_as(struct restore *r, struct unix_actor as, int type, int pair[2], struct error **err)
{
	struct act a = {.what = PAIR, .as = as, .type = type, .pair = {-1, -1}};
	int ret = act_as(r, &a, -1, err);

	pair[0] = ret ? -1 : a.pair[0];
	pair[1] = ret ? -1 : a.pair[1];
	return ret;
}

int unix_listen_as(struct restore *r, struct unix_actor as, int fd, int backlog, struct error **err)
{
	struct act a = {.what = LISTEN, .as = as, .fd = fd, .backlog = backlog};

	return act_as(r, &a, -1, err);
}

int unix_connect_as(struct restore *r, struct unix_actor as, int fd, int to, struct error **err)
{
	struct sockaddr_un un;
	struct act a = {.what = CONNECT, .as = as, .fd = fd, .to = &un};
	__cleanup_fd int file = -1;
	int ret = unix_reach(to, &un, &a.to_len, &file, err);

	return ret ? ret : act_as(r, &a, file, err);
}

/* --- names whose file is gone --- */

struct nowhere {
	int fd;
	const char *address;
	size_t len;
};

/* As the kernel will look the name up in an empty root: ".." stays at the root. */
static int make_parents(char *path, struct error **err)
{
	for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (*path && mkdir(path, 0700) && errno != EEXIST)
			return error_errno(err, errno, "making the directory of a unix socket");
		*slash = '/';
	}
	return 0;
}

static int enter_empty_root(struct error **err)
{
	__cleanup_fd int fs = syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	__cleanup_fd int mount = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return error_errno(err, errno, "making a file system for a unix socket");
	mount = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mount < 0 || unshare(CLONE_FS) || fchdir(mount) || chroot("."))
		return error_errno(err, errno, "entering a file system for a unix socket");
	return 0;
}

static int bind_nowhere(void *ctx, struct error **err)
{
	const struct nowhere *n = ctx;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char path[UNIX_PATH_SIZE + 1] = "";
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + n->len;
	int ret = 0;

	memcpy(un.sun_path, n->address, n->len);
	memcpy(path, n->address, n->len);
	if (*path) {
		ret = enter_empty_root(err);
		if (!ret)
			ret = make_parents(path, err);
		len += n->len < UNIX_PATH_SIZE;
	}
	if (!ret && bind(n->fd, (struct sockaddr *)&un, len))
		ret = error_errno(err, errno, "binding a unix socket to \"%s%.*s\"",
				  *path ? "" : "@", (int)n->len, *path ? path : path + 1);
	/* whoever connects to it may be root of a user namespace to whom it belongs to nobody */
	if (!ret && *path && chmod(path, 0777))
		ret = error_errno(err, errno, "setting the mode of the socket \"%s\"", path);
	return ret;
}

int unix_bind_nowhere(struct restore *r, int fd, const char *address, size_t len,
		      struct error **err)
{
	struct nowhere n = {fd, address, len};

	/* in a thread of its own, whose root goes with it */
	return in_namespaces(r->init, CLONE_NEWNET, bind_nowhere, &n, err);
}
