// SPDX-License-Identifier: GPL-2.0-only
/* Shared memory saved into an image and made again from it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/resource/memory_object.h"
#include "checkpoint/resource/resource.h"
#include "tests/unit/child.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	   4096UL
#define ANON_SIZE  (3 * 1024 * 1024UL)
#define MEMFD_SIZE (10 * PAGE + 17)

static int open_mapping(void *p, size_t len)
{
	return open_fmt(O_RDONLY, "/proc/self/map_files/%lx-%lx", (unsigned long)p,
			(unsigned long)p + len);
}

static void add_file(struct image_writer *w, const char *name, const void *data, size_t len)
{
	struct error *err = NULL;
	struct image_file *f;

	image_add_file(w, name, &f, &err);
	no_error(err);
	image_file_write(f, data, len, &err);
	no_error(err);
}

static void save(struct checkpoint *c, const char *path)
{
	struct ckpt_begin begin = {.magic = CKPT_MAGIC, .format = CKPT_FORMAT_VERSION};
	struct image_info info = {.id = "test", .provider = "user"};
	struct ckpt_end end = {.records = 1};
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;

	image_create(path, &c->image, &err);
	no_error(err);
	record_add(&c->records, CKPT_BEGIN, &begin, sizeof(begin));
	resource_memory_object.dump(c, NULL, &err);
	no_error(err);
	while (record_next(c->records.data, c->records.len, &pos, &rec) == 1)
		end.records += rec.type != CKPT_BEGIN;
	record_add(&c->records, CKPT_END, &end, sizeof(end));
	add_file(c->image, "container.rec", c->records.data, c->records.len);
	add_file(c->image, "config.json", "{}", 2);
	image_commit(c->image, &info, &err);
	no_error(err);
	image_close(c->image);
	resource_memory_object.release(c, NULL);
	buf_free(&c->records);
}

static void load(struct restore *r, const char *path)
{
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;

	image_open(path, &r->image, &err);
	no_error(err);
	image_reader_records(r->image, &r->records, &r->records_len, &err);
	while (record_next(r->records, r->records_len, &pos, &rec) == 1) {
		if (rec.type != CKPT_MEMORY_OBJECT && rec.type != CKPT_MEMFD)
			continue;
		resource_memory_object.load(r, NULL, &rec, &err);
		no_error(err);
	}
}

static void check_object(struct restore *r, uint32_t id, const char *name, const char *at_start,
			 const char *at_end, size_t size)
{
	__cleanup_fd int fd = -1, again = -1;
	__cleanup_free char *link = NULL;
	struct error *err = NULL;
	struct stat st, st2;
	char path[64], *p;

	memory_object_open(r, id, &fd, &err);
	no_error(err);
	memory_object_open(r, id, &again, &err);
	no_error(err);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(fstat(again, &st2), 0);
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_size, size);
	/* holes stay holes */
	assert_true((uint64_t)st.st_blocks * 512 <= 3 * PAGE);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_string_equal(p, at_start);
	assert_string_equal(p + size - 10, at_end);
	munmap(p, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link = read_link(AT_FDCWD, path);
	assert_memory_equal(link, name, strlen(name));
}

/* They come last: what maps it for writing has done so. */
static void check_seals(struct restore *r, uint32_t id, int seals)
{
	struct error *err = NULL;
	__cleanup_fd int fd = -1;

	memory_object_open(r, id, &fd, &err);
	no_error(err);
	assert_int_equal(fcntl(fd, F_GET_SEALS), 0);
	resource_memory_object.restore[STAGE_CROSS](r, NULL, &err);
	no_error(err);
	assert_int_equal(fcntl(fd, F_GET_SEALS), seals);
}

