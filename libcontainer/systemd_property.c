// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/systemd_property.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/annotations.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"

#define ANNOTATION OCI_SYSTEMD_PROPERTY

struct unit_property *unit_property_new(struct unit_properties *list, const char *name,
					const char *type)
{
	struct unit_property *p = vec_add(list);

	if (!p) {
		list->failed = true;
		return NULL;
	}
	p->type = type;
	p->name = strdup(name);
	list->failed = list->failed || !p->name;
	return p;
}

void unit_property_add(struct unit_properties *list, struct unit_property *p, const char *text,
		       const char *second, uint64_t number)
{
	struct unit_value *v = p ? vec_add(&p->values) : NULL;

	if (v) {
		v->text = text ? strdup(text) : NULL;
		v->second = second ? strdup(second) : NULL;
		v->number = number;
	}
	if (!v || (text && !v->text) || (second && !v->second))
		list->failed = true;
}

void unit_property_number(struct unit_properties *list, const char *name, const char *type,
			  uint64_t number)
{
	unit_property_add(list, unit_property_new(list, name, type), NULL, NULL, number);
}

void unit_property_text(struct unit_properties *list, const char *name, const char *text)
{
	unit_property_add(list, unit_property_new(list, name, "s"), text, NULL, 0);
}

static void free_property(struct unit_property *p)
{
	vec_for_each (v, &p->values) {
		free(v->text);
		free(v->second);
	}
	vec_free(&p->values);
	free(p->name);
}

void unit_properties_drop(struct unit_properties *list, size_t kept)
{
	while (list->count > kept)
		free_property(&list->items[--list->count]);
}

void unit_properties_free(struct unit_properties *list)
{
	unit_properties_drop(list, 0);
	vec_free(list);
}

/* Types by their words in GVariant text; a number without one is int32. */
static const struct basic_type {
	const char *word, *type, *array;
	int64_t min;
	uint64_t max;
} basic_types[] = {
	{"byte", "y", "ay", 0, UINT8_MAX},    {"int16", "n", "an", INT16_MIN, INT16_MAX},
	{"uint16", "q", "aq", 0, UINT16_MAX}, {"int32", "i", "ai", INT32_MIN, INT32_MAX},
	{"uint32", "u", "au", 0, UINT32_MAX}, {"int64", "x", "ax", INT64_MIN, INT64_MAX},
	{"uint64", "t", "at", 0, UINT64_MAX}, {"boolean", "b", "ab", 0, 1},
	{"string", "s", "as", 0, 0},	      {"double", "d", "ad", 0, 0},
};
enum { TYPE_INT32 = 3, TYPE_BOOLEAN = 7, TYPE_STRING, TYPE_DOUBLE };

/* A value being read: where in the text, and what was found. */
struct reader {
	const char *at;
	struct unit_properties *list;
	struct unit_property *property;
};

static void skip_blanks(struct reader *r)
{
	r->at += strspn(r->at, " \t");
}

static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	if (*r->at != c)
		return false;
	r->at++;
	return true;
}

/* In single or double quotes, with backslashes before what is meant literally. */
static int read_string(struct reader *r)
{
	__cleanup_buf struct buf text = {0};
	char quote = *r->at++;

	for (; *r->at && *r->at != quote; r->at++) {
		if (*r->at == '\\' && !*++r->at)
			return -EINVAL;
		if (!buf_add(&text, r->at, 1))
			return -ENOMEM;
	}
	if (*r->at != quote)
		return -EINVAL;
	r->at++;
	if (!buf_add(&text, "", 1))
		return -ENOMEM;
	unit_property_add(r->list, r->property, (char *)text.data, NULL, 0);
	return TYPE_STRING;
}

/* Digits within the type's bounds: as GVariant reads them, also 0x and octal. */
static int read_integer(struct reader *r, int type, char **end)
{
	const struct basic_type *t = &basic_types[type];
	bool negative = *r->at == '-';
	unsigned long long n;

	if (!isdigit((unsigned char)r->at[negative]))
		return -EINVAL;
	errno = 0;
	n = strtoull(r->at + negative, end, 0);
	if (errno || (negative ? n > 0 - (uint64_t)t->min : n > t->max))
		return -ERANGE;
	unit_property_add(r->list, r->property, NULL, NULL, negative ? 0 - n : n);
	return type;
}

static int read_double(struct reader *r, char **end)
{
	double real = strtod(r->at, end);

	if (*end == r->at || !isfinite(real))
		return -EINVAL;
	unit_property_add(r->list, r->property, NULL, NULL, 0);
	if (!r->list->failed)
		r->property->values.items[r->property->values.count - 1].real = real;
	return TYPE_DOUBLE;
}

