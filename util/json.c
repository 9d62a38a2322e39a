// SPDX-License-Identifier: GPL-2.0-only
#include "util/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

/*
 * The tree parser recurses when freeing, accepts comments, ends strings at U+0000
 * and does not tell where it failed. A first pass with the event parser settles
 * all of that before a tree exists.
 */
struct check {
	unsigned int depth;
	size_t values;
	const char *refused;
};

static int check_value(struct check *c)
{
	if (++c->values > JSON_MAX_VALUES)
		c->refused = "too many values";
	return !c->refused;
}

static int check_open(void *ctx)
{
	struct check *c = ctx;

	if (++c->depth > JSON_MAX_DEPTH)
		c->refused = "nested too deeply";
	return check_value(c);
}

static int check_close(void *ctx)
{
	((struct check *)ctx)->depth--;
	return 1;
}

static int check_null(void *ctx)
{
	return check_value(ctx);
}

static int check_bool(void *ctx, int value)
{
	return check_value(ctx);
}

static int check_number(void *ctx, const char *text, size_t len)
{
	return check_value(ctx);
}

static int check_string(void *ctx, const unsigned char *text, size_t len)
{
	struct check *c = ctx;

	if (memchr(text, 0, len))
		c->refused = "a string must not contain \\u0000";
	return check_value(c);
}

static const yajl_callbacks check_callbacks = {
	.yajl_null = check_null,
	.yajl_boolean = check_bool,
	.yajl_number = check_number,
	.yajl_string = check_string,
	.yajl_start_map = check_open,
	.yajl_map_key = check_string,
	.yajl_end_map = check_close,
	.yajl_start_array = check_open,
	.yajl_end_array = check_close,
};

/* yajl's text has a prefix and a line end. */
static void parser_reason(yajl_handle parser, char *reason, size_t size)
{
	unsigned char *text = yajl_get_error(parser, 0, NULL, 0);
	const char *start = text ? (const char *)text : "malformed";
	const char *colon = strstr(start, "error: ");

	if (colon)
		start = colon + strlen("error: ");
	snprintf(reason, size, "%.*s", (int)strcspn(start, "\n"), start);
	if (text)
		yajl_free_error(parser, text);
}

static int error_at(const char *text, size_t offset, const char *reason, struct error **err)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++; /* continuation bytes of UTF-8 take no column */
		}
	}
	return error_set(err, EINVAL, "line %zu, column %zu: malformed JSON: %s", line, column,
			 reason);
}

static int json_check(const char *text, size_t len, struct error **err)
{
	struct check check = {0};
	yajl_handle parser = yajl_alloc(&check_callbacks, NULL, &check);
	char reason[120] = "";
	yajl_status status;
	size_t offset;

	if (!parser)
		return error_errno(err, ENOMEM, "parsing JSON");
	status = yajl_parse(parser, (const unsigned char *)text, len);
	offset = yajl_get_bytes_consumed(parser);
	if (offset)
		offset--; /* the token that it stumbled over is consumed */
	if (status == yajl_status_ok) {
		status = yajl_complete_parse(parser);
		offset = len;
	}
	if (status == yajl_status_client_canceled)
		snprintf(reason, sizeof(reason), "%s", check.refused);
	else if (status != yajl_status_ok)
		parser_reason(parser, reason, sizeof(reason));
	yajl_free(parser);
	if (status == yajl_status_ok)
		return 0;
	return error_at(text, offset < len ? offset : len, reason, err);
}

int json_parse(const char *text, size_t len, yajl_val *tree, struct error **err)
{
	__cleanup_free char *copy = NULL;
	const char *nul = memchr(text, 0, len);
	int r;

	if (nul)
		return error_at(text, nul - text, "a NUL byte", err);
	r = json_check(text, len, err);
	if (r)
		return r;
	/* the tree parser wants a terminated string, which text need not be */
	copy = text_copy(text, len);
	if (!copy)
		return error_errno(err, ENOMEM, "parsing JSON");
	*tree = yajl_tree_parse(copy, NULL, 0);
	return *tree ? 0 : error_errno(err, ENOMEM, "parsing JSON");
}

static yajl_val present(yajl_val v)
{
	return YAJL_IS_NULL(v) ? NULL : v;
}

struct json_node json_child(const struct json_node *object, const char *key)
{
	struct json_node child = {.parent = object, .key = key};

	if (YAJL_IS_OBJECT(object->value))
		for (size_t i = 0; i < object->value->u.object.len; i++)
			if (strcmp(object->value->u.object.keys[i], key) == 0)
				child.value = present(object->value->u.object.values[i]);
	return child;
}

