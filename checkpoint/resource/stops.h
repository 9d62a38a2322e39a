/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Job-control stops: which signal has stopped a process, and SIGSTOPs that are pending. No mask
 * holds those back, and SIGCONT takes away all of them.
 */
#ifndef FIRN_RESOURCE_STOPS_H
#define FIRN_RESOURCE_STOPS_H

#include <stdint.h>

struct checkpoint;
struct dump_task;
struct error;
struct record;
struct restore;
struct restore_task;

/* Before anything is saved: whoever has a SIGSTOP pending and is not stopped yet stops. */
int stops_settle(struct dump_task *t, struct error **err);

/* The record CKPT_STOPS of all processes, and back. */
int stops_dump(struct checkpoint *c, struct error **err);
int stops_load(struct restore *r, const struct record *rec, struct error **err);

/* Stops a process by the signal that it was stopped by; its handlers are not there yet. */
int stops_stop(struct restore *r, struct restore_task *t, struct error **err);

/* Sends what was pending: nobody makes calls any more. */
int stops_let_go(struct restore *r, struct error **err);

#endif
