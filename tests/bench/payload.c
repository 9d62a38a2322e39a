// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the benchmarked containers run: payload MIB TASKS. Each of TASKS processes fills
 * MIB MiB of small pages with data that nothing compresses, and sleeps. /ready appears
 * when all have. On SIGUSR1 the first writes a hash over its memory to /hash, on SIGUSR2 how many
 * microseconds a fork of it takes to /fork.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fill(uint64_t *words, size_t count, uint64_t seed)
{
	uint64_t x = 88172645463325252ULL + seed * 2654435761ULL;

	for (size_t i = 0; i < count; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		words[i] = x;
	}
}

static uint64_t hash(const uint64_t *words, size_t count)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < count; i++)
		h = (h ^ words[i]) * 1099511628211ULL;
	return h;
}

/* Renamed into place: a reader sees all of it or nothing. */
static void put(const char *path, const char *text)
{
	FILE *f = fopen("/new", "we");

	if (f) {
		fputs(text, f);
		fclose(f);
		rename("/new", path);
	}
}

static long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

/* The first access of the parent to a page that it shares is not the fork's. */
static long time_fork(void)
{
	long start = now_us(), took;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	took = now_us() - start;
	waitpid(pid, NULL, 0);
	return took;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20;
	int tasks = argc > 2 ? atoi(argv[2]) : 1, ready[2], number;
	uint64_t *words =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t set;
	char text[32];

	if (words == MAP_FAILED || pipe2(ready, O_CLOEXEC))
		return 1;
	madvise(words, size, MADV_NOHUGEPAGE);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 1; i < tasks; i++) {
		if (fork() == 0) {
			close(ready[0]);
			fill(words, size / 8, i);
			close(ready[1]);
			for (;;)
				pause();
		}
	}
	close(ready[1]);
	fill(words, size / 8, 0);
	while (read(ready[0], text, 1) > 0)
		;
	close(ready[0]);
	put("/ready", "");
	for (;;) {
		if (sigwait(&set, &number) != 0)
			continue;
		if (number == SIGUSR1) {
			snprintf(text, sizeof(text), "%016lx\n", hash(words, size / 8));
			put("/hash", text);
		} else {
			snprintf(text, sizeof(text), "%ld\n", time_fork());
			put("/fork", text);
		}
	}
}
