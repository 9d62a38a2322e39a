// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_deleted GO [device]: directories that were removed, what was in them, a device and a symbolic
 * link, files with other names, and the program itself, which it executes from a file that it
 * deletes.
 */
#include <stdbool.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "res.h"

static int directory, again, path_only, inner, inner_path, renamed, linked;
static int device = -1, device_path, symlinked, symlinked_again;
static pid_t child;

static int link_is(const char *of, const char *wanted)
{
	char got[256];
	ssize_t n = readlink(of, got, sizeof(got));

	return n == (ssize_t)strlen(wanted) && !memcmp(got, wanted, n);
}

static int fd_is(int fd, const char *wanted)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return link_is(path, wanted);
}

static void set_directories(const char *go)
{
	CHECK(!mkdir("/tmp/a", 0700) && !mkdir("/tmp/a/b", 0755) && !mkdir("/tmp/a/b/c", 0751));
	directory = open("/tmp/a/b/c", O_RDONLY | O_DIRECTORY);
	again = open("/tmp/a/b/c", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	path_only = open("/tmp/a/b", O_PATH);
	inner = open("/tmp/a/b/c/file", O_RDWR | O_CREAT, 0604);
	inner_path = open("/tmp/a/b/c/file", O_PATH);
	CHECK(directory >= 0 && again >= 0 && path_only >= 0 && inner >= 0 && inner_path >= 0);
	CHECK(writes(inner, "inside") && !unlink("/tmp/a/b/c/file"));
	child = fork();
	if (!child) {
		struct timespec ms10 = {0, 10000000};
		struct stat st;

		CHECK(!chdir("/tmp/a/b/c") && open("/tmp/moved", O_CREAT | O_WRONLY, 0600) >= 0);
		while (access(go, F_OK))
			nanosleep(&ms10, NULL);
		_exit(link_is("/proc/self/cwd", "/tmp/a/b/c (deleted)") && !stat(".", &st) &&
				      !st.st_nlink
			      ? 7
			      : 1);
	}
	while (access("/tmp/moved", F_OK))
		;
	CHECK(!rmdir("/tmp/a/b/c") && !rmdir("/tmp/a/b") && !rmdir("/tmp/a"));
	/* somebody else has the name now */
	CHECK(!mkdir("/tmp/a", 0700));
}

static void check_directories(void)
{
	struct stat st, other;
	char got[8] = "";
	int status;

	CHECK(!fstat(directory, &st) && S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0751);
	CHECK(!st.st_nlink && fd_is(directory, "/tmp/a/b/c (deleted)"));
	CHECK(!fstat(again, &other) && other.st_ino == st.st_ino);
	CHECK(openat(directory, "new", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT);
	CHECK(!fstat(path_only, &st) && S_ISDIR(st.st_mode) && !st.st_nlink);
	CHECK(fcntl(path_only, F_GETFL) & O_PATH && fcntl(inner_path, F_GETFL) & O_PATH);
	CHECK(!fstat(inner, &st) && !st.st_nlink && (st.st_mode & 0777) == 0604);
	CHECK(!fstat(inner_path, &other) && other.st_ino == st.st_ino);
	CHECK(pread(inner, got, 7, 0) == 6 && !strcmp(got, "inside"));
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
	CHECK(!rmdir("/tmp/a") && access("/tmp/a", F_OK) == -1);
}

static void set_nodes(bool with_device)
{
	const int how = O_PATH | O_NOFOLLOW;

	if (with_device) {
		CHECK(!mknod("/tmp/null", S_IFCHR | 0604, makedev(1, 3)));
		device = open("/tmp/null", O_RDWR | O_APPEND);
		device_path = open("/tmp/null", O_PATH);
		CHECK(device >= 0 && device_path >= 0 && !unlink("/tmp/null"));
	}
	CHECK(!symlink("where/it leads", "/tmp/link"));
	symlinked = open("/tmp/link", how);
	symlinked_again = open("/tmp/link", how | O_CLOEXEC);
	CHECK(symlinked >= 0 && symlinked_again >= 0 && !unlink("/tmp/link"));
}

static void check_device(void)
{
	struct stat st, other;
	char byte;

	CHECK(!fstat(device, &st) && st.st_mode == (S_IFCHR | 0604) && !st.st_nlink);
	CHECK(st.st_rdev == makedev(1, 3) && fcntl(device, F_GETFL) & O_APPEND);
	CHECK(writes(device, "into nothing") && !read(device, &byte, 1));
	CHECK(!fstat(device_path, &other) && other.st_ino == st.st_ino);
	CHECK(access("/tmp/null", F_OK) == -1);
}

static void check_nodes(void)
{
	struct stat st, other;
	char target[64];

	if (device >= 0)
		check_device();
	CHECK(!fstat(symlinked, &st) && S_ISLNK(st.st_mode) && !st.st_nlink);
	CHECK(!fstat(symlinked_again, &other) && other.st_ino == st.st_ino);
	CHECK(readlinkat(symlinked, "", target, sizeof(target)) == 14);
	CHECK(!memcmp(target, "where/it leads", 14));
	CHECK(fcntl(symlinked_again, F_GETFD) == FD_CLOEXEC && lstat("/tmp/link", &st) == -1);
}

static void set_names(void)
{
	CHECK(!mkdir("/tmp/x", 0700) && !mkdir("/tmp/y", 0700) && !mkdir("/tmp/y/z", 0700));
	renamed = open("/tmp/x/old", O_RDWR | O_CREAT, 0600);
	CHECK(renamed >= 0 && writes(renamed, "renamed") && !rename("/tmp/x/old", "/tmp/y/new"));
	linked = open("/tmp/x/one", O_RDWR | O_CREAT, 0600);
	CHECK(linked >= 0 && writes(linked, "linked"));
	CHECK(!link("/tmp/x/one", "/tmp/y/z/two") && !unlink("/tmp/x/one") && !rmdir("/tmp/x"));
}

static void check_names(void)
{
	struct stat st, other;

	CHECK(!fstat(renamed, &st) && !stat("/tmp/y/new", &other) && st.st_ino == other.st_ino);
	CHECK(lseek(renamed, 0, SEEK_CUR) == 7 && writes(renamed, "!"));
	CHECK(!fstat(linked, &st) && !stat("/tmp/y/z/two", &other) && st.st_ino == other.st_ino);
	CHECK(lseek(linked, 0, SEEK_SET) == 0 && reads(linked, "linked"));
}

#define PROGRAM "/tmp/program"

static void execute_deleted(char **argv)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to;

	if (link_is("/proc/self/exe", PROGRAM)) {
		CHECK(!unlink(PROGRAM));
		return;
	}
	to = open(PROGRAM, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	CHECK(from >= 0 && to >= 0);
	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	CHECK(!close(to));
	execv(PROGRAM, argv);
	CHECK(!"reached");
}

static void check_program(void)
{
	struct stat st;

	CHECK(!stat("/proc/self/exe", &st) && S_ISREG(st.st_mode));
	CHECK((st.st_mode & 0777) == 0700 && !st.st_nlink && access(PROGRAM, F_OK) == -1);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	umask(0);
	execute_deleted(argv);
	set_names();
	set_nodes(argc > 2);
	set_directories(argv[1]);
	ready_and_wait(argv[1]);
	check_program();
	check_names();
	check_nodes();
	check_directories();
	return passed();
}
