// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/cgroup_enter.h"
#include "libcontainer/clone.h"
#include "libcontainer/labels.h"
#include "libcontainer/namespaces.h"
#include "libcontainer/numa.h"
#include "libcontainer/pidfd_socket.h"
#include "libcontainer/process.h"
#include "libcontainer/rootfs_shared.h"
#include "libcontainer/seccomp_notify.h"
#include "libcontainer/state.h"
#include "libcontainer/sync.h"
#include "libcontainer/terminal.h"
#include "oci/annotations.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/speaker.h"

/*
 *      runtime                 (helper)                  process
 *         |--- fork ---------------->|                     |
 *         |                  joins user, pid ns            |
 *         |                          |------ clone3 ------>|
 *         |<----- (SYNC_PID) --------|                     |
 *       cgroup                     exits                   |
 *         |-------------------- SYNC_GO ------------------>|
 *       unlocks                                      cgroup (v1)
 *         |                               other namespaces, terminal, privileges, exec
 *         |<-------- end of file, or SYNC_ERROR -----------|
 *
 * Without a helper (clone_wants_helper()), the runtime
 * itself calls clone3.
 */
struct joiner {
	struct container *c;
	const struct exec_options *options;
	struct namespace_fds joined;
	struct cgroup *cg; /* to be entered by itself, or NULL */
	int sync_fd, console_fd;
	int root_fd; /* where the container has no mount namespace of its own, or -1 */
	struct process_setup setup;
};

static int take_terminal(const struct joiner *j, struct error **err)
{
	__cleanup_fd int root = -1, master = -1, slave = -1;
	int ret;

	if (j->console_fd < 0)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, errno, "opening the container's root");
	ret = terminal_open(root, j->options->process, !j->options->console_socket, &master, &slave,
			    err);
	if (ret == 0)
		ret = terminal_send(j->console_fd, master, err);
	if (ret == 0)
		ret = terminal_take(slave, true, err);
	return ret;
}

static int become_root(const struct joiner *j, struct error **err)
{
	if (!(namespaces_types(&j->joined) & CLONE_NEWUSER))
		return 0;
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		return error_errno(err, errno, "becoming root in the user namespace");
	if (!oci_keeps_groups(&j->options->config->annotations))
		setgroups(0, NULL);
	return 0;
}

static int join(struct joiner *j, struct error **err)
{
	int ret = sync_receive(j->sync_fd, SYNC_GO, NULL, err);

	if (ret == 0 && j->cg)
		ret = cgroup_enter(j->cg, err);
	/* it is not locked any more: who ended it may have looked into the cgroup before */
	if (ret == 0 && j->cg && !process_alive(&j->c->init))
		ret = error_set(err, ESRCH, "container not running");
	/* with the host's /proc: that of the container may be anything */
	if (ret == 0)
		ret = process_limit(j->options->process, err);
	if (ret == 0)
		ret = numa_set_affinity(j->options->process->exec_cpu_affinity_final,
					"/execCPUAffinity/final", err);
	if (ret == 0)
		ret = numa_set_memory_policy(j->options->config->lx.memory_policy, err);
	if (ret == 0)
		ret = labels_set(j->options->process, err);
	if (ret == 0)
		ret = namespaces_join(&j->joined, ~(uint64_t)JOINED_BEFORE, err);
	if (ret == 0 && j->root_fd >= 0)
		ret = rootfs_enter(j->root_fd, err);
	if (ret == 0)
		ret = become_root(j, err);
	if (ret == 0 && setsid() < 0)
		ret = error_errno(err, errno, "making a session");
	if (ret == 0)
		ret = take_terminal(j, err);
	return ret;
}

static void joiner_main(void *context)
{
	struct joiner *j = context;
	struct error *err = NULL;
	sigset_t none;
	int ret;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	j->setup.report_fd = j->sync_fd;
	ret = join(j, &err);
	if (ret == 0)
		ret = process_join_keyring(j->c->id, &err);
	if (ret == 0)
		ret = process_prepare(&j->setup, &err);
	if (ret == 0)
		process_execute(&j->setup, &err);
	sync_send_error(j->sync_fd, err);
	_exit(EXIT_FAILURE);
}

static int open_console(const struct exec_options *options, int *fd, struct error **err)
{
	if (!options->process->terminal)
		return 0;
	*fd = options->console_socket ? terminal_connect(options->console_socket, err)
				      : fcntl(options->console_fd, F_DUPFD_CLOEXEC, 3);
	if (*fd < 0 && !*err)
		return error_errno(err, errno, "opening the console socket");
	return *fd < 0 ? *fd : 0;
}

/* With the initial affinity, which the process inherits: it has it before it is in the cgroup. */
static int clone_on_cpus(struct joiner *j, const struct clone_request *request, pid_t *pid,
			 int *pidfd, struct error **err)
{
	const char *initial = j->options->process->exec_cpu_affinity_initial;
	cpu_set_t before;
	int ret;

	if (!initial || !*initial)
		return clone_process(request, pid, pidfd, err);
	if (sched_getaffinity(0, sizeof(before), &before) < 0)
		return error_errno(err, errno, "reading the CPU affinity");
	ret = numa_set_affinity(initial, "/execCPUAffinity/initial", err);
	if (ret == 0)
		ret = clone_process(request, pid, pidfd, err);
	sched_setaffinity(0, sizeof(before), &before);
	return ret;
}

