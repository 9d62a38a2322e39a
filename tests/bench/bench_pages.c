// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page engine against plain I/O: bench_pages FILE [MIB] [ROUNDS]
 * Medians, interleaved: write(2) of the file from own memory, pages_dump() of a
 * child's memory, pread(2) into fresh memory, pages_load() into a child's fresh memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/user/pages.h"
#include "util/error.h"

#define MIB (1024UL * 1024)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *times, int count)
{
	qsort(times, count, sizeof(*times), by_value);
	return times[count / 2];
}

static void *memory_new(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

/* A child with memory of its own, at the address of ours. */
static pid_t child_new(void *memory, size_t size, bool fill)
{
	int sync[2];
	char c = 0;
	pid_t pid;

	if (pipe(sync))
		exit(1);
	pid = fork();
	if (pid == 0) {
		uint64_t seed = 88172645463325252ULL;

		for (size_t i = 0; fill && i < size / 8; i++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			((uint64_t *)memory)[i] = seed;
		}
		if (write(sync[1], &c, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	if (pid < 0 || read(sync[0], &c, 1) != 1)
		exit(1);
	close(sync[0]);
	close(sync[1]);
	return pid;
}

static void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static double plain_write(const char *path, const char *memory, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	double start = now();

	for (size_t done = 0; done < size; done += MIB)
		if (write(fd, memory + done, MIB) != (ssize_t)MIB)
			exit(1);
	start = now() - start;
	close(fd);
	unlink(path);
	return start;
}

static double plain_read(const char *path, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	double start = now();
	char *memory = memory_new(size);

	for (size_t done = 0; done < size; done += MIB)
		if (pread(fd, memory + done, MIB, done) != (ssize_t)MIB)
			exit(1);
	start = now() - start;
	munmap(memory, size);
	close(fd);
	return start;
}

static double transfer(const char *path, pid_t pid, struct page_area *area, bool dump)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (dump ? O_TRUNC : 0), 0600);
	struct page_memory memory = {.pid = pid};
	struct error *err = NULL;
	double start = now();
	int r = dump ? pages_dump(&memory, area, fd, path, NULL, &err)
		     : pages_load(&memory, area, fd, path, NULL, &err);

	if (r) {
		fprintf(stderr, "%s\n", error_message(err));
		exit(1);
	}
	start = now() - start;
	close(fd);
	return start;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/shm/bench_pages";
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 1024) * MIB;
	int rounds = argc > 3 ? atoi(argv[3]) : 5;
	struct page_area area = {.run_count = 1};
	double times[4][64];
	char *memory = memory_new(size), *own = memory_new(size);
	pid_t pid = child_new(memory, size, true);
	struct error *err = NULL;
	struct rusage usage;

	area.runs = calloc(1, sizeof(*area.runs));
	area.runs[0] = (struct ckpt_page_run){
		.address = (uintptr_t)memory, .len = size, .kind = CKPT_PAGES_DATA};
	if (pages_layout(&area, 4096, &err))
		return 1;
	memset(own, 42, size);
	rounds = rounds > 64 ? 64 : rounds;
	for (int i = 0; i < rounds; i++) {
		pid_t fresh;

		times[0][i] = plain_write(path, own, size);
		times[1][i] = transfer(path, pid, &area, true);
		times[2][i] = plain_read(path, size);
		fresh = child_new(memory, size, false);
		times[3][i] = transfer(path, fresh, &area, false);
		child_end(fresh);
		unlink(path);
	}
	child_end(pid);
	getrusage(RUSAGE_SELF, &usage);
	for (int i = 0; i < 4; i++)
		times[i][0] = median(times[i], rounds);
	printf("write %.0f ms, dump %.0f ms: %.2f; pread %.0f ms, load %.0f ms: %.2f\n",
	       times[0][0], times[1][0], times[1][0] / times[0][0], times[2][0], times[3][0],
	       times[3][0] / times[2][0]);
	return 0;
}
