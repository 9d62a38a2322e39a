// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/cgroup_driver.h"
#include "libcontainer/cgroup_internal.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct {
	const char *name;
	unsigned int bit;
} names[] = {
	{"freezer", CTL_FREEZER}, {"devices", CTL_DEVICES},	 {"pids", CTL_PIDS},
	{"memory", CTL_MEMORY},	  {"cpuacct", CTL_CPUACCT},	 {"cpu", CTL_CPU},
	{"cpuset", CTL_CPUSET},	  {"blkio", CTL_BLKIO},		 {"io", CTL_BLKIO},
	{"hugetlb", CTL_HUGETLB}, {"net_cls", CTL_NET_CLS},	 {"net_prio", CTL_NET_PRIO},
	{"rdma", CTL_RDMA},	  {"name=systemd", CTL_SYSTEMD},
};

/* The controllers in a list divided by any of the given characters. */
static unsigned int parse_names(const char *list, const char *divided_by)
{
	unsigned int found = 0;

	while (*list) {
		size_t len = strcspn(list, divided_by);

		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (strlen(names[i].name) == len && !strncmp(names[i].name, list, len))
				found |= names[i].bit;
		list += len;
		list += strspn(list, divided_by);
	}
	return found;
}

unsigned int cgroup_controllers(const char *list)
{
	return parse_names(list, ",");
}

/* mountinfo writes blanks and backslashes as \ooo. */
static void unescape(char *text)
{
	char *to = text;

	for (char *c = text; *c;) {
		if (c[0] == '\\' && c[1] >= '0' && c[1] <= '3' && c[2] && c[3]) {
			*to++ = (c[1] - '0') << 6 | (c[2] - '0') << 3 | (c[3] - '0');
			c += 4;
		} else {
			*to++ = *c++;
		}
	}
	*to = '\0';
}

/* Whether the line of /proc/self/cgroup with these names is of a mount with these options. */
static bool same_hierarchy(const char *own_names, const char *options)
{
	unsigned int bits = parse_names(own_names, ",");

	return bits && (parse_names(options, ",") & bits) == bits;
}

/*
 * The caller's cgroup in a hierarchy, as seen below its mount: the mount may
 * show only a part of the tree (in a container without a cgroup namespace).
 */
static char *find_own(const char *own, int version, const char *options, const char *mount_root,
		      char **own_names)
{
	size_t root_len = strcmp(mount_root, "/") ? strlen(mount_root) : 0;

	while (*own) {
		const char *line_names = strchr(own, ':');
		const char *path = line_names ? strchr(line_names + 1, ':') : NULL;
		size_t len = strcspn(own, "\n");
		__cleanup_free char *found = NULL;

		if (!path || path > own + len)
			return NULL;
		line_names++;
		found = strndup(line_names, path - line_names);
		path++;
		len -= path - own;
		if (found && (version == 2 ? !*found : *found && same_hierarchy(found, options))) {
			if (len >= root_len && !strncmp(path, mount_root, root_len)) {
				path += root_len;
				len -= root_len;
			} else {
				len = 0;
			}
			*own_names = take_ptr(found);
			/* "/.." starts what is outside of our cgroup namespace */
			if (len == 0 || !strncmp(path, "/..", 3))
				return strdup("/");
			return strndup(path, len);
		}
		own = path + len;
		own += *own == '\n';
	}
	return NULL;
}

static bool have(const struct cgroup *cg, const char *hierarchy)
{
	vec_for_each (h, cg) {
		if (!strcmp(h->names, hierarchy))
			return true;
	}
	return false;
}

