// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcontainer/cgroup_driver.h"
#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/*
 * The hierarchies that every container joins; runc joins all. Joining one costs
 * 70 us here (mkdir, attach, rmdir; cpuset 210 us) and more where the first
 * attach waits for an RCU grace period, while all of `run /bin/true` takes
 * about 2 ms. So: what freezes and confines (freezer, devices), what statistics
 * are read from (pids, memory, cpuacct), and systemd's own, or else stopping
 * the caller's unit would kill the container. The others when the
 * configuration has limits in them, or when who called us has made the parent
 * of the wanted cgroup there: a pod's limits must hold for its containers.
 */
#define CTL_ALWAYS (CTL_FREEZER | CTL_DEVICES | CTL_PIDS | CTL_MEMORY | CTL_CPUACCT | CTL_SYSTEMD)

/*
 * Limits that wait until the container's own process is alone: with one more, a single process
 * would be too many. "unified" may set those, too, which is written without them before.
 */
#define CTL_SETTLED ((unsigned int)CTL_PIDS)

/* On v2 what cannot be counted without being enabled; cpu.stat is always there. */
#define CTL_COUNTED_V2 (CTL_PIDS | CTL_MEMORY)

static int open_cgroup(struct hierarchy *h)
{
	h->fd = open_fmt(O_RDONLY | O_DIRECTORY, "%s%s", h->mount, h->path);
	return h->fd < 0 ? h->fd : 0;
}

/* Appends path to base without "." and doubled slashes; -EINVAL for what leaves it. */
static int join(char **joined, const char *base, const char *path)
{
	__cleanup_free char *text = NULL;
	size_t used;

	if (strchr(path, '\n'))
		return -EINVAL;
	text = malloc(strlen(base) + strlen(path) + 2);
	if (!text)
		return -ENOMEM;
	used = strcmp(base, "/") ? strlen(base) : 0;
	memcpy(text, base, used);
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && !strncmp(path, "..", 2))
			return -EINVAL;
		if (len && !(len == 1 && *path == '.')) {
			text[used++] = '/';
			memcpy(text + used, path, len);
			used += len;
		}
		path += len;
		path += *path == '/';
	}
	text[used] = '\0';
	/* the root itself belongs to nobody's container */
	if (!used)
		return -EINVAL;
	*joined = take_ptr(text);
	return 0;
}

/*
 * Where the container goes in a hierarchy. Absolute paths start at the mount,
 * others at the caller's own cgroup, so that the caller's limits hold. On v2 a
 * cgroup with tasks cannot have children with controllers: beside it.
 */
static int place_one(struct hierarchy *h, const char *id, const char *wanted)
{
	__cleanup_free char *base = NULL;
	char ours[PATH_MAX];

	if (!wanted || !*wanted) {
		snprintf(ours, sizeof(ours), "firn/%s", id);
		wanted = ours;
	}
	base = strdup(*wanted == '/' ? "/" : h->own);
	if (!base)
		return -ENOMEM;
	if (h->version == 2 && strcmp(base, "/")) {
		char *slash = strrchr(base, '/');

		slash[slash == base] = '\0';
	}
	return join(&h->path, base, wanted);
}

static int place(struct cgroup *cg, const char *id, const struct oci_config *config,
		 struct error **err)
{
	const char *wanted = config->lx.cgroups_path;

	vec_for_each (h, cg) {
		int r = place_one(h, id, wanted);

		if (r < 0)
			return error_errno(err, -r, "config.json: /linux/cgroupsPath \"%s\"",
					   wanted ? wanted : "");
	}
	cg->explicit = wanted && *wanted == '/';
	return 0;
}

/* Directories are all there is to it. */
static const struct cgroup_driver cgroupfs_driver = {.place = place};

static int forget_places(struct cgroup *cg)
{
	vec_for_each (h, cg) {
		h->path = strdup("");
		if (!h->path)
			return -ENOMEM;
	}
	return 0;
}

static int place_nowhere(struct cgroup *cg, const char *id, const struct oci_config *config,
			 struct error **err)
{
	(void)id;
	if (cgroup_limited(&config->lx.resources) & ~(unsigned int)CTL_DEVICES)
		return error_set(err, EINVAL,
				 "config.json: /linux/resources: limits need a cgroup, and "
				 "--cgroup-manager is \"disabled\"");
	return forget_places(cg) < 0 ? error_errno(err, ENOMEM, "planning cgroups") : 0;
}

