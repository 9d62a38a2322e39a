/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Properties of a unit of systemd, as they are told to its manager: a name and a value
 * with a D-Bus type. Data only; systemd_bus.c sends them.
 */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_PROPERTY_H
#define FIRN_LIBCONTAINER_SYSTEMD_PROPERTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct error;
struct oci_pairs;

/* What systemd writes as "infinity". */
#define UNIT_INFINITY UINT64_MAX

/* A value, or an item of an array: what its type wants. Strings take text, then second. */
struct unit_value {
	char *text, *second;
	uint64_t number; /* of any width; signed ones as two's complement */
	double real;
};

struct unit_property {
	char *name;
	const char
		*type; /* a D-Bus signature: basic, or an array of basic ones, of (st) or of (ss) */
	VEC(struct unit_value) values;
};

struct unit_properties {
	struct unit_property *items;
	size_t count, size;
	bool failed; /* no memory: asked for once, at the end */
};

/* Appends a property without values, and values to one; the strings are copied. */
struct unit_property *unit_property_new(struct unit_properties *list, const char *name,
					const char *type);
void unit_property_add(struct unit_properties *list, struct unit_property *p, const char *text,
		       const char *second, uint64_t number);

/* Appends a property of one number (type "t", "b", ...) or of one string ("s"). */
void unit_property_number(struct unit_properties *list, const char *name, const char *type,
			  uint64_t number);
void unit_property_text(struct unit_properties *list, const char *name, const char *text);

/*
 * Appends what annotations org.systemd.property.NAME ask for. Values are GVariant text:
 * 'text', true, 7, uint64 7, ['a', 'b']. A number for NAMESec is in seconds, and becomes
 * NAMEUSec, which is what systemd knows. -EINVAL names the annotation; so does -EPERM, for what
 * belongs to the runtime.
 */
int unit_properties_annotated(struct unit_properties *list, const struct oci_pairs *annotations,
			      struct error **err);

/* Takes off all but the first so many. */
void unit_properties_drop(struct unit_properties *list, size_t kept);

void unit_properties_free(struct unit_properties *list);
#define __cleanup_unit_properties __attribute__((cleanup(unit_properties_free)))

#endif
