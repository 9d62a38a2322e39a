/* SPDX-License-Identifier: GPL-2.0-only */
/* sock_diag(7): what the kernel tells of the sockets of a network namespace. */
#ifndef FIRN_UTIL_SOCK_DIAG_H
#define FIRN_UTIL_SOCK_DIAG_H

#include <stddef.h>

#include <libmnl/libmnl.h>

/*
 * Asks for a dump in the caller's own network namespace: request is a struct unix_diag_req or
 * inet_diag_req_v2; each answer is given to parse. 0 or a negative errno.
 */
int sock_diag_dump(const void *request, size_t len, mnl_cb_t parse, void *ctx);

#endif
