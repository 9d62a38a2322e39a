// SPDX-License-Identifier: GPL-2.0-only
/* res_files GO: files with and without a name, directories, devices, pipes, FIFOs. */
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "res.h"

#define HIGH 700

static struct {
	int file, append, directory, deleted, deleted_again, nullfd, proc, path, fifo;
	int pipe[2];
	char *map;
} own;

static void open_names(void)
{
	CHECK(!mkdir("/tmp/d", 0755) && !mkdir("/tmp/d/1", 0755) && !mkdir("/tmp/d/2", 0755));
	own.file = open("/tmp/d/file", O_RDWR | O_CREAT, 0644);
	CHECK(own.file >= 0 && writes(own.file, "hello world"));
	CHECK(lseek(own.file, 6, SEEK_SET) == 6 && dup2(own.file, HIGH) == HIGH);
	own.append = open("/tmp/d/append", O_WRONLY | O_CREAT | O_APPEND, 0644);
	CHECK(own.append >= 0 && writes(own.append, "x"));
	own.directory = open("/tmp/d", O_RDONLY | O_DIRECTORY);
	own.path = open("/tmp/d/file", O_PATH | O_CLOEXEC);
	own.nullfd = open("/dev/null", O_WRONLY);
	own.proc = open("/proc/self/status", O_RDONLY);
	CHECK(own.directory >= 0 && own.path >= 0 && own.nullfd >= 0 && own.proc >= 0);
	CHECK(!chdir("/tmp/d/1"));
	umask(027);
}

static void open_deleted(void)
{
	own.deleted = open("/tmp/d/gone", O_RDWR | O_CREAT, 0640);
	own.deleted_again = open("/tmp/d/gone", O_RDONLY | O_CLOEXEC);
	CHECK(own.deleted >= 0 && own.deleted_again >= 0 && writes(own.deleted, "ghostly"));
	CHECK(!ftruncate(own.deleted, 8192));
	own.map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, own.deleted, 0);
	CHECK(own.map != MAP_FAILED && !unlink("/tmp/d/gone"));
	strcpy(own.map + 4096, "mapped");
}

static void open_pipes(void)
{
	CHECK(!pipe2(own.pipe, O_NONBLOCK) && writes(own.pipe[1], "in the pipe"));
	CHECK(fcntl(own.pipe[0], F_SETPIPE_SZ, 131072) == 131072);
	CHECK(!mkfifo("/tmp/d/fifo", 0600));
	own.fifo = open("/tmp/d/fifo", O_RDWR);
	CHECK(own.fifo >= 0 && writes(own.fifo, "in the fifo"));
}

/* What smaps shows for one, another may really be called; the last one has lost its name. */
static const char *const odd[] = {"/tmp/d/a\nb",	"/tmp/d/a\\012b",
				  "/tmp/d/zero",	"/tmp/d/zero (deleted)",
				  "/memfd:x (deleted)", "/tmp/d/odd (deleted)"};
#define ODD (sizeof(odd) / sizeof(*odd))
static char *views[ODD];

/* Mapped alone: descriptors have names of their own. */
static void map_odd_names(void)
{
	for (size_t i = 0; i < ODD; i++) {
		int fd = open(odd[i], O_RDWR | O_CREAT, 0600);

		CHECK(fd >= 0 && writes(fd, odd[i]));
		views[i] = mmap(NULL, 64, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(views[i] != MAP_FAILED && !close(fd));
	}
	CHECK(!unlink(odd[ODD - 1]));
}

static void check_odd_names(void)
{
	for (size_t i = 0; i < ODD; i++) {
		int fd = open(odd[i], O_RDWR);
		char c;

		CHECK(!strcmp(views[i], odd[i]));
		*views[i] = 'X';
		CHECK((fd < 0) == (i == ODD - 1));
		CHECK(fd < 0 || (pread(fd, &c, 1, 0) == 1 && c == 'X' && !close(fd)));
	}
}

static void check_names(void)
{
	struct stat st;
	char text[32];

	CHECK(reads(HIGH, "world") && lseek(own.file, 0, SEEK_CUR) == 11);
	CHECK(writes(own.append, "y") && !fstat(own.append, &st) && st.st_size == 2);
	CHECK(openat(own.directory, "file", O_RDONLY | O_CLOEXEC) >= 0);
	CHECK(fcntl(own.path, F_GETFL) & O_PATH && fcntl(own.path, F_GETFD) == FD_CLOEXEC);
	CHECK(writes(own.nullfd, "x") && !fstat(own.nullfd, &st) && S_ISCHR(st.st_mode));
	CHECK(read(own.proc, text, 15) == 15 && !memcmp(text, "Name:\tres_files", 15));
	CHECK(getcwd(text, sizeof(text)) && !strcmp(text, "/tmp/d/1"));
	CHECK(umask(0) == 027 && fcntl(HIGH + 1, F_GETFD) < 0);
}

static void check_deleted(void)
{
	struct stat st;
	char text[8] = "";

	CHECK(!fstat(own.deleted, &st) && !st.st_nlink && (st.st_mode & 0777) == 0640);
	CHECK(pread(own.deleted, text, 7, 0) == 7 && !strcmp(text, "ghostly"));
	CHECK(lseek(own.deleted, 0, SEEK_CUR) == 7 && lseek(own.deleted_again, 0, SEEK_CUR) == 0);
	CHECK(!strcmp(own.map + 4096, "mapped"));
	/* one file, whichever way it is looked at */
	CHECK(pwrite(own.deleted, "G", 1, 0) == 1 && *own.map == 'G');
	CHECK(pread(own.deleted_again, text, 1, 0) == 1 && *text == 'G');
	CHECK(access("/tmp/d/gone", F_OK) && fcntl(own.deleted_again, F_GETFD) == FD_CLOEXEC);
}

static void check_pipes(void)
{
	char c;

	CHECK(fcntl(own.pipe[0], F_GETPIPE_SZ) == 131072);
	CHECK(reads(own.pipe[0], "in the pipe"));
	CHECK(read(own.pipe[0], &c, 1) < 0 && errno == EAGAIN);
	CHECK(writes(own.pipe[1], "more") && reads(own.pipe[0], "more"));
	CHECK(!close(own.pipe[1]) && read(own.pipe[0], &c, 1) == 0);
	CHECK(reads(own.fifo, "in the fifo"));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	open_names();
	open_deleted();
	open_pipes();
	map_odd_names();
	ready_and_wait(argv[1]);
	check_names();
	check_deleted();
	check_pipes();
	check_odd_names();
	return passed();
}
