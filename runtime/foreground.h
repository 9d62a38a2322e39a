/* SPDX-License-Identifier: GPL-2.0-only */
/* Staying in the foreground for run and exec: signals passed on, terminal relayed, exit status. */
#ifndef FIRN_RUNTIME_FOREGROUND_H
#define FIRN_RUNTIME_FOREGROUND_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct oci_process;

struct foreground {
	int signal_fd;
	int console[2]; /* the terminal's master comes through here; -1 without one */
};

/* Blocks the signals to be passed on, before there is anybody to pass them to. */
int foreground_prepare(struct foreground *f, bool terminal, struct error **err);

/*
 * Gives the process's terminal the size of ours before it runs: it may ask at
 * once. Leaves a size that was given alone.
 */
void foreground_size(struct oci_process *process);

/*
 * Passes signals to the process until it ends; its exit status (128 + signal)
 * is returned. It is a child of ours, or of the subreaper that we are.
 */
int foreground_wait(struct foreground *f, pid_t pid, struct error **err);

void foreground_end(struct foreground *f);

#endif
