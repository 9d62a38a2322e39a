// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/seccomp_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "oci/config.h"
#include "oci/state.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/json_write.h"
#include "util/socket.h"

#define STEP_US	    200
#define PATIENCE_MS 9000
#define LISTENER_IS "anon_inode:seccomp notify"

static bool is_listener(int fd)
{
	__cleanup_free char *target = NULL;
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	target = read_link(AT_FDCWD, path);
	return target && !strcmp(target, LISTENER_IS);
}

/* It appears when the process has made its call; nothing tells of that. */
static int fetch_listener(pid_t pid, int number, struct error **err)
{
	__cleanup_fd int pidfd = pidfd_open(pid, 0);
	struct pollfd death = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0)
		return error_errno(err, errno, "opening process %d", pid);
	for (long waited_us = 0; waited_us < PATIENCE_MS * 1000L; waited_us += STEP_US) {
		__cleanup_fd int fd = pidfd_getfd(pidfd, number, 0);

		if (fd >= 0 && is_listener(fd))
			return take_fd(&fd);
		if (fd < 0 && errno != EBADF)
			return error_errno(err, errno, "fetching the seccomp listener");
		if (poll(&death, 1, 0) > 0)
			return error_set(err, EPIPE,
					 "the process died while it installed its filter");
		nanosleep(&(struct timespec){.tv_nsec = STEP_US * 1000}, NULL);
	}
	return error_set(err, ETIMEDOUT, "the seccomp listener did not appear");
}

/* runtime-spec config-linux.md, "The Container Process State". */
static char *process_state(const struct seccomp_notify *n)
{
	__cleanup_json struct json *j = json_new(false);
	const struct oci_state state = {
		.oci_version = n->config->oci_version,
		.id = n->c->id,
		.status = n->status,
		.pid = n->c->init.pid,
		.bundle = n->c->bundle,
		.annotations = &n->config->annotations,
	};

	json_object_begin(j);
	json_add_string(j, "ociVersion", n->config->oci_version);
	json_key(j, "fds");
	json_array_begin(j);
	json_string(j, "seccompFd");
	json_array_end(j);
	json_add_int(j, "pid", n->pid);
	json_add_string(j, "metadata", n->config->lx.seccomp->listener_metadata);
	json_key(j, "state");
	oci_state_write(j, &state);
	json_object_end(j);
	return json_text(j);
}

static int send_listener(const struct seccomp_notify *n, int listener, struct error **err)
{
	const char *path = n->config->lx.seccomp->listener_path;
	__cleanup_fd int fd = socket_connect(path, "seccomp listener socket", err);
	__cleanup_free char *text = NULL;

	if (fd < 0)
		return fd;
	text = process_state(n);
	if (!text)
		return error_errno(err, ENOMEM, "sending the seccomp listener");
	return socket_send_fd(fd, text, listener, err);
}

static int let_go(pid_t pid, uint64_t flag)
{
	int one = 1;
	struct iovec from = {.iov_base = &one, .iov_len = sizeof(one)};
	struct iovec to = {.iov_base = (void *)(uintptr_t)flag, .iov_len = sizeof(one)};

	return process_vm_writev(pid, &from, 1, &to, 1, 0) == sizeof(one) ? 0 : -errno;
}

int seccomp_notify_take(void *ctx, int number, uint64_t flag, struct error **err)
{
	const struct seccomp_notify *n = ctx;
	__cleanup_fd int listener = fetch_listener(n->pid, number, err);
	int ret = listener < 0 ? listener : send_listener(n, listener, err);

	if (ret == 0) {
		ret = let_go(n->pid, flag);
		if (ret < 0)
			error_errno(err, -ret, "letting process %d go on", n->pid);
	}
	if (ret < 0) {
		kill(n->pid, SIGKILL);
		error_wrap(err, "/linux/seccomp/listenerPath of config.json");
	}
	return ret;
}
