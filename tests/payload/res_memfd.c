// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_memfd GO [huge]: memory files with seals, open more than once, mapped by two
 * processes, privately and shared, executed; with "huge" those of huge pages alone.
 */
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC	0x10u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

#define MIB (1 << 20)

static int named(int fd, const char *name)
{
	char path[64], link[300], wanted[300];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, link, sizeof(link));
	snprintf(wanted, sizeof(wanted), "/memfd:%s (deleted)", name);
	return n == (ssize_t)strlen(wanted) && !memcmp(link, wanted, n);
}

static int reopened(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags);
	CHECK(fd >= 0);
	return fd;
}

/* --- contents, sizes, two descriptions of one --- */

static int plain, reader, duplicate, empty, path_only;
static struct timespec changed;

static void set_plain(void)
{
	struct stat st;

	plain = memfd_create("a name", MFD_CLOEXEC);
	CHECK(plain >= 0 && !ftruncate(plain, 10 * MIB + 5));
	CHECK(pwrite(plain, "begin", 5, 0) == 5 && pwrite(plain, "end", 3, 10 * MIB + 2) == 3);
	CHECK(!fchmod(plain, 0640) && lseek(plain, 7, SEEK_SET) == 7);
	reader = reopened(plain, O_RDONLY | O_APPEND);
	CHECK(lseek(reader, 10 * MIB, SEEK_SET) == 10 * MIB);
	duplicate = dup(plain);
	empty = memfd_create("", 0);
	path_only = reopened(plain, O_PATH);
	CHECK(!fstat(plain, &st));
	changed = st.st_mtim;
}

static void check_plain(void)
{
	char got[8];
	struct stat st, other;

	CHECK(named(plain, "a name") && named(reader, "a name") && named(empty, ""));
	CHECK(!fstat(plain, &st) && st.st_size == 10 * MIB + 5 && (st.st_mode & 0777) == 0640);
	CHECK(st.st_blocks < 100 && st.st_mtim.tv_sec == changed.tv_sec &&
	      st.st_mtim.tv_nsec == changed.tv_nsec);
	CHECK(pread(plain, got, 5, 0) == 5 && !memcmp(got, "begin", 5));
	CHECK(read(reader, got, 8) == 5 && !memcmp(got, "\0\0end", 5));
	CHECK(write(reader, "x", 1) == -1 && errno == EBADF && fcntl(reader, F_GETFL) & O_APPEND);
	CHECK(lseek(plain, 0, SEEK_CUR) == 7 && fcntl(plain, F_GETFD) == FD_CLOEXEC);
	CHECK(lseek(duplicate, 9, SEEK_SET) == 9 && lseek(plain, 0, SEEK_CUR) == 9);
	CHECK(!fstat(reader, &other) && other.st_ino == st.st_ino);
	CHECK(!fstat(path_only, &other) && other.st_ino == st.st_ino);
	CHECK(fcntl(path_only, F_GETFL) & O_PATH);
	CHECK(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL && fcntl(empty, F_GET_SEALS) == F_SEAL_SEAL);
	CHECK(!fstat(empty, &st) && st.st_size == 0 && writes(empty, "grows"));
}

/* --- seals --- */

static int sealed[5];
static const int seals[5] = {
	0,
	F_SEAL_SHRINK | F_SEAL_GROW,
	F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL,
	F_SEAL_FUTURE_WRITE,
	F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_SEAL,
};
static char *future_map, *sealed_map;
static int noexec = -1, exec = -1;

static void set_seals(void)
{
	for (int i = 0; i < 5; i++) {
		sealed[i] = memfd_create("sealed", MFD_ALLOW_SEALING);
		CHECK(sealed[i] >= 0 && writes(sealed[i], "contents"));
		if (i == 4) {
			future_map =
				mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, sealed[i], 0);
			CHECK(future_map != MAP_FAILED);
		}
		CHECK(!fcntl(sealed[i], F_ADD_SEALS, seals[i]));
	}
	/* shared, and readable alone: it is allowed since 6.7 */
	sealed_map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, sealed[2], 0);
	noexec = memfd_create("noexec", MFD_NOEXEC_SEAL);
	exec = memfd_create("exec", MFD_EXEC);
}

