// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_many GO KIND N: one process with N of a kind, for tests and benchmarks of how much a
 * checkpoint can take. "mappings": of small pages, of which none can become one with its neighbour,
 * most of them anonymous, some of a file. "descriptors": of files, pipes, sockets and eventfds,
 * with something in each that can hold something. "dense", "sparse": N MiB of small pages, next to
 * each other, or single ones that are strewn over 1 TiB.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "res.h"

#define PAGE 4096ul
#define TIB  (1ul << 40)

/* --- mappings --- */

#define FILE_EVERY 8 /* mappings */

static uint64_t hash(uint64_t h, const char *text)
{
	while (*text)
		h = (h ^ (unsigned char)*text++) * 1099511628211ull;
	return h;
}

/* Of the lines of our mappings between two addresses; count gets their number. */
static uint64_t hash_maps(const char *start, const char *end, unsigned long *count)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t h = 14695981039346656037ull;
	char line[512];

	CHECK(f);
	for (*count = 0; fgets(line, sizeof(line), f);) {
		unsigned long at = strtoul(line, NULL, 16);

		if (at < (unsigned long)start || at >= (unsigned long)end)
			continue;
		h = hash(h, line);
		++*count;
	}
	fclose(f);
	return h;
}

static bool is_written(unsigned long i)
{
	return i % 2 && i % FILE_EVERY != FILE_EVERY / 2;
}

static void map_one(char *at, unsigned long i, int fd)
{
	if (i % FILE_EVERY == FILE_EVERY / 2)
		CHECK(mmap(at, PAGE, PROT_READ, (i % 3 ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, fd,
			   i / FILE_EVERY % 2 * PAGE) == at);
	else if (i % 2)
		CHECK(!mprotect(at, PAGE, PROT_READ | PROT_WRITE));
	if (is_written(i))
		*(unsigned long *)at = i;
}

static void check_mappings(const char *base, unsigned long n)
{
	for (unsigned long i = 0; i < n; i++) {
		const char *at = base + i * PAGE;

		if (is_written(i))
			CHECK(*(const unsigned long *)at == i);
		else if (i % FILE_EVERY == FILE_EVERY / 2)
			CHECK(*at == 'f');
	}
}

static int many_mappings(const char *go, unsigned long n)
{
	char *base =
		mmap(NULL, n * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = open("/tmp/mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned long before, after;
	uint64_t maps;

	CHECK(base != MAP_FAILED && fd >= 0 && !ftruncate(fd, 2 * PAGE));
	CHECK(pwrite(fd, "f", 1, 0) == 1 && pwrite(fd, "f", 1, PAGE) == 1);
	for (unsigned long i = 0; i < n; i++)
		map_one(base + i * PAGE, i, fd);
	maps = hash_maps(base, base + n * PAGE, &before);
	CHECK(before >= n - 1); /* the first may have become one with what was there before */
	ready_and_wait(go);

	CHECK(hash_maps(base, base + n * PAGE, &after) == maps && after == before);
	check_mappings(base, n);
	return passed();
}

/* --- descriptors --- */

#define FILES	  100
#define FIRST_FD  10
#define IN_A_TURN 10 /* two files, a pipe, two pairs of sockets, an eventfd, a UDP socket */

static void put_at(int fd, int number)
{
	if (fd != number)
		CHECK(dup3(fd, number, O_CLOEXEC) == number && !close(fd));
}

static void put_pair_at(const int pair[2], int number)
{
	put_at(pair[0], number);
	put_at(pair[1], number + 1);
}

static void fill(int fd, int n)
{
	CHECK(write(fd, &n, sizeof(n)) == sizeof(n));
}

static void open_turn(int at)
{
	char path[32];
	int pair[2];

	snprintf(path, sizeof(path), "/tmp/file%d", at / IN_A_TURN % FILES);
	for (int i = 0; i < 2; i++) {
		put_at(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), at + i);
		CHECK(lseek(at + i, at + i, SEEK_SET) == at + i);
	}
	CHECK(!pipe2(pair, O_CLOEXEC));
	put_pair_at(pair, at + 2);
	fill(at + 3, at);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	put_pair_at(pair, at + 4);
	fill(at + 5, at);
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair));
	put_pair_at(pair, at + 6);
	fill(at + 7, at);
	put_at(eventfd(at, EFD_NONBLOCK | EFD_CLOEXEC), at + 8);
	put_at(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), at + 9);
}

static void check_held(int fd, int n)
{
	int got;

	CHECK(read(fd, &got, sizeof(got)) == sizeof(got) && got == n);
}

static void check_turn(int at)
{
	socklen_t len = sizeof(int);
	int type;
	uint64_t count;

	for (int i = 0; i < 2; i++)
		CHECK(lseek(at + i, 0, SEEK_CUR) == at + i);
	for (int i = 2; i < 8; i += 2) {
		check_held(at + i, at);
		fill(at + i + 1, at + 1);
		check_held(at + i, at + 1);
	}
	CHECK(read(at + 8, &count, sizeof(count)) == sizeof(count) && count == (uint64_t)at);
	CHECK(!getsockopt(at + 9, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM);
	for (int i = 0; i < IN_A_TURN; i++)
		CHECK(fcntl(at + i, F_GETFD) == FD_CLOEXEC);
}

static int many_descriptors(const char *go, int n)
{
	for (int at = FIRST_FD; at < FIRST_FD + n; at += IN_A_TURN)
		open_turn(at);
	ready_and_wait(go);

	for (int at = FIRST_FD; at < FIRST_FD + n; at += IN_A_TURN)
		check_turn(at);
	return passed();
}

/* --- pages --- */

/* Where page i of n is: in the middle of its share of the memory. */
static uint64_t *page_of(char *base, size_t size, unsigned long i, unsigned long n)
{
	return (uint64_t *)(base + (size / n * i & ~(PAGE - 1)));
}

static int many_pages(const char *go, size_t size, unsigned long n)
{
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(base != MAP_FAILED && !madvise(base, size, MADV_NOHUGEPAGE));
	for (unsigned long i = 0; i < n; i++)
		*page_of(base, size, i, n) = i + 1;
	ready_and_wait(go);

	for (unsigned long i = 0; i < n; i++)
		CHECK(*page_of(base, size, i, n) == i + 1);
	return passed();
}

int main(int argc, char **argv)
{
	unsigned long n = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	CHECK(n);
	if (!strcmp(argv[2], "mappings"))
		return many_mappings(argv[1], n);
	if (!strcmp(argv[2], "descriptors"))
		return many_descriptors(argv[1], n);
	if (!strcmp(argv[2], "dense"))
		return many_pages(argv[1], n << 20, (n << 20) / PAGE);
	CHECK(!strcmp(argv[2], "sparse"));
	return many_pages(argv[1], TIB, (n << 20) / PAGE);
}
