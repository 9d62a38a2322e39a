// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_fanotify GO user|admin|unread: marks of a directory and of a file by somebody without
 * privileges, or of a mount with something to be ignored by the administrator. "ready",
 * and with the file GO "PASS" if there are events for what happens and for nothing else.
 */
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

enum { GROUP = 20 };

static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && !close(fd));
}

static void in_child(const char *path)
{
	pid_t pid = fork();

	if (!pid) {
		make(path);
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void group(unsigned flags, unsigned event_flags)
{
	int fd = fanotify_init(flags | FAN_NONBLOCK, event_flags);

	CHECK(fd >= 0 && dup3(fd, GROUP, 0) == GROUP && !close(fd));
}

static int waiting(void)
{
	int bytes = -1;

	CHECK(!ioctl(GROUP, FIONREAD, &bytes));
	return bytes;
}

static char data[4096] __attribute__((aligned(8)));

static struct fanotify_event_metadata *next(void)
{
	CHECK(read(GROUP, data, sizeof(data)) >= (ssize_t)FAN_EVENT_METADATA_LEN);
	return (struct fanotify_event_metadata *)data;
}

/* Whom it was by is not told: another process. */
static void check_user(void)
{
	struct fanotify_event_metadata *e;

	in_child("/tmp/dir/new");
	e = next();
	CHECK(e->mask & FAN_CREATE && e->fd == FAN_NOFD && e->pid == 0);
	CHECK(!mkdir("/tmp/dir/newdir", 0700));
	e = next();
	CHECK(e->mask == (FAN_CREATE | FAN_ONDIR) && e->pid == getpid());
	make("/tmp/dir/file");
	e = next();
	CHECK(e->mask == FAN_MODIFY && e->pid == getpid());
}

static void check_admin(void)
{
	struct fanotify_event_metadata *e;
	char path[64], link[64] = "";

	make("/tmp/dir/ignored");
	CHECK(waiting() == 0);
	in_child("/tmp/dir/file");
	e = next();
	CHECK(e->mask == FAN_CLOSE_WRITE && e->fd >= 0 && e->pid > 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", e->fd);
	CHECK(readlink(path, link, sizeof(link) - 1) > 0 && !strcmp(link, "/tmp/dir/file"));
	CHECK((fcntl(e->fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	CHECK(!mkdir("/tmp/dir", 0700));
	make("/tmp/dir/file");
	make("/tmp/dir/ignored");
	if (!strcmp(argv[2], "admin")) {
		group(FAN_CLASS_NOTIF, O_RDONLY);
		CHECK(!fanotify_mark(GROUP, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE,
				     AT_FDCWD, "/"));
		CHECK(!fanotify_mark(
			GROUP, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY,
			FAN_CLOSE_WRITE, AT_FDCWD, "/tmp/dir/ignored"));
	} else {
		group(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY);
		CHECK(!fanotify_mark(GROUP, FAN_MARK_ADD, FAN_CREATE | FAN_ONDIR, AT_FDCWD,
				     "/tmp/dir"));
		CHECK(!fanotify_mark(GROUP, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, "/tmp/dir/file"));
	}
	if (!strcmp(argv[2], "unread"))
		make("/tmp/dir/unread");
	ready_and_wait(argv[1]);

	if (!strcmp(argv[2], "unread"))
		return waiting() > 0 ? passed() : 1;
	CHECK(fcntl(GROUP, F_GETFL) & O_NONBLOCK && waiting() == 0);
	if (!strcmp(argv[2], "admin"))
		check_admin();
	else
		check_user();
	CHECK(waiting() == 0);
	return passed();
}
