// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_tree.h>

#include "libcontainer/state.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Raised when a reader of the old number would misunderstand the file. */
#define STATE_FILE_VERSION 1

static void cleanup_gen(yajl_gen *gen)
{
	if (*gen)
		yajl_gen_free(*gen);
}

static void cleanup_tree(yajl_val *tree)
{
	if (*tree)
		yajl_tree_free(*tree);
}

static void put_text(yajl_gen gen, const char *text)
{
	yajl_gen_string(gen, (const unsigned char *)text, strlen(text));
}

static void put_string(yajl_gen gen, const char *key, const char *value)
{
	if (!value)
		return;
	put_text(gen, key);
	put_text(gen, value);
}

static void put_int(yajl_gen gen, const char *key, long long value)
{
	put_text(gen, key);
	yajl_gen_integer(gen, value);
}

/* Inode numbers of overlayfs use all 64 bits, which JSON readers do not: as text. */
static void put_u64(yajl_gen gen, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_string(gen, key, text);
}

static void put_bool(yajl_gen gen, const char *key, bool value)
{
	put_text(gen, key);
	yajl_gen_bool(gen, value);
}

static void put_process(yajl_gen gen, const char *key, const struct process_id *p)
{
	put_text(gen, key);
	yajl_gen_map_open(gen);
	put_int(gen, "pid", p->pid);
	put_u64(gen, "startTime", p->start_time);
	yajl_gen_map_close(gen);
}

static void put_stdio(yajl_gen gen, const struct container_stdio *stdio)
{
	put_text(gen, "stdio");
	yajl_gen_array_open(gen);
	for (int i = 0; i < 3; i++) {
		yajl_gen_map_open(gen);
		put_u64(gen, "dev", stdio[i].dev);
		put_u64(gen, "ino", stdio[i].ino);
		put_string(gen, "name", stdio[i].name);
		yajl_gen_map_close(gen);
	}
	yajl_gen_array_close(gen);
}

int state_file_encode(const struct container *c, struct buf *b)
{
	__cleanup(cleanup_gen) yajl_gen gen = yajl_gen_alloc(NULL);
	const unsigned char *text;
	size_t len;

	if (!gen)
		return -ENOMEM;
	yajl_gen_config(gen, yajl_gen_beautify, 1);
	yajl_gen_map_open(gen);
	put_int(gen, "version", STATE_FILE_VERSION);
	put_string(gen, "id", c->id);
	put_string(gen, "state", container_state_name(c->state));
	put_string(gen, "bundle", c->bundle);
	put_string(gen, "rootfs", c->rootfs);
	put_string(gen, "created", c->created);
	put_int(gen, "ownerUid", c->owner_uid);
	put_bool(gen, "userPaused", c->user_paused);
	put_bool(gen, "terminal", c->terminal);
	put_process(gen, "init", &c->init);
	if (c->worker.pid) {
		put_process(gen, "worker", &c->worker);
		put_string(gen, "workerVerb", c->worker_verb);
		put_int(gen, "workerSince", c->worker_since);
	}
	put_string(gen, "cgroupPath", c->cgroup_path);
	put_stdio(gen, c->stdio);
	yajl_gen_map_close(gen);
	if (yajl_gen_get_buf(gen, &text, &len) != yajl_gen_status_ok)
		return -ENOMEM;
	return buf_add(b, text, len) ? 0 : -ENOMEM;
}

static yajl_val find(yajl_val tree, const char *key)
{
	const char *path[] = {key, NULL};

	return yajl_tree_get(tree, path, yajl_t_any);
}

/* Of a value known to be a string; the macro of yajl makes compilers think of NULL. */
static const char *text_of(yajl_val v)
{
	return v->u.string;
}

static int wrong(struct error **err, const char *key)
{
	return error_set(err, EUCLEAN, "\"%s\" is missing or wrong", key);
}

/* A string, duplicated; absent is NULL unless it is required. */
static int get_string(yajl_val tree, const char *key, bool required, char **value,
		      struct error **err)
{
	yajl_val v = find(tree, key);

	if (!v && !required)
		return 0;
	if (!YAJL_IS_STRING(v))
		return wrong(err, key);
	*value = strdup(text_of(v));
	return *value ? 0 : error_errno(err, ENOMEM, "reading \"%s\"", key);
}

static int get_int(yajl_val tree, const char *key, long long min, long long max, long long *value,
		   struct error **err)
{
	yajl_val v = find(tree, key);

	if (!YAJL_IS_INTEGER(v) || YAJL_GET_INTEGER(v) < min || YAJL_GET_INTEGER(v) > max)
		return wrong(err, key);
	*value = YAJL_GET_INTEGER(v);
	return 0;
}

