// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/cgroup_internal.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct {
	unsigned int bit;
	const char *name;
} controllers_v2[] = {
	{CTL_PIDS, "pids"}, {CTL_MEMORY, "memory"},   {CTL_CPU, "cpu"},	  {CTL_CPUSET, "cpuset"},
	{CTL_BLKIO, "io"},  {CTL_HUGETLB, "hugetlb"}, {CTL_RDMA, "rdma"},
};

/* Whether the blank-divided list has the word. */
static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	while (*list) {
		size_t n = strcspn(list, " \n");

		if (n == len && !strncmp(list, word, n))
			return true;
		list += n;
		list += strspn(list, " \n");
	}
	return false;
}

static int enable_in(const char *dir, unsigned int controllers, unsigned int required,
		     struct error **err)
{
	__cleanup_free char *enabled = NULL;
	char file[PATH_MAX + 32], word[16];
	int r;

	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
	r = read_file(-1, file, 4096, &enabled, NULL);
	if (r < 0)
		return error_errno(err, -r, "reading \"%s\"", file);
	for (size_t i = 0; i < sizeof(controllers_v2) / sizeof(*controllers_v2); i++) {
		if (!(controllers & controllers_v2[i].bit) ||
		    has_word(enabled, controllers_v2[i].name))
			continue;
		snprintf(word, sizeof(word), "+%s", controllers_v2[i].name);
		r = write_file(-1, file, word);
		if (r == 0 || !(required & controllers_v2[i].bit))
			continue;
		error_errno(err, -r, "enabling controller \"%s\" in \"%s\"", controllers_v2[i].name,
			    file);
		if (r == -EBUSY)
			error_hint(err, "that cgroup holds processes itself");
		return r;
	}
	return 0;
}

int cgroup_enable_v2(struct hierarchy *h, unsigned int controllers, unsigned int required,
		     struct error **err)
{
	char dir[PATH_MAX];
	size_t at = strlen(h->mount);

	if (!controllers)
		return 0;
	if (snprintf(dir, sizeof(dir), "%s%s", h->mount, h->path) >= (int)sizeof(dir))
		return error_errno(err, ENAMETOOLONG, "cgroup \"%s\"", h->path);
	/* the root, and on to the parent of the container's own */
	while (dir[at]) {
		int r;

		dir[at] = '\0';
		r = enable_in(dir, controllers, required, err);
		if (r < 0)
			return r;
		dir[at] = '/';
		at += 1 + strcspn(dir + at + 1, "/");
	}
	return 0;
}
