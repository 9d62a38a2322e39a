// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/speaker.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* In the order of joining: the user namespace gives the right to join the others. */
static const struct {
	int type;
	const char *name;
} kinds[] = {
	{CLONE_NEWUSER, "user"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWIPC, "ipc"},
	{CLONE_NEWUTS, "uts"},	 {CLONE_NEWNET, "net"},	      {CLONE_NEWPID, "pid"},
	{CLONE_NEWTIME, "time"}, {CLONE_NEWNS, "mnt"},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *namespace_name(int type)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].type == type)
			return kinds[i].name;
	return "?";
}

uint64_t namespaces_new(const struct oci_config *config)
{
	uint64_t types = 0;

	vec_for_each (ns, &config->lx.namespaces)
		if (!ns->path)
			types |= (unsigned int)ns->type;
	return types;
}

uint64_t namespaces_types(const struct namespace_fds *fds)
{
	uint64_t types = 0;

	vec_for_each (ns, fds)
		types |= (unsigned int)ns->type;
	return types;
}

static int add_fd(struct namespace_fds *fds, int type, int fd, struct error **err)
{
	struct namespace_fd *ns = vec_add(fds);

	if (!ns) {
		close(fd);
		return error_errno(err, ENOMEM, "opening namespaces");
	}
	ns->type = type;
	ns->fd = fd;
	return 0;
}

static int open_path(int type, const char *path, struct namespace_fds *fds, struct error **err)
{
	/* the path may be that of a FIFO, which would be waited for */
	__cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int found;

	if (fd < 0)
		return error_errno(err, errno, "opening the %s namespace \"%s\"",
				   namespace_name(type), path);
	found = ioctl(fd, NS_GET_NSTYPE);
	if (found != type)
		return error_set(err, EINVAL, "\"%s\" is not a %s namespace", path,
				 namespace_name(type));
	return add_fd(fds, type, take_fd(&fd), err);
}

int namespaces_open(const struct oci_config *config, struct namespace_fds *fds, struct error **err)
{
	for (size_t i = 0; i < KINDS; i++) {
		const struct oci_namespace *ns = oci_config_namespace(config, kinds[i].type);
		int ret = ns && ns->path ? open_path(ns->type, ns->path, fds, err) : 0;

		if (ret < 0)
			return ret;
	}
	return 0;
}

/* process: its pid, or "self". */
static bool is_namespace_of(int fd, const char *process, const char *name)
{
	struct stat theirs, wanted;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/ns/%s", process, name);
	if (fstat(fd, &theirs) < 0 || stat(path, &wanted) < 0)
		return false;
	return theirs.st_ino == wanted.st_ino && theirs.st_dev == wanted.st_dev;
}

bool namespaces_join_host_mounts(const struct namespace_fds *fds)
{
	vec_for_each (ns, fds) {
		if (ns->type == CLONE_NEWNS &&
		    (is_namespace_of(ns->fd, "self", "mnt") || is_namespace_of(ns->fd, "1", "mnt")))
			return true;
	}
	return false;
}

