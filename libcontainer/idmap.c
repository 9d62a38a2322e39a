// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/mount_options.h"
#include "libcontainer/namespaces.h"
#include "libcontainer/rootfs.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* A process that does nothing but hold a new user namespace until it is killed, or we are. */
static pid_t hold_user_namespace(void)
{
	struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (pid == 0)
		pause();
	return pid;
}

/* A user namespace that is nothing but its maps; outlives the process that it was made by. */
static int make_user_namespace(const struct oci_id_maps *uids, const struct oci_id_maps *gids,
			       struct error **err)
{
	pid_t pid = hold_user_namespace();
	int fd, ret;

	if (pid < 0)
		return error_errno(err, errno, "making a user namespace for the mapping");
	ret = namespaces_write_maps(pid, uids, gids, err);
	fd = ret < 0 ? ret : open_fmt(O_RDONLY, "/proc/%d/ns/user", pid);
	if (ret == 0 && fd < 0)
		error_errno(err, -fd, "opening the user namespace of the mapping");
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd;
}

/* The mapping of the mount itself, or else that of the container. */
static int open_mapping(const struct oci_config *config, const struct oci_mount *m,
			struct error **err)
{
	const struct oci_namespace *ns = oci_config_namespace(config, CLONE_NEWUSER);
	int fd;

	if (m->uid_mappings.count)
		return make_user_namespace(&m->uid_mappings, &m->gid_mappings, err);
	if (!ns)
		return error_set(
			err, EINVAL,
			"\"idmap\" needs uidMappings and gidMappings, or a user namespace");
	if (!ns->path)
		return make_user_namespace(&config->lx.uid_mappings, &config->lx.gid_mappings, err);
	fd = open(ns->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? error_errno(err, errno, "opening \"%s\"", ns->path) : fd;
}

static int map_mount(int mount_fd, int user_fd, bool recursive, struct error **err)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = user_fd};
	int code;

	if (mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
			  sizeof(attr)) == 0)
		return 0;
	code = errno;
	error_errno(err, code, "mapping the ids");
	if (code == EINVAL)
		return error_hint(err, "its file system, or one below it with ridmap, cannot have "
				       "mapped mounts");
	if (code == EPERM)
		return error_hint(err, "the runtime needs CAP_SYS_ADMIN over the file system, and "
				       "the source must not be mapped already");
	return -code;
}

static int open_one(const struct oci_config *config, int bundle_fd, const struct oci_mount *m,
		    const struct mount_options *o, struct error **err)
{
	__cleanup_fd int source = -1, user = -1, copy = -1;
	int ret;

	if (!o->bind && !(m->type && !strcmp(m->type, "bind")))
		return error_set(err, EINVAL, "ids can be mapped of a bind only");
	if (!m->source)
		return error_set(err, EINVAL, "a bind mount needs a source");
	source = openat(bundle_fd, m->source, O_PATH | O_CLOEXEC);
	if (source < 0)
		return error_errno(err, errno, "opening the source \"%s\"", m->source);
	user = open_mapping(config, m, err);
	if (user < 0)
		return user;
	copy = mount_clone(source, o->recursive);
	if (copy < 0)
		return error_errno(err, -copy, "copying the mount of \"%s\"", m->source);
	ret = map_mount(copy, user, o->idmap_recursive, err);
	return ret < 0 ? ret : take_fd(&copy);
}

/*
 * Whether the root of a new user namespace is kept from the source by a directory that leads to it.
 * The IDs of the file system are this thread's alone, and with another one than 0 go the
 * capabilities over files.
 */
static bool out_of_reach(const struct oci_config *config, int bundle_fd, const char *source)
{
	int dumpable = prctl(PR_GET_DUMPABLE);
	gid_t gid = setfsgid(oci_host_id(&config->lx.gid_mappings, 0));
	uid_t uid = setfsuid(oci_host_id(&config->lx.uid_mappings, 0));
	__cleanup_fd int fd = openat(bundle_fd, source, O_PATH | O_CLOEXEC);
	bool denied = fd < 0 && errno == EACCES;

	setfsuid(uid);
	setfsgid(gid);
	/* another file system ID takes it away, and the init would have inherited that */
	prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
	return denied;
}

/* What the init could open itself it does, and keeps what the host has locked locked. */
static int open_for_init(const struct oci_config *config, int bundle_fd, const struct oci_mount *m,
			 const struct mount_options *o)
{
	const struct oci_namespace *ns = oci_config_namespace(config, CLONE_NEWUSER);
	__cleanup_fd int source = -1;
	int copy;

	if (!ns || ns->path || geteuid() != 0 || !m->source ||
	    (!o->bind && !(m->type && !strcmp(m->type, "bind"))) ||
	    !out_of_reach(config, bundle_fd, m->source))
		return -1;
	source = openat(bundle_fd, m->source, O_PATH | O_CLOEXEC);
	copy = source < 0 ? source : mount_clone(source, o->recursive);
	/* the init will say what is wrong */
	return copy < 0 ? -1 : copy;
}

static int open_mount(const struct oci_config *config, int bundle_fd, size_t i, int *fd,
		      struct error **err)
{
	const struct oci_mount *m = &config->mounts.items[i];
	struct mount_options o;
	int ret = mount_options_parse(&m->options, &o, err);

	if (ret == 0 && (o.idmap || m->uid_mappings.count))
		ret = *fd = open_one(config, bundle_fd, m, &o, err);
	else if (ret == 0)
		*fd = open_for_init(config, bundle_fd, m, &o);
	buf_free(&o.data);
	if (ret < 0)
		return error_wrap(err, "/mounts/%zu of config.json, on \"%s\"", i, m->destination);
	return 0;
}

int idmap_open(const struct oci_config *config, const char *bundle, struct idmapped_mounts *mounts,
	       struct error **err)
{
	__cleanup_fd int bundle_fd = -1;

	*mounts = (struct idmapped_mounts){0};
	if (!config->mounts.count)
		return 0;
	mounts->fds = malloc(config->mounts.count * sizeof(int));
	if (!mounts->fds)
		return error_errno(err, ENOMEM, "mapping mounts");
	mounts->count = config->mounts.count;
	for (size_t i = 0; i < mounts->count; i++)
		mounts->fds[i] = -1;
	bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bundle_fd < 0)
		return error_errno(err, errno, "opening the bundle \"%s\"", bundle);
	for (size_t i = 0; i < mounts->count; i++) {
		int ret = open_mount(config, bundle_fd, i, &mounts->fds[i], err);

		if (ret < 0)
			return ret;
	}
	return 0;
}

void idmap_close(struct idmapped_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		cleanup_fd(&mounts->fds[i]);
	free(mounts->fds);
	*mounts = (struct idmapped_mounts){0};
}
