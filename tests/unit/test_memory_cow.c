// SPDX-License-Identifier: GPL-2.0-only
/* What an image may say of pages that a process has from its parent, and what is kept of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/memory_cow.h"
#include "util/cleanup.h"
#include "util/error.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* An init with two mappings, one of them of a file, and a child of it. */
struct family {
	struct ckpt_task recs[2];
	struct ckpt_vma parents[2], own[3];
	struct ckpt_page_run parents_runs[3], runs[3];
	struct restore_task tasks[2];
	struct restore r;
};

static void set_up(struct family *f)
{
	*f = (struct family){
		.recs = {{.pid = 1}, {.pid = 2, .ppid = 1}},
		.parents = {{.start = 0x10000, .end = 0x20000, .kind = CKPT_VMA_ANON},
			    {.start = 0x40000,
			     .end = 0x44000,
			     .kind = CKPT_VMA_FILE,
			     .source = 7,
			     .offset = 0x3000}},
		/* the first one is cut, the second grown */
		.own = {{.start = 0x12000, .end = 0x18000, .kind = CKPT_VMA_ANON},
			{.start = 0x1a000, .end = 0x28000, .kind = CKPT_VMA_ANON},
			{.start = 0x41000,
			 .end = 0x42000,
			 .kind = CKPT_VMA_FILE,
			 .source = 7,
			 .offset = 0x4000}},
		.parents_runs = {{.address = 0x10000, .len = 0x8000, .kind = CKPT_PAGES_DATA},
				 {.address = 0x18000, .len = 0x8000, .kind = CKPT_PAGES_DATA},
				 {.address = 0x40000, .len = 0x4000, .kind = CKPT_PAGES_DATA}},
		.runs = {{.address = 0x13000, .len = 0x5000, .kind = CKPT_PAGES_INHERITED},
			 {.address = 0x1c000, .len = 0x4000, .kind = CKPT_PAGES_INHERITED},
			 {.address = 0x41000, .len = 0x1000, .kind = CKPT_PAGES_INHERITED}},
	};
	for (unsigned i = 0; i < 2; i++) {
		struct restore_task *t = &f->tasks[i];

		t->rec = &f->recs[i];
		t->vmas = i ? f->own : f->parents;
		t->vma_count = i ? COUNT(f->own) : COUNT(f->parents);
		t->core.pages.runs = i ? f->runs : f->parents_runs;
		t->core.pages.run_count = i ? COUNT(f->runs) : COUNT(f->parents_runs);
	}
	f->r.tasks.items = f->tasks;
	f->r.tasks.count = 2;
}

static int check(struct family *f)
{
	struct error *err = NULL;
	int ret = cow_check(&f->r, &err);

	assert_true(!ret == !err);
	error_free(err);
	return ret;
}

/* The same family with one thing changed is refused. */
#define REFUSED(field, value)                                                                      \
	do {                                                                                       \
		set_up(&f);                                                                        \
		f.field = value;                                                                   \
		assert_int_equal(check(&f), -EBADMSG);                                             \
	} while (0)

static void test_hostile(void **state)
{
	struct family f;

	set_up(&f);
	assert_int_equal(check(&f), 0);
	assert_true(f.tasks[1].inherits && f.tasks[0].bequeaths);
	assert_false(f.tasks[0].inherits || f.tasks[1].bequeaths);
	/* of nobody, of itself, of one that comes later, of one that has no memory */
	REFUSED(recs[1].ppid, 0);
	REFUSED(recs[1].ppid, 2);
	REFUSED(parents_runs[0].kind, CKPT_PAGES_INHERITED);
	REFUSED(recs[0].state, CKPT_TASK_ZOMBIE);
	/* out of the mapping, of the parent's, of both */
	REFUSED(runs[0].len, 0x6000);
	REFUSED(runs[1].len, 0x5000);
	REFUSED(runs[2].address, 0x43000);
	REFUSED(runs[2].address, 0xfffffffffffff000);
	/* not what can be inherited */
	REFUSED(own[0].shared, CKPT_VMA_SHARED);
	REFUSED(own[0].start, 0x8000);
	REFUSED(own[0].flags, CKPT_VMA_NOHUGE);
	REFUSED(parents[0].flags, CKPT_VMA_DONTFORK);
	REFUSED(own[0].kind, CKPT_VMA_OBJECT);
	REFUSED(own[2].source, 8);
	REFUSED(own[2].offset, 0x3000);
	/* not there */
	REFUSED(parents_runs[1].len, 0x7000);
	REFUSED(parents_runs[1].kind, CKPT_PAGES_ZERO);
	REFUSED(tasks[0].core.pages.run_count, 2);
	REFUSED(tasks[0].vma_count, 1);
	REFUSED(tasks[1].vma_count, 2);
}

