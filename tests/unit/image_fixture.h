/* SPDX-License-Identifier: GPL-2.0-only */
/* A small but complete image, for the tests of reading and writing. */
#ifndef FIRN_TESTS_IMAGE_FIXTURE_H
#define FIRN_TESTS_IMAGE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "checkpoint/image/image.h"
#include "util/error.h"
#include "util/io.h"

static char dir[64], image[128]; /* in it; not made yet */

static inline int setup(void **state)
{
	strcpy(dir, "/tmp/test_image.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s/image", dir);
	return 0;
}

static inline int teardown(void **state)
{
	char command[128];

	unsetenv("FIRN_FAULT");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static inline int fixture_records(struct image_writer *w, struct error **err)
{
	static const char path[] = "/etc/passwd";
	struct ckpt_begin begin = {.magic = CKPT_MAGIC, .format = CKPT_FORMAT_VERSION, .tasks = 3};
	struct ckpt_task tasks[] = {
		{.pid = 1, .pgid = 1, .sid = 1, .threads = 2, .comm = "init"},
		{.pid = 7, .ppid = 1, .pgid = 7, .sid = 1, .threads = 1, .comm = "worker"},
		{.pid = 9, .ppid = 7, .state = CKPT_TASK_ZOMBIE, .comm = "gone"},
	};
	struct ckpt_file file = {.id = 3, .pos = 17, .path_len = sizeof(path) - 1};
	struct ckpt_eventfd eventfd = {.id = 4, .count = 2};
	struct ckpt_file fifo = {.id = 8, .kind = CKPT_FILE_FIFO};
	struct ckpt_pipe pipe = {.pipe = 12, .size = 65536, .len = 3};
	struct ckpt_end end = {.records = 8};
	struct buf stream = {0};
	struct image_file *f;
	int r;

	record_add(&stream, CKPT_BEGIN, &begin, sizeof(begin));
	for (size_t i = 0; i < 3; i++)
		record_add(&stream, CKPT_TASK, &tasks[i], sizeof(tasks[i]));
	record_add2(&stream, CKPT_FILE, &file, sizeof(file), path, sizeof(path) - 1);
	record_add(&stream, CKPT_EVENTFD, &eventfd, sizeof(eventfd));
	record_add(&stream, CKPT_FILE, &fifo, sizeof(fifo));
	record_add2(&stream, CKPT_PIPE, &pipe, sizeof(pipe), "abc", 3);
	record_add(&stream, CKPT_END, &end, sizeof(end));
	r = image_add_file(w, "container.rec", &f, err);
	if (!r)
		r = image_file_write(f, stream.data, stream.len, err);
	buf_free(&stream);
	if (!r)
		r = image_add_file(w, "config.json", &f, err);
	return r ? r : image_file_write(f, "{\"ociVersion\": \"1.0.2\"}", 23, err);
}

static inline int fixture_core(struct image_writer *w, const char *name, uint32_t pid,
			       struct error **err)
{
	struct ckpt_page_run runs[] = {
		{.address = 0x10000, .len = 4096, .offset = 4096, .kind = CKPT_PAGES_DATA},
		{.address = 0x11000, .len = 8192, .kind = CKPT_PAGES_ZERO},
		{.address = 0x20000, .len = 4096, .offset = 8192, .kind = CKPT_PAGES_DATA},
	};
	struct ckpt_vma vmas[] = {
		{.start = 0x10000, .end = 0x14000, .prot = 3},
		{.start = 0x20000, .end = 0x21000, .prot = 1, .kind = CKPT_VMA_FILE, .source = 3},
	};
	struct ckpt_fd fds[] = {{.fd = 0, .description = 3},
				{.fd = 5, .description = 4},
				{.fd = 6, .description = 8}};
	struct ckpt_mm mm = {.exe = 3};
	struct ckpt_thread thread = {.tid = pid, .comm = "worker"};
	struct core_thread regs = {.tid = pid};
	uint64_t checksum;
	struct page_area area = {.runs = runs,
				 .run_count = 3,
				 .checksums = &checksum,
				 .checksum_count = 1,
				 .data_offset = 4096,
				 .data_len = 8192};
	struct buf records = {0};
	struct core_info core = {.pid = pid,
				 .state = 'S',
				 .comm = "worker",
				 .threads = &regs,
				 .thread_count = 1,
				 .vmas = vmas,
				 .vma_count = 2,
				 .records = &records,
				 .pages = &area};
	struct image_file *f;
	char data[8192];
	int r = image_add_file(w, name, &f, err);

	memset(data, 'd', sizeof(data));
	checksum = XXH3_64bits(data, sizeof(data));
	record_add(&records, CKPT_MM, &mm, sizeof(mm));
	record_add(&records, CKPT_VMAS, vmas, sizeof(vmas));
	record_add(&records, CKPT_FDS, fds, sizeof(fds));
	record_add(&records, CKPT_THREAD, &thread, sizeof(thread));
	if (!r)
		r = pwrite_full(image_file_fd(f), data, sizeof(data), CORE_DATA_OFFSET);
	if (!r)
		r = core_write(f, &core, err);
	buf_free(&records);
	return r;
}

/* Writes a whole image; commits only if wanted. */
static inline int fixture_write(const char *path, bool commit, struct error **err)
{
	static const char *const waived[] = {"tcp", NULL};
	struct image_info info = {.id = "fixture",
				  .tasks = 3,
				  .threads = 3,
				  .page_bytes = 16384,
				  .xstate_features = 0xe7,
				  .xstate_size = 2696,
				  .begin_realtime = 1700000000000000000,
				  .waived = waived,
				  .provider = "user"};
	struct image_writer *w;
	int r = image_create(path, &w, err);

	if (r)
		return r;
	r = fixture_records(w, err);
	if (!r)
		r = fixture_core(w, "task-1.core", 1, err);
	if (!r)
		r = fixture_core(w, "task-7.core", 7, err);
	if (!r && commit)
		r = image_commit(w, &info, err);
	image_close(w);
	return r;
}

#endif
