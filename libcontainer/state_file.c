// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/state_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/state.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json.h"
#include "util/json_write.h"

/* Raised when a reader of the old number would misunderstand the file. */
#define STATE_FILE_VERSION 1

/* Inode numbers of overlayfs use all 64 bits, which JSON's integers do not: as text. */
static void add_u64(struct json *j, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	json_add_string(j, key, text);
}

static void add_process(struct json *j, const char *key, const struct process_id *p)
{
	json_key(j, key);
	json_object_begin(j);
	json_add_int(j, "pid", p->pid);
	add_u64(j, "startTime", p->start_time);
	json_object_end(j);
}

static void add_stdio(struct json *j, const struct container_stdio *stdio)
{
	json_key(j, "stdio");
	json_array_begin(j);
	for (int i = 0; i < 3; i++) {
		json_object_begin(j);
		add_u64(j, "dev", stdio[i].dev);
		add_u64(j, "ino", stdio[i].ino);
		json_add_string(j, "name", stdio[i].name);
		json_object_end(j);
	}
	json_array_end(j);
}

int state_file_encode(const struct container *c, struct buf *b)
{
	__cleanup_json struct json *j = json_new(true);
	__cleanup_free char *text = NULL;

	json_object_begin(j);
	json_add_int(j, "version", STATE_FILE_VERSION);
	json_add_string(j, "id", c->id);
	json_add_string(j, "state", container_state_name(c->state));
	json_add_string(j, "bundle", c->bundle);
	json_add_string(j, "rootfs", c->rootfs);
	json_add_string(j, "created", c->created);
	json_add_uint(j, "ownerUid", c->owner_uid);
	json_add_bool(j, "userPaused", c->user_paused);
	json_add_bool(j, "terminal", c->terminal);
	add_process(j, "init", &c->init);
	if (c->worker.pid) {
		add_process(j, "worker", &c->worker);
		json_add_string(j, "workerVerb", c->worker_verb);
		json_add_int(j, "workerSince", c->worker_since);
	}
	json_add_string(j, "cgroupPath", c->cgroup_path);
	add_stdio(j, c->stdio);
	json_object_end(j);
	text = json_text(j);
	return text && buf_add(b, text, strlen(text)) ? 0 : -ENOMEM;
}

/* A string, duplicated; absent is NULL unless it is required. */
static int get_string(const struct json_node *object, const char *key, bool required, char **value,
		      struct error **err)
{
	struct json_node node = json_child(object, key);
	const char *text;
	int r;

	if (!node.value && !required)
		return 0;
	r = json_get_string(&node, &text, err);
	if (r < 0)
		return r;
	*value = strdup(text);
	return *value ? 0 : error_errno(err, ENOMEM, "reading \"%s\"", key);
}

static int get_int(const struct json_node *object, const char *key, int64_t min, int64_t max,
		   int64_t *value, struct error **err)
{
	struct json_node node = json_child(object, key);

	return json_get_int(&node, min, max, value, err);
}

static int get_bool(const struct json_node *object, const char *key, bool *value,
		    struct error **err)
{
	struct json_node node = json_child(object, key);

	return json_get_bool(&node, value, err);
}

static int get_u64(const struct json_node *object, const char *key, uint64_t *value,
		   struct error **err)
{
	struct json_node node = json_child(object, key);
	const char *text;
	char *end;
	int r = json_get_string(&node, &text, err);

	if (r < 0)
		return r;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return end == text || *end || errno ? json_error(&node, err, "must be a number") : 0;
}

static int get_process(const struct json_node *object, const char *key, struct process_id *p,
		       struct error **err)
{
	struct json_node node = json_child(object, key);
	int64_t pid;
	int r = json_get_object(&node, err);

	if (r == 0)
		r = get_int(&node, "pid", 0, INT32_MAX, &pid, err);
	if (r == 0)
		r = get_u64(&node, "startTime", &p->start_time, err);
	if (r == 0)
		p->pid = pid;
	return r;
}

