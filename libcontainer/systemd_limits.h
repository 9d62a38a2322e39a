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
struct oci_device_rule;
struct unit_properties;

/*
 * Appends the properties that say what the files of an open cgroup say, those of the given
 * controllers (CTL_*), as far as this version of systemd has such properties. A file that is not
 * there is none. So nothing is converted twice: who writes the files decides.
 */
int systemd_limits_read(int dir_fd, int cgroup_version, unsigned int controllers,
			unsigned int systemd_version, struct unit_properties *list,
			struct error **err);

/*
 * Appends DevicePolicy and DeviceAllow for rules of which the last that fits counts. devices is
 * the text of /proc/devices: for rules for all of a major, systemd wants its name. Nothing is
 * appended, and false returned, if the rules cannot be said so.
 */
bool systemd_limits_devices(const struct oci_device_rule *rules, size_t count, const char *devices,
			    struct unit_properties *list);

#endif
