/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages between the runtime and the processes it makes. */
#ifndef FIRN_LIBCONTAINER_SYNC_H
#define FIRN_LIBCONTAINER_SYNC_H

#include <stdint.h>

struct error;

/*
 * Who says what on the sync socket, and what is done between. In parentheses:
 * only if needed.
 *
 *      runtime                  (helper)                 init
 *         |--- fork ---------------->|                     |
 *         |                  joins user, pid ns            |
 *         |                          |------ clone3 ------>|
 *         |<----- (SYNC_PID) --------|                     |
 *         |                        exits                   |
 *     id maps, cgroup                                      |
 *         |------------------- (SYNC_GO) ----------------->|
 *         |                               namespaces, cgroup, mounts, terminal
 *         |<------------------ (SYNC_HOOKS) ---------------|
 *     prestart, createRuntime                              |
 *         |------------------- (SYNC_GO) ----------------->|
 *         |                               createContainer, new root, program found
 *         |<------------------- SYNC_READY ----------------|
 *       saves                                    accept(2) on start.sock
 *      `start` ------------------ connect ---------------->|
 *         |                                startContainer, privileges, exec
 *         |<---------------- end of file ------------------|
 *
 * Without a helper (clone_wants_helper()), the runtime
 * itself calls clone3. Instead of any of its messages init may send SYNC_ERROR
 * and exit; after the connect, on that connection. In a restore init says
 * SYNC_READY with its new root, and sleeps in read(2) on the sync socket.
 */
enum sync_message {
	SYNC_PID = 1,	/* value: the pid of the process that was cloned on the sender's behalf */
	SYNC_GO,	/* the other side may go on */
	SYNC_HOOKS,	/* init: everything is mounted, run the runtime's hooks */
	SYNC_READY,	/* init: done; value: the init's own number of the socket */
	SYNC_ERROR,	/* instead of any other: what failed */
	SYNC_LISTENER,	/* after SYNC_EXECUTING: a seccomp listener comes, see seccomp_notify.h */
	SYNC_EXECUTING, /* now comes an end of file, or four bytes of errno; text: the program */
};

/* A connected pair of SOCK_SEQPACKET sockets, both close-on-exec. */
int sync_pair(int fds[2], struct error **err);

int sync_send(int fd, enum sync_message message, int64_t value, struct error **err);

/* The same with a text. */
int sync_send_text(int fd, enum sync_message message, const char *text, struct error **err);

/* Sends *error; nothing can be done if that fails, so nothing is returned. */
void sync_send_error(int fd, const struct error *error);

/*
 * Receives the one message that is expected now; *value may be NULL. An error
 * object of the peer becomes *err; -EPIPE if the peer is gone.
 */
int sync_receive(int fd, enum sync_message expected, int64_t *value, struct error **err);

/* Says that descriptor number will be a listener, and that writing 1 to the int at flag lets go. */
int sync_send_listener(int fd, int number, uint64_t flag, struct error **err);

/* What to do about SYNC_LISTENER. */
struct sync_listener {
	int (*take)(void *ctx, int number, uint64_t flag, struct error **err);
	void *ctx;
};

/*
 * Waits until the peer has executed its program, by which its end is closed.
 * What kept it from that becomes *err.
 */
int sync_receive_executed(int fd, const struct sync_listener *listener, struct error **err);

/* The error of a program that was found and could not be executed, with what that may mean. */
int sync_execute_error(int errnum, const char *program, struct error **err);

#endif
