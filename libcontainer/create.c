// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/create.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/clone.h"
#include "libcontainer/devices_outside.h"
#include "libcontainer/hooks.h"
#include "libcontainer/idmap.h"
#include "libcontainer/init.h"
#include "libcontainer/intel_rdt.h"
#include "libcontainer/labels.h"
#include "libcontainer/netdevices.h"
#include "libcontainer/pidfd_socket.h"
#include "libcontainer/rootfs_shared.h"
#include "libcontainer/start.h"
#include "libcontainer/state.h"
#include "libcontainer/sync.h"
#include "libcontainer/terminal.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

/* The network namespace that the init has, or will join. */
static int open_network(const struct init *init, pid_t pid, struct error **err)
{
	int fd = -1;

	vec_for_each (ns, &init->joined) {
		if (ns->type == CLONE_NEWNET)
			fd = fcntl(ns->fd, F_DUPFD_CLOEXEC, 3);
	}
	if (fd < 0)
		fd = open_fmt(O_RDONLY, "/proc/%d/ns/net", pid);
	return fd < 0 ? error_errno(err, -fd, "opening the network namespace") : fd;
}

static int move_net_devices(const struct init *init, pid_t pid, struct net_devices **moved,
			    struct error **err)
{
	__cleanup_fd int fd = -1;

	if (!init->config->lx.net_devices.count)
		return 0;
	fd = open_network(init, pid, err);
	return fd < 0 ? fd : net_devices_move(&init->config->lx, fd, moved, err);
}

/* What its parent has to do for a new init before that can begin. */
static int admit_init(const struct init *init, struct cgroup *attach, struct init_process *process,
		      int sync_fd, const struct intel_rdt *rdt, struct error **err)
{
	pid_t pid = process->pid;
	int ret = intel_rdt_join(rdt, pid, err);

	if (ret == 0 && init->new_types & CLONE_NEWUSER)
		ret = namespaces_map_ids(pid, init->config, err);
	if (ret == 0 && attach)
		ret = cgroup_attach(attach, pid, err);
	if (ret == 0)
		ret = move_net_devices(init, pid, &process->devices, err);
	if (ret == 0 && init->wait_for_go)
		ret = sync_send(sync_fd, SYNC_GO, 0, err);
	return ret;
}

static int run_runtime_hooks(const struct container *c, const struct oci_config *config, pid_t pid,
			     int sync_fd, struct error **err)
{
	const struct oci_hooks *hooks = &config->hooks;
	int ret;

	if (!hooks->prestart.count && !hooks->create_runtime.count)
		return 0;
	ret = sync_receive(sync_fd, SYNC_HOOKS, NULL, err);
	/* once a hook of start: it reads what it read then, as runtime-tools wants it */
	if (ret == 0)
		ret = hooks_run(&hooks->prestart, "prestart", c, config, "created", pid, err);
	if (ret == 0)
		ret = hooks_run(&hooks->create_runtime, "createRuntime", c, config, "creating", pid,
				err);
	if (ret == 0)
		ret = sync_send(sync_fd, SYNC_GO, 0, err);
	return ret;
}

static void record_stdio(struct container *c)
{
	for (int fd = 0; fd < 3; fd++) {
		struct container_stdio *s = &c->stdio[fd];
		__cleanup_free char *name = NULL;
		char path[32];
		struct stat st;

		memset(s, 0, sizeof(*s));
		if (c->terminal || !stdio_given(fd) || fstat(fd, &st) < 0)
			continue;
		s->dev = st.st_dev;
		s->ino = st.st_ino;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		name = read_link(AT_FDCWD, path);
		snprintf(s->name, sizeof(s->name), "%s", name ? name : "");
	}
}

static int open_console(const struct oci_config *config, const struct create_options *options,
			int *fd, struct error **err)
{
	bool terminal = config->process && config->process->terminal;

	if (terminal && options->console_fd > 0) {
		*fd = fcntl(options->console_fd, F_DUPFD_CLOEXEC, 3);
		return *fd < 0 ? error_errno(err, errno, "opening the console socket") : 0;
	}
	if (terminal && !options->console_socket) {
		error_set(err, EINVAL, "/process/terminal is true, but nobody takes the terminal");
		return error_hint(err, "give --console-socket, or run in the foreground");
	}
	if (!terminal && options->console_socket)
		return error_set(err, EINVAL,
				 "--console-socket is given, but /process/terminal is false");
	if (!terminal)
		return 0;
	*fd = terminal_connect(options->console_socket, err);
	return *fd < 0 ? *fd : 0;
}

