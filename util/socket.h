/* SPDX-License-Identifier: GPL-2.0-only */
/* Unix sockets to which descriptors are sent: consoles, pidfds, seccomp listeners. */
#ifndef FIRN_UTIL_SOCKET_H
#define FIRN_UTIL_SOCKET_H

struct error;

/* Connects to the stream socket at path; returns the descriptor. what ("console socket") names it.
 */
int socket_connect(const char *path, const char *what, struct error **err);

/* Sends a text together with a descriptor, in one message. */
int socket_send_fd(int socket_fd, const char *text, int fd, struct error **err);

#endif