static int get_worker(const struct json_node *object, struct container *c, struct error **err)
{
	__cleanup_free char *verb = NULL;
	int r;

	if (!json_child(object, "worker").value)
		return 0;
	r = get_process(object, "worker", &c->worker, err);
	if (r == 0)
		r = get_string(object, "workerVerb", true, &verb, err);
	if (r == 0)
		r = get_int(object, "workerSince", INT64_MIN, INT64_MAX, &c->worker_since, err);
	if (r == 0)
		snprintf(c->worker_verb, sizeof(c->worker_verb), "%s", verb);
	return r;
}

static int get_stdio(const struct json_node *object, struct container_stdio *stdio,
		     struct error **err)
{
	struct json_node list = json_child(object, "stdio");

	if (json_count(&list) != 3)
		return json_error(&list, err, "must be an array of three");
	for (int i = 0; i < 3; i++) {
		struct json_node item = json_item(&list, i);
		__cleanup_free char *name = NULL;
		int r = json_get_object(&item, err);

		if (r == 0)
			r = get_u64(&item, "dev", &stdio[i].dev, err);
		if (r == 0)
			r = get_u64(&item, "ino", &stdio[i].ino, err);
		if (r == 0)
			r = get_string(&item, "name", true, &name, err);
		if (r < 0)
			return r;
		snprintf(stdio[i].name, sizeof(stdio[i].name), "%s", name);
	}
	return 0;
}

static int get_state(const struct json_node *object, enum container_state *state,
		     struct error **err)
{
	struct json_node node = json_child(object, "state");
	const char *text;
	int r = json_get_string(&node, &text, err);

	if (r < 0)
		return r;
	for (int s = 0; s < CONTAINER_STATES; s++) {
		if (!strcmp(text, container_state_name(s))) {
			*state = s;
			return 0;
		}
	}
	return json_error(&node, err, "no such state");
}

/* That this is a state file, of this container, which this program understands. */
static int check_identity(const struct json_node *root, const struct container *c,
			  struct error **err)
{
	__cleanup_free char *id = NULL;
	int64_t version;
	int r = json_get_object(root, err);

	if (r == 0)
		r = get_int(root, "version", STATE_FILE_VERSION, STATE_FILE_VERSION, &version, err);
	if (r == 0)
		r = get_string(root, "id", true, &id, err);
	if (r == 0 && strcmp(id, c->id))
		r = error_set(err, EINVAL, "/id: is of another container");
	return r;
}

static int decode(const struct json_node *root, struct container *c, struct error **err)
{
	int64_t uid = 0;
	int r = check_identity(root, c, err);

	if (r == 0)
		r = get_state(root, &c->state, err);
	if (r == 0)
		r = get_string(root, "bundle", false, &c->bundle, err);
	if (r == 0)
		r = get_string(root, "rootfs", false, &c->rootfs, err);
	if (r == 0)
		r = get_string(root, "created", true, &c->created, err);
	if (r == 0)
		r = get_string(root, "cgroupPath", false, &c->cgroup_path, err);
	if (r == 0)
		r = get_int(root, "ownerUid", 0, UINT32_MAX, &uid, err);
	if (r == 0)
		r = get_bool(root, "userPaused", &c->user_paused, err);
	if (r == 0)
		r = get_bool(root, "terminal", &c->terminal, err);
	if (r == 0)
		r = get_process(root, "init", &c->init, err);
	if (r == 0)
		r = get_worker(root, c, err);
	if (r == 0)
		r = get_stdio(root, c->stdio, err);
	c->owner_uid = uid;
	return r;
}

int state_file_decode(struct container *c, const char *text, struct error **err)
{
	__cleanup_json_tree yajl_val tree = NULL;
	__cleanup_error struct error *problem = NULL;
	int r = json_parse(text, strlen(text), &tree, &problem);

	if (r == 0) {
		struct json_node root = json_root(tree);

		r = decode(&root, c, &problem);
	}
	/* -EINVAL is the caller's fault; this is the file's */
	if (r < 0)
		return error_set(err, r == -ENOMEM ? ENOMEM : EUCLEAN, "%s",
				 error_message(problem));
	return 0;
}
