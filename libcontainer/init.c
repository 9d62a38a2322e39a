// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/cgroup_enter.h"
#include "libcontainer/create.h"
#include "libcontainer/hooks.h"
#include "libcontainer/labels.h"
#include "libcontainer/numa.h"
#include "libcontainer/rootfs_shared.h"
#include "libcontainer/state.h"
#include "libcontainer/stub.h"
#include "libcontainer/sync.h"
#include "libcontainer/terminal.h"
#include "oci/annotations.h"
#include "oci/config.h"
#include "oci/shapes.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

static int wait_for_parent(struct init *init, struct error **err)
{
	return init->wait_for_go ? sync_receive(init->sync_fd, SYNC_GO, NULL, err) : 0;
}

/* Those that act on the caller; who cloned us has joined the others. */
static int join_namespaces(struct init *init, struct error **err)
{
	return namespaces_join(&init->joined, ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWPID), err);
}

static int become_root(struct init *init, struct error **err)
{
	if (!init->user_namespace)
		return 0;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) {
		error_errno(err, errno, "becoming root in the user namespace");
		return error_hint(err, "linux.uidMappings and gidMappings must map 0");
	}
	/* best effort: where setgroups(2) is off, the caller's stay */
	if (!oci_keeps_groups(&init->config->annotations))
		setgroups(0, NULL);
	/* changing the user took /proc/self away from us, see proc(5) */
	if (!(namespaces_types(&init->joined) & CLONE_NEWPID))
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

