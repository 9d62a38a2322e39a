// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/connections.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"
#include "util/net_hold.h"
#include "util/speaker.h"

static void remove_hold(int netns, const char *id)
{
	struct error *err = NULL;
	char name[NET_HOLD_NAME];

	net_hold_name(id, name);
	if (net_hold_remove(netns, name, &err))
		log_debug("%s", error_message(err));
	error_free(err);
}

/* With a probe for the other end, which may have waited long. */
static void end_repair(int pidfd, int number)
{
	__cleanup_fd int fd = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	int value = 0, off = 0;
	socklen_t len = sizeof(value);

	if (fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, &len) && value)
		setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
}

static void end_repairs(pid_t pid)
{
	__cleanup_fd int pidfd = speaker_pidfd(pid);
	__cleanup_dir DIR *dir = NULL;
	char path[64], link[16];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (pidfd < 0 || !dir)
		return;
	for (struct dirent *e; (e = readdir(dir));) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link));

		if (n >= 8 && !memcmp(link, "socket:[", 8))
			end_repair(pidfd, atoi(e->d_name));
	}
}

void connections_recover(const struct container *c)
{
	__cleanup_fd int netns =
		open_fmt(O_RDONLY, "/proc/%d/ns/net", process_speaker(c->init.pid));
	__cleanup_cgroup struct cgroup *cg = NULL;
	struct pid_list list = {0};
	struct error *err = NULL;

	if (netns >= 0)
		remove_hold(netns, c->id);
	if (c->cgroup_path && cgroup_open(c->cgroup_path, &cg, &err) == 0 &&
	    cgroup_pids(cg, &list, &err) == 0)
		for (size_t i = 0; i < list.count; i++)
			end_repairs(process_speaker(list.pids[i]));
	if (err)
		log_warning("%s", error_message(err));
	error_free(err);
	free(list.pids);
}

void connections_forget(const struct oci_config *config, const char *id)
{
	const struct oci_namespace *net = oci_config_namespace(config, CLONE_NEWNET);
	__cleanup_fd int netns =
		net && net->path ? open(net->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;

	if (netns >= 0)
		remove_hold(netns, id);
}