static int read_number(struct reader *r, int type)
{
	size_t len = strcspn(r->at, " \t,]");
	bool real = type == TYPE_DOUBLE || (type < 0 && memchr(r->at, '.', len));
	char *end = NULL;

	if (type < 0)
		type = TYPE_INT32;
	if (type == TYPE_BOOLEAN || type == TYPE_STRING)
		return -EINVAL;
	type = real ? read_double(r, &end) : read_integer(r, type, &end);
	if (type >= 0 && end != r->at + len)
		return -EINVAL;
	r->at += len;
	return type;
}

/* A word of its own at this place. */
static bool take_word(struct reader *r, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(r->at, word, len) || isalnum((unsigned char)r->at[len]))
		return false;
	r->at += len;
	return true;
}

/* "uint64" and the like before a value; -1: none. */
static int read_type(struct reader *r)
{
	skip_blanks(r);
	for (size_t i = 0; i < sizeof(basic_types) / sizeof(*basic_types); i++)
		if (take_word(r, basic_types[i].word)) {
			skip_blanks(r);
			return i;
		}
	return -1;
}

/* One value that is no array; the number of its type in basic_types, or a negative errno. */
static int read_basic(struct reader *r)
{
	int type = read_type(r);

	if ((*r->at == '\'' || *r->at == '"') && (type < 0 || type == TYPE_STRING))
		return read_string(r);
	for (int value = 0; value < 2; value++) {
		if ((type >= 0 && type != TYPE_BOOLEAN) || !take_word(r, value ? "true" : "false"))
			continue;
		unit_property_add(r->list, r->property, NULL, NULL, value);
		return TYPE_BOOLEAN;
	}
	return read_number(r, type);
}

static int read_array(struct reader *r)
{
	int type = -1;

	do {
		int item = read_basic(r);

		if (item < 0)
			return item;
		if (type >= 0 && item != type)
			return -EINVAL;
		type = item;
	} while (take(r, ','));
	if (!take(r, ']'))
		return -EINVAL;
	r->property->type = basic_types[type].array;
	return 0;
}

static int read_value(struct reader *r)
{
	int type = 0;

	if (take(r, '[')) {
		type = read_array(r);
	} else {
		type = read_basic(r);
		if (type >= 0)
			r->property->type = basic_types[type].type;
	}
	if (type < 0)
		return type;
	skip_blanks(r);
	return *r->at ? -EINVAL : 0;
}

/* "TimeoutStopSec" is not a property, "TimeoutStopUSec" is: microseconds, as uint64. */
static int seconds_to_property(struct unit_property *p)
{
	size_t len = strlen(p->name);
	struct unit_value *v = p->values.items;
	double seconds;
	char *name;

	if (len < 4 || strcmp(p->name + len - 3, "Sec") ||
	    !islower((unsigned char)p->name[len - 4]))
		return 0;
	if (p->type[1] || strchr("sb", *p->type))
		return -EINVAL;
	seconds = *p->type == 'd'	    ? v->real
		  : strchr("nix", *p->type) ? (double)(int64_t)v->number
					    : (double)v->number;
	if (seconds < 0 || seconds > (double)(UINT64_MAX / 2 / 1000000))
		return -ERANGE;
	if (asprintf(&name, "%.*sUSec", (int)(len - 3), p->name) < 0)
		return -ENOMEM;
	free(p->name);
	p->name = name;
	p->type = "t";
	v->number = seconds * 1e6 + 0.5;
	return 0;
}

static int add_annotation(struct unit_properties *list, const struct oci_pair *pair,
			  struct error **err)
{
	/* which processes, and where: another container's cgroup would be within reach */
	static const char *const own[] = {"Delegate", "PIDs", "Slice"};
	const char *name = pair->key + strlen(ANNOTATION);
	struct reader r = {.at = pair->value, .list = list};
	int ret = 0;

	for (const char *c = name; *c; c++)
		if (!isalpha((unsigned char)*c))
			ret = -EINVAL;
	if (!*name || ret < 0)
		return error_set(err, EINVAL,
				 "config.json: /annotations/%.256s: not the name of a property",
				 pair->key);
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (!strcmp(name, own[i]))
			return error_set(err, EPERM,
					 "config.json: /annotations/%.256s: the runtime sets this",
					 pair->key);
	r.property = unit_property_new(list, name, "");
	if (r.property)
		ret = read_value(&r);
	if (ret == 0 && !list->failed)
		ret = seconds_to_property(r.property);
	if (list->failed || ret == -ENOMEM)
		return error_errno(err, ENOMEM, "reading annotations");
	if (ret < 0)
		return error_set(
			err, EINVAL,
			"config.json: /annotations/%.256s: \"%.256s\" is not a string, "
			"number or boolean, nor an array of those, in the text form of GVariant",
			pair->key, pair->value);
	return 0;
}

int unit_properties_annotated(struct unit_properties *list, const struct oci_pairs *annotations,
			      struct error **err)
{
	vec_for_each (pair, annotations) {
		int ret = strncmp(pair->key, ANNOTATION, strlen(ANNOTATION))
				  ? 0
				  : add_annotation(list, pair, err);

		if (ret < 0)
			return ret;
	}
	return 0;
}
