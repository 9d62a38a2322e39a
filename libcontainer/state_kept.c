// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a container's directory holds beside its state. These files are written
 * once, before its program runs, and never changed:
 *
 *   config.json  the bundle's as it was: who changes the bundle later changes no
 *                container that is there already
 *   cgroup       where it may have cgroups, as cgroupPath in state.json: for who is
 *                killed while making them, and for the case that that is damaged
 *   intel_rdt    directories of resctrl that were made for it, and die with it
 *   mounts       mountinfo when everything was set up: what differs at a checkpoint was
 *                made or unmounted inside
 *   root         the mount of its root, if that is in the host's mount namespace
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "libcontainer/state_file.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

int container_keep(struct container *c, const char *name, const void *data, size_t len,
		   struct error **err)
{
	__cleanup_fd int fd = openat(c->dir_fd, name,
				     O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r = fd < 0 ? -errno : write_full(fd, data, len);

	return r < 0 ? error_errno(err, -r, "writing %s/%s/%s", c->root, c->id, name) : 0;
}

int container_kept(const struct container *c, const char *name, size_t max, char **data,
		   size_t *len, struct error **err)
{
	int r = read_file(c->dir_fd, name, max, data, len);

	return r < 0 ? error_errno(err, -r, "reading %s/%s/%s", c->root, c->id, name) : 0;
}

/* All files but the lock. A writer that was killed may have left some of any name. */
static int remove_files(int dir_fd)
{
	__cleanup_dir DIR *dir = open_dir_again(dir_fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    strcmp(entry->d_name, "lock") && unlinkat(dir_fd, entry->d_name, 0) < 0 &&
		    errno != ENOENT)
			return -errno;
	return 0;
}

int container_remove_directory(int dir_fd, const char *path)
{
	int r;

	/* the state file first: from then on the container does not exist for anybody */
	if (unlinkat(dir_fd, STATE_FILE, 0) < 0 && errno != ENOENT)
		return -errno;
	r = remove_files(dir_fd);
	if (r == 0 && unlinkat(dir_fd, "lock", 0) < 0 && errno != ENOENT)
		r = -errno;
	if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* What a killed container_remove() left; no id has a comma. */
static void remove_leftover(const char *path)
{
	__cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		container_remove_directory(fd, path);
}

/*
 * By another name first: whoever is killed while it removes the files must not
 * leave a container that is there for `create` and not there for `delete`.
 */
int container_remove(struct container *c, struct error **err)
{
	char path[PATH_MAX], old[PATH_MAX];
	int r = 0;

	if (snprintf(path, sizeof(path), "%s/%s", c->root, c->id) >= (int)sizeof(path) ||
	    snprintf(old, sizeof(old), "%s/,old-%s", c->root, c->id) >= (int)sizeof(old))
		return error_errno(err, ENAMETOOLONG, "removing %s/%s", c->root, c->id);
	remove_leftover(old);
	if (rename(path, old) < 0)
		r = errno == ENOENT ? 0 : -errno;
	if (r == 0)
		r = container_remove_directory(c->dir_fd, old);
	return r < 0 ? error_errno(err, -r, "removing %s/%s", c->root, c->id) : 0;
}
