// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/systemd_unit_name.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"

#define ROOT_SLICE "-.slice"

/* Each level has the names of those above in its own: a path could be far too long for a file. */
#define PATH_LEN 3000

/* What a unit's name may be made of (systemd.unit(5)); "@" would make it an instance. */
static const char valid[] = "0123456789abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\";

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

/* Appends "/" and the first len characters of the slice's name, and its suffix. */
static bool add_level(struct buf *path, const char *slice, size_t len)
{
	return buf_add(path, "/", 1) && buf_add(path, slice, len) && buf_add(path, ".slice", 6);
}

int unit_slice_path(const char *slice, char **path)
{
	__cleanup_buf struct buf text = {0};
	size_t len;
	bool ok = true;

	if (!ends_with(slice, ".slice") || strspn(slice, valid) != strlen(slice) ||
	    strlen(slice) > UNIT_NAME_LEN)
		return -EINVAL;
	len = strcmp(slice, ROOT_SLICE) ? strlen(slice) - strlen(".slice") : 0;
	for (size_t i = 0; i < len; i++) {
		if (slice[i] != '-')
			continue;
		/* each dash leads one level down: none without a name */
		if (i == 0 || i + 1 == len || slice[i - 1] == '-')
			return -EINVAL;
		ok = ok && add_level(&text, slice, i);
	}
	ok = ok && (!len || add_level(&text, slice, len)) && buf_add(&text, "", 1);
	if (!ok)
		return -ENOMEM;
	*path = (char *)take_ptr(text.data);
	return 0;
}

/* As systemd-escape(1) does: an id may have a "+", which a unit's name may not. */
static void escape(const char *id, char *text, size_t size)
{
	size_t used = 0;

	for (; *id && used + 5 < size; id++)
		used += snprintf(text + used, size - used, strchr(valid, *id) ? "%c" : "\\x%02x",
				 (unsigned char)*id);
	text[used] = '\0';
}

static int complain(const char *given, struct error **err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int complain(const char *given, struct error **err, const char *fmt, ...)
{
	char reason[2 * UNIT_NAME_LEN];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	return error_set(err, EINVAL, "config.json: /linux/cgroupsPath \"%.1024s\": %s", given,
			 reason);
}

/* "PREFIX-NAME.scope", "NAME.scope", or NAME if that is a slice. */
static int join(struct unit_name *name, const char *prefix, const char *what)
{
	int len;

	name->is_slice = ends_with(what, ".slice");
	len = name->is_slice ? snprintf(name->unit, sizeof(name->unit), "%s", what)
			     : snprintf(name->unit, sizeof(name->unit), "%s%s%s.scope", prefix,
					*prefix ? "-" : "", what);
	return len > UNIT_NAME_LEN ? -ENAMETOOLONG : 0;
}

/* The slice that a slice is in is told by its name: "a-b.slice" is in "a.slice". */
static int place_slice(struct unit_name *name)
{
	const char *dash = strrchr(name->unit, '-');
	int r = unit_slice_path(name->unit, &name->path);

	if (r < 0)
		return r;
	/* the root is nobody's container */
	if (!*name->path)
		return -EINVAL;
	snprintf(name->slice, sizeof(name->slice), "%.*s.slice",
		 dash ? (int)(dash - name->unit) : 1, dash ? name->unit : "-");
	return 0;
}

static int place_scope(struct unit_name *name)
{
	__cleanup_free char *above = NULL;
	int r = unit_slice_path(name->slice, &above);

	if (r == 0 && asprintf(&name->path, "%s/%s", above, name->unit) < 0) {
		name->path = NULL;
		r = -ENOMEM;
	}
	return r;
}

/* Takes the text apart at its two colons; -EINVAL if there are others than two. */
static int split(char *text, char **prefix, char **what)
{
	char *first = strchr(text, ':');
	char *second = first ? strchr(first + 1, ':') : NULL;

	if (!second || strchr(second + 1, ':'))
		return -EINVAL;
	*first = *second = '\0';
	*prefix = first + 1;
	*what = second + 1;
	return 0;
}

static int fill(struct unit_name *name, const char *given, const char *slice, const char *prefix,
		const char *what, struct error **err)
{
	int r;

	if (strspn(prefix, valid) != strlen(prefix) || strspn(what, valid) != strlen(what))
		return complain(given, err, "\"%.64s\" cannot be in the name of a unit",
				strspn(prefix, valid) != strlen(prefix) ? prefix : what);
	if (strlen(slice) > UNIT_NAME_LEN || join(name, prefix, what) < 0)
		return complain(given, err, "names of units have %d characters at most",
				UNIT_NAME_LEN);
	snprintf(name->slice, sizeof(name->slice), "%s", slice);
	r = name->is_slice ? place_slice(name) : place_scope(name);
	if (r == 0 && strlen(name->path) > PATH_LEN)
		return complain(given, err, "too many slices in each other");
	if (r == -EINVAL)
		return complain(given, err, "\"%s\" is not the name of a slice",
				name->is_slice ? name->unit : name->slice);
	return r < 0 ? error_errno(err, -r, "naming the container's unit") : 0;
}

int unit_name_parse(const char *cgroups_path, const char *id, bool user, struct unit_name *name,
		    struct error **err)
{
	const char *given = cgroups_path ? cgroups_path : "";
	__cleanup_free char *slice = strdup(*given ? given : ":firn:");
	char *prefix, *what, escaped[UNIT_NAME_LEN + 1];

	*name = (struct unit_name){0};
	if (!slice)
		return error_errno(err, ENOMEM, "naming the container's unit");
	if (split(slice, &prefix, &what) < 0) {
		complain(given, err, "with --systemd-cgroup it must be SLICE:PREFIX:NAME");
		return error_hint(err, "a path is for runtimes that make cgroups themselves");
	}
	escape(id, escaped, sizeof(escaped));
	return fill(name, given,
		    *slice ? slice
		    : user ? "user.slice"
			   : "system.slice",
		    prefix, *what ? what : escaped, err);
}

void unit_name_free(struct unit_name *name)
{
	free(name->path);
	name->path = NULL;
}
