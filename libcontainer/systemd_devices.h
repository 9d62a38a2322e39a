/* SPDX-License-Identifier: GPL-2.0-only */
/* Device rules as properties of a unit: an allow list is all that systemd has. */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_DEVICES_H
#define FIRN_LIBCONTAINER_SYSTEMD_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

struct oci_device_rule;
struct unit_properties;

/* Rules of which the last that fits counts, and whom they are told to. */
struct systemd_device_rules {
	const struct oci_device_rule *items;
	size_t count;
	const char *drivers; /* the text of /proc/devices */
	unsigned int
		systemd_version; /* before 240 all devices of a major go by its driver's name */
	/*
	 * Whether systemd's list takes the place of Firn's when it writes that again, as on cgroup
	 * v1: then it allows nothing that the rules do not, and what cannot be said is not allowed.
	 * Else, for v2's programs, which hold side by side, it is told only what is exactly the
	 * same.
	 */
	bool replaces;
};

/*
 * Appends DevicePolicy and DeviceAllow. Where nothing is forbidden in general, or what is
 * told would have to be the same and cannot, nothing is appended, and false returned. *left_out is
 * the number of rules that are missing from what is appended.
 */
bool systemd_devices(const struct systemd_device_rules *rules, struct unit_properties *list,
		     size_t *left_out);

#endif
