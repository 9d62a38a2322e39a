/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading JSON that may be hostile: a tree of limited size and depth, and nodes
 * that know where in the document they are, so that every error names its field
 * by JSON pointer (RFC 6901): "/mounts/3/destination: missing".
 *
 * Nodes live on the stack, a child pointing to its parent; strings are borrowed
 * from the tree. A member that is null counts as absent.
 */
#ifndef FIRN_UTIL_JSON_H
#define FIRN_UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yajl/yajl_tree.h>

struct error;

/* Limits of a document: the tree takes some 100 bytes of memory per value. */
#define JSON_MAX_DEPTH	64
#define JSON_MAX_VALUES 500000

struct json_node {
	yajl_val value; /* NULL: absent */
	const struct json_node *parent;
	const char *key; /* NULL: an element of an array, or the root */
	size_t index;
};

/*
 * Parses len bytes of text. Malformed JSON, comments, strings that hold U+0000
 * and what exceeds the limits are refused with line and column. On success *tree
 * is the caller's, for yajl_tree_free(). -EINVAL or -ENOMEM.
 */
int json_parse(const char *text, size_t len, yajl_val *tree, struct error **err);

static inline struct json_node json_root(yajl_val tree)
{
	return (struct json_node){.value = tree};
}

/* The member of an object; value is NULL if there is none. Of duplicate keys the last counts. */
struct json_node json_child(const struct json_node *object, const char *key);

/* The i-th element of an array, or value of an object; value is NULL if there is none. */
struct json_node json_item(const struct json_node *container, size_t i);

/* How many elements or members; 0 for anything else. */
size_t json_count(const struct json_node *container);

/* The node's JSON pointer, malloc'ed ("" for the root), or NULL. */
char *json_pointer(const struct json_node *node);

/* An -EINVAL error about this node: "POINTER: message". */
int json_error(const struct json_node *node, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* json_child() that must be there. */
int json_need(const struct json_node *object, const char *key, struct json_node *child,
	      struct error **err);

/* These fail with -EINVAL on an absent value and on one of another type or out of range. */
int json_get_object(const struct json_node *node, struct error **err);
int json_get_array(const struct json_node *node, struct error **err);
int json_get_string(const struct json_node *node, const char **string, struct error **err);
int json_get_bool(const struct json_node *node, bool *value, struct error **err);
int json_get_int(const struct json_node *node, int64_t min, int64_t max, int64_t *value,
		 struct error **err);
int json_get_uint(const struct json_node *node, uint64_t max, uint64_t *value, struct error **err);

static inline void cleanup_json_tree(yajl_val *tree)
{
	yajl_tree_free(*tree);
}

#define __cleanup_json_tree __attribute__((cleanup(cleanup_json_tree)))

#endif
