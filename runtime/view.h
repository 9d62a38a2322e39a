/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a container for those who only look: `state`, `list`, `ps`, `events`. */
#ifndef FIRN_RUNTIME_VIEW_H
#define FIRN_RUNTIME_VIEW_H

struct container;
struct error;
struct json;
struct oci_config;
struct oci_state;
struct runtime;

/*
 * container_read(), but a container whose worker has died is brought back
 * first. One that cannot be, or that is busy, is shown as it is.
 */
int view_container(const struct runtime *rt, const char *id, struct container **c,
		   struct error **err);

/* The configuration it was made with, or NULL: the state must be told all the same. */
struct oci_config *view_config(const struct container *c);

/* Fills in the state; strings are borrowed from c and config (which may be NULL). */
void view_state(const struct container *c, const struct oci_config *config, struct oci_state *s);

/* A document in a line of its own, flushed at once: a program may be at the other end of a pipe. */
int view_print(struct json *j, struct error **err);

#endif
