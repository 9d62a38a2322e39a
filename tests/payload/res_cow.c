// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_cow GO: memory that processes share copy-on-write with their parent: as it was, partly
 * changed, cut, grown, protected, locked, given up; with a grandchild, one whose parent has ended,
 * and one in the session of another. All of them see what they saw, and as much of it is shared.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "res.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

#define PAGE	  4096
#define PAGES	  2048
#define UNTOUCHED 2000 /* from here on, when the children are made */
#define CHANGED	  10   /* up to here, by the parent when they are there */
#define HEAP	  (64 * PAGE)
#define FILE_SIZE (16 * PAGE)
#define LOCKED	  8
#define UNLOADED  3 /* of those */

static char *region, *heap, *file, *lockable;
static const char *go;
static int done[2]; /* a byte of everybody for each step */

static void put(char *page, int value)
{
	memset(page, value, PAGE);
}

static int has(const char *page, int value)
{
	return page[0] == (char)value && page[PAGE / 2] == (char)value &&
	       page[PAGE - 1] == (char)value;
}

static int common(int page)
{
	return page < UNTOUCHED ? 1 + page % 100 : 0;
}

/* What there is of the region that is shared, in kB. */
static long shared_kb(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	unsigned long start = 0, end = 0;
	long sum = 0, kb;
	char line[512];

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "%lx-%lx ", &start, &end);
		if (start >= (unsigned long)region && end <= (unsigned long)region + PAGES * PAGE &&
		    (sscanf(line, "Shared_Clean: %ld", &kb) == 1 ||
		     sscanf(line, "Shared_Dirty: %ld", &kb) == 1))
			sum += kb;
	}
	fclose(f);
	return sum;
}

static void wait_for_file(const char *path)
{
	struct timespec ms10 = {0, 10000000};

	while (access(path, F_OK))
		nanosleep(&ms10, NULL);
}

static void tell(void)
{
	CHECK(write(done[1], "", 1) == 1);
}

static void hear(int count)
{
	char byte;

	while (count--)
		CHECK(read(done[0], &byte, 1) == 1);
}

static void check_common(int from, int to)
{
	for (int i = from; i < to; i++)
		CHECK(has(region + i * PAGE, common(i)));
}

static void check_rest(void)
{
	for (int i = 0; i < HEAP / PAGE; i++)
		CHECK(has(heap + i * PAGE, 3));
	for (int i = 0; i < FILE_SIZE / PAGE; i++)
		CHECK(has(file + i * PAGE, i % 2 ? 5 : 4));
}

/* heir: as much is shared afterwards, but for what it had in common with its siblings only */
static void live(int heir)
{
	long before, lost;

	tell();
	wait_for_file("/tmp/settled");
	before = shared_kb();
	tell();
	wait_for_file(go);
	lost = before - shared_kb();
	CHECK(!heir || (before > 0 && lost >= 0 && lost <= CHANGED * PAGE / 1024));
	/* from here on it changes, and ends */
	tell();
	wait_for_file("/tmp/measured");
}

static void same(void)
{
	live(1);
	check_common(0, PAGES);
	check_rest();
}

static void changed(void)
{
	char *grown;

	for (int i = 20; i < 40; i++)
		put(region + i * PAGE, 111);
	CHECK(!madvise(region + 40 * PAGE, 10 * PAGE, MADV_DONTNEED));
	CHECK(!mprotect(region + 60 * PAGE, 10 * PAGE, PROT_READ));
	CHECK(!munmap(region + 100 * PAGE, 10 * PAGE));
	grown = sbrk(HEAP);
	CHECK(grown == heap + HEAP);
	put(grown, 112);
	put(heap + PAGE, 113);
	put(file + 3 * PAGE, 114);
	live(1);
	check_common(0, 20);
	for (int i = 20; i < 50; i++)
		CHECK(has(region + i * PAGE, i < 40 ? 111 : 0));
	check_common(50, 100);
	check_common(110, PAGES);
	CHECK(has(grown, 112) && has(grown + PAGE, 0) && has(heap + PAGE, 113) && has(heap, 3));
	CHECK(has(file + 3 * PAGE, 114) && has(file + PAGE, 5) && has(file, 4));
	/* one mapping, as it was */
	CHECK(sbrk(0) == grown + HEAP && mremap(heap, 2 * HEAP, HEAP, 0) == heap);
	put(region, 115);
	CHECK(has(region, 115) && has(region + PAGE, common(1)));
}

/*
 * A page that was given up while it was locked is missing, which makes it another kind of lock
 * than the parent has.
 */
static void locked(void)
{
	int given_up;

	CHECK(!mlock(lockable, LOCKED * PAGE));
	given_up = !madvise(lockable, UNLOADED * PAGE, MADV_DONTNEED_LOCKED);
	CHECK(given_up || errno == EINVAL); /* before Linux 5.18 */
	live(1);
	check_common(0, PAGES);
	for (int i = 0; i < LOCKED; i++)
		CHECK(has(lockable + i * PAGE, given_up && i < UNLOADED ? 0 : 6));
}

