/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIRN_LIBCONTAINER_PIDFD_SOCKET_H
#define FIRN_LIBCONTAINER_PIDFD_SOCKET_H

struct error;

/* Sends a pidfd to the unix socket at path, named as runc names it. */
int pidfd_send(const char *path, int pidfd, struct error **err);

#endif