struct json_node json_item(const struct json_node *container, size_t i)
{
	struct json_node item = {.parent = container, .index = i};

	if (i >= json_count(container))
		return item;
	if (YAJL_IS_OBJECT(container->value)) {
		item.key = container->value->u.object.keys[i];
		item.value = present(container->value->u.object.values[i]);
	} else {
		item.value = present(container->value->u.array.values[i]);
	}
	return item;
}

size_t json_count(const struct json_node *container)
{
	if (YAJL_IS_OBJECT(container->value))
		return container->value->u.object.len;
	if (YAJL_IS_ARRAY(container->value))
		return container->value->u.array.len;
	return 0;
}

static int pointer_add(struct buf *b, const struct json_node *node)
{
	char index[24];

	if (!node->parent)
		return 0;
	if (pointer_add(b, node->parent) || !buf_add(b, "/", 1))
		return -ENOMEM;
	snprintf(index, sizeof(index), "%zu", node->index);
	for (const char *c = node->key ? node->key : index; *c; c++) {
		const char *text = *c == '~' ? "~0" : *c == '/' ? "~1" : c;

		if (!buf_add(b, text, text == c ? 1 : 2))
			return -ENOMEM;
	}
	return 0;
}

char *json_pointer(const struct json_node *node)
{
	__cleanup_buf struct buf b = {0};

	if (pointer_add(&b, node) || !buf_add(&b, "", 1))
		return NULL;
	return (char *)take_ptr(b.data);
}

int json_error(const struct json_node *node, struct error **err, const char *fmt, ...)
{
	__cleanup_free char *pointer = json_pointer(node);
	__cleanup_free char *message = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&message, fmt, args) < 0)
		message = NULL;
	va_end(args);
	return error_set(err, EINVAL, "%s%s%s", pointer ? pointer : "",
			 pointer && *pointer ? ": " : "", message ? message : "invalid");
}

int json_need(const struct json_node *object, const char *key, struct json_node *child,
	      struct error **err)
{
	*child = json_child(object, key);
	return child->value ? 0 : json_error(child, err, "missing");
}

static int wrong(const struct json_node *node, const char *what, struct error **err)
{
	if (!node->value)
		return json_error(node, err, "missing");
	return json_error(node, err, "must be %s", what);
}

int json_get_object(const struct json_node *node, struct error **err)
{
	return YAJL_IS_OBJECT(node->value) ? 0 : wrong(node, "an object", err);
}

int json_get_array(const struct json_node *node, struct error **err)
{
	return YAJL_IS_ARRAY(node->value) ? 0 : wrong(node, "an array", err);
}

int json_get_string(const struct json_node *node, const char **string, struct error **err)
{
	if (!YAJL_IS_STRING(node->value))
		return wrong(node, "a string", err);
	*string = node->value->u.string;
	return 0;
}

int json_get_bool(const struct json_node *node, bool *value, struct error **err)
{
	if (!YAJL_IS_TRUE(node->value) && !YAJL_IS_FALSE(node->value))
		return wrong(node, "true or false", err);
	*value = YAJL_IS_TRUE(node->value);
	return 0;
}

int json_get_int(const struct json_node *node, int64_t min, int64_t max, int64_t *value,
		 struct error **err)
{
	long long n = 0;
	char *end = NULL;

	if (!YAJL_IS_NUMBER(node->value))
		return wrong(node, "an integer", err);
	/* from the text: yajl does not tell a fraction from a number out of range */
	errno = 0;
	n = strtoll(YAJL_GET_NUMBER(node->value), &end, 10);
	if (*end)
		return wrong(node, "an integer", err);
	if (errno || n < min || n > max)
		return json_error(node, err, "%s is out of range (%" PRId64 " to %" PRId64 ")",
				  YAJL_GET_NUMBER(node->value), min, max);
	*value = n;
	return 0;
}

int json_get_uint(const struct json_node *node, uint64_t max, uint64_t *value, struct error **err)
{
	unsigned long long n = 0;
	char *end = NULL;
	const char *text;

	if (!YAJL_IS_NUMBER(node->value))
		return wrong(node, "an integer", err);
	text = YAJL_GET_NUMBER(node->value);
	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end)
		return wrong(node, "an integer", err);
	/* strtoull() takes a minus sign; -0 is as good as 0 */
	if (errno || n > max || (*text == '-' && n))
		return json_error(node, err, "%s is out of range (0 to %" PRIu64 ")", text, max);
	*value = n;
	return 0;
}