int namespaces_open_of(pid_t pid, struct namespace_fds *fds, struct error **err)
{
	pid = process_speaker(pid);
	for (size_t i = 0; i < KINDS; i++) {
		int fd = open_fmt(O_RDONLY, "/proc/%d/ns/%s", pid, kinds[i].name);
		int ret;

		/* a kernel without this kind */
		if (fd == -ENOENT && kinds[i].type == CLONE_NEWTIME)
			continue;
		if (fd < 0)
			return error_errno(err, -fd, "opening the %s namespace of process %d",
					   kinds[i].name, pid);
		if (is_namespace_of(fd, "self", kinds[i].name)) {
			close(fd);
			continue;
		}
		ret = add_fd(fds, kinds[i].type, fd, err);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int namespaces_join(const struct namespace_fds *fds, uint64_t types, struct error **err)
{
	vec_for_each (ns, fds) {
		if (!(types & (unsigned int)ns->type))
			continue;
		if (setns(ns->fd, ns->type) < 0)
			return error_errno(err, errno, "joining the %s namespace",
					   namespace_name(ns->type));
	}
	return 0;
}

void namespaces_close(struct namespace_fds *fds)
{
	vec_for_each (ns, fds)
		cleanup_fd(&ns->fd);
	vec_free(fds);
}

/* Nanoseconds as the kernel wants them: whole seconds rounded down and a positive rest. */
static int format_offset(char *text, size_t size, const char *clock, int64_t offset)
{
	int64_t secs = offset / 1000000000, rest = offset % 1000000000;

	if (rest < 0) {
		secs--;
		rest += 1000000000;
	}
	return snprintf(text, size, "%s %" PRId64 " %" PRId64 "\n", clock, secs, rest);
}

int namespaces_enter_new_time(int64_t monotonic, int64_t boottime, struct error **err)
{
	__cleanup_fd int fd = -1;
	char text[128];
	int used, ret;

	if (unshare(CLONE_NEWTIME) < 0)
		return error_errno(err, errno, "making a time namespace");
	used = format_offset(text, sizeof(text), "monotonic", monotonic);
	format_offset(text + used, sizeof(text) - used, "boottime", boottime);
	ret = write_file(AT_FDCWD, "/proc/self/timens_offsets", text);
	if (ret < 0)
		return error_errno(err, -ret, "setting the offsets of the time namespace");
	/* unshare changed only where children go */
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
		return error_errno(err, errno, "entering the time namespace");
	return 0;
}

void namespaces_time_offsets(const struct oci_time_offsets *offsets, int64_t *monotonic,
			     int64_t *boottime)
{
	*monotonic = *boottime = 0;
	if (offsets->has_monotonic)
		*monotonic = offsets->monotonic.secs * 1000000000 + offsets->monotonic.nanosecs;
	if (offsets->has_boottime)
		*boottime = offsets->boottime.secs * 1000000000 + offsets->boottime.nanosecs;
}

/* newuidmap PID INSIDE OUTSIDE COUNT ...: for users who may not write the map themselves. */
static int run_mapper(const char *program, pid_t pid, const struct oci_id_maps *maps,
		      struct error **err)
{
	__cleanup_free char **argv = calloc(maps->count * 3 + 3, sizeof(*argv));
	char words[3 * 340 + 1][12];
	size_t n = 0;
	pid_t child;
	int status;

	if (!argv || maps->count > 340)
		return error_errno(err, E2BIG, "running %s", program);
	argv[n++] = (char *)program;
	snprintf(words[0], sizeof(words[0]), "%d", pid);
	argv[n++] = words[0];
	vec_for_each (m, maps) {
		const uint32_t values[3] = {m->container_id, m->host_id, m->size};

		for (int i = 0; i < 3; i++, n++) {
			snprintf(words[n - 1], sizeof(words[0]), "%u", values[i]);
			argv[n] = words[n - 1];
		}
	}
	status = posix_spawnp(&child, program, NULL, NULL, argv, environ);
	if (status)
		return error_errno(err, status, "running %s", program);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		return error_set(err, EPERM, "%s refused the mapping", program);
	return 0;
}

static int write_map(pid_t pid, const char *file, const char *program,
		     const struct oci_id_maps *maps, struct error **err)
{
	__cleanup_buf struct buf text = {0};
	char path[64];
	int ret;

	vec_for_each (m, maps) {
		char line[64];
		int len = snprintf(line, sizeof(line), "%u %u %u\n", m->container_id, m->host_id,
				   m->size);

		if (!buf_add(&text, line, len))
			return error_errno(err, ENOMEM, "writing %s", file);
	}
	if (!text.len)
		return 0;
	if (!buf_add(&text, "", 1))
		return error_errno(err, ENOMEM, "writing %s", file);
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	ret = write_file(AT_FDCWD, path, (const char *)text.data);
	if (ret == -EPERM && geteuid() != 0)
		return run_mapper(program, pid, maps, err);
	if (ret < 0)
		return error_errno(err, -ret, "writing the mappings to %s", path);
	return 0;
}

/*
 * An unprivileged user may map his own group, and that only where setgroups(2) is off:
 * user_namespaces(7). More of them newgidmap maps, and then the container can set groups.
 */
static bool maps_own_group(const struct oci_id_maps *gids)
{
	return geteuid() != 0 && gids->count == 1 && gids->items[0].size == 1 &&
	       gids->items[0].host_id == getegid();
}

int namespaces_write_maps(pid_t pid, const struct oci_id_maps *uids, const struct oci_id_maps *gids,
			  struct error **err)
{
	int ret;

	if (maps_own_group(gids)) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/setgroups", pid);
		write_file(AT_FDCWD, path, "deny");
	}
	ret = write_map(pid, "gid_map", "newgidmap", gids, err);
	if (ret < 0)
		return ret;
	return write_map(pid, "uid_map", "newuidmap", uids, err);
}

int namespaces_map_ids(pid_t pid, const struct oci_config *config, struct error **err)
{
	return namespaces_write_maps(pid, &config->lx.uid_mappings, &config->lx.gid_mappings, err);
}

int namespaces_loopback_up(struct error **err)
{
	__cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return error_errno(err, errno, "setting the loopback interface up");
	return 0;
}
