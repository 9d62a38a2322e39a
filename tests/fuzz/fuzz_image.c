// SPDX-License-Identifier: GPL-2.0-only
/*
 * Feeds what reads images. Checksums are made right for every input, so that it
 * gets past them: a checksum is no proof of good will. The first byte of an
 * input says which file of the image the rest is:
 *
 *	0  manifest.json without its closing checksum
 *	1  container.rec
 *	2  task-1.core: 64 bytes of ELF header, then what follows the page data
 *	3  tmpfs-1.tar, which is unpacked too (as root, in a directory that stands in for a tmpfs)
 *
 * With FIRN_FUZZ_SEEDS=DIR it writes one input of each kind to DIR and exits.
 *
 *	clang -fsanitize=fuzzer,address,undefined ... tests/fuzz/fuzz_image.c libfirn.a
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/image/manifest.h"
#include "checkpoint/resource/tmpfs.h"
#include "tests/unit/image_fixture.h"
#include "util/cleanup.h"

#define EHDR_LEN     64
#define DATA_LEN     8192
#define ARCHIVE_NAME "tmpfs-1.tar"
#define TAIL	     ",\n    \"checksum\": \"0123456789abcdef\"\n}\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct file {
	char *bytes;
	size_t len;
};

static char dir[64];
static char tree[80];
static struct file good_manifest, good_records, good_core, good_archive;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static struct file read_good(const char *name)
{
	struct file f;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	need(!read_file(AT_FDCWD, path, 1 << 20, &f.bytes, &f.len), name);
	return f;
}

static void put(const char *name, const void *bytes, size_t len)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	__cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	need(fd >= 0 && !write_full(fd, bytes, len), name);
}

static void put_seed(const char *where, char kind, const void *head, size_t head_len,
		     const void *tail, size_t tail_len)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/seed-%d", where, kind);
	__cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	need(fd >= 0 && !write_full(fd, &kind, 1) && !write_full(fd, head, head_len) &&
		     !write_full(fd, tail, tail_len),
	     path);
}

static void remove_image(void)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s %s", dir, tree);
	if (system(command))
		perror("rm");
}

/* One of each kind. */
static void write_archive(struct image_file *f)
{
	static const struct {
		mode_t mode;
		const char *path, *symlink, *hardlink;
	} entries[] = {
		{S_IFREG | 0640, "dir/file", NULL, NULL},
		{S_IFREG | 0600, "name", NULL, "dir/file"},
		{S_IFLNK | 0777, "link", "dir", NULL},
		{S_IFIFO | 0600, "fifo", NULL, NULL},
		{S_IFDIR | 0755, "./", NULL, NULL},
	};
	struct archive *a = archive_write_new();
	char bytes[32768], text[4096] = "text";
	size_t used;

	archive_write_set_format_pax(a);
	archive_write_set_bytes_in_last_block(a, 1);
	archive_write_open_memory(a, bytes, sizeof(bytes), &used);
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_copy_pathname(e, entries[i].path);
		archive_entry_set_mode(e, entries[i].mode);
		archive_entry_set_mtime(e, 1, 2);
		if (entries[i].symlink)
			archive_entry_copy_symlink(e, entries[i].symlink);
		if (entries[i].hardlink)
			archive_entry_copy_hardlink(e, entries[i].hardlink);
		if (!i) {
			archive_entry_set_size(e, 1 << 20);
			archive_entry_xattr_add_entry(e, "trusted.x", "value", 5);
			archive_entry_sparse_add_entry(e, 0, sizeof(text));
		}
		need(archive_write_header(a, e) == ARCHIVE_OK, "archive");
		need(i || archive_write_data(a, text, sizeof(text)) > 0, "archive");
		archive_entry_free(e);
	}
	need(archive_write_free(a) == ARCHIVE_OK && !image_file_write(f, bytes, used, NULL),
	     "archive");
}