/* One line of mountinfo: "36 35 98:0 ROOT MOUNT OPTIONS [TAGS] - TYPE SOURCE SUPER". */
static int parse_mount(char *line, const char *own, struct cgroup *cg)
{
	char *dash = strstr(line, " - "), *save = NULL, *field[5], *type, *options;
	__cleanup_free char *own_path = NULL;
	__cleanup_free char *own_names = NULL;
	struct hierarchy *h;
	int version;

	if (!dash)
		return 0;
	*dash = '\0';
	type = strtok_r(dash + 3, " ", &save);
	if (!type || (strcmp(type, "cgroup") && strcmp(type, "cgroup2")))
		return 0;
	version = type[6] ? 2 : 1;
	options = strtok_r(NULL, " ", &save) ? strtok_r(NULL, " ", &save) : NULL;
	save = NULL;
	for (int i = 0; i < 5; i++) {
		field[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!field[i])
			return 0;
	}
	unescape(field[3]);
	unescape(field[4]);
	own_path = find_own(own, version, options ? options : "", field[3], &own_names);
	if (!own_path || have(cg, own_names))
		return 0;
	h = vec_add(cg);
	if (!h)
		return -ENOMEM;
	h->fd = -1;
	h->version = version;
	h->controllers = version == 1 ? parse_names(own_names, ",") : 0;
	h->names = take_ptr(own_names);
	h->own = take_ptr(own_path);
	h->mount = strdup(field[4]);
	return h->mount ? 0 : -ENOMEM;
}

int cgroup_layout_parse(const char *mountinfo, const char *own, struct cgroup *cg,
			struct error **err)
{
	while (*mountinfo) {
		size_t len = strcspn(mountinfo, "\n");
		__cleanup_free char *line = strndup(mountinfo, len);
		int r = line ? parse_mount(line, own, cg) : -ENOMEM;

		if (r < 0)
			return error_errno(err, -r, "reading /proc/self/mountinfo");
		mountinfo += len;
		mountinfo += *mountinfo == '\n';
	}
	if (!cg->count)
		return error_set(err, ENOENT, "no cgroup hierarchy is mounted");
	return 0;
}

int cgroup_layout(struct cgroup **cg, struct error **err)
{
	return cgroup_layout_of(getpid(), cg, err);
}

int cgroup_layout_of(pid_t pid, struct cgroup **cg, struct error **err)
{
	__cleanup_free char *mounts = NULL;
	__cleanup_free char *own = NULL;
	int r = proc_read(&mounts, NULL, "self/mountinfo");

	if (r == 0)
		r = proc_read(&own, NULL, "%d/cgroup", pid);
	if (r < 0)
		return error_errno(err, -r, "reading the cgroup layout");
	*cg = calloc(1, sizeof(**cg));
	if (!*cg)
		return error_errno(err, ENOMEM, "reading the cgroup layout");
	r = cgroup_layout_parse(mounts, own, *cg, err);
	if (r < 0) {
		cgroup_free(*cg);
		*cg = NULL;
		return r;
	}
	vec_for_each (h, *cg) {
		__cleanup_free char *list = NULL;
		char path[4200];

		if (h->version != 2)
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.controllers", h->mount);
		if (read_file(-1, path, 4096, &list, NULL) == 0)
			h->controllers = parse_names(list, " \n");
	}
	return 0;
}

bool cgroup_is_v1(const struct cgroup *cg)
{
	vec_for_each (h, cg) {
		if (h->version == 1 &&
		    (h->controllers & (CTL_SYSTEMD | CTL_FREEZER | CTL_MEMORY | CTL_PIDS)))
			return true;
	}
	return false;
}

/* The v1 freezer if there is one: engines and people thaw there what they froze there. */
struct hierarchy *cgroup_freezer_hierarchy(const struct cgroup *cg)
{
	struct hierarchy *v2 = NULL;

	vec_for_each (h, cg) {
		if (h->version == 1 && (h->controllers & CTL_FREEZER))
			return h->fd >= 0 ? h : NULL;
		if (h->version == 2 && h->fd >= 0)
			v2 = h;
	}
	return v2;
}

void cgroup_free(struct cgroup *cg)
{
	int saved = errno;

	if (!cg)
		return;
	vec_for_each (h, cg) {
		if (h->fd >= 0)
			close(h->fd);
		free(h->names);
		free(h->mount);
		free(h->own);
		free(h->path);
	}
	vec_free(cg);
	if (cg->driver && cg->driver->free)
		cg->driver->free(cg);
	free(cg->recorded);
	free(cg);
	errno = saved;
}
