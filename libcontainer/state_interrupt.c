// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* How long a worker may take to undo its checkpoint or restore. */
#define PATIENCE_MS 60000
/* One that stands still for so long, SIGCONT or not, has a tracer that keeps it there. */
#define STOPPED_PATIENCE_MS 2000
#define STEP_MS		    50

static int wait_ended(int pidfd, const struct process_id *who, bool force, struct error **err)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};
	int stopped = 0;

	for (int waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
		int r = poll(&pfd, 1, STEP_MS);

		if (r > 0)
			return 1;
		if (r < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for pid %d", who->pid);
		stopped = process_stopped(who) ? stopped + STEP_MS : 0;
		/* the container is put right by the next verb, as after any kill -9 */
		if (force && stopped >= STOPPED_PATIENCE_MS)
			pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	}
	return error_errno(err, ETIMEDOUT, "waiting for pid %d to be cancelled", who->pid);
}

/* 1 when it is gone, 0 if it was no more. SIGCONT, since who is stopped does not see SIGTERM. */
static int cancel(const struct process_id *who, bool force, struct error **err)
{
	__cleanup_fd int pidfd = pidfd_open(who->pid, 0);

	/* looked at again after opening: the pid may have been another's by then */
	if (pidfd < 0 || !process_alive(who))
		return 0;
	if ((pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0 ||
	     pidfd_send_signal(pidfd, SIGCONT, NULL, 0) < 0) &&
	    errno != ESRCH)
		return error_errno(err, errno, "cancelling pid %d", who->pid);
	return wait_ended(pidfd, who, force, err);
}

/* -ESRCH if there is none, or none that we see in our pid namespace. */
static int lock_holder(const char *root, const char *id, struct process_id *who)
{
	__cleanup_fd int fd = open_fmt(O_RDWR | O_NOFOLLOW, "%s/%s/lock", root, id);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct process_id found;

	if (fd < 0 || fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK || lock.l_pid <= 0)
		return -ESRCH;
	if (process_identify(lock.l_pid, &found) < 0)
		return -ESRCH;
	/* asked again: it held the lock while it was looked at */
	*who = found;
	lock.l_type = F_WRLCK;
	return fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK || lock.l_pid != found.pid
		       ? -ESRCH
		       : 0;
}

int container_interrupt(const char *root, const char *id, bool force, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	struct process_id holder;
	int r = container_read(root, id, &c, err);

	if (r < 0)
		return r;
	if (c->state == CONTAINER_CKPTING || c->state == CONTAINER_RSTRTING) {
		r = cancel(&c->worker, force, err);
		if (r < 0)
			return error_wrap(err, "cancelling \"%s\"", c->worker_verb);
		return r;
	}
	if (!force || lock_holder(root, id, &holder) < 0 || !process_stopped(&holder))
		return 0;
	r = cancel(&holder, force, err);
	return r < 0 ? error_wrap(err, "container \"%s\" is locked", id) : r;
}
