/* SPDX-License-Identifier: GPL-2.0-only */
/* Pseudo-terminals: made in the container, their masters handed out, relayed in the foreground. */
#ifndef FIRN_LIBCONTAINER_TERMINAL_H
#define FIRN_LIBCONTAINER_TERMINAL_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct oci_process;

/* Connects to the unix socket at path that wants a terminal's master. Returns the descriptor. */
int terminal_connect(const char *path, struct error **err);

/* Sends the descriptor over a socket, named as runc names it. */
int terminal_send(int socket_fd, int master_fd, struct error **err);

/* Receives one; returns it. */
int terminal_receive(int socket_fd, struct error **err);

/*
 * Opens a pair in the devpts of the root that root_fd names, sized and owned as
 * the process wants. If it is relayed, and that not to a terminal, its lines end as the program
 * ends them: what is captured is then what was written, as with runc. On success the descriptors
 * are the caller's.
 */
int terminal_open(int root_fd, const struct oci_process *process, bool relayed, int *master_fd,
		  int *slave_fd, struct error **err);

/*
 * Makes it descriptors 0 to 2, and with control the controlling terminal: the caller then
 * leads a session.
 */
int terminal_take(int slave_fd, bool control, struct error **err);

struct terminal_relay; /* a raw terminal on this side, and a master */

/* Puts standard input into raw mode if it is a terminal, and gives the master its size. */
int terminal_relay_start(int master_fd, struct terminal_relay **relay, struct error **err);

/*
 * Copies between standard streams and the master until signal_fd (a
 * signalfd(2)) is readable, which it leaves to the caller: 0, or until the
 * other end is closed: 1. relay NULL: only waits for the signal.
 */
int terminal_relay_run(struct terminal_relay *relay, int signal_fd, struct error **err);

/* The window has changed: SIGWINCH. */
void terminal_relay_resize(struct terminal_relay *relay);

/* Copies what is left, restores the mode and closes the master. NULL is fine. */
void terminal_relay_end(struct terminal_relay *relay);

#endif