static void check_seals(void)
{
	struct stat st;

	for (int i = 0; i < 5; i++)
		CHECK(fcntl(sealed[i], F_GET_SEALS) == seals[i]);
	CHECK(pwrite(sealed[0], "x", 1, 0) == 1 && !ftruncate(sealed[0], 1));
	CHECK(pwrite(sealed[1], "x", 1, 0) == 1 && ftruncate(sealed[1], 1) == -1);
	CHECK(pwrite(sealed[2], "x", 1, 0) == -1 && errno == EPERM);
	CHECK(!fcntl(sealed[1], F_ADD_SEALS, F_SEAL_WRITE));
	CHECK(fcntl(sealed[2], F_ADD_SEALS, F_SEAL_GROW) == -1);
	CHECK(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, sealed[3], 0) == MAP_FAILED);
	/* who had mapped it before may still write */
	CHECK(!memcmp(future_map, "contents", 8));
	future_map[0] = 'C';
	if (sealed_map != MAP_FAILED)
		CHECK(!memcmp(sealed_map, "contents", 8));
	if (noexec < 0)
		return;
	CHECK(fcntl(noexec, F_GET_SEALS) == F_SEAL_EXEC);
	CHECK(!fstat(noexec, &st) && (st.st_mode & 0777) == 0666 && fchmod(noexec, 0777) == -1);
	CHECK(fcntl(exec, F_GET_SEALS) == F_SEAL_SEAL);
	CHECK(!fstat(exec, &st) && (st.st_mode & 0777) == 0777);
}

/* --- mappings, with a child that has the file open and mapped too --- */

static int mapped, child_says[2];
static char *shared, *own;
static pid_t child;

static void wait_go(const char *go)
{
	struct timespec ms10 = {0, 10000000};

	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
}

static void set_mapped(const char *go)
{
	mapped = memfd_create("mapped", MFD_ALLOW_SEALING);
	CHECK(!ftruncate(mapped, 3 * 4096) && !pipe(child_says));
	shared = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 0);
	own = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapped, 0);
	CHECK(shared != MAP_FAILED && own != MAP_FAILED);
	strcpy(shared, "first");
	strcpy(shared + 4096, "second");
	strcpy(own + 4096, "private");
	child = fork();
	if (!child) {
		char *again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 8192);

		strcpy(again, "child's");
		if (write(child_says[1], "x", 1) != 1)
			_exit(1);
		wait_go(go);
		strcpy(again, "after");
		if (pwrite(mapped, "wrote", 6, 100) != 6)
			_exit(2);
		_exit(strcmp(own + 4096, "private") ? 3 : 0);
	}
}

static void check_mapped(void)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(!strcmp(shared, "first") && !strcmp(shared + 4096, "second"));
	CHECK(!strcmp(shared + 8192, "after") && !strcmp(shared + 100, "wrote"));
	CHECK(!strcmp(own + 4096, "private"));
	/* pages that were not written to are still the file's */
	strcpy(shared, "changed");
	CHECK(!strcmp(own, "changed"));
	CHECK(!munmap(shared, 3 * 4096));
}

/* --- huge pages --- */

#define HUGE (2 * MIB)

static int huge;
static char *huge_map;

static void set_huge(void)
{
	huge = memfd_create("huge", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING);
	CHECK(huge >= 0 && !ftruncate(huge, 3 * HUGE));
	huge_map = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, huge, HUGE);
	CHECK(huge_map != MAP_FAILED);
	strcpy(huge_map + HUGE + 12345, "huge");
	CHECK(!fcntl(huge, F_ADD_SEALS, F_SEAL_GROW));
}

static void check_huge(void)
{
	char got[8];
	struct stat st;

	CHECK(named(huge, "huge") && !fstat(huge, &st) && st.st_size == 3 * HUGE);
	CHECK(st.st_blksize == HUGE && st.st_blocks == HUGE / 512);
	CHECK(fcntl(huge, F_GET_SEALS) == F_SEAL_GROW);
	CHECK(!strcmp(huge_map + HUGE + 12345, "huge"));
	CHECK(pread(huge, got, 5, 2 * HUGE + 12345) == 5 && !strcmp(got, "huge"));
	strcpy(huge_map, "x");
	CHECK(pread(huge, got, 2, HUGE) == 2 && !strcmp(got, "x"));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2 || argc == 3);
	if (argc == 3) {
		set_huge();
		ready_and_wait(argv[1]);
		check_huge();
		return passed();
	}
	set_plain();
	set_seals();
	set_mapped(argv[1]);
	CHECK(read(child_says[0], argv[0], 1) == 1);
	ready_and_wait(argv[1]);
	check_plain();
	check_seals();
	check_mapped();
	return passed();
}
