// SPDX-License-Identifier: GPL-2.0-only
#include "util/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

#include "util/buf.h"

struct json {
	yajl_gen gen;
	unsigned int open;
	bool failed;
};

struct json *json_new(bool pretty)
{
	struct json *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->gen = yajl_gen_alloc(NULL);
	if (!j->gen) {
		free(j);
		return NULL;
	}
	yajl_gen_config(j->gen, yajl_gen_beautify, (int)pretty);
	yajl_gen_config(j->gen, yajl_gen_indent_string, "  ");
	return j;
}

void json_free(struct json *j)
{
	if (!j)
		return;
	yajl_gen_free(j->gen);
	free(j);
}

static void note(struct json *j, yajl_gen_status status)
{
	if (status != yajl_gen_status_ok)
		j->failed = true;
}

void json_object_begin(struct json *j)
{
	if (!j)
		return;
	note(j, yajl_gen_map_open(j->gen));
	j->open++;
}

void json_object_end(struct json *j)
{
	if (!j)
		return;
	note(j, yajl_gen_map_close(j->gen));
	j->open--;
}

void json_array_begin(struct json *j)
{
	if (!j)
		return;
	note(j, yajl_gen_array_open(j->gen));
	j->open++;
}

void json_array_end(struct json *j)
{
	if (!j)
		return;
	note(j, yajl_gen_array_close(j->gen));
	j->open--;
}

/* The length of the valid UTF-8 sequence at s, 0 if there is none (Unicode, table 3-7). */
static size_t utf8_len(const unsigned char *s)
{
	size_t len = *s < 0x80 ? 1 : *s >= 0xc2 && *s < 0xe0 ? 2 : *s >= 0xe0 && *s < 0xf0 ? 3 : 4;
	unsigned char low = 0x80, high = 0xbf;

	if ((*s >= 0x80 && *s < 0xc2) || *s > 0xf4)
		return 0;
	if (*s == 0xe0)
		low = 0xa0;
	else if (*s == 0xed)
		high = 0x9f; /* no surrogates */
	else if (*s == 0xf0)
		low = 0x90;
	else if (*s == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len; i++) {
		if (s[i] < low || s[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return len;
}

static int utf8_repair(struct buf *b, const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t len = utf8_len(s);

		if (!buf_add(b, len ? (const char *)s : "\xef\xbf\xbd", len ? len : 3))
			return -1;
		s += len ? len : 1;
	}
	return 0;
}

void json_string(struct json *j, const char *value)
{
	__cleanup_buf struct buf b = {0};

	if (!j)
		return;
	if (!value) {
		note(j, yajl_gen_null(j->gen));
		return;
	}
	if (utf8_repair(&b, value)) {
		j->failed = true;
		return;
	}
	note(j, yajl_gen_string(j->gen, b.data ? b.data : (const unsigned char *)"", b.len));
}

void json_key(struct json *j, const char *key)
{
	json_string(j, key);
}

void json_int(struct json *j, int64_t value)
{
	if (j)
		note(j, yajl_gen_integer(j->gen, value));
}

void json_uint(struct json *j, uint64_t value)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%" PRIu64, value);

	if (j)
		note(j, yajl_gen_number(j->gen, text, len));
}

void json_bool(struct json *j, bool value)
{
	if (j)
		note(j, yajl_gen_bool(j->gen, value));
}

void json_add_string(struct json *j, const char *key, const char *value)
{
	if (!value)
		return;
	json_key(j, key);
	json_string(j, value);
}

void json_add_int(struct json *j, const char *key, int64_t value)
{
	json_key(j, key);
	json_int(j, value);
}

void json_add_uint(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	json_uint(j, value);
}

void json_add_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	json_bool(j, value);
}

void json_add_strings(struct json *j, const char *key, const char *const *values)
{
	json_key(j, key);
	json_array_begin(j);
	for (; *values; values++)
		json_string(j, *values);
	json_array_end(j);
}

char *json_text(struct json *j)
{
	const unsigned char *text;
	size_t len;

	if (!j || j->failed || j->open || yajl_gen_get_buf(j->gen, &text, &len) || !len)
		return NULL;
	return strndup((const char *)text, len);
}