/* One that is joined gets the container's root as its own, as with runc. The host's must not. */
static int check_namespaces(const struct init *init, uint64_t joined, struct error **err)
{
	bool shares_mounts = !((init->new_types | joined) & CLONE_NEWNS);

	if (shares_mounts && init->options->restore)
		return error_set(err, EOPNOTSUPP,
				 "/linux/namespaces of config.json: only a container with a mount "
				 "namespace of its own can be restored");
	if (shares_mounts && init->user_namespace)
		return error_set(err, EPERM,
				 "/linux/namespaces of config.json: root of a user namespace can "
				 "mount nothing without a mount namespace");
	if (namespaces_join_host_mounts(&init->joined)) {
		error_set(err, EPERM,
			  "/linux/namespaces of config.json: the path of \"mount\" leads to the "
			  "host's "
			  "mount namespace, whose root would become the container's");
		return error_hint(err, "leave the path out for a new one");
	}
	return 0;
}

static void cleanup_init(struct init *init)
{
	namespaces_close(&init->joined);
	idmap_close(&init->idmapped);
	cleanup_fd(&init->devices_fd);
	cleanup_fd(&init->root_fd);
	cleanup_fd(&init->sync_fd);
	cleanup_fd(&init->start_fd);
	cleanup_fd(&init->console_fd);
}

static int prepare_init(struct init *init, const struct cgroup *cg, struct error **err)
{
	uint64_t joined;
	int ret = namespaces_open(init->config, &init->joined, err);

	if (ret < 0)
		return ret;
	joined = namespaces_types(&init->joined);
	init->new_types = namespaces_new(init->config);
	init->user_namespace = (joined | init->new_types) & CLONE_NEWUSER;
	ret = check_namespaces(init, joined, err);
	if (ret == 0)
		ret = labels_check(init->config->process, init->config->lx.mount_label, err);
	if (ret == 0)
		ret = idmap_open(init->config, init->c->bundle, &init->idmapped, err);
	if (ret == 0)
		ret = devices_make_outside(init->config, &init->devices_fd, err);
	if (ret == 0)
		ret = open_console(init->config, init->options, &init->console_fd, err);
	if (ret == 0 && !init->options->restore)
		init->start_fd = start_listen(init->c, err);
	if (ret == 0 && init->start_fd < 0 && !init->options->restore)
		ret = init->start_fd;
	/* within a user namespace nobody may write to the cgroup's files */
	init->wait_for_go = init->user_namespace || clone_wants_helper(&init->joined) ||
			    init->config->lx.net_devices.count || init->config->lx.intel_rdt ||
			    cgroup_wants_attach(cg);
	return ret;
}

static bool has_create_hooks(const struct oci_hooks *hooks)
{
	return hooks->prestart.count || hooks->create_runtime.count ||
	       hooks->create_container.count;
}

/* From the clone to SYNC_READY; on failure the caller kills what there is. */
static int set_up(struct init *init, struct cgroup *cg, int sync_fd, struct init_process *process,
		  const struct intel_rdt *rdt, struct error **err)
{
	int cgroup_fd = cgroup_v2_fd(cg);
	bool attach = cgroup_fd < 0 && init->wait_for_go;
	const struct clone_request request = {
		.joined = &init->joined,
		.new_types = init->new_types,
		.pid = init->options->pid,
		.cgroup_fd = cgroup_fd,
		.parent_fd = sync_fd,
		.child_fd = init->sync_fd,
		.main = init_main,
		.context = init,
	};
	int64_t value = 0;
	int ret;

	init->cgroup = cg;
	init->cg = cgroup_fd < 0 && !attach ? cg : NULL;
	ret = clone_process(&request, &process->pid, &process->pidfd, err);
	/* the runtime must see the end of file when init dies */
	cleanup_fd(&init->sync_fd);
	init->sync_fd = -1;
	if (ret == 0)
		ret = admit_init(init, attach ? cg : NULL, process, sync_fd, rdt, err);
	if (ret == 0 && init->options->pidfd_socket)
		ret = pidfd_send(init->options->pidfd_socket, process->pidfd, err);
	process->hooked =
		ret == 0 && !init->options->restore && has_create_hooks(&init->config->hooks);
	if (ret == 0 && !init->options->restore)
		ret = run_runtime_hooks(init->c, init->config, process->pid, sync_fd, err);
	if (ret == 0)
		ret = sync_receive(sync_fd, SYNC_READY, &value, err);
	if (ret == 0)
		ret = cgroup_settle(cg, init->config, err);
	process->stub_fd = init->options->restore ? (int)value : -1;
	process->master_fd = init->options->restore && init->console_fd >= 0 ? STUB_MASTER_FD : -1;
	return ret;
}

