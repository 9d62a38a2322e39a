// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/pidfd_socket.h"

#include "util/cleanup.h"
#include "util/error.h"
#include "util/socket.h"

int pidfd_send(const char *path, int pidfd, struct error **err)
{
	__cleanup_fd int fd = socket_connect(path, "pidfd socket", err);

	return fd < 0 ? fd : socket_send_fd(fd, "pidfd", pidfd, err);
}
