/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pseudo-terminals of the container's devpts, and who is controlled by one. The
 * two ends of a pair share its state, which is recorded once; each description
 * of an end is one of file_kind_tty.
 */
#ifndef FIRN_RESOURCE_TTY_H
#define FIRN_RESOURCE_TTY_H

#include "checkpoint/engine/engine.h"
#include "util/buf.h"

struct description;
struct file_object;

/* What waits to be read, and how; see struct ckpt_pty. */
struct pty_queues {
	struct buf lines, input, rest, output;
};

struct pty {
	struct ckpt_pty rec;
	int master; /* -1: outside, or closed */
	int slave;  /* a description of our own; -1: none, or not to be had */

	/* a checkpoint */
	bool console;
	bool open_slave; /* some process has it open, and it is not hung up */
	const struct description *end;

	/* a restore */
	const void *queues; /* as they follow the record */
};

struct tty_table {
	VEC(struct pty) ptys; /* by index */
	VEC(struct ckpt_ctty) controlled;
	VEC(int) fillers; /* masters that take up the indexes below those wanted */
	dev_t devpts;
};

/* The pair with this index, or NULL. */
struct pty *tty_find(struct tty_table *table, uint32_t index);

/* tty_queue.c: each leaves the pair with the state in p->rec. */

/* What can be asked for without touching anything: termios, size, flags. */
int tty_read_state(struct pty *p, struct error **err);
/* Takes what is queued in both directions out of the pair; put it back with tty_fill(). */
int tty_drain(struct pty *p, struct pty_queues *queues, struct error **err);
int tty_fill(const struct pty *p, const struct pty_queues *queues, struct error **err);
void tty_queues_free(struct pty_queues *queues);

/* tty_restore.c */
int tty_load_pair(struct restore *r, const struct record *rec, struct error **err);
int tty_load_controlled(struct restore *r, const struct record *rec, struct error **err);
int tty_end_load(struct restore *r, struct file_object *o, struct error **err);
int tty_end_open(struct restore *r, struct file_object *o, struct error **err);
/* Makes all pairs with what is queued in them; descriptions that are hung up are opened. */
int tty_make_pairs(struct restore *r, struct error **err);
/* Modes that would be in the way of the files' opening. */
int tty_finish_pairs(struct restore *r, struct error **err);

/*
 * For stubs.c. A session's leader takes its terminal before it clones those
 * that inherit it. When the groups are made: who has none gives it up,
 * and the foreground groups are set.
 */
int tty_control(struct restore *r, struct restore_task *leader, struct error **err);
int tty_settle(struct restore *r, struct error **err);

#endif
