// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/hooks.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/netdevices.h"
#include "libcontainer/start.h"
#include "libcontainer/state.h"
#include "libcontainer/systemd_bus.h"
#include "oci/config.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

int build_load_config(const struct runtime *rt, int bundle_fd, struct oci_config **config,
		      struct error **err)
{
	const char *given = option_string(rt, "config");
	__cleanup_oci_config struct oci_config *new = NULL;
	int ret = given ? oci_config_load(AT_FDCWD, given, &new, err)
			: oci_config_load(bundle_fd, "config.json", &new, err);

	if (ret == 0)
		ret = oci_config_validate(new, err);
	if (ret == 0)
		*config = take_ptr(new);
	return ret;
}

int build_open_bundle(const struct runtime *rt, char **bundle, struct oci_config **config,
		      struct error **err)
{
	const char *given = option_string(rt, "bundle");
	__cleanup_free char *path = realpath(given && given[0] ? given : ".", NULL);
	__cleanup_fd int fd = -1;
	int ret;

	fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		return error_errno(err, errno, "opening the bundle \"%s\"", given ? given : ".");
	ret = build_load_config(rt, fd, config, err);
	if (ret == 0)
		*bundle = take_ptr(path);
	return ret;
}

/* All that we open ourselves is closed on exec; what we were given came through one. */
static bool is_given(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

/*
 * sd_listen_fds(3): those come before the preserved ones. Nobody asked us for them, the variables
 * may be left from a service that we are run by. Then LISTEN_PID names another; without it only
 * what is there is taken.
 */
static int listen_fds(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	long wanted = count ? strtol(count, NULL, 10) : 0;
	int given = 0;

	if (wanted > 1023 || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	while (given < wanted && is_given(3 + given))
		given++;
	return given;
}

int build_passed_fds(const struct runtime *rt, struct passed_fds *passed, struct error **err)
{
	long preserve = 0;
	int ret = option_number(rt, "preserve-fds", 0, 1000, &preserve, err);

	if (ret < 0)
		return ret;
	passed->listening = listen_fds();
	passed->count = passed->listening + preserve;
	for (int fd = 3 + passed->listening; fd < 3 + passed->count; fd++)
		if (!is_given(fd))
			return error_set(err, EBADF, "--preserve-fds: descriptor %d is not open",
					 fd);
	return 0;
}

int build_options(const struct runtime *rt, struct create_options *options, struct error **err)
{
	options->console_socket = option_string(rt, "console-socket");
	options->pid_file = option_string(rt, "pid-file");
	options->pidfd_socket = option_string(rt, "pidfd-socket");
	options->no_pivot = option_flag(rt, "no-pivot");
	options->no_new_keyring = option_flag(rt, "no-new-keyring");
	return build_passed_fds(rt, &options->passed, err);
}

int write_pid_file(const char *path, pid_t pid, struct error **err)
{
	__cleanup_free char *new = NULL;
	__cleanup_fd int fd = -1;
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", pid);
	int ret;

	if (!path || !path[0])
		return 0;
	if (asprintf(&new, "%s.%d", path, getpid()) < 0) {
		new = NULL;
		return error_errno(err, ENOMEM, "writing the pid file");
	}
	fd = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ret = fd < 0 ? -errno : write_full(fd, text, len);
	if (ret == 0 && rename(new, path) < 0)
		ret = -errno;
	if (ret < 0) {
		unlink(new);
		return error_errno(err, -ret, "writing the pid file \"%s\"", path);
	}
	return 0;
}

int build_find_rootfs(const char *bundle, const struct oci_config *config, char **rootfs,
		      struct error **err)
{
	const char *path = config->root ? config->root->path : NULL;
	__cleanup_free char *joined = NULL;
	struct stat st;

	if (!path)
		return error_set(err, EINVAL, "config.json: /root/path: missing");
	if (asprintf(&joined, "%s%s%s", path[0] == '/' ? "" : bundle, path[0] == '/' ? "" : "/",
		     path) < 0) {
		joined = NULL;
		return error_errno(err, ENOMEM, "finding the root file system");
	}
	*rootfs = realpath(joined, NULL);
	if (!*rootfs)
		return error_errno(err, errno, "config.json: /root/path: \"%s\"", joined);
	if (stat(*rootfs, &st) < 0 || !S_ISDIR(st.st_mode))
		return error_errno(err, ENOTDIR, "config.json: /root/path: \"%s\"", joined);
	return 0;
}

/* Of the first one, in every kernel: PROC_USER_INIT_INO, USER_NS_INIT_INO since Linux 6.18. */
#define FIRST_USER_NS 0xeffffffd

/* As engines run it for an ordinary user: as root, but of a user namespace. */
static bool in_user_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/user", &st) == 0 && st.st_ino != FIRST_USER_NS;
}

static bool is_rootless(const struct runtime *rt)
{
	if (strcmp(rt->rootless, "auto"))
		return !strcmp(rt->rootless, "true");
	return geteuid() != 0 || in_user_namespace();
}

/* Of root of a user namespace: unless there is a whole system in that, with its own systemd. */
static bool is_users_systemd(const struct runtime *rt)
{
	if (!rt->systemd_cgroup || !is_rootless(rt))
		return false;
	if (geteuid() != 0 || strcmp(rt->rootless, "auto"))
		return true;
	return !systemd_is_ours();
}

int build_cgroup(const struct runtime *rt, struct container *c, const struct oci_config *config,
		 struct cgroup **cg, struct error **err)
{
	const struct cgroup_options options = {
		.rootless = is_rootless(rt),
		.none = rt->no_cgroup,
		.systemd = rt->systemd_cgroup,
		.user_systemd = is_users_systemd(rt),
	};
	int ret = container_keep(c, KEPT_CONFIG, config->json, config->json_len, err);

	if (ret == 0)
		ret = cgroup_plan(c->id, config, &options, cg, err);
	if (ret == 0)
		ret = container_keep(c, KEPT_CGROUP, cgroup_path(*cg), strlen(cgroup_path(*cg)),
				     err);
	if (ret == 0)
		ret = cgroup_make(*cg, config, err);
	if (ret < 0)
		return ret;
	c->cgroup_path = strdup(cgroup_path(*cg));
	if (!c->cgroup_path)
		return error_errno(err, ENOMEM, "saving the container");
	return container_save(c, err);
}

int build_keep_mounts(struct container *c, pid_t init, struct error **err)
{
	__cleanup_free char *text = NULL;
	size_t len;
	int ret = proc_read(&text, &len, "%d/mountinfo", init);

	if (ret < 0)
		return error_errno(err, -ret, "reading the mounts of the container");
	return container_keep(c, KEPT_MOUNTS, text, len, err);
}

static int fill_container(const struct runtime *rt, struct container *c,
			  const struct oci_config *config, const struct create_options *options,
			  struct init_process *init, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int ret = build_cgroup(rt, c, config, &cg, err);

	if (ret == 0)
		ret = container_create_init(c, config, cg, options, init, err);
	if (ret == 0)
		ret = build_keep_mounts(c, init->pid, err);
	if (ret == 0)
		ret = container_set_state(c, CONTAINER_CREATED, err);
	if (ret == 0)
		ret = write_pid_file(options->pid_file, c->init.pid, err);
	return ret;
}

static void reap(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
}

int build_container(const struct runtime *rt, const char *bundle, const struct oci_config *config,
		    const struct create_options *options, struct container **c,
		    struct init_process *init, struct error **err)
{
	__cleanup_container struct container *new = NULL;
	__cleanup_free char *rootfs = NULL;
	int ret = build_find_rootfs(bundle, config, &rootfs, err);

	*init = (struct init_process){.pidfd = -1, .sync_fd = -1, .stub_fd = -1, .master_fd = -1};
	if (ret == 0)
		ret = container_new(rt->root, rt->id, rt->verb->name, &new, err);
	if (ret < 0)
		return ret;
	new->rootfs = take_ptr(rootfs);
	new->bundle = strdup(bundle);
	ret = new->bundle ? fill_container(rt, new, config, options, init, err)
			  : error_errno(err, ENOMEM, "creating the container");
	if (ret < 0) {
		net_devices_return(init->devices);
		reap(init->pid);
		/* runtime-spec runtime.md "Lifecycle": after a failed hook as after a deletion */
		build_remove(new, init->hooked ? config : NULL);
		return ret;
	}
	*c = take_ptr(new);
	return 0;
}

int build_start(struct container *c, const struct oci_config *config, struct error **err)
{
	int ret = container_start(c, config, err);

	if (ret == 0)
		ret = container_set_state(c, CONTAINER_RUNNING, err);
	if (ret < 0)
		return ret;
	container_unlock(c);
	return 0;
}

int build_started(struct container *c, const struct oci_config *config, struct error **err)
{
	int ret = hooks_run(&config->hooks.poststart, "poststart", c, config, "running",
			    c->init.pid, err);
	struct error *gone = NULL;

	if (ret == 0)
		return 0;
	/* runtime-spec runtime.md "Lifecycle", step 9; one of the hooks may have deleted it */
	if (container_lock(c, &gone) == 0)
		build_remove(c, config);
	error_free(gone);
	return ret;
}

void build_remove(struct container *c, const struct oci_config *config)
{
	__cleanup_error struct error *err = NULL;
	int ret = container_destroy(c, &err);

	if (ret == 0)
		ret = container_remove(c, &err);
	if (ret < 0)
		log_warning("removing the container: %s", error_message(err));
	else if (config)
		hooks_run_all(&config->hooks.poststop, "poststop", c, config, "stopped", 0);
}

void build_remove_ended(const struct runtime *rt, const struct oci_config *config)
{
	__cleanup_container struct container *c = NULL;

	if (container_open(rt->root, rt->id, rt->verb->name, true, &c, NULL) == 0)
		build_remove(c, config);
}
