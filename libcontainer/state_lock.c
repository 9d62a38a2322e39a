// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may work on a container. The lock is held for moments; during long work the state says
 * that there is somebody, and who else wants the container waits for that or is told.
 */
#include "libcontainer/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/state.h"
#include "util/cleanup.h"
#include "util/error.h"

/* A verb that holds the lock in a lasting state is done in milliseconds: give it so long. */
#define LOCK_PATIENCE_MS 10000

/*
 * A POSIX lock, and not flock() or an OFD lock: those pass to children by
 * fork, so that the init of a killed `create` would hold it for ever. The file
 * must be opened once only, since any close() of it drops the lock.
 */
int state_lock_try(int fd, bool wait)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int r;

	do
		r = fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

int state_lock_open(struct container *c)
{
	int fd = openat(c->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

/* -EBUSY naming who works on it. */
static int busy(const struct container *c, struct error **err)
{
	char since[32] = "?";
	struct tm tm;
	time_t when = c->worker_since;

	if (gmtime_r(&when, &tm))
		strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &tm);
	error_set(err, EBUSY, "container \"%s\" is %s: busy with \"%s\", pid %d, since %s", c->id,
		  container_state_name(c->state), c->worker_verb, c->worker.pid, since);
	return error_hint(err, "try again later, or with --wait");
}

static bool worked_on(const struct container *c)
{
	/* whoever goes through FROZEN keeps the lock meanwhile, and is done in milliseconds */
	return container_state_passes(c->state) && process_alive(&c->worker);
}

/* Whoever waits for its hook is not to be waited for by that. */
static int caught_in_hook(const struct container *c, pid_t pid, struct error **err)
{
	error_set(err, EDEADLK, "container \"%s\" is worked on by pid %d, which waits for this",
		  c->id, pid);
	return error_hint(err, "a hook that runs when the work is done, poststart, can do it");
}

/* 0: nobody that is seen in this pid namespace. */
static pid_t holder_of(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

/*
 * Takes the lock from whoever has it. In a lasting state its holder is about
 * to let go, so that engines which call two verbs at once see no failure.
 */
static int lock_patiently(struct container *c, int fd, bool wait, struct error **err)
{
	for (int waited = 0;; waited++) {
		pid_t holder = wait ? holder_of(fd) : 0;
		int r;

		if (holder > 0 && process_is_above(holder))
			return caught_in_hook(c, holder, err);
		r = state_lock_try(fd, wait);
		if (r == 0)
			return 0;
		if (r != -EAGAIN)
			return error_errno(err, -r, "locking container \"%s\"", c->id);
		r = state_read(c, err);
		if (r < 0)
			return r;
		if (worked_on(c))
			return busy(c, err);
		if (waited >= LOCK_PATIENCE_MS)
			return error_set(err, EBUSY,
					 "container \"%s\" stays locked by another verb", c->id);
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
}

int state_lock_take(struct container *c, bool wait, struct error **err)
{
	__cleanup_fd int fd = state_lock_open(c);
	struct stat st;
	int r;

	if (fd == -ENOENT)
		return error_set(err, ENOENT, "container \"%s\" does not exist", c->id);
	if (fd < 0)
		return error_errno(err, -fd, "opening the lock of container \"%s\"", c->id);
	r = lock_patiently(c, fd, wait, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return error_set(err, ENOENT, "container \"%s\" does not exist", c->id);
	c->lock_fd = take_fd(&fd);
	return 0;
}

void container_unlock(struct container *c)
{
	int saved = errno;

	if (c->lock_fd >= 0)
		close(c->lock_fd);
	c->lock_fd = -1;
	errno = saved;
}

int container_lock(struct container *c, struct error **err)
{
	if (c->lock_fd >= 0)
		return 0;
	return state_lock_take(c, true, err);
}

/*
 * Waits, with the lock not held, until the state file is replaced or its
 * worker is gone. watch was set up while the lock was held: nothing is missed.
 */
static int wait_for_worker(struct container *c, int watch, struct error **err)
{
	__cleanup_fd int pidfd = pidfd_open(c->worker.pid, 0);
	struct pollfd fds[] = {
		{.fd = watch, .events = POLLIN},
		{.fd = pidfd, .events = POLLIN},
	};
	char events[4096];

	if (pidfd < 0 || !process_alive(&c->worker))
		return 0;
	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "waiting for container \"%s\"", c->id);
	if (fds[0].revents && read(watch, events, sizeof(events)) < 0 && errno != EAGAIN)
		return error_errno(err, errno, "waiting for container \"%s\"", c->id);
	return 0;
}

static int watch_state(const struct container *c, struct error **err)
{
	__cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->dir_fd);
	if (watch < 0 || inotify_add_watch(watch, path, IN_MOVED_TO | IN_DELETE_SELF) < 0)
		return error_errno(err, errno, "watching container \"%s\"", c->id);
	return take_fd(&watch);
}

int state_lock_idle(struct container *c, bool wait, struct error **err)
{
	for (;;) {
		__cleanup_fd int watch = -1;
		int r = state_lock_take(c, wait, err);

		if (r < 0)
			return r;
		r = state_read(c, err);
		if (r < 0)
			return r;
		if (!worked_on(c))
			return 0;
		if (!wait)
			return busy(c, err);
		if (process_is_above(c->worker.pid))
			return caught_in_hook(c, c->worker.pid, err);
		watch = watch_state(c, err);
		if (watch < 0)
			return watch;
		container_unlock(c);
		r = wait_for_worker(c, watch, err);
		if (r < 0)
			return r;
	}
}
