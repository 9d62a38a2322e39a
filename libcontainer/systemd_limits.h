/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits as properties of a unit: what systemd is to write whenever it writes a cgroup's
 * files itself, at a daemon-reload for one.
 */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_LIMITS_H
#define FIRN_LIBCONTAINER_SYSTEMD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct unit_properties;

/*
 * Appends the properties that say what the files of an open cgroup say, those of the given
 * controllers (CTL_*), as far as this version of systemd has such properties. A file that is not
 * there is none. So nothing is converted twice: who writes the files decides.
 */
int systemd_limits_read(int dir_fd, int cgroup_version, unsigned int controllers,
			unsigned int systemd_version, struct unit_properties *list,
			struct error **err);

#endif
