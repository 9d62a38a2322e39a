// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/devices_outside.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcontainer/rootfs.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

struct node_name {
	char text[24];
};

static struct node_name name_of(size_t i)
{
	struct node_name name;

	snprintf(name.text, sizeof(name.text), "%zu", i);
	return name;
}

/* -EPERM: nobody in the runtime's user namespace may make nodes. */
static int make_node(int dir, size_t i, const struct oci_config *config, struct error **err)
{
	const struct oci_device *d = &config->lx.devices.items[i];
	uid_t uid = oci_host_id(&config->lx.uid_mappings, d->uid);
	gid_t gid = oci_host_id(&config->lx.gid_mappings, d->gid);
	const struct node_name name = name_of(i);

	if (mknodat(dir, name.text, device_type(d), device_number(d)) < 0)
		return errno == EPERM ? -EPERM : error_errno(err, errno, "making \"%s\"", d->path);
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		log_warning("/linux/devices/%zu of config.json: its owner %u:%u is not mapped", i,
			    d->uid, d->gid);
	if (fchownat(dir, name.text, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(dir, name.text, device_mode(d), 0) < 0)
		return error_errno(err, errno, "giving \"%s\" its owner and mode", d->path);
	return 0;
}

static bool is_wanted(const struct oci_config *config)
{
	const struct oci_namespace *ns = oci_config_namespace(config, CLONE_NEWUSER);

	/* of one that is joined config.json does not tell the mappings */
	return config->lx.devices.count && ns && !ns->path && geteuid() == 0;
}

int devices_make_outside(const struct oci_config *config, int *fd, struct error **err)
{
	__cleanup_fd int dir = -1;
	int ret = 0;

	*fd = -1;
	if (!is_wanted(config))
		return 0;
	dir = mount_new("tmpfs", "mode", "755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (dir == -EPERM)
		return 0;
	if (dir < 0)
		return error_errno(err, -dir, "making a tmpfs for devices");
	for (size_t i = 0; i < config->lx.devices.count && ret == 0; i++)
		ret = make_node(dir, i, config, err);
	if (ret == -EPERM && !*err)
		return 0;
	if (ret < 0)
		return error_wrap(err, "/linux/devices of config.json");
	*fd = take_fd(&dir);
	return 0;
}

static int bind_node(const struct rootfs *r, size_t i, struct error **err)
{
	const struct node_name name = name_of(i);
	__cleanup_fd int source = openat(r->devices_fd, name.text, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (source < 0)
		return error_errno(err, errno, "opening what was made for it");
	return rootfs_bind_file(r, source, r->config->lx.devices.items[i].path, err);
}

/*
 * Before Linux 6.15 only what is mounted somewhere can be bound from: over the bundle, whose own
 * files nobody looks for by then but by descriptors.
 */
int devices_bind_outside(const struct rootfs *r, struct error **err)
{
	int ret = mount_attach(r->devices_fd, r->bundle_fd);
	char path[32];

	if (ret < 0)
		return error_errno(err, -ret, "mounting the devices");
	for (size_t i = 0; i < r->config->lx.devices.count && ret == 0; i++)
		ret = bind_node(r, i, err);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->devices_fd);
	if (umount2(path, MNT_DETACH) < 0 && ret == 0)
		ret = error_errno(err, errno, "unmounting the devices");
	return ret;
}
