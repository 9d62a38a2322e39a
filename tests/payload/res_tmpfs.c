// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is in file systems in memory: /run and /dev/shm, tmpfs both, which begin empty. With
 * a further argument it does something else: "stale" leaves the file of a socket, a number is
 * the mask of a watch for /run.
 */
#include <limits.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "res.h"

#define SPARSE_SIZE (64ll << 30)
#define SPARSE_TAIL "behind a hole"
#define ODD_KEY	    "user.a=b 100% \xc3\xbc%41"
#define LINKS	    40
#define ODD_NAME    "\xff odd\nname \xc3\xa9"

static struct stat before[16];
static char xattrs[2][64];
static ssize_t xattrs_len[2];
static int had_core, had_zero; /* what could not be removed */

/* Everything of these that a restore brings back. */
static const char *const names[] = {
	"/run/dir/file", "/run/dir/link", "/run/dir/fifo", "/run/dir/null",
	"/run/dir/sub",	 "/run/dir",	  "/run/sparse",   "/run/full",
	"/run/hole",	 "/run/empty",	  "/dev/shm/one",  ("/run/" ODD_NAME),
	"/run",		 "/dev/shm",	  "/dev",	   "/dev/null",
};
#define NAMES (sizeof(names) / sizeof(*names))

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0 && writes(fd, text) && !fchmod(fd, mode) && !close(fd));
}

static int holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY), same = fd >= 0 && reads(fd, text);

	close(fd);
	return same;
}

static char *make_long_path(char *path)
{
	char *end = path + sprintf(path, "/run");

	for (int i = 0; i < 12; i++) {
		*end++ = '/';
		memset(end, 'a' + i, 200);
		end[200] = '\0';
		end += 200;
		CHECK(!mkdir(path, 0711));
	}
	strcpy(end, "/file");
	return path;
}

static void make_sparse(void)
{
	int fd = open("/run/sparse", O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0 && pwrite(fd, "begin", 5, 0) == 5 &&
	      pwrite(fd, SPARSE_TAIL, sizeof(SPARSE_TAIL), SPARSE_SIZE / 2) > 0 &&
	      !ftruncate(fd, SPARSE_SIZE));
	close(fd);
	fd = open("/run/hole", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, SPARSE_SIZE) && !close(fd));
	put("/run/empty", "", 0600);
	/* room that is reserved, and nothing written */
	fd = open("/run/full", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && !posix_fallocate(fd, 0, 256 << 10));
	close(fd);
}

static int bind_socket(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, path);
	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&un, sizeof(un)) && !listen(fd, 3));
	return fd;
}

/* More than one at a time has names yet to come. */
static void make_links(void)
{
	char name[32], other[32];

	CHECK(!mkdir("/run/links", 0700) && !mkdir("/run/others", 0700));
	for (int i = 0; i < LINKS; i++) {
		sprintf(name, "/run/links/%d", i);
		sprintf(other, "/run/others/%d", LINKS - i);
		put(name, other, 0600);
		CHECK(!link(name, other));
	}
}

static void check_links(void)
{
	char name[32], other[32];
	struct stat a, b;

	for (int i = 0; i < LINKS; i++) {
		sprintf(name, "/run/links/%d", i);
		sprintf(other, "/run/others/%d", LINKS - i);
		CHECK(holds(name, other));
		CHECK(!stat(name, &a) && !stat(other, &b) && a.st_ino == b.st_ino);
	}
}

static void make_all(void)
{
	const struct timespec old[2] = {{1000000, 123456789}, {2000000, 987654321}};

	CHECK(!mkdir("/run/dir", 0750) && !mkdir("/run/dir/sub", 0700));
	put("/run/dir/file", "contents", 0640);
	put("/dev/shm/one", "shared", 0600);
	put(("/run/" ODD_NAME), "odd", 04755);
	CHECK(!symlink("../nowhere", "/run/dir/link") && !mkfifo("/run/dir/fifo", 0622));
	/* nobody may in a user namespace */
	if (mknod("/run/dir/null", S_IFCHR | 0666, makedev(1, 3)))
		put("/run/dir/null", "", 0666);
	CHECK(!link("/run/dir/file", "/run/dir/sub/other") && !link("/run/dir/file", "/run/third"));
	CHECK(!lchown("/run/dir/file", 1000, 2000) && !lchown("/run/dir/link", 7, 8));
	CHECK(!chmod("/run/dir/file", 06711));
	make_sparse();
	make_links();
	CHECK(!utimensat(AT_FDCWD, "/run/dir/file", old, 0));
	CHECK(!utimensat(AT_FDCWD, "/run/dir/link", old, AT_SYMLINK_NOFOLLOW));
	CHECK(!utimensat(AT_FDCWD, "/run/dir/sub", old, 0));
}

/* Where the kernel knows them in a tmpfs. */
static void set_xattrs(const char *path)
{
	static const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entry[5];
	} acl = {2, {{1, 6, -1}, {2, 4, 1000}, {4, 4, -1}, {16, 4, -1}, {32, 0, -1}}};

	CHECK(!setxattr(path, ODD_KEY, "\0\1\2", 3, 0) || errno == EOPNOTSUPP);
	CHECK(!setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0) ||
	      errno == EOPNOTSUPP);
}

static void get_xattrs(const char *path, char value[2][64], ssize_t len[2])
{
	len[0] = getxattr(path, ODD_KEY, value[0], 64);
	len[1] = getxattr(path, "system.posix_acl_access", value[1], 64);
}