static void test_round_trip(void **state)
{
	char path[] = "/tmp/test_memory_object.XXXXXX", command[128];
	struct checkpoint_request request = {0};
	struct restore_request restore_request = {.init = getpid()};
	struct checkpoint c = {.request = &request};
	struct restore r = {.request = &restore_request, .init = restore_request.init};
	__cleanup_fd int memfd = memfd_create("odd", MFD_ALLOW_SEALING), fd = -1;
	struct error *err = NULL;
	uint32_t anon, odd, same;
	char *p;

	p = mmap(NULL, ANON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	strcpy(p, "anonymous");
	strcpy(p + ANON_SIZE - 10, "its end");
	fd = open_mapping(p, ANON_SIZE);
	if (fd == -EPERM)
		skip(); /* needs CAP_CHECKPOINT_RESTORE for /proc/PID/map_files */
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(memfd, MEMFD_SIZE), 0);
	assert_int_equal(pwrite(memfd, "memfd", 6, 0), 6);
	assert_int_equal(pwrite(memfd, "odd end", 8, MEMFD_SIZE - 10), 8);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK), 0);
	memory_object_register(&c, fd, ANON_SIZE, &anon, &err);
	no_error(err);
	memory_object_register(&c, memfd, MEMFD_SIZE, &odd, &err);
	no_error(err);
	memory_object_register(&c, memfd, MEMFD_SIZE, &same, &err);
	no_error(err);
	assert_int_equal(odd, same);
	assert_int_not_equal(anon, odd);
	assert_non_null(mkdtemp(path));
	save(&c, path);
	load(&r, path);
	check_object(&r, anon, "/dev/zero", "anonymous", "its end", ANON_SIZE);
	check_object(&r, odd, "/memfd:odd (deleted)", "memfd", "odd end", MEMFD_SIZE);
	check_seals(&r, odd, F_SEAL_WRITE | F_SEAL_SHRINK);
	assert_int_equal(memory_object_open(&r, 99, &fd, &err), -EBADMSG);
	error_free(err);
	resource_memory_object.release(NULL, &r);
	image_reader_free(r.image);
	munmap(p, ANON_SIZE);
	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void test_hostile(void **state)
{
	struct {
		struct ckpt_memory_object head;
		struct ckpt_page_run run;
		uint64_t checksum;
	} o = {.head = {.object = 1, .size = PAGE, .runs = 2, .checksums = 1}};
	struct record rec = {.type = CKPT_MEMORY_OBJECT, .data = &o, .len = sizeof(o)};
	const uint64_t runs[] = {2, 0, UINT64_MAX, UINT64_MAX / sizeof(o.run) + 2};
	struct error *err = NULL;
	struct restore r = {0};

	for (unsigned i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		o.head.runs = runs[i];
		assert_int_equal(resource_memory_object.load(&r, NULL, &rec, &err), -EBADMSG);
		error_free(err);
		err = NULL;
		resource_memory_object.release(NULL, &r);
	}
	o.head.runs = 1;
	o.head.size = UINT64_MAX;
	assert_int_equal(resource_memory_object.load(&r, NULL, &rec, &err), -EBADMSG);
	error_free(err);
	resource_memory_object.release(NULL, &r);
}

static void load_memfd(struct restore *r, const struct ckpt_memfd *head, const char *name,
		       size_t len, int wanted)
{
	char data[sizeof(*head) + 300];
	struct record rec = {.type = CKPT_MEMFD, .data = data, .len = sizeof(*head) + len};
	struct error *err = NULL;

	memcpy(data, head, sizeof(*head));
	memcpy(data + sizeof(*head), name, len);
	assert_int_equal(resource_memory_object.load(r, NULL, &rec, &err), wanted);
	error_free(err);
}

static void test_hostile_memfd(void **state)
{
	const struct ckpt_memfd good = {.object = 1, .mode = S_IFREG | 0600, .name_len = 2};
	struct memory_object *memfd = calloc(1, sizeof(*memfd)), *anon = calloc(1, sizeof(*anon));
	char long_name[300] = {0};
	struct ckpt_memfd bad = good;
	struct restore r = {0};

	*vec_add(&r.objects) = memfd;
	*vec_add(&r.objects) = anon;
	memfd->rec =
		(struct ckpt_memory_object){.object = 1, .size = PAGE, .flags = CKPT_OBJECT_MEMFD};
	anon->rec = (struct ckpt_memory_object){.object = 2, .size = PAGE};
	memfd->fd = anon->fd = -1;
	memset(long_name, 'x', sizeof(long_name));
	load_memfd(&r, &good, "xyz", 3, -EBADMSG);
	load_memfd(&r, &good, "x\0", 2, -EBADMSG);
	bad.name_len = 250;
	load_memfd(&r, &bad, long_name, 250, -EBADMSG);
	bad = good;
	bad.object = 2;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	bad.object = 3;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	bad = good;
	bad.mode = S_IFDIR | 0700;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	bad = good;
	bad.seals = 1 << 10;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	/* its size is not one of whole huge pages; such pages cannot be */
	bad = good;
	bad.page_shift = 21;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	bad.page_shift = 63;
	load_memfd(&r, &bad, "xy", 2, -EBADMSG);
	load_memfd(&r, &good, "xy", 2, 0);
	load_memfd(&r, &good, "xy", 2, -EBADMSG);
	resource_memory_object.release(NULL, &r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