/* Locks come when all have their memory; a dump finds out late what kind they are. */
static void test_locked(void **state)
{
	struct family f;

	set_up(&f);
	f.parents[0].flags = CKPT_VMA_LOCKED;
	f.own[0].flags = CKPT_VMA_LOCKED | CKPT_VMA_ONFAULT;
	assert_int_equal(check(&f), 0);
	assert_true(f.tasks[1].inherits);
	f.own[0].flags |= CKPT_VMA_NOHUGE;
	assert_int_equal(check(&f), -EBADMSG);
}

/* The same family while it is saved: what was recorded of it. */
static int verify(struct family *f)
{
	struct dump_task tasks[2] = {{.rec = f->recs[0]}, {.rec = f->recs[1], .kin = true}};
	struct checkpoint c = {.tasks = {.items = tasks, .count = 2}};
	struct error *err = NULL;
	int ret;

	for (unsigned i = 0; i < 2; i++) {
		const struct restore_task *t = &f->tasks[i];

		assert_non_null(
			record_add(&tasks[i].records, CKPT_MM, NULL, sizeof(struct ckpt_mm)));
		assert_non_null(record_add(&tasks[i].records, CKPT_VMAS, t->vmas,
					   t->vma_count * sizeof(*t->vmas)));
		tasks[i].pages = t->core.pages;
	}
	ret = cow_verify(&c, &err);
	assert_true(!ret == !err);
	error_free(err);
	for (unsigned i = 0; i < 2; i++)
		buf_free(&tasks[i].records);
	return ret;
}

/* What a restore would refuse is refused while the container lives. */
static void test_verified(void **state)
{
	struct family f;

	set_up(&f);
	assert_int_equal(verify(&f), 0);
	f.own[0].flags = CKPT_VMA_LOCKED | CKPT_VMA_ONFAULT;
	assert_int_equal(verify(&f), 0);
	f.own[0].flags = CKPT_VMA_SEQ;
	assert_int_equal(verify(&f), -EPROTO);
	set_up(&f);
	f.parents_runs[1].len = 0x7000;
	assert_int_equal(verify(&f), -EPROTO);
}

/* --- page frames --- */

#define PRESENT	  (1ull << 63)
#define EXCLUSIVE (1ull << 56)
#define TASKS	  2
#define FIRST	  0x10
#define PAGES	  6

/* Of the parent and of the child, which has its pages moved when they have been read often enough.
 */
static struct {
	int fds[TASKS];
	unsigned reads;	 /* of the child's */
	unsigned moving; /* behind this one of them; 0: never */
} pagemaps;

static void write_entry(unsigned task, unsigned page, uint64_t entry)
{
	assert_int_equal(pwrite(pagemaps.fds[task], &entry, 8, (FIRST + page) * 8), 8);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
	ssize_t ret = syscall(SYS_pread64, fd, data, len, offset);

	if (fd == pagemaps.fds[1] && ++pagemaps.reads == pagemaps.moving)
		for (unsigned i = 0; i < PAGES; i++)
			write_entry(1, i, PRESENT | (900 + i));
	return ret;
}