static void (*chosen)(void);

static void play(void)
{
	chosen();
	tell();
}

static pid_t start(void (*role)(void))
{
	chosen = role;
	return start_role(play);
}

#define FRAME (64 * PAGE)

static char *frame;

/* In a frame of its parent's, which has left it: of the parent's stack it is the unused end. */
static void deep(void)
{
	live(1);
	for (int i = 0; i < FRAME; i++)
		CHECK(frame[i] == 7);
}

/* The stack is as large as the child will need it: one that has grown is no longer inherited. */
static void __attribute__((noinline)) grow_stack(void)
{
	char more[2 * PAGE];

	memset(more, 8, sizeof(more));
	__asm__ volatile("" ::"r"(more) : "memory");
}

static pid_t start_deep(void)
{
	char buffer[FRAME];

	memset(buffer, 7, sizeof(buffer));
	frame = buffer;
	grow_stack();
	return start(deep);
}

static void grandchild(void)
{
	live(1);
	check_common(0, 200);
	CHECK(has(region + 200 * PAGE, 120));
	check_common(201, PAGES);
	check_rest();
}

static void middle(void)
{
	pid_t pid;

	put(region + 200 * PAGE, 120);
	pid = start(grandchild);
	live(1);
	check_common(201, PAGES);
	CHECK(has(region + 200 * PAGE, 120));
	end_role(pid);
}

static void go_away(void (*role)(void))
{
	start(role);
	_exit(0);
}

static void to_init(void)
{
	CHECK(setsid() > 0);
	go_away(same);
}

/* In the session of one that has heirs of its own, but with the init as parent. */
static void stranger(void)
{
	live(0);
	check_common(0, PAGES);
	check_rest();
}

static void leave_stranger(void)
{
	go_away(stranger);
}

static void leader(void)
{
	pid_t pid, gone;

	CHECK(setsid() > 0);
	gone = start(leave_stranger);
	end_role(gone);
	pid = start(same);
	live(1);
	check_common(0, PAGES);
	end_role(pid);
}

static void make_memory(void)
{
	int fd = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);

	region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	lockable = mmap(NULL, LOCKED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	CHECK(lockable != MAP_FAILED && !madvise(lockable, LOCKED * PAGE, MADV_NOHUGEPAGE));
	for (int i = 0; i < LOCKED; i++)
		put(lockable + i * PAGE, 6);
	/* locking what can be written to makes copies */
	CHECK(!mprotect(lockable, LOCKED * PAGE, PROT_READ));
	CHECK(region != MAP_FAILED && !madvise(region, PAGES * PAGE, MADV_NOHUGEPAGE));
	heap = sbrk(HEAP);
	for (int i = 0; i < FILE_SIZE / PAGE; i++) {
		char page[PAGE];

		put(page, 4);
		CHECK(write(fd, page, PAGE) == PAGE);
	}
	file = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(heap != (void *)-1 && file != MAP_FAILED && !close(fd));
	for (int i = 0; i < UNTOUCHED; i++)
		put(region + i * PAGE, common(i));
	for (int i = 0; i < HEAP / PAGE; i++)
		put(heap + i * PAGE, 3);
	for (int i = 1; i < FILE_SIZE / PAGE; i += 2)
		put(file + i * PAGE, 5);
}

int main(int argc, char **argv)
{
	static void (*const roles[])(void) = {same, changed, middle, to_init, leader, locked};
	enum { ROLES = sizeof(roles) / sizeof(*roles), ALL = 10 };
	pid_t pids[ROLES], child;
	long before;

	CHECK(argc == 2 && !pipe(done));
	go = argv[1];
	unlink("/tmp/settled");
	unlink("/tmp/measured");
	make_memory();
	for (int i = 0; i < ROLES; i++)
		pids[i] = start(roles[i]);
	child = start_deep();
	CHECK(!mlock(lockable, LOCKED * PAGE));
	end_role(pids[3]);
	hear(ALL);
	/* what the children do not have */
	for (int i = 0; i < CHANGED; i++)
		put(region + i * PAGE, 99);
	for (int i = UNTOUCHED; i < PAGES; i++)
		put(region + i * PAGE, 98);
	CHECK(open("/tmp/settled", O_CREAT | O_WRONLY, 0600) >= 0);
	hear(ALL);
	before = shared_kb();
	ready_and_wait(go);
	CHECK(before == shared_kb() && before > PAGES / 2 * 4);
	hear(ALL);
	CHECK(open("/tmp/measured", O_CREAT | O_WRONLY, 0600) >= 0);
	for (int i = 0; i < PAGES; i++)
		CHECK(has(region + i * PAGE, i < CHANGED ? 99 : i < UNTOUCHED ? common(i) : 98));
	check_rest();
	hear(ALL);
	for (int i = 0; i < ROLES; i++)
		if (i != 3)
			end_role(pids[i]);
	end_role(child);
	return passed();
}
