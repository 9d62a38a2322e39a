// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/rootfs_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/rootfs.h"
#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

/* since Linux 6.8; the headers may be older. Before, an id may be another mount's later on. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

static int mount_id(int fd, uint64_t *id)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID | STATX_MNT_ID_UNIQUE, &st) < 0)
		return -errno;
	*id = st.stx_mnt_id;
	return 0;
}

/* "ID PATH". A mount has its id before it is attached. */
static int write_down(struct container *c, int fd, struct error **err)
{
	__cleanup_free char *record = NULL;
	uint64_t id = 0;
	int ret = mount_id(fd, &id);

	if (ret < 0)
		return error_errno(err, -ret, "looking at the root file system's mount");
	if (asprintf(&record, "%" PRIu64 " %s", id, c->rootfs) < 0) {
		record = NULL;
		return error_errno(err, ENOMEM, "recording the root file system's mount");
	}
	return container_keep(c, KEPT_ROOT, record, strlen(record), err);
}

int rootfs_share(struct container *c, struct error **err)
{
	__cleanup_fd int fd =
		open_tree(AT_FDCWD, c->rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	const struct mount_attr private = {.propagation = MS_PRIVATE};
	int ret;

	if (!strcmp(c->rootfs, "/"))
		return error_set(err, EINVAL, "the host's root needs a mount namespace of its own");
	if (fd < 0)
		return error_errno(err, errno, "copying the mount of \"%s\"", c->rootfs);
	ret = write_down(c, fd, err);
	if (ret < 0)
		return ret;
	if (move_mount(fd, "", AT_FDCWD, c->rootfs, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_errno(err, errno, "mounting the root file system \"%s\"", c->rootfs);
	/* only now: what is attached to a shared mount becomes shared */
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, (struct mount_attr *)&private,
			  sizeof(private)) < 0)
		return error_errno(err, errno, "making the mount of \"%s\" private", c->rootfs);
	return take_fd(&fd);
}

void rootfs_unshare(const struct container *c)
{
	__cleanup_free char *record = NULL;
	__cleanup_fd int fd = -1;
	uint64_t recorded, id;
	char *path;

	if (container_kept(c, KEPT_ROOT, PATH_MAX + 32, &record, NULL, NULL) < 0)
		return;
	recorded = strtoull(record, &path, 10);
	if (*path++ != ' ' || *path != '/')
		return;
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* in another mount namespace, or after a deletion that was cut short, it is not there */
	if (fd < 0 || mount_id(fd, &id) < 0 || id != recorded)
		return;
	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		log_warning("unmounting \"%s\": %s", path, strerror(errno));
}

int rootfs_enter(int fd, struct error **err)
{
	if (fchdir(fd) < 0 || chroot(".") < 0)
		return error_errno(err, errno, "changing the root with chroot");
	return 0;
}