/* What is made of the child's six pages, whose kinds are told by letters. */
static void mark(uint64_t parents_start, unsigned moving, char kinds[PAGES + 1])
{
	struct vma vmas[TASKS] = {
		{.rec = {.start = 0x10000, .end = 0x16000, .kind = CKPT_VMA_ANON}},
		{.rec = {.start = 0x10000, .end = 0x16000, .kind = CKPT_VMA_ANON}}};
	struct ckpt_page_run saved = {
		.address = parents_start, .len = 0x16000 - parents_start, .kind = CKPT_PAGES_DATA};
	struct dump_task tasks[TASKS] = {{.rec = {.pid = 1}},
					 {.rec = {.pid = 2, .ppid = 1}, .kin = true}};
	struct checkpoint c = {.tasks = {.items = tasks, .count = TASKS}};
	struct cow_parent parent = {.task = &tasks[0], .pagemap = pagemaps.fds[0]};
	__cleanup_free bool *shared = NULL;
	page_run_vec runs = {0};
	struct ckpt_page_run *run = vec_add(&runs);

	assert_non_null(run);
	*run = (struct ckpt_page_run){.address = 0x10000, .len = 0x6000, .kind = CKPT_PAGES_DATA};
	for (unsigned i = 0; i < TASKS; i++) {
		tasks[i].vmas.items = &vmas[i];
		tasks[i].vmas.count = 1;
	}
	tasks[0].pages = (struct page_area){.runs = &saved, .run_count = 1};
	pagemaps.reads = 0;
	pagemaps.moving = moving;
	assert_int_equal(cow_mark(&c, &tasks[1], pagemaps.fds[1], &parent, &runs, &shared, NULL),
			 0);
	memset(kinds, 0, PAGES + 1);
	vec_for_each (r, &runs)
		for (uint64_t at = r->address; at < r->address + r->len; at += 0x1000)
			kinds[(at - 0x10000) / 0x1000] = r->kind == CKPT_PAGES_INHERITED ? 'i'
							 : shared[r - runs.items]	 ? 's'
											 : 'd';
	vec_free(&runs);
}

static void write_pagemaps(void)
{
	for (unsigned i = 0; i < PAGES; i++) {
		write_entry(0, i, PRESENT | (100 + i));
		write_entry(1, i, PRESENT | (100 + i));
	}
	/* its own, alone and not */
	write_entry(1, 4, PRESENT | EXCLUSIVE | 500);
	write_entry(1, 5, PRESENT | 501);
}

static void test_marked(void **state)
{
	char kinds[PAGES + 1];

	for (unsigned i = 0; i < TASKS; i++) {
		pagemaps.fds[i] = memfd_create("pagemap", MFD_CLOEXEC);
		assert_true(pagemaps.fds[i] >= 0);
	}
	write_pagemaps();
	mark(0x10000, 0, kinds);
	assert_string_equal(kinds, "iiiids");
	/* the same frames, but pages that the parent does not have saved */
	mark(0x12000, 0, kinds);
	assert_string_equal(kinds, "ssiids");
	/* moved between the reading of its own entries and of the parent's */
	mark(0x10000, 1, kinds);
	assert_string_equal(kinds, "ssssds");
	for (unsigned i = 0; i < TASKS; i++)
		close(pagemaps.fds[i]);
}

static void test_kept(void **state)
{
	cow_kept_vec kept = {0};
	struct family f;

	set_up(&f);
	assert_int_equal(check(&f), 0);
	/* born to somebody else */
	assert_int_equal(cow_find_kept(&f.r, &f.tasks[1], &kept, NULL), 0);
	assert_int_equal(kept.count, 0);
	f.tasks[1].born = &f.tasks[0];
	assert_int_equal(cow_find_kept(&f.r, &f.tasks[1], &kept, NULL), 0);
	assert_int_equal(kept.count, 3);
	assert_ptr_equal(kept.items[0].vma, &f.own[0]);
	assert_ptr_equal(kept.items[1].parents, &f.parents[0]);
	assert_int_equal(kept.items[0].end, 0x18000);
	assert_int_equal(kept.items[1].end, 0x20000);
	assert_ptr_equal(cow_kept_of(&kept, &f.own[2]), &kept.items[2]);
	vec_free(&kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hostile),	 cmocka_unit_test(test_locked),
		cmocka_unit_test(test_verified), cmocka_unit_test(test_marked),
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
