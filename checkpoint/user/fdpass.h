/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors into a stub, over the socket that every stub has inherited. */
#ifndef FIRN_CHECKPOINT_FDPASS_H
#define FIRN_CHECKPOINT_FDPASS_H

struct error;
struct restore;
struct restore_task;

/* SCM_MAX_FD of the kernel: as many go in one message. */
#define FDPASS_MAX 253

/*
 * Gives the stub copies of n (at most FDPASS_MAX) of our descriptors, close-on-exec.
 * numbers gets their numbers in the stub, which are the lowest free ones, ascending.
 * sock is the number of its end there. Uses the whole window.
 */
int fdpass_send_to(const struct restore *r, struct restore_task *t, int sock, const int *fds,
		   unsigned n, int *numbers, struct error **err);

/* The same with the socket where every stub has inherited it. */
int fdpass_send(const struct restore *r, struct restore_task *t, const int *fds, unsigned n,
		int *numbers, struct error **err);

#endif
