/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What classes want to know of a process that only itself can tell. Each class adds its
 * calls to a list, all are made in one round trip when the capture begins, and the class's
 * dump() finds its answers. A question must change nothing that another one asks for.
 */
#ifndef FIRN_CHECKPOINT_ASK_H
#define FIRN_CHECKPOINT_ASK_H

#include <stddef.h>
#include <stdint.h>

#include "checkpoint/user/remote.h"

struct checkpoint;
struct dump_task;
struct error;
struct resource_class;

#define ASK_CLASSES_MAX 32

struct questions {
	struct remote *remote;
	unsigned count;
	size_t data;
};

/* The answers of one process, once they are there. */
struct answers {
	struct remote_call *calls;
	char *data;
	uint64_t address;		 /* that the data had in the process */
	uint64_t monotonic;		 /* our time, right after */
	unsigned first[ASK_CLASSES_MAX]; /* a class's first call, by its place in the table */
};

/* One more call; its result will be at the same place of the answers. */
#define ask_call(questions, number, ...)                                                           \
	ask_add(questions, &(struct remote_call){.nr = (number), .args = {__VA_ARGS__}})
void ask_add(struct questions *q, const struct remote_call *call);

/* Room, zeroed, for what the kernel writes: its address, for the calls' arguments. */
uint64_t ask_room(struct questions *q, size_t len);

/* Asks every process that is stopped, for all classes that have questions and are not the kernel's.
 */
int ask_tasks(struct checkpoint *c, struct error **err);

/* The calls of a class, with their results. */
const struct remote_call *answers_of(const struct dump_task *t, const struct resource_class *class);

/* What stands at an address that ask_room() gave. */
const void *answer_data(const struct answers *a, uint64_t address);

/* The same for one thread by itself: makes the calls. The caller frees the answers. */
int ask_thread(struct questions *q, pid_t tid, struct answers *a, struct error **err);

void answers_free(struct answers *a);

#endif
