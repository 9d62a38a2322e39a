// SPDX-License-Identifier: GPL-2.0-only
/*
 * What plain I/O costs, for the ratios:
 *
 *	floor write FILE MIB	write(2) of MIB incompressible MiB to a new file, and close
 *	floor read FILE		mmap of fresh memory and pread(2) of FILE into it
 *	floor core DIR MIB	the kernel's core dump of a process with MIB incompressible MiB, to
 *				DIR/core, which is removed: kernel.core_pattern has to be "core"
 *	floor cgroups NAME DIR... -- CMD [ARG...]
 *				mkdir of NAME in each DIR, CMD in these cgroups, rmdir
 *
 * Prints microseconds and peak RSS in KiB, as `measure` does. Making the data is not
 * timed; the file is left there.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (1UL << 20)

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void report(long start)
{
	long took = now_us() - start;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("%ld %ld\n", took, usage.ru_maxrss);
}

static char *fresh(size_t size)
{
	char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED) {
		perror("floor: mmap");
		exit(1);
	}
	/* as the benchmarked task's memory: small pages */
	madvise(data, size, MADV_NOHUGEPAGE);
	return data;
}

static char *filled(size_t size)
{
	char *data = fresh(size);
	uint64_t x = 88172645463325252ULL;

	for (size_t i = 0; i < size / 8; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		((uint64_t *)data)[i] = x;
	}
	return data;
}

static int floor_write(const char *path, size_t size)
{
	char *data = filled(size);
	long start;
	int fd;

	start = now_us();
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	for (size_t at = 0; at < size; at += CHUNK) {
		if (write(fd, data + at, CHUNK) != CHUNK) {
			perror("floor: write");
			return 1;
		}
	}
	fsync(fd);
	close(fd);
	report(start);
	return 0;
}

static int floor_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	long start;
	char *data;

	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		return 1;
	}
	start = now_us();
	data = fresh(st.st_size);
	for (off_t at = 0; at < st.st_size; at += CHUNK) {
		if (pread(fd, data + at, CHUNK, at) != CHUNK) {
			perror("floor: pread");
			return 1;
		}
	}
	report(start);
	close(fd);
	return 0;
}

/* Tells by ready that its memory is there, and waits to be killed. */
static void dump_me(const char *dir, size_t size, int ready)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};

	if (chdir(dir) || setrlimit(RLIMIT_CORE, &unlimited)) {
		perror(dir);
		_exit(1);
	}
	filled(size);
	if (write(ready, "", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

/* A core that lacks the memory is no measure: another core_pattern, or no room. */
static int check_core(const char *dir, size_t size, int status)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/core", dir);
	if (!WIFSIGNALED(status) || !WCOREDUMP(status) || stat(path, &st)) {
		fprintf(stderr, "floor: no core dump in %s\n", dir);
		return 1;
	}
	unlink(path);
	if ((size_t)st.st_size > size)
		return 0;
	fprintf(stderr, "floor: a core dump of %lld bytes\n", (long long)st.st_size);
	return 1;
}

static int floor_core(const char *dir, size_t size)
{
	int ready[2], status = 0;
	long start;
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC)) {
		perror("floor: pipe");
		return 1;
	}
	pid = fork();
	if (pid == 0)
		dump_me(dir, size, ready[1]);
	close(ready[1]);
	if (pid < 0 || read(ready[0], &c, 1) != 1)
		return 1;
	start = now_us();
	kill(pid, SIGABRT);
	waitpid(pid, &status, 0);
	report(start);
	return check_core(dir, size, status);
}

struct cgroups {
	const char *name;
	char **dirs;
	int count;
};

static void cgroup_path(const struct cgroups *c, int i, const char *file, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%s%s", c->dirs[i], c->name, file);
}

static void run_in(const struct cgroups *c, char **command)
{
	char path[PATH_MAX];

	for (int i = 0; i < c->count; i++) {
		int fd;

		cgroup_path(c, i, "/cgroup.procs", path);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "0", 1) != 1) {
			perror(path);
			_exit(1);
		}
		close(fd);
	}
	execvp(*command, command);
	perror(*command);
	_exit(127);
}

static int floor_cgroups(const struct cgroups *c, char **command)
{
	long start = now_us();
	char path[PATH_MAX];
	int status = -1;
	pid_t pid;

	for (int i = 0; i < c->count; i++) {
		cgroup_path(c, i, "", path);
		if (mkdir(path, 0755)) {
			perror(path);
			return 1;
		}
	}
	pid = fork();
	if (pid == 0)
		run_in(c, command);
	if (pid > 0)
		waitpid(pid, &status, 0);
	for (int i = 0; i < c->count; i++) {
		cgroup_path(c, i, "", path);
		if (rmdir(path))
			perror(path);
	}
	report(start);
	return status != 0;
}

static int parse_cgroups(int argc, char **argv)
{
	struct cgroups c = {.name = argv[0], .dirs = argv + 1};

	while (c.count + 2 < argc && strcmp(c.dirs[c.count], "--") != 0)
		c.count++;
	if (c.count + 2 >= argc)
		return 2;
	return floor_cgroups(&c, c.dirs + c.count + 1);
}

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "cgroups"))
		return parse_cgroups(argc - 2, argv + 2);
	if (argc == 4 && !strcmp(argv[1], "write"))
		return floor_write(argv[2], strtoul(argv[3], NULL, 10) * CHUNK);
	if (argc == 3 && !strcmp(argv[1], "read"))
		return floor_read(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "core"))
		return floor_core(argv[2], strtoul(argv[3], NULL, 10) * CHUNK);
	fprintf(stderr, "usage: floor write FILE MIB | floor read FILE | floor core DIR MIB | "
			"floor cgroups NAME DIR... -- CMD\n");
	return 2;
}
