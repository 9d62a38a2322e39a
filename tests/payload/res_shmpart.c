// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_shmpart GO [foreign]: one System V segment, attached whole, for reading only, and with a
 * protection that was taken away; cut at the end and in the middle, with two protections; and a
 * piece that was moved elsewhere. All show the same memory, may get no more and no fewer rights
 * than they had, and go by shmdt(2) with all of their pieces. "foreign": two of another namespace,
 * which it has left, one of its own, and one that is longer than its segment.
 */
#include <sched.h>
#include <sys/mman.h>
#include <sys/shm.h>

#include "res.h"

#define PAGE  4096
#define PAGES 6
#define SIZE  (PAGES * PAGE)

static char *attach(int id, int flags)
{
	char *p = shmat(id, NULL, flags);

	CHECK(p != (void *)-1);
	return p;
}

/* Whether the page is there, and with these rights. */
static int is_there(const char *page, const char *rights)
{
	char line[256];
	int found = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		char has[5];

		CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, has) == 3);
		if (start <= (unsigned long)page && (unsigned long)page < end)
			found = !strncmp(has, rights, 3);
	}
	fclose(f);
	return found;
}

static unsigned long attached(int id)
{
	struct shmid_ds ds;

	CHECK(!shmctl(id, IPC_STAT, &ds));
	return ds.shm_nattch;
}

static char *attach_new(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);

	CHECK(id >= 0);
	return attach(id, 0);
}

static int be_elsewhere(const char *go)
{
	int own = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	char *shared[4];

	CHECK(own >= 0 && !unshare(CLONE_NEWIPC));
	shared[0] = attach_new();
	shared[1] = attach_new();
	CHECK(!setns(own, CLONE_NEWIPC) && !close(own));
	shared[2] = attach_new();
	shared[3] = attach(0, 0);
	CHECK(mremap(shared[3], PAGE, 2 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
	for (int i = 0; i < 3; i++)
		*shared[i] = 'a' + i;
	ready_and_wait(go);

	for (int i = 0; i < 3; i++)
		CHECK(*shared[i] == 'a' + i);
	return passed();
}

static int be_cut(const char *go)
{
	int id = shmget(IPC_PRIVATE, SIZE - 100, IPC_CREAT | 0600);
	char *whole = attach(id, 0), *reader = attach(id, SHM_RDONLY), *shut = attach(id, 0);
	char *cut = attach(id, 0), *two = attach(id, 0), *moved = attach(id, 0), *other;
	unsigned long before;

	CHECK(!mprotect(shut, SIZE, PROT_NONE));
	CHECK(!munmap(cut + SIZE - PAGE, PAGE) && !munmap(cut + 2 * PAGE, PAGE));
	/* something else is where the attachment was */
	CHECK(mmap(cut + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == cut + 2 * PAGE);
	CHECK(!mprotect(two, PAGE, PROT_READ) && !mprotect(two + 3 * PAGE, PAGE, PROT_NONE));
	other = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mremap(moved + 4 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other);
	for (int i = 0; i < PAGES; i++)
		whole[i * PAGE] = 'a' + i;
	before = attached(id);
	ready_and_wait(go);

	CHECK(attached(id) == before);
	CHECK(is_there(two, "r--") && is_there(two + PAGE, "rw-"));
	CHECK(is_there(two + 3 * PAGE, "---") && is_there(two + 5 * PAGE, "rw-"));
	CHECK(is_there(cut + 2 * PAGE, "r--") && !cut[2 * PAGE]);
	CHECK(!is_there(cut + 5 * PAGE, "rw-") && !is_there(moved + 4 * PAGE, "rw-"));
	two[PAGE] = 'B';
	*other = 'E';
	CHECK(whole[0] == 'a' && whole[PAGE] == 'B' && whole[4 * PAGE] == 'E');
	CHECK(cut[PAGE] == 'B' && cut[3 * PAGE] == 'd' && cut[4 * PAGE] == 'E');
	CHECK(moved[3 * PAGE] == 'd' && moved[5 * PAGE] == 'f' && two[0] == 'a');
	CHECK(reader[PAGE] == 'B' && mprotect(reader, PAGE, PROT_READ | PROT_WRITE));
	CHECK(is_there(shut, "---") && !mprotect(shut, SIZE, PROT_READ | PROT_WRITE));
	CHECK(shut[PAGE] == 'B');

	CHECK(!shmdt(whole) && !shmdt(reader) && !shmdt(shut) && !shmdt(cut) && !shmdt(two));
	CHECK(!is_there(cut + 3 * PAGE, "rw-") && !is_there(two + PAGE, "rw-"));
	CHECK(*other == 'E' && !shmdt(moved) && !munmap(other, PAGE) && !attached(id));
	CHECK(!shmctl(id, IPC_RMID, NULL));
	return passed();
}

int main(int argc, char **argv)
{
	CHECK(argc > 1);
	return argc > 2 ? be_elsewhere(argv[1]) : be_cut(argv[1]);
}
