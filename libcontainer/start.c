// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/start.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libcontainer/seccomp_notify.h"
#include "libcontainer/state.h"
#include "libcontainer/sync.h"
#include "util/cleanup.h"
#include "util/error.h"

#define NAME "start.sock"

/* By the directory's descriptor: its path may be longer than a socket's name can be. */
static struct sockaddr_un address_of(const struct container *c)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" NAME, c->dir_fd);
	return address;
}

static int make_socket(struct error **err)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_errno(err, errno, "making a socket") : fd;
}

int start_listen(const struct container *c, struct error **err)
{
	__cleanup_fd int fd = make_socket(err);
	struct sockaddr_un address = address_of(c);

	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return error_errno(err, errno, "making the socket for start");
	return take_fd(&fd);
}

int container_start(const struct container *c, const struct oci_config *config, struct error **err)
{
	struct seccomp_notify notify = {
		.c = c, .config = config, .status = "created", .pid = c->init.pid};
	const struct sync_listener listener = {.take = seccomp_notify_take, .ctx = &notify};
	__cleanup_fd int fd = make_socket(err);
	struct sockaddr_un address = address_of(c);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, errno, "reaching the container's init");
	unlinkat(c->dir_fd, NAME, 0);
	return sync_receive_executed(fd, &listener, err);
}
