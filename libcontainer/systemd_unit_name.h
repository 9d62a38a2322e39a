/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which unit of systemd a container is, and where that is: linux.cgroupsPath as
 * "SLICE:PREFIX:NAME". Names only: nothing here asks systemd.
 */
#ifndef FIRN_LIBCONTAINER_SYSTEMD_UNIT_NAME_H
#define FIRN_LIBCONTAINER_SYSTEMD_UNIT_NAME_H

#include <stdbool.h>

struct error;

/* As systemd's UNIT_NAME_MAX, without the NUL. */
#define UNIT_NAME_LEN 255

struct unit_name {
	char unit[UNIT_NAME_LEN + 1];  /* "PREFIX-NAME.scope", or a slice of its own */
	char slice[UNIT_NAME_LEN + 1]; /* that it is in; "-.slice": the root */
	char *path;		       /* of its cgroup below the manager's own: "/a.slice/..." */
	bool is_slice;
};

/*
 * cgroups_path may be NULL or empty: then it is firn-ID.scope. An empty SLICE is
 * system.slice, or user.slice for a user's own instance; an empty PREFIX is left out;
 * an empty NAME is the id. A NAME that ends with ".slice" is that slice, whose place its own
 * name tells. -EINVAL names the field and what is wrong. For unit_name_free().
 */
int unit_name_parse(const char *cgroups_path, const char *id, bool user, struct unit_name *name,
		    struct error **err);
void unit_name_free(struct unit_name *name);

/*
 * The path of a slice: that of a-b.slice is "/a.slice/a-b.slice", and "" that of "-.slice".
 * The caller frees it. -EINVAL if there can be no such slice.
 */
int unit_slice_path(const char *slice, char **path);

#endif
