// SPDX-License-Identifier: GPL-2.0-only
/* Images: what is written is read back, and what was damaged is refused by name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/image_fixture.h"
#include "util/cleanup.h"

static void write_image(void)
{
	__cleanup_error struct error *err = NULL;

	if (fixture_write(image, true, &err))
		fail_msg("%s", error_message(err));
}

/* The message with which the image is refused; fails the test if it is not. */
static char *refusal(void)
{
	__cleanup_error struct error *err = NULL;
	struct image_reader *r;

	if (!image_open(image, &r, &err)) {
		image_reader_free(r);
		return NULL;
	}
	return error_line(err);
}

static void expect_refusal(const char *name, const char *text)
{
	__cleanup_free char *line = refusal(), *wanted = NULL;

	if (!line)
		fail_msg("the image is accepted, wanted: %s: %s", name, text);
	assert_true(asprintf(&wanted, "image \"%s\": %s: ", image, name) > 0);
	if (strncmp(line, wanted, strlen(wanted)) || !strstr(line, text))
		fail_msg("\"%s\" instead of \"%s...%s\"", line, wanted, text);
}

/* Replaces text in a file by other text, which makes its checksum wrong. */
static void edit(const char *name, const char *from, const char *to)
{
	char command[256];

	snprintf(command, sizeof(command), "sed -i 's/%s/%s/' %s/%s", from, to, image, name);
	assert_int_equal(system(command), 0);
}

