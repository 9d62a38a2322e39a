// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_inotify GO quiet|all|deleted: watches of directories and files whose numbers have
 * gaps, with masks that see directories being read (all) or not; deleted: of a file that
 * has no name any more. "ready", and with the file GO "PASS" if there is no event that
 * nobody has made, and one for each that somebody makes.
 */
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "res.h"

enum { FIRST = 20, SECOND };

static int keep(int number, int flags)
{
	int fd = inotify_init1(flags);

	CHECK(fd >= 0 && dup3(fd, number, flags & IN_CLOEXEC) == number && !close(fd));
	return number;
}

static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && !close(fd));
}

static int waiting(int fd)
{
	int bytes = -1;

	CHECK(!ioctl(fd, FIONREAD, &bytes));
	return bytes;
}

/* The next event is this one; name may be NULL. */
static int next_is(int fd, int wd, unsigned mask, const char *name)
{
	static char data[4096] __attribute__((aligned(8)));
	static ssize_t len, at;
	struct inotify_event *e;

	if (at >= len) {
		len = read(fd, data, sizeof(data));
		at = 0;
	}
	if (at >= len)
		return 0;
	e = (struct inotify_event *)(data + at);
	at += sizeof(*e) + e->len;
	if (e->wd == wd && e->mask == mask && (name ? e->len && !strcmp(e->name, name) : !e->len))
		return 1;
	printf("event %d %#x %s, wanted %d %#x %s\n", e->wd, e->mask, e->len ? e->name : "", wd,
	       mask, name ? name : "");
	return 0;
}

int main(int argc, char **argv)
{
	unsigned mask = IN_CREATE | IN_MODIFY | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB;
	char buffer[4096];

	CHECK(argc == 3);
	if (!strcmp(argv[2], "all"))
		mask = IN_ALL_EVENTS;
	CHECK(!mkdir("/tmp/dir", 0700) && !mkdir("/tmp/dir/below", 0700));
	make("/tmp/dir/file");
	make("/tmp/dir/other");
	keep(FIRST, IN_NONBLOCK | IN_CLOEXEC);
	keep(SECOND, 0);
	CHECK(inotify_add_watch(FIRST, "/tmp/dir", mask) == 1);
	CHECK(inotify_add_watch(FIRST, "/etc", IN_CREATE) == 2);
	CHECK(inotify_add_watch(FIRST, "/tmp/dir/other", IN_MODIFY) == 3);
	CHECK(inotify_add_watch(FIRST, "/tmp/dir/below", IN_CREATE | IN_ONESHOT) == 4);
	CHECK(!inotify_rm_watch(FIRST, 2) && !inotify_rm_watch(FIRST, 3));
	CHECK(inotify_add_watch(FIRST, "/tmp/dir/file", IN_MODIFY | IN_DELETE_SELF) == 5);
	CHECK(read(FIRST, buffer, sizeof(buffer)) > 0);
	CHECK(inotify_add_watch(SECOND, "/", IN_DELETE | IN_EXCL_UNLINK) == 1);
	CHECK(inotify_add_watch(SECOND, "/tmp/dir/file", IN_ATTRIB) == 2);
	if (!strcmp(argv[2], "deleted")) {
		make("/tmp/gone");
		CHECK(inotify_add_watch(SECOND, "/tmp/gone", IN_MODIFY) == 3);
		CHECK(open("/tmp/gone", O_RDWR) >= 0 && !unlink("/tmp/gone"));
	}
	/* the directory of GO is none that is watched */
	ready_and_wait(argv[1]);

	CHECK(fcntl(FIRST, F_GETFL) == O_NONBLOCK && fcntl(FIRST, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(SECOND, F_GETFL) == 0 && fcntl(SECOND, F_GETFD) == 0);
	CHECK(waiting(FIRST) == 0 && waiting(SECOND) == 0);
	if (!strcmp(argv[2], "deleted"))
		return passed();
	CHECK(!mkdir("/tmp/dir/new", 0700));
	CHECK(next_is(FIRST, 1, IN_CREATE | IN_ISDIR, "new"));
	CHECK(!mkdir("/tmp/dir/below/a", 0700) && !mkdir("/tmp/dir/below/b", 0700));
	CHECK(next_is(FIRST, 4, IN_CREATE | IN_ISDIR, "a") && next_is(FIRST, 4, IN_IGNORED, NULL));
	CHECK(waiting(FIRST) == 0);
	CHECK(!rename("/tmp/dir/other", "/tmp/dir/else"));
	CHECK(next_is(FIRST, 1, IN_MOVED_FROM, "other") && next_is(FIRST, 1, IN_MOVED_TO, "else"));
	CHECK(!chmod("/tmp/dir/file", 0600) && next_is(FIRST, 1, IN_ATTRIB, "file"));
	CHECK(next_is(SECOND, 2, IN_ATTRIB, NULL) && waiting(SECOND) == 0);
	CHECK(!truncate("/tmp/dir/file", 0) && next_is(FIRST, 1, IN_MODIFY, "file"));
	CHECK(next_is(FIRST, 5, IN_MODIFY, NULL));
	/* what is watched already keeps its number; a new one gets one that nobody has */
	CHECK(inotify_add_watch(FIRST, "/tmp/dir/file", IN_MODIFY) == 5);
	CHECK(inotify_add_watch(FIRST, "/etc", IN_CREATE) == 6);
	return passed();
}