void init_process_close(struct init_process *init)
{
	cleanup_fd(&init->pidfd);
	cleanup_fd(&init->sync_fd);
	init->pidfd = init->sync_fd = -1;
	net_devices_free(init->devices);
	init->devices = NULL;
}

static void abandon(struct init_process *process)
{
	if (process->pid > 0) {
		kill(process->pid, SIGKILL);
		while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	init_process_close(process);
	*process = (struct init_process){.pidfd = -1,
					 .sync_fd = -1,
					 .stub_fd = -1,
					 .master_fd = -1,
					 .hooked = process->hooked};
}

/* Written down at once: only what was made here is removed with the container. */
static int make_rdt(struct container *c, const struct oci_config *config, struct intel_rdt *rdt,
		    struct error **err)
{
	__cleanup_free char *root = NULL;
	__cleanup_free char *record = NULL;
	int ret;

	if (!config->lx.intel_rdt)
		return 0;
	ret = intel_rdt_root(&root, err);
	if (ret == 0)
		ret = intel_rdt_create(root, c->id, config->lx.intel_rdt, rdt, err);
	if (ret < 0)
		return ret;
	record = intel_rdt_record(rdt);
	ret = record ? container_keep(c, KEPT_RDT, record, strlen(record), err)
		     : error_errno(err, ENOMEM, "/linux/intelRdt");
	if (ret < 0)
		intel_rdt_remove(rdt);
	return ret;
}

static int make_root(struct container *c, const struct oci_config *config, int *fd,
		     struct error **err)
{
	if (oci_config_namespace(config, CLONE_NEWNS))
		return 0;
	*fd = rootfs_share(c, err);
	return *fd < 0 ? *fd : 0;
}

int container_create_init(struct container *c, const struct oci_config *config, struct cgroup *cg,
			  const struct create_options *options, struct init_process *process,
			  struct error **err)
{
	__cleanup(cleanup_init) struct init init = {
		.c = c,
		.config = config,
		.options = options,
		.sync_fd = -1,
		.start_fd = -1,
		.console_fd = -1,
		.devices_fd = -1,
		.root_fd = -1,
		.slave_fd = -1,
		.master_fd = -1,
	};
	__cleanup_intel_rdt struct intel_rdt rdt = {0};
	__cleanup_fd int sync_fd = -1;
	int fds[2];
	int ret;

	*process =
		(struct init_process){.pidfd = -1, .sync_fd = -1, .stub_fd = -1, .master_fd = -1};
	c->terminal = config->process && config->process->terminal;
	record_stdio(c);
	ret = prepare_init(&init, cg, err);
	if (ret == 0)
		ret = make_root(c, config, &init.root_fd, err);
	if (ret == 0)
		ret = make_rdt(c, config, &rdt, err);
	if (ret == 0)
		ret = sync_pair(fds, err);
	if (ret < 0)
		return ret;
	sync_fd = fds[0];
	init.sync_fd = fds[1];
	ret = set_up(&init, cg, sync_fd, process, &rdt, err);
	if (ret == 0 && process_identify(process->pid, &c->init) < 0)
		ret = error_set(err, ESRCH, "the container's init died");
	if (ret < 0) {
		/* before the namespace dies, and virtual devices with it */
		net_devices_return(process->devices);
		abandon(process);
		intel_rdt_remove(&rdt);
		return ret;
	}
	process->sync_fd = take_fd(&sync_fd);
	return 0;
}