static const struct cgroup_driver no_driver = {.place = place_nowhere};

static bool parent_exists(const struct hierarchy *h)
{
	char parent[PATH_MAX];
	char *slash;

	if (snprintf(parent, sizeof(parent), "%s%s", h->mount, h->path) >= (int)sizeof(parent))
		return false;
	slash = strrchr(parent, '/');
	*slash = '\0';
	return strcmp(parent, h->mount) && access(parent, F_OK) == 0;
}

/* CTL_ALWAYS says why. */
static bool is_joined(const struct cgroup *cg, const struct hierarchy *h, unsigned int limited)
{
	bool freezer_v1 = false;

	if (cg->driver == &no_driver)
		return false;
	vec_for_each (other, cg) {
		if (other->version == 1 && (other->controllers & CTL_FREEZER))
			freezer_v1 = true;
	}
	if (h->version == 2 && (!freezer_v1 || (limited & CTL_UNIFIED)))
		return true;
	if (h->controllers & limited)
		return true;
	if (h->version == 1 && (h->controllers & CTL_ALWAYS))
		return true;
	return cg->explicit && parent_exists(h);
}

/*
 * A v1 cpuset takes no tasks until it has CPUs and memory nodes: those of its parent. Whoever made
 * a level that is there already may have left that out.
 */
