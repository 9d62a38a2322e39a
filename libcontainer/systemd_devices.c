// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/systemd_devices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/systemd_property.h"
#include "oci/config.h"

/* The first systemd that takes "char-MAJOR". */
#define VERSION_MAJORS 240

static const char letters[] = "rwm";

/* Devices that are allowed: in letters[], bit by bit, how. */
struct allowed {
	struct oci_device_rule devices;
	unsigned int access;
};

struct allow_list {
	struct allowed *items;
	size_t count, size;
	size_t left_out;
	bool failed; /* no memory */
};

static unsigned int access_bits(const char *access)
{
	unsigned int bits = 0;

	if (!access || !*access)
		access = letters;
	for (int i = 0; letters[i]; i++)
		if (strchr(access, letters[i]))
			bits |= 1u << i;
	return bits;
}

/* Whether a number of a, or any for none, is among those of b. */
static bool number_within(bool has_a, int64_t a, bool has_b, int64_t b)
{
	return !has_b || (has_a && a == b);
}

static bool number_common(bool has_a, int64_t a, bool has_b, int64_t b)
{
	return !has_a || !has_b || a == b;
}

static bool within(const struct oci_device_rule *a, const struct oci_device_rule *b)
{
	return a->type == b->type &&
	       number_within(a->has_major, a->major, b->has_major, b->major) &&
	       number_within(a->has_minor, a->minor, b->has_minor, b->minor);
}

static bool have_common(const struct oci_device_rule *a, const struct oci_device_rule *b)
{
	return a->type == b->type &&
	       number_common(a->has_major, a->major, b->has_major, b->major) &&
	       number_common(a->has_minor, a->minor, b->has_minor, b->minor);
}

/* systemd keeps the last of two for the same devices: so there is one. */
static void allow(struct allow_list *list, const struct oci_device_rule *rule)
{
	struct allowed *new;

	vec_for_each (a, list) {
		if (within(&a->devices, rule) && within(rule, &a->devices)) {
			a->access |= access_bits(rule->access);
			return;
		}
	}
	new = vec_add(list);
	if (new)
		*new = (struct allowed){*rule, access_bits(rule->access)};
	else
		list->failed = true;
}

/* A hole in what is allowed cannot be said: then all of that is left out. */
static void deny(struct allow_list *list, const struct oci_device_rule *rule)
{
	unsigned int access = access_bits(rule->access);

	vec_for_each (a, list) {
		if (!(a->access & access) || !have_common(&a->devices, rule))
			continue;
		list->left_out += !within(&a->devices, rule);
		a->access &= ~access;
	}
}

static bool is_for_all(const struct oci_device_rule *rule)
{
	return rule->type != 'c' && rule->type != 'b';
}

/* What the rules behind the last one for all devices allow; false if that allows all. */
static bool evaluate(const struct systemd_device_rules *rules, struct allow_list *list)
{
	size_t first = rules->count;

	while (first > 0 && !is_for_all(&rules->items[first - 1]))
		first--;
	if (!first || rules->items[first - 1].allow)
		return false;
	for (size_t i = first; i < rules->count; i++)
		(rules->items[i].allow ? allow : deny)(list, &rules->items[i]);
	return true;
}

/* The driver that has a major number, of the section of /proc/devices for that type. */
static bool find_driver(const char *drivers, char type, int64_t major, char name[64])
{
	const char *at = strstr(drivers, type == 'c' ? "Character devices:\n" : "Block devices:\n");
	int64_t number;

	for (at = at ? strchr(at, '\n') : NULL; at && at[1] && at[1] != '\n';
	     at = strchr(at + 1, '\n'))
		if (sscanf(at + 1, "%" SCNd64 " %63s", &number, name) == 2 && number == major)
			return true;
	return false;
}

/* As systemd takes it: a path that need not be there, or all of a driver's or of a type. */
static bool name_devices(const struct systemd_device_rules *rules,
			 const struct oci_device_rule *devices, char *name, size_t size)
{
	const char *kind = devices->type == 'c' ? "char" : "block";
	char driver[64] = "*";

	if (devices->has_minor && !devices->has_major)
		return false;
	if (devices->has_minor) {
		snprintf(name, size, "/dev/%s/%" PRId64 ":%" PRId64, kind, devices->major,
			 devices->minor);
		return true;
	}
	if (devices->has_major && rules->systemd_version >= VERSION_MAJORS)
		snprintf(driver, sizeof(driver), "%" PRId64, devices->major);
	else if (devices->has_major &&
		 !find_driver(rules->drivers, devices->type, devices->major, driver))
		return false;
	snprintf(name, size, "%s-%s", kind, driver);
	return true;
}

static void tell(const struct systemd_device_rules *rules, struct allow_list *allowed,
		 struct unit_properties *list)
{
	struct unit_property *p;

	unit_property_text(list, "DevicePolicy", "strict");
	p = unit_property_new(list, "DeviceAllow", "a(ss)");
	vec_for_each (a, allowed) {
		char name[96], access[sizeof(letters)];
		size_t used = 0;

		for (int i = 0; letters[i]; i++)
			if (a->access & 1u << i)
				access[used++] = letters[i];
		access[used] = '\0';
		if (!used)
			continue;
		if (name_devices(rules, &a->devices, name, sizeof(name)))
			unit_property_add(list, p, name, access, 0);
		else
			allowed->left_out++;
	}
}

bool systemd_devices(const struct systemd_device_rules *rules, struct unit_properties *list,
		     size_t *left_out)
{
	struct allow_list allowed = {0};
	size_t before = list->count;
	bool told = evaluate(rules, &allowed);

	if (told)
		tell(rules, &allowed, list);
	list->failed = list->failed || allowed.failed;
	*left_out = allowed.left_out;
	vec_free(&allowed);
	if (told && *left_out && !rules->replaces) {
		unit_properties_drop(list, before);
		told = false;
	}
	return told;
}
