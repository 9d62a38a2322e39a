// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups made by systemd: the container is a transient scope, or a slice.
 *
 *   place      name -> path, asked of no unit yet: it is written down before anything is made
 *   start      a child of the runtime keeps the place: there is no scope without a process, and
 *              it ends with its last one. StartTransientUnit, JobRemoved
 *   (cgroup.c) joins what systemd does not know (v1's freezer, cpuset, ...), writes limits
 *   (create.c) clones the init into the cgroup
 *   settle     the child goes; the limits that counted it are written
 *   limited    the limits again, as properties of the unit
 *
 * However the runtime dies, the child dies with it, and the unit with the child.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup_driver.h"
#include "libcontainer/cgroup_internal.h"
#include "libcontainer/systemd_bus.h"
#include "libcontainer/systemd_devices.h"
#include "libcontainer/systemd_limits.h"
#include "libcontainer/systemd_property.h"
#include "libcontainer/systemd_unit_name.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"
#include "util/log.h"

/* In the record of a container's cgroups: whose unit it is, and its name. */
#define RECORD_SYSTEM "\nunit:"
#define RECORD_USER   "\nuser-unit:"

/* What a unit is said to be, and the container's id. */
#define DESCRIPTION "Firn container "

struct cgroup_unit {
	struct unit_name name; /* of one that is there already: only its unit and is_slice */
	char *id;
	bool user;
	struct systemd *systemd; /* once it has been asked anything */
	unsigned int version;	 /* of that, once it was wanted; or 0 */
	pid_t placeholder;	 /* or 0 */
};

static int ask(struct cgroup_unit *u, struct systemd **s, struct error **err)
{
	int r = u->systemd ? 0 : systemd_open(u->user, &u->systemd, err);

	*s = u->systemd;
	return r;
}

static int ask_version(struct cgroup_unit *u, unsigned int *version, struct error **err)
{
	struct systemd *s;
	int r = ask(u, &s, err);

	if (r == 0 && !u->version)
		r = systemd_version(s, &u->version, err);
	*version = u->version;
	return r;
}

static int set_path(struct hierarchy *h, const char *above, const char *path, struct error **err)
{
	free(h->path);
	if (asprintf(&h->path, "%s%s", above, path) >= 0)
		return 0;
	h->path = NULL;
	return error_errno(err, ENOMEM, "placing the container's cgroup");
}

static int place(struct cgroup *cg, const char *id, const struct oci_config *config,
		 struct error **err)
{
	struct cgroup_unit *u = calloc(1, sizeof(*u));
	__cleanup_free char *root = NULL;
	struct systemd *s;
	int r;

	cg->unit = u;
	if (!u || !(u->id = strdup(id)))
		return error_errno(err, ENOMEM, "placing the container's cgroup");
	u->user = cg->user_systemd;
	r = unit_name_parse(config->lx.cgroups_path, id, u->user, &u->name, err);
	if (r < 0)
		return r;
	if (u->user && cgroup_is_v1(cg))
		return error_set(err, EOPNOTSUPP,
				 "--systemd-cgroup: a user's containers want cgroup v2 alone");
	r = ask(u, &s, err);
	if (r == 0)
		r = systemd_cgroup(s, &root, err);
	vec_for_each (h, cg) {
		if (r == 0)
			r = set_path(h, root, u->name.path, err);
	}
	/* the slice is somebody's decision, as an absolute path is */
	cg->explicit = true;
	return r;
}

static _Noreturn void keep_place(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "firn-place", 0, 0, 0);
	/* pipes of the caller's would stay open for as long */
	close_range(0, ~0u, 0);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static int start_placeholder(struct cgroup_unit *u, struct error **err)
{
	pid_t parent = getpid();

	u->placeholder = fork();
	if (u->placeholder == 0)
		keep_place(parent);
	if (u->placeholder > 0)
		return 0;
	u->placeholder = 0;
	return error_errno(err, errno, "starting a process for unit \"%s\"", u->name.unit);
}

static void end_placeholder(struct cgroup_unit *u)
{
	if (!u->placeholder)
		return;
	kill(u->placeholder, SIGKILL);
	while (waitpid(u->placeholder, NULL, 0) < 0 && errno == EINTR)
		;
	u->placeholder = 0;
}

static void add_own(const struct cgroup_unit *u, bool v1, struct unit_properties *list)
{
	static const char *const accounts[] = {"CPUAccounting", "MemoryAccounting",
					       "TasksAccounting"};
	char description[300];

	snprintf(description, sizeof(description), DESCRIPTION "%s", u->id);
	unit_property_text(list, "Description", description);
	if (u->name.is_slice) {
		unit_property_add(list, unit_property_new(list, "Wants", "as"), u->name.slice, NULL,
				  0);
	} else {
		unit_property_text(list, "Slice", u->name.slice);
		/* what is below it, and all of its files, is the container's and ours */
		unit_property_number(list, "Delegate", "b", true);
		unit_property_add(list, unit_property_new(list, "PIDs", "au"), NULL, NULL,
				  u->placeholder);
	}
	/* it is for who runs it to say when it stops */
	unit_property_number(list, "DefaultDependencies", "b", false);
	unit_property_text(list, "CollectMode", "inactive-or-failed");
	for (size_t i = 0; i < sizeof(accounts) / sizeof(*accounts); i++)
		unit_property_number(list, accounts[i], "b", true);
	unit_property_number(list, v1 ? "BlockIOAccounting" : "IOAccounting", "b", true);
	/* without a limit in config.json there is none, and not systemd's default */
	unit_property_number(list, "TasksMax", "t", UNIT_INFINITY);
}

/* What has to be told at the start; the rest is when its files are written: see limited(). */
static int add_limits(struct cgroup_unit *u, const struct oci_resources *res,
		      struct unit_properties *list, struct error **err)
{
	unsigned int version;
	int r;

	if (u->name.is_slice || !res->unified.count)
		return 0;
	r = ask_version(u, &version, err);
	if (r == 0)
		systemd_limits_start(res, version, list);
	return r;
}

/* A user's instance has no right to load programs for that. */
static int add_devices(struct cgroup *cg, const struct oci_resources *res,
		       struct unit_properties *list, struct error **err)
{
	__cleanup(cgroup_device_rules_free) struct cgroup_device_rules all = {0};
	__cleanup_free char *drivers = NULL;
	struct systemd_device_rules rules = {.replaces = cgroup_is_v1(cg)};
	size_t left_out;
	int r;

	if (cg->unit->user || !res->devices.count)
		return 0;
	r = cgroup_device_rules(res, &all, err);
	if (r == 0)
		r = ask_version(cg->unit, &rules.systemd_version, err);
	if (r < 0)
		return r;
	r = proc_read(&drivers, NULL, "devices");
	if (r < 0)
		return error_errno(err, -r, "reading /proc/devices");
	rules.items = all.items;
	rules.count = all.count;
	rules.drivers = drivers;
	if (!systemd_devices(&rules, list, &left_out))
		log_debug("systemd cannot express the device rules: they are not told to it");
	else if (left_out)
		log_warning("systemd cannot express %zu device rules: a daemon-reload forbids what "
			    "they allow",
			    left_out);
	return 0;
}

/* systemd may know better, where it is not the system's itself or an alias is in the way. */
static int find_cgroup(struct cgroup *cg, struct systemd *s, struct error **err)
{
	__cleanup_free char *path = NULL;
	int r = systemd_unit_cgroup(s, cg->unit->name.unit, &path, err);

	if (r == 0 && !*path)
		return error_set(err, ESRCH, "unit \"%s\" has no cgroup", cg->unit->name.unit);
	vec_for_each (h, cg) {
		if (r == 0)
			r = set_path(h, "", path, err);
		h->given = true;
	}
	return r;
}

static int start(struct cgroup *cg, const struct oci_config *config, struct error **err)
{
	__cleanup_unit_properties struct unit_properties list = {0};
	struct cgroup_unit *u = cg->unit;
	struct systemd *s;
	int r = ask(u, &s, err);

	if (r == 0)
		r = fault_point("unit-planned", err);
	if (r == 0 && !u->name.is_slice)
		r = start_placeholder(u, err);
	if (r < 0)
		return r;
	add_own(u, cgroup_is_v1(cg), &list);
	r = add_limits(u, &config->lx.resources, &list, err);
	if (r == 0)
		r = add_devices(cg, &config->lx.resources, &list, err);
	/* last, so that they have the last word */
	if (r == 0)
		r = unit_properties_annotated(&list, &config->annotations, err);
	if (r == 0 && list.failed)
		r = error_errno(err, ENOMEM, "describing unit \"%s\"", u->name.unit);
	/* as long as it is not known whose unit it may be, it must not be stopped */
	if (r == 0)
		r = systemd_start_unit(s, u->name.unit, &list, &cg->started, err);
	if (r < 0) {
		end_placeholder(u);
		return r;
	}
	r = fault_point("unit-started", err);
	return r < 0 ? r : find_cgroup(cg, s, err);
}

static int settle(struct cgroup *cg, struct error **err)
{
	end_placeholder(cg->unit);
	return 0;
}

/*
 * What systemd has no such value for, or no such property any more, is in the files all the
 * same, until it writes them.
 */
static int forgive_refusal(int code, struct error **err)
{
	if (code != -EINVAL && code != -EROFS)
		return code;
	log_warning("%s: a daemon-reload undoes this limit", error_message(*err));
	error_free(*err);
	*err = NULL;
	return 0;
}

/* All of the unit's files are written then, not only those that the properties are about. */
static int set_properties(struct cgroup *cg, struct systemd *s, const struct unit_properties *list,
			  struct error **err)
{
	__cleanup_systemd_kept struct systemd_kept kept = {0};
	int r = 0;

	vec_for_each (h, cg) {
		if (r == 0 && h->fd >= 0)
			r = systemd_limits_keep(h->fd, h->version, &kept, err);
	}
	if (r == 0)
		r = forgive_refusal(systemd_set_properties(s, cg->unit->name.unit, list, err), err);
	return r < 0 ? r : systemd_limits_put_back(&kept, err);
}

static int tell_limits(struct cgroup *cg, unsigned int controllers, struct error **err)
{
	__cleanup_unit_properties struct unit_properties list = {0};
	unsigned int version;
	struct systemd *s;
	int r = ask(cg->unit, &s, err);

	if (r == 0)
		r = ask_version(cg->unit, &version, err);
	vec_for_each (h, cg) {
		if (r == 0 && h->fd >= 0)
			r = systemd_limits_read(h->fd, h->version,
						controllers & (h->controllers | CTL_UNIFIED),
						version, &list, err);
	}
	if (r == 0 && list.count)
		r = set_properties(cg, s, &list, err);
	return r;
}

static int limited(struct cgroup *cg, unsigned int controllers, struct error **err)
{
	int r = controllers ? tell_limits(cg, controllers, err) : 0;

	/* a restore waits for its container: systemd would go on telling it of everybody's units */
	systemd_close(cg->unit->systemd);
	cg->unit->systemd = NULL;
	return r;
}

/*
 * Who moves a process must be allowed to write to the nearest cgroup above both places
 * (cgroup_attach_permissions() of kernel/cgroup/cgroup.c). That of a user's login and that of
 * his systemd have none that is his.
 */
static bool may_enter(const struct cgroup *cg)
{
	if (!cg->unit->user)
		return true;
	vec_for_each (h, cg) {
		size_t common = 0;
		char path[4200];

		if (h->version != 2 || h->fd < 0)
			continue;
		for (size_t i = 0; h->own[i] == h->path[i]; i++) {
			if (h->own[i] == '/' || !h->own[i])
				common = i;
			if (!h->own[i])
				break;
		}
		snprintf(path, sizeof(path), "%s%.*s/cgroup.procs", h->mount, (int)common, h->own);
		return access(path, W_OK) == 0;
	}
	return true;
}

static int attach(struct cgroup *cg, pid_t pid, struct error **err)
{
	struct systemd *s;
	int r;

	if (may_enter(cg))
		return 0;
	r = ask(cg->unit, &s, err);
	return r < 0 ? r : systemd_attach(s, cg->unit->name.unit, pid, err);
}

/*
 * A scope without processes is nobody's, but a slice may be there for what will be in it, and of
 * the name that a container was to have when its runtime was killed.
 */
static bool is_made(struct cgroup *cg)
{
	const char *dot = strrchr(cg->unit->name.unit, '.');
	__cleanup_free char *text = NULL;
	struct systemd *s;

	if (!dot || strcmp(dot, ".slice"))
		return true;
	return ask(cg->unit, &s, NULL) == 0 &&
	       systemd_unit_description(s, cg->unit->name.unit, &text, NULL) == 0 &&
	       !strncmp(text, DESCRIPTION, strlen(DESCRIPTION));
}

/* Without systemd, too, a cgroup can be removed: that the unit is not stopped is no error. */
static void stop(struct cgroup *cg)
{
	__cleanup_error struct error *err = NULL;
	struct systemd *s;

	end_placeholder(cg->unit);
	if (ask(cg->unit, &s, &err) < 0 || systemd_stop_unit(s, cg->unit->name.unit, &err) < 0)
		log_warning("%s", error_message(err));
}

static void free_unit(struct cgroup *cg)
{
	struct cgroup_unit *u = cg->unit;

	if (!u)
		return;
	end_placeholder(u);
	systemd_close(u->systemd);
	unit_name_free(&u->name);
	free(u->id);
	free(u);
	cg->unit = NULL;
}

const struct cgroup_driver cgroup_systemd_driver = {
	.place = place,
	.start = start,
	.settle = settle,
	.limited = limited,
	.attach = attach,
	.may_enter = may_enter,
	.is_made = is_made,
	.stop = stop,
	.free = free_unit,
};

char *cgroup_systemd_record(const struct cgroup *cg)
{
	const struct cgroup_unit *u = cg->unit;
	char *line;

	return asprintf(&line, "%s%s", u->user ? RECORD_USER : RECORD_SYSTEM, u->name.unit) < 0
		       ? NULL
		       : line;
}

int cgroup_systemd_recorded(struct cgroup *cg, const char *recorded)
{
	const char *user = strstr(recorded, RECORD_USER), *system = strstr(recorded, RECORD_SYSTEM);
	const char *name = user	    ? user + strlen(RECORD_USER)
			   : system ? system + strlen(RECORD_SYSTEM)
				    : NULL;

	if (!name)
		return 0;
	cg->driver = &cgroup_systemd_driver;
	cg->unit = calloc(1, sizeof(*cg->unit));
	if (!cg->unit)
		return -ENOMEM;
	cg->unit->user = user;
	snprintf(cg->unit->name.unit, sizeof(cg->unit->name.unit), "%.*s", (int)strcspn(name, "\n"),
		 name);
	return 1;
}