static void write_image(void)
{
	struct image_info info = {.id = "fuzz", .tasks = 3, .threads = 3};
	struct image_writer *w;
	struct image_file *f;

	need(!image_create(dir, &w, NULL) && !fixture_records(w, NULL) &&
		     !fixture_core(w, "task-1.core", 1, NULL) &&
		     !fixture_core(w, "task-7.core", 7, NULL) &&
		     !image_add_file(w, ARCHIVE_NAME, &f, NULL),
	     dir);
	write_archive(f);
	need(!image_commit(w, &info, NULL), dir);
	image_close(w);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *seeds = getenv("FIRN_FUZZ_SEEDS");
	size_t rest = CORE_DATA_OFFSET + DATA_LEN;

	snprintf(dir, sizeof(dir), "/dev/shm/firn-fuzz-%d", getpid());
	snprintf(tree, sizeof(tree), "%s.tree", dir);
	need(!mkdir(tree, 0700), tree);
	write_image();
	atexit(remove_image);
	good_manifest = read_good(MANIFEST_NAME);
	good_records = read_good("container.rec");
	good_core = read_good("task-1.core");
	good_archive = read_good(ARCHIVE_NAME);
	if (!seeds)
		return 0;
	put_seed(seeds, 0, good_manifest.bytes, good_manifest.len - strlen(TAIL), "", 0);
	put_seed(seeds, 1, good_records.bytes, good_records.len, "", 0);
	put_seed(seeds, 2, good_core.bytes, EHDR_LEN, good_core.bytes + rest, good_core.len - rest);
	put_seed(seeds, 3, good_archive.bytes, good_archive.len, "", 0);
	exit(0);
}

static void put_manifest(const char *body, size_t len)
{
	char *text = malloc(len + sizeof(TAIL));

	need(text, "malloc");
	memcpy(text, body, len);
	sprintf(text + len, ",\n    \"checksum\": \"%016llx\"\n}\n",
		(unsigned long long)XXH3_64bits(body, len));
	put(MANIFEST_NAME, text, len + strlen(TAIL));
	free(text);
}

/* The good manifest with another size and checksum of one file. */
static void put_manifest_for(const char *name, uint64_t size, uint64_t checksum)
{
	struct manifest m = {0};
	struct manifest_file *f;
	char *text;
	size_t len;

	need(!manifest_parse(good_manifest.bytes, good_manifest.len, &m, NULL), "manifest");
	f = manifest_find(&m, name);
	need(f, name);
	f->size = size;
	f->checksum = checksum;
	text = manifest_text(&m, &len);
	need(text, "manifest_text");
	put(MANIFEST_NAME, text, len);
	free(text);
	manifest_free(&m);
}

static void put_core(const uint8_t *data, size_t size)
{
	size_t head = size < EHDR_LEN ? size : EHDR_LEN, tail = size - head;
	char *checked = calloc(1, CORE_DATA_OFFSET + tail + 1);
	char *file = calloc(1, CORE_DATA_OFFSET + DATA_LEN + tail + 1);

	need(checked && file, "calloc");
	memcpy(checked, data, head);
	memcpy(checked + CORE_DATA_OFFSET, data + head, tail);
	memcpy(file, checked, CORE_DATA_OFFSET);
	memcpy(file + CORE_DATA_OFFSET + DATA_LEN, data + head, tail);
	put("task-1.core", file, CORE_DATA_OFFSET + DATA_LEN + tail);
	put_manifest_for("task-1.core", CORE_DATA_OFFSET + DATA_LEN + tail,
			 XXH3_64bits(checked, CORE_DATA_OFFSET + tail));
	free(checked);
	free(file);
}

static void unpack(struct image_reader *image_reader)
{
	struct restore_request request = {.caps_bounded = true};
	struct restore r = {.image = image_reader, .request = &request};
	__cleanup_fd int root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error *err = NULL;
	int ret;

	need(root >= 0, tree);
	ret = tmpfs_fill(&r, 1, root, &err);
	need(!ret == !err, "no error");
	error_free(err);
	need(!fchdir(here), "going back");
}

static void use_image(bool archive)
{
	struct error *err = NULL;
	struct image_reader *r;
	char *text;

	if (image_open(dir, &r, &err)) {
		/* refused, and said why and in which file */
		need(err && strstr(error_message(err), dir), "no error");
		error_free(err);
		return;
	}
	for (int json = 0; json < 2; json++) {
		if (!image_show(r, &(struct image_show_options){.json = json}, &text, &err))
			free(text);
		error_free(err);
		err = NULL;
	}
	if (archive)
		unpack(r);
	image_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	put("container.rec", good_records.bytes, good_records.len);
	put("task-1.core", good_core.bytes, good_core.len);
	put(ARCHIVE_NAME, good_archive.bytes, good_archive.len);
	switch (data[0]) {
	case 0:
		put_manifest((const char *)data + 1, size - 1);
		break;
	case 1:
		put("container.rec", data + 1, size - 1);
		put_manifest_for("container.rec", size - 1, XXH3_64bits(data + 1, size - 1));
		break;
	case 2:
		put_core(data + 1, size - 1);
		break;
	case 3:
		put(ARCHIVE_NAME, data + 1, size - 1);
		put_manifest_for(ARCHIVE_NAME, size - 1, XXH3_64bits(data + 1, size - 1));
		break;
	default:
		return -1;
	}
	use_image(data[0] == 3);
	return 0;
}
