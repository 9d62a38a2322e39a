// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/state.h"
#include "oci/state.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json_write.h"
#include "util/log.h"

static const struct option_spec options[] = {
	{"format", 'f', "FORMAT", "table (default) or json"},
	{"quiet", 'q', NULL, "ids only"},
	{NULL, 0, NULL, NULL},
};

struct rows {
	struct container **items;
	size_t count, size;
};

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		container_free(rows->items[i]);
	vec_free(rows);
}

/* One damaged container must not hide the others, nor be hidden itself. */
static int read_rows(struct runtime *rt, const struct container_ids *ids, struct rows *rows,
		     struct error **err)
{
	for (size_t i = 0; i < ids->count; i++) {
		__cleanup_error struct error *problem = NULL;
		struct container *c = NULL;
		struct container **row;
		int r = view_container(rt, ids->items[i], &c, &problem);

		if (r < 0) {
			/* deleted meanwhile is no news */
			if (r != -ENOENT)
				log_warning("%s", error_message(problem));
			continue;
		}
		row = vec_add(rows);
		if (!row) {
			container_free(c);
			return error_errno(err, ENOMEM, "listing containers");
		}
		*row = c;
	}
	return 0;
}

static void owner_name(uid_t uid, char *name, size_t size)
{
	const struct passwd *user = uid ? getpwuid(uid) : NULL;

	if (uid == 0)
		snprintf(name, size, "root");
	else if (user)
		snprintf(name, size, "%s", user->pw_name);
	else
		snprintf(name, size, "#%u", uid);
}

static int print_json(const struct rows *rows, struct error **err)
{
	__cleanup_json struct json *j = json_new(false);

	json_array_begin(j);
	vec_for_each (c, rows) {
		struct oci_state state;
		char owner[64];

		view_state(*c, NULL, &state);
		owner_name((*c)->owner_uid, owner, sizeof(owner));
		state.owner = owner;
		oci_state_write(j, &state);
	}
	json_array_end(j);
	return view_print(j, err);
}

static void print_table(const struct rows *rows)
{
	int id = 2, bundle = 6;

	vec_for_each (c, rows) {
		int id_len = strlen((*c)->id), bundle_len = (*c)->bundle ? strlen((*c)->bundle) : 0;

		id = id_len > id ? id_len : id;
		bundle = bundle_len > bundle ? bundle_len : bundle;
	}
	printf("%-*s   %-9s   %-8s   %-*s   %-27s   OWNER\n", id, "ID", "PID", "STATUS", bundle,
	       "BUNDLE", "CREATED");
	vec_for_each (c, rows) {
		struct oci_state s;
		char owner[64];

		view_state(*c, NULL, &s);
		owner_name((*c)->owner_uid, owner, sizeof(owner));
		printf("%-*s   %-9d   %-8s   %-*s   %-27s   %s\n", id, s.id, s.pid, s.status,
		       bundle, s.bundle ? s.bundle : "", s.created, owner);
	}
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup(container_ids_free) struct container_ids ids = {0};
	__cleanup(free_rows) struct rows rows = {0};
	const char *format = option_string(rt, "format");
	int r;

	if (format && strcmp(format, "table") && strcmp(format, "json"))
		return error_set(err, EINVAL, "option \"--format\": must be table or json");
	r = container_ids(rt->root, &ids, err);
	if (r == 0)
		r = read_rows(rt, &ids, &rows, err);
	if (r < 0)
		return r;
	if (option_flag(rt, "quiet")) {
		vec_for_each (c, &rows) {
			puts((*c)->id);
		}
		return 0;
	}
	if (format && !strcmp(format, "json"))
		return print_json(&rows, err);
	print_table(&rows);
	return 0;
}

const struct verb verb_list = {
	.name = "list",
	.summary = "list the containers",
	.usage = "",
	.options = options,
	.max_args = 0,
	.run = run,
};