/*
 * An init that is an engine or an init system itself may have moved into a cgroup below, and
 * enabled controllers for all of those: then nobody may be in the container's own, and who comes
 * goes where the init is.
 */
static int clone_in_cgroup(struct joiner *j, struct cgroup *cg, struct clone_request *request,
			   pid_t *pid, int *pidfd, struct error **err)
{
	int ret = clone_on_cpus(j, request, pid, pidfd, err);

	if (ret != -EBUSY || request->cgroup_fd < 0 || j->options->cgroup_count ||
	    cgroup_enter_with(cg, process_speaker(j->c->init.pid), NULL) < 0)
		return ret;
	error_free(*err);
	*err = NULL;
	request->cgroup_fd = cgroup_v2_fd(cg);
	return clone_on_cpus(j, request, pid, pidfd, err);
}

static int start_joiner(struct joiner *j, struct cgroup *cg, int parent_fd, pid_t *pid,
			struct error **err)
{
	bool user_namespace = namespaces_types(&j->joined) & CLONE_NEWUSER;
	__cleanup_fd int pidfd = -1;
	struct clone_request request = {
		.joined = &j->joined,
		.cgroup_fd = cgroup_v2_fd(cg),
		.parent_fd = parent_fd,
		.child_fd = j->sync_fd,
		.main = joiner_main,
		.context = j,
	};
	struct seccomp_notify notify = {
		.c = j->c, .config = j->options->config, .status = container_oci_status(j->c)};
	const struct sync_listener listener = {.take = seccomp_notify_take, .ctx = &notify};
	bool attach = request.cgroup_fd < 0 && (user_namespace || cgroup_wants_attach(cg));
	int ret;

	j->setup.user_namespace = user_namespace;
	/* within a user namespace nobody may write to the cgroup's files */
	j->cg = request.cgroup_fd < 0 && !attach ? cg : NULL;
	ret = clone_in_cgroup(j, cg, &request, pid, &pidfd, err);
	cleanup_fd(&j->sync_fd);
	j->sync_fd = -1;
	notify.pid = *pid;
	if (ret == 0 && attach)
		ret = cgroup_attach(cg, *pid, err);
	if (ret == 0 && j->options->pidfd_socket)
		ret = pidfd_send(j->options->pidfd_socket, pidfd, err);
	if (ret == 0)
		ret = sync_send(parent_fd, SYNC_GO, 0, err);
	/* from here on the container may hold it up, but must not escape kill and delete by that */
	container_unlock(j->c);
	if (ret == 0)
		ret = sync_receive_executed(parent_fd, &listener, err);
	return ret;
}

static void cleanup_joiner(struct joiner *j)
{
	namespaces_close(&j->joined);
	cleanup_fd(&j->sync_fd);
	cleanup_fd(&j->console_fd);
	cleanup_fd(&j->root_fd);
}

/* A mount namespace brings its root along; the host's would bring the host's. */
static int open_root(struct joiner *j, struct error **err)
{
	if (oci_config_namespace(j->options->config, CLONE_NEWNS))
		return 0;
	j->root_fd =
		open_fmt(O_PATH | O_DIRECTORY, "/proc/%d/root", process_speaker(j->c->init.pid));
	return j->root_fd < 0 ? error_errno(err, -j->root_fd, "opening the container's root") : 0;
}

int container_exec(struct container *c, const struct exec_options *options, pid_t *pid,
		   struct error **err)
{
	__cleanup(cleanup_joiner) struct joiner j = {
		.c = c,
		.options = options,
		.sync_fd = -1,
		.console_fd = -1,
		.root_fd = -1,
		.setup = {.process = options->process,
			  .seccomp = options->config->lx.seccomp,
			  .annotations = &options->config->annotations,
			  .passed = options->passed,
			  .is_trampoline = options->is_trampoline},
	};
	__cleanup_cgroup struct cgroup *cg = NULL;
	__cleanup_fd int parent_fd = -1;
	int fds[2];
	int ret = namespaces_open_of(c->init.pid, &j.joined, err);

	*pid = 0;
	if (ret == 0)
		ret = open_root(&j, err);
	/* the pid may have become another's meanwhile */
	if (ret == 0 && !process_alive(&c->init))
		ret = error_set(err, ESRCH, "container not running");
	if (ret == 0)
		ret = open_console(options, &j.console_fd, err);
	if (ret == 0)
		ret = cgroup_open(c->cgroup_path, &cg, err);
	for (size_t i = 0; ret == 0 && i < options->cgroup_count; i++)
		ret = cgroup_enter_below(cg, options->cgroups[i], err);
	if (ret == 0)
		ret = sync_pair(fds, err);
	if (ret < 0)
		return ret;
	parent_fd = fds[0];
	j.sync_fd = fds[1];
	ret = start_joiner(&j, cg, parent_fd, pid, err);
	if (ret < 0 && *pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return ret;
}
