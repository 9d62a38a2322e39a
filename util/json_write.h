/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing JSON. Calls need not be checked: the first failure sticks, and
 * json_text() returns NULL. Strings that are not UTF-8 (file names) get U+FFFD
 * for each bad byte, so that the output always is.
 */
#ifndef FIRN_UTIL_JSON_WRITE_H
#define FIRN_UTIL_JSON_WRITE_H

#include <stdbool.h>
#include <stdint.h>

struct json;

/* A writer, or NULL for want of memory; every other call here takes NULL. Pretty: indented lines.
 */
struct json *json_new(bool pretty);
void json_free(struct json *j);

void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, const char *key);

/* NULL becomes null. */
void json_string(struct json *j, const char *value);
void json_int(struct json *j, int64_t value);
void json_uint(struct json *j, uint64_t value);
void json_bool(struct json *j, bool value);

/* Key and value at once. json_add_string() with a NULL value adds nothing. */
void json_add_string(struct json *j, const char *key, const char *value);
void json_add_int(struct json *j, const char *key, int64_t value);
void json_add_uint(struct json *j, const char *key, uint64_t value);
void json_add_bool(struct json *j, const char *key, bool value);
/* values ends with NULL. */
void json_add_strings(struct json *j, const char *key, const char *const *values);

/*
 * The finished document: malloc'ed, with a line end if pretty. NULL if a call
 * failed or an object or array is still open. The writer stays the caller's.
 */
char *json_text(struct json *j);

static inline void cleanup_json(struct json **j)
{
	json_free(*j);
}

#define __cleanup_json __attribute__((cleanup(cleanup_json)))

#endif
