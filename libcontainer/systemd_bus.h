/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The manager of systemd, asked over its bus: libsystemd's sd-bus, which is loaded when it is
 * needed. Each call waits for what it asked for, but not for ever (-ETIMEDOUT). Errors
 * say what was asked, of which unit, and what systemd said.
 */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_BUS_H
#define FIRN_LIBCONTAINER_SYSTEMD_BUS_H

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct systemd;
struct unit_properties;

/*
 * Connects to the system's instance, or to that of the user whose processes we are: also as root
 * of his user namespace. First by the manager's own socket, which root and that user may use,
 * and which needs no message bus; then by the bus.
 */
int systemd_open(bool user, struct systemd **s, struct error **err);
void systemd_close(struct systemd *s);

/*
 * Whether the system's instance runs as the same user as we do. Root of a user namespace may be
 * that of a container that has its own systemd, or an ordinary user beside that of the host.
 */
bool systemd_is_ours(void);

/* Its version: 252. */
int systemd_version(struct systemd *s, unsigned int *version, struct error **err);

/* The cgroup below which it has its units ("" for the root), which the caller frees. */
int systemd_cgroup(struct systemd *s, char **path, struct error **err);

/*
 * Makes a transient unit and waits until it is started. -EEXIST if there is one of that
 * name; what is left of one that has failed is taken away first. *made: the unit is there, also
 * if it did not start, or not in time.
 */
int systemd_start_unit(struct systemd *s, const char *unit,
		       const struct unit_properties *properties, bool *made, struct error **err);

/* The cgroup of a started unit, which the caller frees. */
int systemd_unit_cgroup(struct systemd *s, const char *unit, char **path, struct error **err);

/* What it is said to be, which the caller frees. */
int systemd_unit_description(struct systemd *s, const char *unit, char **text, struct error **err);

/* Sets properties of a unit for as long as it is there. */
int systemd_set_properties(struct systemd *s, const char *unit,
			   const struct unit_properties *properties, struct error **err);

/* Moves a process to the unit's cgroup, also where the caller may not. */
int systemd_attach(struct systemd *s, const char *unit, pid_t pid, struct error **err);

/* Stops a unit, and forgets that it failed. No such unit is no error. */
int systemd_stop_unit(struct systemd *s, const char *unit, struct error **err);

static inline void cleanup_systemd(struct systemd **s)
{
	systemd_close(*s);
}
#define __cleanup_systemd __attribute__((cleanup(cleanup_systemd)))

#endif