static int enter_cgroup(struct init *init, struct error **err)
{
	int ret = init->cg ? cgroup_enter(init->cg, err) : 0;

	/* only now: the namespace's root is the cgroup one is in */
	if (ret == 0 && init->new_types & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
		ret = error_errno(err, errno, "making a cgroup namespace");
	return ret;
}

static int enter_time(struct init *init, struct error **err)
{
	int64_t monotonic, boottime;

	if (init->options->restore)
		return namespaces_enter_new_time(init->options->monotonic_offset,
						 init->options->boottime_offset, err);
	if (!(init->new_types & CLONE_NEWTIME))
		return 0;
	namespaces_time_offsets(&init->config->lx.time_offsets, &monotonic, &boottime);
	return namespaces_enter_new_time(monotonic, boottime, err);
}

static int lead_session(struct init *init, struct error **err)
{
	if (setsid() < 0)
		return error_errno(err, errno, "making a session");
	umask(0);
	return 0;
}

static int set_loopback_up(struct init *init, struct error **err)
{
	return init->new_types & CLONE_NEWNET ? namespaces_loopback_up(err) : 0;
}

static int set_names(struct init *init, struct error **err)
{
	const char *host = init->config->hostname, *domain = init->config->domainname;

	if (host && host[0] && sethostname(host, strlen(host)) < 0)
		return error_errno(err, errno, "setting the hostname \"%s\"", host);
	if (domain && domain[0] && setdomainname(domain, strlen(domain)) < 0)
		return error_errno(err, errno, "setting the domain name \"%s\"", domain);
	return 0;
}

/* In the host's /proc: what it shows of /proc/sys is that of the caller's namespaces. */
static int set_sysctls(struct init *init, struct error **err)
{
	vec_for_each (pair, &init->config->lx.sysctl) {
		__cleanup_free char *name = oci_sysctl_path(pair->key);
		__cleanup_free char *path = NULL;
		int ret;

		if (!name || asprintf(&path, "/proc/sys/%s", name) < 0)
			return error_errno(err, ENOMEM, "setting a sysctl");
		ret = strstr(name, "..") ? -EINVAL : write_file(AT_FDCWD, path, pair->value);
		if (ret < 0)
			return error_errno(err, -ret,
					   "/linux/sysctl of config.json: setting %s to \"%s\"",
					   pair->key, pair->value);
	}
	return 0;
}

static int limit_process(struct init *init, struct error **err)
{
	int ret = init->config->process ? process_limit(init->config->process, err) : 0;

	/* a restored task has the policy that it was saved with */
	if (ret == 0 && !init->options->restore)
		ret = numa_set_memory_policy(init->config->lx.memory_policy, err);
	return ret;
}

/*
 * Images name directories that they have not got, and runc makes those. What goes wrong here is
 * told when the directory is to be entered.
 */
static void make_working_directory(const struct init *init)
{
	const struct oci_process *process = init->config->process;
	struct error *ignored = NULL;
	__cleanup_fd int fd = -1;

	if (init->options->restore || !process)
		return;
	fd = rootfs_open_or_make(&init->rootfs, process->cwd, true, &ignored);
	if (fd < 0)
		error_free(ignored);
}

static int make_rootfs(struct init *init, struct error **err)
{
	struct rootfs *r = &init->rootfs;
	int ret;

	r->config = init->config;
	r->cgroup = init->cgroup;
	r->idmapped = &init->idmapped;
	r->devices_fd = init->devices_fd;
	r->user_namespace = init->user_namespace;
	r->cgroup_namespace = oci_config_namespace(init->config, CLONE_NEWCGROUP);
	r->bundle_fd = open(init->c->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->bundle_fd < 0)
		return error_errno(err, errno, "opening the bundle \"%s\"", init->c->bundle);
	r->fd = init->root_fd;
	ret = r->fd < 0 ? rootfs_open(r, init->c->rootfs, err) : 0;
	if (ret == 0)
		ret = rootfs_mount_all(r, err);
	if (ret == 0)
		ret = rootfs_make_devices(r, err);
	if (ret == 0)
		make_working_directory(init);
	return ret;
}

static int make_terminal(struct init *init, struct error **err)
{
	__cleanup_fd int master = -1;
	int ret;

	if (init->console_fd < 0)
		return 0;
	/* what a restored one's settings were, the checkpoint image says */
	ret = terminal_open(init->rootfs.fd, init->config->process,
			    init->options->console_fd > 0 && !init->options->restore, &master,
			    &init->slave_fd, err);
	if (ret == 0)
		ret = rootfs_bind_console(&init->rootfs, init->slave_fd, err);
	if (ret == 0)
		ret = terminal_send(init->console_fd, master, err);
	if (ret == 0)
		ret = terminal_take(init->slave_fd, !init->options->restore, err);
	/* whose it is, and what is in it, the checkpoint image says */
	if (ret == 0 && init->options->restore)
		init->master_fd = take_fd(&master);
	return ret;
}

/* Read-only mounts first: what is hidden then may be one of them. */
static int hide_paths(struct init *init, struct error **err)
{
	int ret = rootfs_protect_filled(&init->rootfs, err);

	return ret < 0 ? ret : rootfs_hide_paths(&init->rootfs, err);
}

/* The pid that the host knows us by: /proc is still the host's. */
static pid_t host_pid(void)
{
	__cleanup_free char *pid = read_link(AT_FDCWD, "/proc/self");

	return pid ? atoi(pid) : getpid();
}

static int run_create_hooks(struct init *init, struct error **err)
{
	const struct oci_hooks *hooks = &init->config->hooks;
	int ret = 0;

	if (init->options->restore)
		return 0;
	if (hooks->prestart.count || hooks->create_runtime.count) {
		ret = sync_send(init->sync_fd, SYNC_HOOKS, 0, err);
		if (ret == 0)
			ret = sync_receive(init->sync_fd, SYNC_GO, NULL, err);
	}
	/* as with runc: hooks write paths of the container relative to it */
	if (ret == 0 && hooks->create_container.count && fchdir(init->rootfs.fd) < 0)
		ret = error_errno(err, errno, "entering the root file system");
	if (ret == 0 && hooks->create_container.count)
		ret = hooks_run(&hooks->create_container, "createContainer", init->c, init->config,
				"creating", host_pid(), err);
	return ret;
}

/* After the hooks that come from the host, and while /proc is still the host's. */
static int set_labels(struct init *init, struct error **err)
{
	const struct oci_process *process = init->config->process;

	if (!init->options->restore)
		return labels_set(process, err);
	/* it applies to the stub itself, which has mounts to make yet */
	init->proc_fd = labels_wanted(process) ? labels_open_proc("/proc", err) : -1;
	return init->proc_fd < 0 && labels_wanted(process) ? init->proc_fd : 0;
}

static int change_root(struct init *init, struct error **err)
{
	int ret = init->root_fd < 0 ? rootfs_pivot(&init->rootfs, init->options->no_pivot, err)
				    : rootfs_enter(init->root_fd, err);

	return ret < 0 ? ret : rootfs_finish(&init->rootfs, err);
}

static int set_personality(struct init *init, struct error **err)
{
	if (init->config->lx.has_personality && personality(init->config->lx.personality) < 0)
		return error_errno(err, errno, "setting linux.personality");
	return 0;
}

/* A stub, too: whoever is restored has its. */
static int join_keyring(struct init *init, struct error **err)
{
	return init->options->no_new_keyring ? 0 : process_join_keyring(init->c->id, err);
}

static int prepare_process(struct init *init, struct error **err)
{
	struct process_setup *setup = &init->setup;

	/* a stub has no program; a container without a process cannot be started */
	if (init->options->restore || !init->config->process)
		return 0;
	setup->process = init->config->process;
	setup->seccomp = init->config->lx.seccomp;
	setup->annotations = &init->config->annotations;
	setup->passed = init->options->passed;
	setup->is_trampoline = init->options->is_trampoline;
	setup->user_namespace = init->user_namespace;
	return process_prepare(setup, err);
}

static const struct {
	const char *name;
	int (*run)(struct init *init, struct error **err);
} steps[] = {
	{"wait for the runtime", wait_for_parent},
	{"join namespaces", join_namespaces},
	{"become root", become_root},
	{"enter cgroup", enter_cgroup},
	{"enter time namespace", enter_time},
	{"lead session", lead_session},
	{"set loopback up", set_loopback_up},
	{"set names", set_names},
	{"set sysctls", set_sysctls},
	{"limit process", limit_process},
	{"make root file system", make_rootfs},
	{"make terminal", make_terminal},
	{"hide paths", hide_paths},
	{"run hooks", run_create_hooks},
	{"set labels", set_labels},
	{"change root", change_root},
	{"set personality", set_personality},
	{"join keyring", join_keyring},
	{"prepare process", prepare_process},
};

static _Noreturn void fail(int fd, struct error *err)
{
	sync_send_error(fd, err);
	_exit(EXIT_FAILURE);
}

/* Only 0 to 2, the socket and the terminal's master stay; who restores wants to trace us. */
static _Noreturn void become_stub(struct init *init)
{
	/* out of the way of either number */
	int master = init->master_fd < 0 ? -1 : fcntl(init->master_fd, F_DUPFD, STUB_MASTER_FD + 1);
	struct error *err = NULL;

	/* the processes of the container descend from it, and have its label */
	if (labels_wanted(init->config->process) &&
	    labels_apply(init->proc_fd, init->config->process, LABELS_CALLER, &err) < 0)
		fail(init->sync_fd, err);
	if ((init->master_fd >= 0 && master < 0) ||
	    (init->sync_fd != STUB_FD && dup2(init->sync_fd, STUB_FD) < 0) ||
	    (master >= 0 && dup2(master, STUB_MASTER_FD) < 0)) {
		error_errno(&err, errno, "becoming a stub");
		fail(init->sync_fd, err);
	}
	syscall(SYS_close_range, master < 0 ? STUB_FD + 1 : STUB_MASTER_FD + 1, ~0u, 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	stub_main(STUB_FD);
}

static int compare_fds(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * The runtime's descriptors and those that its caller has not given to us would be reachable in
 * /proc/PID/fd until start, which may never come: the way of CVE-2024-21626. And whoever waits
 * for the last one to be closed would wait for the container.
 */
static void close_others(const struct init *init)
{
	int keep[] = {init->sync_fd, init->start_fd, init->setup.trampoline_fd};
	int next = 3 + init->setup.passed.count;

	log_setup(-1, LOG_TEXT, false);
	qsort(keep, sizeof(keep) / sizeof(keep[0]), sizeof(keep[0]), compare_fds);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		if (keep[i] < next)
			continue;
		if (keep[i] > next)
			syscall(SYS_close_range, next, keep[i] - 1, 0);
		next = keep[i] + 1;
	}
	syscall(SYS_close_range, next, ~0u, 0);
}

static int wait_for_start(int start_fd, struct error **err)
{
	int fd;

	do
		fd = accept4(start_fd, NULL, NULL, SOCK_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? error_errno(err, errno, "waiting for start") : fd;
}

static int run_start_hooks(void *context, struct error **err)
{
	struct init *init = context;

	/* what hooks have that name none: programs of the image do not see the runtime's */
	environ = init->setup.env;
	return hooks_run(&init->config->hooks.start_container, "startContainer", init->c,
			 init->config, "created", getpid(), err);
}

static _Noreturn void become_process(struct init *init)
{
	struct error *err = NULL;
	int fd;

	close_others(init);
	if (sync_send(init->sync_fd, SYNC_READY, init->sync_fd, &err) < 0)
		_exit(EXIT_FAILURE);
	/* the runtime's other end, that the container's life must not depend on */
	close(init->sync_fd);
	fd = wait_for_start(init->start_fd, &err);
	if (fd < 0)
		_exit(EXIT_FAILURE);
	close(init->start_fd);
	init->setup.report_fd = fd;
	init->setup.run_hooks = run_start_hooks;
	init->setup.context = init;
	if (!init->setup.process)
		error_set(&err, EINVAL, "/process of config.json is missing");
	else
		process_execute(&init->setup, &err);
	fail(fd, err);
}

_Noreturn void init_main(void *context)
{
	struct init *init = context;
	struct error *err = NULL;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* others in a joined pid namespace could use us to reach the host: CVE-2016-9962 */
	if (namespaces_types(&init->joined) & CLONE_NEWPID)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		log_debug("init: %s", steps[i].name);
		if (steps[i].run(init, &err) < 0)
			fail(init->sync_fd, err);
	}
	if (init->options->restore)
		become_stub(init);
	become_process(init);
}