static void test_roundtrip(void **state)
{
	const struct image_info *info;
	struct image_reader *r;
	const void *stream;
	const char *json;
	struct record rec;
	struct core core;
	size_t len, pos = 0;
	uint64_t size;
	struct stat st;
	int fd, count = 0;

	write_image();
	assert_int_equal(stat(image, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(image_open(image, &r, NULL), 0);
	info = image_reader_info(r);
	assert_string_equal(info->id, "fixture");
	assert_string_equal(info->waived[0], "tcp");
	assert_null(info->waived[1]);
	assert_int_equal(info->xstate_features, 0xe7);
	assert_int_equal(info->begin_realtime, 1700000000000000000);
	assert_int_equal(image_reader_config(r, &json, &len, NULL), 0);
	assert_int_equal(len, 23);
	assert_int_equal(image_reader_records(r, &stream, &len, NULL), 0);
	while (record_next(stream, len, &pos, &rec) > 0)
		count++;
	assert_int_equal(count, 9);
	assert_int_equal(image_reader_file(r, "task-7.core", &fd, &size, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(image_reader_file(r, "ghost-1", &fd, &size, NULL), -ENOENT);
	assert_int_equal(core_read(r, 7, &core, NULL), 0);
	assert_int_equal(core.pages.run_count, 3);
	core_free(&core);
	image_reader_free(r);
}

static void test_show(void **state)
{
	struct image_reader *r;
	char *text;

	write_image();
	assert_int_equal(image_open(image, &r, NULL), 0);
	assert_int_equal(image_show(r, &(struct image_show_options){0}, &text, NULL), 0);
	assert_non_null(strstr(text, "1 init"));
	assert_non_null(strstr(text, "\n    7 worker  (parent 1, group 7, session 1)"));
	assert_non_null(strstr(text, "\n      9 gone  (parent 7, group 0, session 0) zombie"));
	assert_non_null(strstr(text, "regular /etc/passwd at 17"));
	assert_non_null(strstr(text, "   5  eventfd\n"));
	assert_non_null(strstr(text, "   6  pipe 12\n"));
	assert_non_null(strstr(text, "waived     tcp"));
	free(text);
	assert_int_equal(image_show(r, &(struct image_show_options){.json = true}, &text, NULL), 0);
	assert_non_null(strstr(text, "\"name\": \"/etc/passwd\""));
	free(text);
	image_reader_free(r);
}

static const char *const names[] = {"manifest.json", "container.rec", "config.json", "task-1.core",
				    "task-7.core"};

/* Every length that a small file may be cut to. */
static void test_truncated(void **state)
{
	write_image();
	for (size_t i = 0; i < 5; i++) {
		__cleanup_free char *bytes = NULL;
		char path[PATH_MAX];
		size_t len;

		snprintf(path, sizeof(path), "%s/%s", image, names[i]);
		assert_int_equal(read_file(AT_FDCWD, path, 1 << 20, &bytes, &len), 0);
		/* a core is large: its end and some of the rest */
		for (size_t cut = len; cut-- > 0; cut -= i > 2 && cut % 64 && cut < len - 64) {
			assert_int_equal(truncate(path, cut), 0);
			expect_refusal(names[i], "");
		}
		__cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite_full(fd, bytes, len, 0), 0);
		assert_int_equal(pwrite_full(fd, "x", 1, len), 0);
		expect_refusal(names[i], "");
		assert_int_equal(ftruncate(fd, len), 0);
	}
	assert_null(refusal());
}

/* Every byte that a checksum in the manifest covers. */
static void test_flipped(void **state)
{
	write_image();
	for (size_t i = 0; i < 5; i++) {
		char path[PATH_MAX], c;
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", image, names[i]);
		__cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(fstat(fd, &st), 0);
		for (off_t at = 0; at < st.st_size; at++) {
			if (i > 2 && at >= 4096 && at < 4096 + 8192)
				continue; /* page data: its own checksums */
			assert_int_equal(pread_full(fd, &c, 1, at), 0);
			c ^= 1;
			assert_int_equal(pwrite_full(fd, &c, 1, at), 0);
			expect_refusal(names[i], "");
			c ^= 1;
			assert_int_equal(pwrite_full(fd, &c, 1, at), 0);
		}
	}
	assert_null(refusal());
}

static void test_refusals(void **state)
{
	char path[PATH_MAX];

	write_image();
	edit("config.json", "1.0.2", "1.0.3");
	expect_refusal("config.json", "checksum does not match, the file was changed or damaged");
	edit("config.json", "1.0.3", "1.0.2");
	edit("manifest.json", "\"version\": 1", "\"version\": 2");
	expect_refusal("manifest.json", "format version 2, this firn reads version 1");
	edit("manifest.json", "\"version\": 2", "\"version\": 1");
	edit("manifest.json", "x86_64", "riscv64");
	expect_refusal("manifest.json", "taken on architecture riscv64, this is x86_64");
	edit("manifest.json", "riscv64", "x86_64");
	edit("manifest.json", "\"fixture\"", "\"Fixture\"");
	expect_refusal("manifest.json", "checksum does not match");
	edit("manifest.json", "\"Fixture\"", "\"fixture\"");
	assert_null(refusal());

	snprintf(path, sizeof(path), "%s/task-7.core", image);
	assert_int_equal(unlink(path), 0);
	expect_refusal("task-7.core", "the file is missing");
	assert_int_equal(symlink("task-1.core", path), 0);
	expect_refusal("task-7.core", "not a regular file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_refusal("task-7.core", "not a regular file");
	snprintf(path, sizeof(path), "%s/manifest.json", image);
	assert_int_equal(unlink(path), 0);
	expect_refusal("manifest.json", "the checkpoint was not finished");
}

/* Records that are malformed although nothing was damaged. */
static void test_record_stream(void **state)
{
	__cleanup_buf struct buf stream = {0};
	__cleanup_error struct error *err = NULL;
	struct ckpt_header *h;
	struct record rec;
	size_t pos = 0;

	assert_non_null(record_add2(&stream, CKPT_UTS, "abc", 3, "defgh", 5));
	assert_non_null(record_add(&stream, CKPT_END, "x", 1));
	assert_int_equal(stream.len, 24 + 24);
	assert_int_equal(record_next(stream.data, stream.len, &pos, &rec), 1);
	assert_int_equal(rec.type, CKPT_UTS);
	assert_memory_equal(rec.data, "abcdefgh", 8);
	assert_null(record_head(&rec, 9, &err));
	assert_string_equal(error_message(err),
			    "record \"uts\" is too short: 8 bytes instead of 9");
	assert_int_equal(record_next(stream.data, stream.len, &pos, &rec), 1);
	assert_int_equal(rec.len, 1);
	assert_int_equal(record_next(stream.data, stream.len, &pos, &rec), 0);
	for (size_t len = 1; len < stream.len; len++) {
		int r;

		pos = 0;
		while ((r = record_next(stream.data, len, &pos, &rec)) > 0)
			assert_true((const uint8_t *)rec.data + rec.len <= stream.data + len);
		assert_int_equal(r, len == 24 ? 0 : -EBADMSG);
	}
	h = (struct ckpt_header *)stream.data;
	for (uint64_t len = UINT64_MAX - 32; len; len++) {
		h->len = len;
		pos = 0;
		assert_int_equal(record_next(stream.data, stream.len, &pos, &rec), -EBADMSG);
	}
}

static void expect_invalid(const struct page_area *area, uint64_t size, const char *text)
{
	__cleanup_error struct error *err = NULL;

	assert_int_equal(page_area_validate(area, size, &err), -EBADMSG);
	if (!strstr(error_message(err), text))
		fail_msg("\"%s\" instead of \"%s\"", error_message(err), text);
}

/* A page index as somebody would make it who wants bytes from elsewhere. */
static void test_hostile_index(void **state)
{
	uint64_t sums[1] = {0};
	struct ckpt_page_run good[2] = {
		{.address = 0x1000, .len = 0x1000, .offset = 0x1000, .kind = CKPT_PAGES_DATA},
		{.address = 0x5000, .len = 0x2000, .offset = 0x2000, .kind = CKPT_PAGES_DATA},
	};
	struct ckpt_page_run runs[2];
	struct page_area area = {.runs = runs,
				 .run_count = 2,
				 .checksums = sums,
				 .checksum_count = 1,
				 .data_offset = 0x1000,
				 .data_len = 0x3000};
	static const struct {
		size_t run;
		struct ckpt_page_run value;
		const char *text;
	} bad[] = {
		{0, {0x1000, 0, 0x1000, 1, 0, 0}, "is not made of pages"},
		{0, {0x1001, 0x1000, 0x1000, 1, 0, 0}, "is not made of pages"},
		{0, {0x1000, 0x1001, 0x1000, 1, 0, 0}, "is not made of pages"},
		{1, {0x1000, 0x1000, 0x1000, 1, 0, 0}, "overlaps"},
		{0, {0x6000, 0x1000, 0x1000, 1, 0, 0}, "overlaps"},
		{1, {0xfffffffffffff000, 0x1000, 0x2000, 1, 0, 0}, "wraps around"},
		{1, {0x5000, 0xfffffffffffff000, 0x2000, 2, 0, 0}, "wraps around"},
		{1, {0x5000, 0x2000, 0x2001, 1, 0, 0}, "is not page aligned"},
		{1, {0x5000, 0x2000, 0x3000, 1, 0, 0}, "outside of the data area"},
		{1, {0x5000, 0x1000, 0, 1, 0, 0}, "outside of the data area"},
		{1, {0x5000, 0x1000, 0xfffffffffffff000, 1, 0, 0}, "outside of the data area"},
		{1, {0x5000, 0x1000, 0x2000, 0, 0, 0}, "unknown kind"},
		{1, {0x5000, 0x1000, 0x2000, CKPT_PAGES_PARENT, 0, 0}, "unknown kind"},
		{1, {0x5000, 0x1000, 0x2000, 1, 2, 0}, "unknown flags"},
		{1, {0x5000, 0x1000, 0x2000, 1, 0, 1}, "another file"},
	};

	memcpy(runs, good, sizeof(runs));
	assert_int_equal(page_area_validate(&area, 0x4000, NULL), 0);
	runs[0].kind = CKPT_PAGES_INHERITED;
	assert_int_equal(page_area_validate(&area, 0x4000, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memcpy(runs, good, sizeof(runs));
		if (bad[i].run)
			runs[1] = bad[i].value;
		else
			runs[0] = bad[i].value;
		expect_invalid(&area, 0x4000, bad[i].text);
	}
	memcpy(runs, good, sizeof(runs));
	expect_invalid(&area, 0x3fff, "outside of the file");
	area.data_offset = 0xfffffffffffff000;
	expect_invalid(&area, 0x4000, "outside of the file");
	area.data_offset = 0x1000;
	area.checksum_count = 2;
	expect_invalid(&area, 0x4000, "2 checksums instead of 1");
	area.data_len = UINT64_MAX & ~0xfffULL;
	expect_invalid(&area, UINT64_MAX, "outside of the file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_stream),
		cmocka_unit_test(test_hostile_index),
		cmocka_unit_test_setup_teardown(test_roundtrip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_show, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flipped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