static int inherit_cpuset(const char *path)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

	for (int i = 0; i < 2; i++) {
		__cleanup_free char *own = NULL;
		__cleanup_free char *value = NULL;
		char name[PATH_MAX + 32];
		int r;

		snprintf(name, sizeof(name), "%s/%s", path, files[i]);
		r = read_file(AT_FDCWD, name, 65536, &own, NULL);
		if (r < 0)
			return r;
		if (own[strspn(own, "\n")])
			continue;
		snprintf(name, sizeof(name), "%s/../%s", path, files[i]);
		r = read_file(AT_FDCWD, name, 65536, &value, NULL);
		if (r < 0)
			return r;
		snprintf(name, sizeof(name), "%s/%s", path, files[i]);
		r = write_file(AT_FDCWD, name, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_level(const struct hierarchy *h, const char *path, bool *made)
{
	*made = mkdir(path, 0755) == 0;
	if (!*made && errno != EEXIST)
		return -errno;
	if (h->version == 1 && (h->controllers & CTL_CPUSET))
		return inherit_cpuset(path);
	return 0;
}

/* mkdir -p; other runtimes may remove an empty parent at the same moment. */
static int make_dirs(struct hierarchy *h, struct error **err)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s%s", h->mount, h->path) >= (int)sizeof(path))
		return error_errno(err, ENAMETOOLONG, "making cgroup \"%s\"", h->path);
	for (int attempt = 0; attempt < 8; attempt++) {
		size_t at = strlen(h->mount);
		bool made = false;

		do {
			size_t next = at + 1 + strcspn(path + at + 1, "/");
			char kept = path[next];

			path[next] = '\0';
			r = make_level(h, path, &made);
			path[next] = kept;
			at = next;
		} while (r == 0 && path[at]);
		if (r != -ENOENT) {
			h->made = made;
			break;
		}
	}
	if (r < 0)
		return error_errno(err, -r, "making cgroup \"%s\"", path);
	return 0;
}

static int refuse_used(struct hierarchy *h, struct error **err)
{
	__cleanup_free char *procs = NULL;
	__cleanup_free char *frozen = NULL;
	size_t len = 0;
	int r;

	if (h->made || h->given)
		return 0;
	r = read_file(h->fd, "cgroup.procs", 1 << 20, &procs, &len);
	if (r < 0 && r != -EOPNOTSUPP)
		return error_errno(err, -r, "reading cgroup \"%s%s\"", h->mount, h->path);
	if (r < 0 || len)
		return error_set(err, EBUSY, "cgroup \"%s%s\" already holds processes", h->mount,
				 h->path);
	if (read_file(h->fd, h->version == 1 ? "freezer.self_freezing" : "cgroup.freeze", 16,
		      &frozen, NULL) == 0 &&
	    *frozen == '1')
		return error_set(err, EBUSY, "cgroup \"%s%s\" is frozen", h->mount, h->path);
	return 0;
}

int cgroup_join(struct hierarchy *h, unsigned int limited, struct error **err)
{
	int r = make_dirs(h, err);

	if (r < 0)
		return r;
	r = open_cgroup(h);
	if (r < 0)
		return error_errno(err, -r, "opening cgroup \"%s%s\"", h->mount, h->path);
	r = refuse_used(h, err);
	if (r < 0 || h->version == 1)
		return r;
	return cgroup_enable_v2(h, h->controllers & (limited | CTL_COUNTED_V2), limited, err);
}

/*
 * "PATH", and "\nNAMES:PATH" for each hierarchy where it is another: of those that
 * were joined, or of all that it may be in. No cgroup's name has a newline.
 */
static int record(struct cgroup *cg, bool all, struct error **err)
{
	__cleanup_buf struct buf text = {0};
	const struct hierarchy *main = cgroup_freezer_hierarchy(cg);
	bool ok = true;

	vec_for_each (h, cg) {
		if (!main && (all || h->fd >= 0))
			main = h;
	}
	if (cg->driver == &no_driver || (!main && !all && cg->rootless)) {
		free(cg->recorded);
		cg->recorded = strdup("");
		return cg->recorded ? 0 : error_errno(err, ENOMEM, "recording the cgroup");
	}
	if (!main)
		return error_set(err, EOPNOTSUPP, "no cgroup hierarchy with a freezer is mounted");
	ok = buf_add(&text, main->path, strlen(main->path));
	vec_for_each (h, cg) {
		if ((!all && h->fd < 0) || !strcmp(h->path, main->path))
			continue;
		ok = ok && buf_add(&text, "\n", 1) && buf_add(&text, h->names, strlen(h->names)) &&
		     buf_add(&text, ":", 1) && buf_add(&text, h->path, strlen(h->path));
	}
	if (cg->unit) {
		__cleanup_free char *line = cgroup_systemd_record(cg);

		ok = ok && line && buf_add(&text, line, strlen(line));
	}
	if (!ok || !buf_add(&text, "", 1))
		return error_errno(err, ENOMEM, "recording the cgroup");
	free(cg->recorded);
	cg->recorded = (char *)take_ptr(text.data);
	return 0;
}

static void remove_made(struct cgroup *cg)
{
	char path[PATH_MAX];

	vec_for_each (h, cg) {
		if (h->made &&
		    snprintf(path, sizeof(path), "%s%s", h->mount, h->path) < (int)sizeof(path))
			rmdir(path);
	}
}

int cgroup_plan(const char *id, const struct oci_config *config,
		const struct cgroup_options *options, struct cgroup **cg, struct error **err)
{
	__cleanup_cgroup struct cgroup *new = NULL;
	int r = cgroup_layout(&new, err);

	if (r < 0)
		return r;
	new->rootless = options->rootless;
	new->user_systemd = options->user_systemd;
	new->driver = options->none	 ? &no_driver
		      : options->systemd ? &cgroup_systemd_driver
					 : &cgroupfs_driver;
	r = new->driver->place(new, id, config, err);
	if (r == 0)
		r = record(new, true, err);
	if (r == 0)
		*cg = take_ptr(new);
	return r;
}

/*
 * A user to whom no cgroup has been delegated has a container in none, as long as it has no
 * limits there. It cannot be paused then, and is killed by its pid namespace.
 */
static bool may_do_without(const struct cgroup *cg, const struct hierarchy *h, unsigned int limited,
			   int code)
{
	/* device rules are no limit: without the privilege nobody can make device nodes in there */
	return cg->rootless && (code == -EACCES || code == -EPERM || code == -EROFS) &&
	       !(h->controllers & limited & ~CTL_DEVICES);
}

static int make_in(struct cgroup *cg, const struct oci_config *config, struct error **err)
{
	unsigned int limited = cgroup_limited(&config->lx.resources);
	int r = cg->driver->start ? cg->driver->start(cg, config, err) : 0;

	if (r < 0)
		return r;
	vec_for_each (h, cg) {
		if (!is_joined(cg, h, limited))
			continue;
		r = cgroup_join(h, limited, err);
		if (r < 0 && may_do_without(cg, h, limited, r)) {
			error_free(*err);
			*err = NULL;
			cleanup_fd(&h->fd);
			h->fd = -1;
			continue;
		}
		if (r < 0)
			return r;
	}
	r = record(cg, false, err);
	if (r < 0)
		return r;
	return cgroup_apply(cg, &config->lx.resources, cg->driver->settle ? ~CTL_SETTLED : ~0u,
			    err);
}

int cgroup_make(struct cgroup *cg, const struct oci_config *config, struct error **err)
{
	int r = make_in(cg, config, err);

	if (r < 0 && cg->started && cg->driver->stop)
		cg->driver->stop(cg);
	if (r < 0)
		remove_made(cg);
	return r;
}

int cgroup_settle(struct cgroup *cg, const struct oci_config *config, struct error **err)
{
	const struct oci_resources *res = &config->lx.resources;
	int r;

	if (!cg->driver->settle)
		return 0;
	r = cg->driver->settle(cg, err);
	if (r == 0)
		r = cgroup_apply(cg, res, CTL_SETTLED | CTL_UNIFIED, err);
	if (r == 0 && cg->driver->limited)
		r = cg->driver->limited(cg, cgroup_limited(res) & ~(unsigned int)CTL_DEVICES, err);
	return r;
}

void cgroup_remove_empty(const char *path)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	char full[PATH_MAX];
	struct pid_list list;

	if (cgroup_open(path, &cg, NULL) < 0 || cgroup_pids(cg, &list, NULL) < 0)
		return;
	free(list.pids);
	if (cg->driver->is_made && !cg->driver->is_made(cg))
		return;
	if (!list.count && cg->driver->stop)
		cg->driver->stop(cg);
	vec_for_each (h, cg) {
		if (h->fd >= 0 &&
		    snprintf(full, sizeof(full), "%s%s", h->mount, h->path) < (int)sizeof(full))
			rmdir(full);
	}
}