static int get_u64(yajl_val tree, const char *key, uint64_t *value, struct error **err)
{
	yajl_val v = find(tree, key);
	char *end;

	if (!YAJL_IS_STRING(v) || !*text_of(v))
		return wrong(err, key);
	errno = 0;
	*value = strtoull(text_of(v), &end, 10);
	return *end || errno ? wrong(err, key) : 0;
}

static int get_process(yajl_val tree, const char *key, struct process_id *p, struct error **err)
{
	yajl_val v = find(tree, key);
	long long pid;

	if (!YAJL_IS_OBJECT(v))
		return wrong(err, key);
	if (get_int(v, "pid", 0, INT32_MAX, &pid, err) ||
	    get_u64(v, "startTime", &p->start_time, err))
		return error_wrap(err, "\"%s\"", key);
	p->pid = pid;
	return 0;
}

static int get_worker(yajl_val tree, struct container *c, struct error **err)
{
	__cleanup_free char *verb = NULL;
	long long since;

	if (!find(tree, "worker"))
		return 0;
	if (get_process(tree, "worker", &c->worker, err) ||
	    get_string(tree, "workerVerb", true, &verb, err) ||
	    get_int(tree, "workerSince", INT64_MIN, INT64_MAX, &since, err))
		return -EUCLEAN;
	snprintf(c->worker_verb, sizeof(c->worker_verb), "%s", verb);
	c->worker_since = since;
	return 0;
}

static int get_stdio(yajl_val tree, struct container_stdio *stdio, struct error **err)
{
	yajl_val v = find(tree, "stdio");

	if (!YAJL_IS_ARRAY(v) || YAJL_GET_ARRAY(v)->len != 3)
		return wrong(err, "stdio");
	for (int i = 0; i < 3; i++) {
		yajl_val item = YAJL_GET_ARRAY(v)->values[i];
		__cleanup_free char *name = NULL;

		if (!YAJL_IS_OBJECT(item) || get_u64(item, "dev", &stdio[i].dev, err) ||
		    get_u64(item, "ino", &stdio[i].ino, err) ||
		    get_string(item, "name", true, &name, err))
			return wrong(err, "stdio");
		snprintf(stdio[i].name, sizeof(stdio[i].name), "%s", name);
	}
	return 0;
}

static int get_state(yajl_val tree, enum container_state *state, struct error **err)
{
	yajl_val v = find(tree, "state");

	for (int s = 0; YAJL_IS_STRING(v) && s < CONTAINER_STATES; s++) {
		if (!strcmp(text_of(v), container_state_name(s))) {
			*state = s;
			return 0;
		}
	}
	return wrong(err, "state");
}

static int decode_tree(struct container *c, yajl_val tree, struct error **err)
{
	__cleanup_free char *id = NULL;
	long long version, uid;

	if (!YAJL_IS_OBJECT(tree))
		return error_set(err, EUCLEAN, "not a JSON object");
	if (get_int(tree, "version", 0, INT32_MAX, &version, err))
		return -EUCLEAN;
	if (version != STATE_FILE_VERSION)
		return error_set(err, EUCLEAN, "version %lld instead of %d", version,
				 STATE_FILE_VERSION);
	if (get_string(tree, "id", true, &id, err))
		return -EUCLEAN;
	if (strcmp(id, c->id))
		return error_set(err, EUCLEAN, "\"id\" is of another container, \"%s\"", id);
	if (get_state(tree, &c->state, err) || get_string(tree, "bundle", false, &c->bundle, err) ||
	    get_string(tree, "rootfs", false, &c->rootfs, err) ||
	    get_string(tree, "created", true, &c->created, err) ||
	    get_string(tree, "cgroupPath", false, &c->cgroup_path, err) ||
	    get_int(tree, "ownerUid", 0, UINT32_MAX, &uid, err) ||
	    get_process(tree, "init", &c->init, err) || get_worker(tree, c, err) ||
	    get_stdio(tree, c->stdio, err))
		return -EUCLEAN;
	c->owner_uid = uid;
	c->user_paused = YAJL_IS_TRUE(find(tree, "userPaused"));
	c->terminal = YAJL_IS_TRUE(find(tree, "terminal"));
	return 0;
}

int state_file_decode(struct container *c, const char *text, struct error **err)
{
	char why[128] = "";
	__cleanup(cleanup_tree) yajl_val tree = yajl_tree_parse(text, why, sizeof(why));

	if (!tree)
		return error_set(err, EUCLEAN, "not valid JSON");
	return decode_tree(c, tree, err);
}
