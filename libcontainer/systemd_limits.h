/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits as properties of a unit: what systemd is to write whenever it writes a cgroup's
 * files itself, at a daemon-reload for one.
 */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_LIMITS_H
#define FIRN_LIBCONTAINER_SYSTEMD_LIMITS_H

#include <stddef.h>

struct error;
struct oci_resources;
struct unit_properties;

/*
 * Appends what a scope takes only when it is started, as far as this version of systemd has such
 * properties: OOMPolicy, without which memory.oom.group is 0 after each daemon-reload.
 */
void systemd_limits_start(const struct oci_resources *res, unsigned int systemd_version,
			  struct unit_properties *list);

/*
 * Appends the properties that say what the files of an open cgroup say, those of the given
 * controllers (CTL_*), as far as this version of systemd has such properties. A file that is not
 * there is none. So nothing is converted twice: who writes the files decides.
 */
int systemd_limits_read(int dir_fd, int cgroup_version, unsigned int controllers,
			unsigned int systemd_version, struct unit_properties *list,
			struct error **err);

/*
 * Files that systemd writes whenever it writes any of a unit's, though no property says
 * what: remembered before, and put back if they have changed. The directories stay the caller's.
 */
struct systemd_kept_file {
	int dir_fd;
	const char *name;
	char *text;
};
struct systemd_kept {
	struct systemd_kept_file *items;
	size_t count, size;
};
int systemd_limits_keep(int dir_fd, int cgroup_version, struct systemd_kept *kept,
			struct error **err);
int systemd_limits_put_back(const struct systemd_kept *kept, struct error **err);
void systemd_kept_free(struct systemd_kept *kept);
#define __cleanup_systemd_kept __attribute__((cleanup(systemd_kept_free)))

#endif
