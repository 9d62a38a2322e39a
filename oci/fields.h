/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON objects into structs, by tables: a shape lists the fields that a struct
 * knows, and one reader fills it and one releases it. What the tables do not
 * list is ignored, as the specification demands of unknown fields.
 */
#ifndef FIRN_OCI_FIELDS_H
#define FIRN_OCI_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/words.h"
#include "util/json.h"

struct error;
struct oci_field;

struct oci_shape {
	size_t size;			/* of the struct */
	const struct oci_field *fields; /* ends with a NULL name */
};

enum oci_field_kind {
	FIELD_BOOL,
	FIELD_INT,	/* signed; range: min to max, or of the member's width if both are 0 */
	FIELD_UINT,	/* unsigned; up to max, or of the member's width if it is 0 */
	FIELD_WILDCARD, /* int64_t up to max; -1 counts as absent */
	FIELD_STRING,	/* char * */
	FIELD_STRINGS,	/* struct oci_strings */
	FIELD_PAIRS,	/* struct oci_pairs, from an object of strings */
	FIELD_LETTER,	/* char, one of letters; absent or "" gives absent */
	FIELD_WORD,	/* a number, by words */
	FIELD_WORDS,	/* a list of uint32_t, by words, from an array of strings */
	FIELD_MASK,	/* a number, or-ed together by words, from an array of strings */
	FIELD_UINTS,	/* a list of uint32_t up to max */
	FIELD_OBJECT,	/* a struct in place, by shape */
	FIELD_POINTER,	/* an allocated struct, by shape */
	FIELD_LIST,	/* a list of structs, by shape, from an array of objects */
	FIELD_NAMED, /* the same from an object of objects; its key into the first member (char *)
		      */
};

struct oci_field {
	const char *name;
	enum oci_field_kind kind;
	bool required;
	bool lenient;  /* FIELD_MASK: an unknown word is logged, not refused */
	size_t offset; /* of the member */
	size_t width;  /* its size */
	size_t has;    /* offset of its has_ flag plus 1; 0: it has none */
	int64_t min, max;
	char absent;
	const char *letters;
	const struct oci_words *words;
	const struct oci_shape *shape;
};

#define FIELD(type, json, member, field_kind, ...)                                                 \
	{                                                                                          \
		.name = json, .kind = field_kind, .offset = offsetof(type, member),                \
		.width = sizeof(((type *)0)->member), ##__VA_ARGS__                                \
	}
#define FIELD_HAS(type, member) .has = offsetof(type, member) + 1

/* An object whose members are kept in the struct around it. */
#define FIELD_INNER(json, inner_shape, ...)                                                        \
	{                                                                                          \
		.name = json, .kind = FIELD_OBJECT, .shape = &(inner_shape), ##__VA_ARGS__         \
	}

/*
 * Fills *out (zeroed, of the shape's size) from an object. On failure what has
 * been filled in is still to be released with oci_fields_free(). -EINVAL or -ENOMEM.
 */
int oci_fields_read(const struct json_node *object, const struct oci_shape *shape, void *out,
		    struct error **err);

/* Releases what the members own, and zeroes them; not the struct itself. */
void oci_fields_free(const struct oci_shape *shape, void *object);

/*
 * Parses a whole document into a newly allocated struct, which is the caller's.
 * Errors begin with the document's name.
 */
int oci_document_read(const char *name, const char *json, size_t len, const struct oci_shape *shape,
		      void **out, struct error **err);

/* oci_fields_free() and free(). NULL is fine. */
void oci_document_free(const struct oci_shape *shape, void *object);

#endif