/* The recorded path of one hierarchy; see record(). */
static char *recorded_path(const char *recorded, const char *hierarchy)
{
	size_t first = strcspn(recorded, "\n");
	const char *line = recorded + first;

	while (*line == '\n') {
		size_t len = strcspn(++line, "\n");
		size_t name_len = strlen(hierarchy);

		if (len > name_len && !strncmp(line, hierarchy, name_len) && line[name_len] == ':')
			return strndup(line + name_len + 1, len - name_len - 1);
		line += len;
	}
	return strndup(recorded, first);
}

int cgroup_open(const char *path, struct cgroup **cg, struct error **err)
{
	struct cgroup *new = NULL;
	int r = cgroup_layout(&new, err);

	if (r < 0)
		return r;
	new->driver = &cgroupfs_driver;
	new->recorded = strdup(path);
	r = new->recorded ? cgroup_systemd_recorded(new, path) : -ENOMEM;
	r = r > 0 ? 0 : r;
	/* in none: see may_do_without() */
	if (r == 0 && !*path)
		r = forget_places(new);
	for (struct hierarchy *h = new->items; r == 0 && *path &&h < new->items + new->count; h++) {
		__cleanup_free char *text = recorded_path(path, h->names);

		r = text ? join(&h->path, "/", text) : -ENOMEM;
		if (r == 0)
			r = open_cgroup(h);
		if (r == -ENOENT)
			r = 0;
	}
	if (r < 0) {
		cgroup_free(new);
		return error_errno(err, -r, "opening cgroup \"%s\"", path);
	}
	*cg = new;
	return 0;
}

const char *cgroup_path(const struct cgroup *cg)
{
	return cg->recorded;
}

bool cgroup_wants_attach(const struct cgroup *cg)
{
	return cg->driver->may_enter && !cg->driver->may_enter(cg);
}

int cgroup_v2_fd(const struct cgroup *cg)
{
	const struct hierarchy *h = cgroup_freezer_hierarchy(cg);

	if (cgroup_wants_attach(cg))
		return -1;
	return h && h->version == 2 ? h->fd : -1;
}

int cgroup_attach(struct cgroup *cg, pid_t pid, struct error **err)
{
	int r = cg->driver->attach ? cg->driver->attach(cg, pid, err) : 0;
	char text[16];

	if (r < 0)
		return r;
	snprintf(text, sizeof(text), "%d", pid);
	vec_for_each (h, cg) {
		r = h->fd < 0 ? 0 : write_file(h->fd, "cgroup.procs", text);

		if (r < 0)
			return error_errno(err, -r, "moving pid %d into cgroup \"%s%s\"", pid,
					   h->mount, h->path);
	}
	return 0;
}
