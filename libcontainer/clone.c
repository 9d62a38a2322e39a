// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/namespaces.h"
#include "libcontainer/sync.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Which namespaces clone3 makes: the others need something done first. */
#define AT_CLONE                                                                                   \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static pid_t clone_now(const struct clone_request *request, uint64_t flags, int *pidfd)
{
	struct clone_args args = {
		.flags = (request->new_types & AT_CLONE) | flags,
		.pidfd = (uintptr_t)pidfd,
		.exit_signal = flags & CLONE_PARENT ? 0 : SIGCHLD,
	};

	if (request->pid) {
		args.set_tid = (uintptr_t)&request->pid;
		args.set_tid_size = 1;
	}
	if (request->cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = request->cgroup_fd;
	}
	return syscall(SYS_clone3, &args, sizeof(args));
}

static int explain_clone(const struct clone_request *request, int code, struct error **err)
{
	if (code == EEXIST) {
		error_set(err, code, "pid %d is taken in the pid namespace that it shares",
			  request->pid);
		return error_hint(err, "end the process that has it, or wait until it has ended");
	}
	error_errno(err, code, "cloning the container's process");
	if (code == ENOSPC || code == EUSERS)
		return error_hint(err, "a limit in /proc/sys/user may be reached");
	if (code == EPERM)
		return error_hint(err, "who is not root needs a user namespace");
	return -code;
}

static _Noreturn void run_helper(const struct clone_request *request)
{
	struct error *err = NULL;
	pid_t pid = 0;
	int ret;

	/* processes in a joined pid namespace could use us to reach the host: CVE-2016-9962 */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	ret = namespaces_join(request->joined, JOINED_BEFORE, &err);
	if (ret == 0) {
		pid = clone_now(request, CLONE_PARENT, NULL);
		if (pid == 0)
			request->main(request->context);
		ret = pid < 0 ? explain_clone(request, errno, &err)
			      : sync_send(request->child_fd, SYNC_PID, pid, &err);
	}
	if (ret < 0)
		sync_send_error(request->child_fd, err);
	_exit(0);
}

static int clone_by_helper(const struct clone_request *request, pid_t *pid, int *pidfd,
			   struct error **err)
{
	pid_t helper = fork();
	int64_t value = 0;
	int ret;

	if (helper < 0)
		return error_errno(err, errno, "starting a helper");
	if (helper == 0)
		run_helper(request);
	ret = sync_receive(request->parent_fd, SYNC_PID, &value, err);
	while (waitpid(helper, NULL, 0) < 0 && errno == EINTR)
		;
	if (ret < 0)
		return ret;
	*pid = value;
	*pidfd = syscall(SYS_pidfd_open, *pid, 0);
	return *pidfd < 0 ? error_errno(err, errno, "opening the container's process") : 0;
}

static int clone_here(const struct clone_request *request, pid_t *pid, int *pidfd,
		      struct error **err)
{
	int code;

	*pid = clone_now(request, CLONE_PIDFD, pidfd);
	if (*pid == 0)
		request->main(request->context);
	if (*pid > 0)
		return 0;
	code = errno;
	*pid = 0;
	return explain_clone(request, code, err);
}

/*
 * Only children are born into a pid namespace, and there is a way back from it. They are not
 * dumpable from their first moment on: others in there could use them to reach the host
 * (CVE-2016-9962). Hooks, which come later, are not to be born there.
 */
static int clone_into_pid_namespace(const struct clone_request *request, pid_t *pid, int *pidfd,
				    struct error **err)
{
	__cleanup_fd int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	int dumpable = prctl(PR_GET_DUMPABLE);
	int ret;

	if (own < 0)
		return error_errno(err, errno, "opening the runtime's pid namespace");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	ret = namespaces_join(request->joined, CLONE_NEWPID, err);
	if (ret == 0)
		ret = clone_here(request, pid, pidfd, err);
	prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
	if (setns(own, CLONE_NEWPID) < 0 && ret == 0)
		ret = error_errno(err, errno, "leaving the pid namespace");
	return ret;
}

static bool may_come_back(void)
{
	__cleanup_fd int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	return own >= 0 && setns(own, CLONE_NEWPID) == 0;
}

bool clone_wants_helper(const struct namespace_fds *joined)
{
	uint64_t types = namespaces_types(joined);

	return types & CLONE_NEWUSER || (types & CLONE_NEWPID && !may_come_back());
}

int clone_process(const struct clone_request *request, pid_t *pid, int *pidfd, struct error **err)
{
	*pid = 0;
	if (clone_wants_helper(request->joined))
		return clone_by_helper(request, pid, pidfd, err);
	if (namespaces_types(request->joined) & CLONE_NEWPID)
		return clone_into_pid_namespace(request, pid, pidfd, err);
	return clone_here(request, pid, pidfd, err);
}