/* Not what nobody can set. */
static int is_same(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
	       (S_ISDIR(a->st_mode) || a->st_size == b->st_size) && a->st_nlink == b->st_nlink &&
	       a->st_blocks == b->st_blocks && a->st_rdev == b->st_rdev &&
	       !memcmp(&a->st_mtim, &b->st_mtim, sizeof(a->st_mtim)) &&
	       (S_ISDIR(a->st_mode) || !memcmp(&a->st_atim, &b->st_atim, sizeof(a->st_atim)));
}

static void look_before(void)
{
	for (size_t i = 0; i < NAMES; i++)
		CHECK(!lstat(names[i], &before[i]));
	get_xattrs("/dev/shm/one", xattrs, xattrs_len);
}

static void look_after(void)
{
	char value[2][64];
	ssize_t len[2];
	struct stat now;

	get_xattrs("/dev/shm/one", value, len);
	for (int i = 0; i < 2; i++)
		CHECK(len[i] == xattrs_len[i] &&
		      (len[i] < 0 || !memcmp(value[i], xattrs[i], len[i])));
	for (size_t i = 0; i < NAMES; i++) {
		CHECK(!lstat(names[i], &now));
		if (!is_same(&before[i], &now))
			printf("FAIL %s: mode %o %o, uid %u %u, size %lld %lld, links %lu %lu, "
			       "blocks %ld %ld, mtime %ld.%09ld %ld.%09ld, atime %ld.%09ld "
			       "%ld.%09ld\n",
			       names[i], before[i].st_mode, now.st_mode, before[i].st_uid,
			       now.st_uid, (long long)before[i].st_size, (long long)now.st_size,
			       (unsigned long)before[i].st_nlink, (unsigned long)now.st_nlink,
			       (long)before[i].st_blocks, (long)now.st_blocks,
			       before[i].st_mtim.tv_sec, before[i].st_mtim.tv_nsec,
			       now.st_mtim.tv_sec, now.st_mtim.tv_nsec, before[i].st_atim.tv_sec,
			       before[i].st_atim.tv_nsec, now.st_atim.tv_sec, now.st_atim.tv_nsec);
		CHECK(is_same(&before[i], &now));
	}
}

static void check_contents(const char *long_path)
{
	struct stat a, b, c;
	char text[64] = "";
	int fd = open("/run/sparse", O_RDONLY);

	CHECK(pread(fd, text, sizeof(SPARSE_TAIL), SPARSE_SIZE / 2) == sizeof(SPARSE_TAIL) &&
	      !strcmp(text, SPARSE_TAIL));
	CHECK(lseek(fd, 1 << 20, SEEK_DATA) == SPARSE_SIZE / 2 && !close(fd));
	CHECK(holds("/run/dir/sub/other", "contents") && holds("/dev/shm/one", "shared"));
	CHECK(holds(("/run/" ODD_NAME), "odd") && holds(long_path, "deep"));
	CHECK(!stat("/run/dir/file", &a) && !stat("/run/dir/sub/other", &b) &&
	      !stat("/run/third", &c) && a.st_ino == b.st_ino && b.st_ino == c.st_ino);
	CHECK(readlink("/run/dir/link", text, sizeof(text)) == 10 &&
	      !strncmp(text, "../nowhere", 10));
	CHECK((access("/dev/core", F_OK) == 0) == had_core);
	CHECK((access("/dev/zero", F_OK) == 0) == had_zero);
}

/* What is mapped and open is the same file as what its names lead to. */
struct shared {
	int fd, gone;
	char *map;
};

static void share(struct shared *s)
{
	s->fd = shm_open("/mapped", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(s->fd >= 0 && !ftruncate(s->fd, 1 << 20));
	s->map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	CHECK(s->map != MAP_FAILED);
	strcpy(s->map + 4096, "by the map");
	s->gone = open("/dev/shm/gone", O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(s->gone >= 0 && writes(s->gone, "deleted") && !unlink("/dev/shm/gone"));
}

static void check_shared(const struct shared *s)
{
	char text[16] = "";
	int fd = open("/dev/shm/mapped", O_RDWR);

	CHECK(fd >= 0 && !strcmp(s->map + 4096, "by the map"));
	CHECK(pread(fd, text, 10, 4096) == 10 && !strcmp(text, "by the map"));
	strcpy(s->map, "seen");
	CHECK(pread(fd, text, 5, 0) == 5 && !strcmp(text, "seen"));
	CHECK(pwrite(s->fd, "back", 5, 8192) == 5 && !strcmp(s->map + 8192, "back"));
	CHECK(pread(s->gone, text, 8, 0) == 7 && !memcmp(text, "deleted", 7));
	CHECK(access("/dev/shm/gone", F_OK));
}

int main(int argc, char **argv)
{
	char long_path[PATH_MAX];
	struct shared shared;
	struct stat st;
	int listener;

	umask(0);
	CHECK(argc >= 2);
	if (argc > 2) {
		if (!strcmp(argv[2], "stale"))
			close(bind_socket("/run/stale"));
		else
			CHECK(inotify_add_watch(inotify_init(), "/run", strtol(argv[2], NULL, 0)) ==
			      1);
		ready_and_wait(argv[1]);
		return passed();
	}
	make_all();
	put(make_long_path(long_path), "deep", 0600);
	listener = bind_socket("/run/dir/bound");
	share(&shared);
	set_xattrs("/dev/shm/one");
	/* made by the start; in a user namespace something is mounted there */
	unlink("/dev/core");
	had_core = !access("/dev/core", F_OK);
	had_zero = unlink("/dev/zero") != 0;
	look_before();
	ready_and_wait(argv[1]);
	look_after();
	check_contents(long_path);
	check_links();
	check_shared(&shared);
	CHECK(!fstat(listener, &st) && !stat("/run/dir/bound", &st) && S_ISSOCK(st.st_mode));
	return passed();
}
