// SPDX-License-Identifier: GPL-2.0-only
/*
 * Archives of file systems in memory as an attacker would write them. A directory stands in for
 * the file system: whatever goes wrong must stay below it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/tmpfs.h"
#include "checkpoint/user/ns.h"
#include "tests/unit/image_fixture.h"

#define ARCHIVE "tmpfs-1.tar"

struct wanted {
	mode_t mode;
	const char *path, *link; /* of a symbolic link, or a further name of a file (mode 0) */
	dev_t rdev;
	int64_t uid;
	const char *xattr;
};

static char tree[128]; /* in dir; and beside it "outside", a file */

static int make_tree(void **state)
{
	char path[256];
	int fd;

	if (setup(state))
		return -1;
	snprintf(tree, sizeof(tree), "%s/tree", dir);
	snprintf(path, sizeof(path), "%s/outside", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "outside", 7) != 7)
		return -1;
	close(fd);
	return mkdir(tree, 0700);
}

static int remove_tree(void **state)
{
	return chdir("/") || teardown(state);
}

/* --- images --- */

static void add_entry(struct archive *a, const struct wanted *w)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, w->path);
	archive_entry_set_mode(e, w->mode ? w->mode : S_IFREG | 0600);
	archive_entry_set_uid(e, w->uid);
	archive_entry_set_rdev(e, w->rdev);
	if (S_ISLNK(w->mode))
		archive_entry_copy_symlink(e, w->link);
	else if (!w->mode)
		archive_entry_copy_hardlink(e, w->link);
	else if (S_ISREG(w->mode))
		archive_entry_set_size(e, 4);
	if (w->xattr)
		archive_entry_xattr_add_entry(e, w->xattr, "value", 5);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	if (S_ISREG(w->mode))
		assert_int_equal(archive_write_data(a, "text", 4), 4);
	archive_entry_free(e);
}

static size_t make_archive(const struct wanted *w, size_t count, char *bytes, size_t size)
{
	struct archive *a = archive_write_new();
	size_t used;

	archive_write_set_format_pax(a);
	archive_write_set_format_option(a, "pax", "xattrheader", "SCHILY");
	assert_int_equal(archive_write_open_memory(a, bytes, size, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++)
		add_entry(a, &w[i]);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
	return used;
}

static struct image_reader *make_image(const void *bytes, size_t len)
{
	struct image_info info = {.id = "fixture", .tasks = 3, .threads = 3};
	struct image_reader *r;
	struct image_writer *w;
	struct image_file *f;
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s", image);
	assert_int_equal(system(command), 0);
	assert_int_equal(image_create(image, &w, NULL), 0);
	assert_int_equal(fixture_records(w, NULL), 0);
	assert_int_equal(fixture_core(w, "task-1.core", 1, NULL), 0);
	assert_int_equal(fixture_core(w, "task-7.core", 7, NULL), 0);
	assert_int_equal(image_add_file(w, ARCHIVE, &f, NULL), 0);
	assert_int_equal(image_file_write(f, bytes, len, NULL), 0);
	assert_int_equal(image_commit(w, &info, NULL), 0);
	image_close(w);
	assert_int_equal(image_open(image, &r, NULL), 0);
	return r;
}

static int fill_from(struct image_reader *image_reader, uint64_t caps)
{
	struct restore_request request = {.caps_bounded = true, .caps_allowed = caps};
	struct restore r = {.image = image_reader, .request = &request};
	int root = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error *err = NULL;
	int ret;

	assert_return_code(root, errno);
	ret = tmpfs_fill(&r, 1, root, &err);
	assert_true(!ret == !err);
	if (err)
		assert_non_null(strstr(error_message(err), ARCHIVE));
	error_free(err);
	close(root);
	return ret;
}

static int fill(const struct wanted *w, size_t count, uint64_t caps)
{
	static char bytes[1 << 17];
	struct image_reader *r = make_image(bytes, make_archive(w, count, bytes, sizeof(bytes)));
	int ret = fill_from(r, caps);

	image_reader_free(r);
	return ret;
}

#define FILL(caps, ...)                                                                            \
	fill((const struct wanted[]){__VA_ARGS__},                                                 \
	     sizeof((const struct wanted[]){__VA_ARGS__}) / sizeof(struct wanted), caps)
#define IS(m, p, ...)                                                                              \
	{                                                                                          \
		.mode = m, .path = p, __VA_ARGS__                                                  \
	}
#define FILE_AT(name) IS(S_IFREG | 0600, name)
#define NAME(p, of)   IS(0, p, .link = of)
#define LINK(p, to)   IS(S_IFLNK | 0777, p, .link = to)

static bool exists(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", tree, name);
	return !lstat(path, &st);
}

/* Nothing beside the tree has come, gone or changed. */
static void check_outside(void)
{
	char path[256], text[8] = "";
	struct dirent *e;
	struct stat st;
	unsigned n = 0;
	DIR *d = opendir(dir);
	int fd;

	while ((e = readdir(d)))
		n++;
	closedir(d);
	assert_int_equal(n, 5); /* ".", "..", "outside", "tree", "image" */
	snprintf(path, sizeof(path), "%s/outside", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(read(fd, text, 8), 7);
	close(fd);
	assert_string_equal(text, "outside");
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* --- tests --- */

static void test_paths(void **state)
{
	static const char *const sound[] = {"a", "a/b", "...", ".a", "a/..b", " "};
	static const char *const unsound[] = {"",    "/",     "/a", "a/",   "a//b", ".",     "./a",
					      "a/.", "a/./b", "..", "../a", "a/..", "a/../b"};
	char longest[TMPFS_PATH_SIZE + 1];

	for (size_t i = 0; i < sizeof(sound) / sizeof(*sound); i++)
		assert_true(tmpfs_path_is_sound(sound[i]));
	for (size_t i = 0; i < sizeof(unsound) / sizeof(*unsound); i++)
		assert_false(tmpfs_path_is_sound(unsound[i]));
	memset(longest, 'a', sizeof(longest));
	longest[TMPFS_PATH_SIZE] = '\0';
	assert_false(tmpfs_path_is_sound(longest));
	longest[TMPFS_PATH_SIZE - 1] = '\0';
	assert_true(tmpfs_path_is_sound(longest));
}

static void test_good(void **state)
{
	assert_int_equal(FILL(0, FILE_AT("old"), IS(S_IFDIR | 0755, "./")), 0);
	assert_true(exists("old"));
	assert_int_equal(FILL(0, FILE_AT("dir/below/file"), NAME("dir/name", "dir/below/file"),
			      LINK("link", "dir"), NAME("other", "link"),
			      IS(S_IFIFO | 0600, "fifo"),
			      IS(S_IFCHR | 0600, "null", .rdev = makedev(1, 3)),
			      IS(S_IFDIR | 0700, "dir"), IS(S_IFDIR | 0755, "./")),
			 0);
	assert_false(exists("old"));
	assert_true(exists("dir/below/file") && exists("dir/name") && exists("other"));
	assert_true(exists("link") && exists("fifo") && exists("null"));
	check_outside();
}

static void test_ways_out(void **state)
{
	assert_int_equal(FILL(0, FILE_AT("../escape")), -EBADMSG);
	assert_int_equal(FILL(0, FILE_AT("a/../../escape")), -EBADMSG);
	assert_int_equal(FILL(0, FILE_AT("/etc/escape")), -EBADMSG);
	assert_int_equal(FILL(0, FILE_AT("..")), -EBADMSG);
	assert_int_equal(FILL(0, FILE_AT(".")), -EEXIST);
	/* by a link */
	assert_int_equal(FILL(0, LINK("up", ".."), FILE_AT("up/escape")), -ENOTDIR);
	assert_int_equal(FILL(0, LINK("up", ".."), IS(S_IFDIR | 0777, "up")), -EEXIST);
	assert_int_equal(FILL(0, LINK("up", "../outside"), FILE_AT("up")), -EEXIST);
	/* as a name of what is outside */
	assert_int_equal(FILL(0, NAME("name", "../outside")), -EBADMSG);
	assert_int_equal(FILL(0, NAME("name", "/etc/passwd")), -EBADMSG);
	assert_int_equal(FILL(0, LINK("up", ".."), NAME("name", "up/outside")), -ELOOP);
	assert_int_equal(FILL(0, NAME("name", "absent")), -ENOENT);
	check_outside();
}

static void test_devices(void **state)
{
	const dev_t mem = makedev(1, 1);
	char path[256];
	struct stat st, now;

	assert_int_equal(FILL(0, IS(S_IFCHR | 0600, "mem", .rdev = mem)), -EPERM);
	assert_int_equal(FILL(0, IS(S_IFBLK | 0600, "disk", .rdev = makedev(8, 0))), -EPERM);
	assert_false(exists("mem") || exists("disk"));
	/* programs of the container could have made it */
	assert_int_equal(FILL(1ull << CAP_MKNOD, IS(S_IFCHR | 0600, "mem", .rdev = mem)), 0);
	/* and now the start has */
	snprintf(path, sizeof(path), "%s/mem", tree);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(FILL(0, IS(S_IFCHR | 0640, "mem", .rdev = mem)), 0);
	assert_int_equal(lstat(path, &now), 0);
	assert_int_equal(now.st_ino, st.st_ino);
	assert_int_equal(now.st_mode, S_IFCHR | 0640);
	/* which is not opened, nor turned into another one */
	assert_int_equal(FILL(0, FILE_AT("mem")), -EEXIST);
	assert_int_equal(FILL(0, IS(S_IFCHR | 0600, "mem", .rdev = makedev(1, 2))), -EPERM);
	/* and goes if the container had removed it */
	assert_int_equal(FILL(1ull << CAP_MKNOD, IS(S_IFCHR | 0640, "mem", .rdev = mem)), 0);
	assert_int_equal(FILL(0, FILE_AT("file")), 0);
	assert_false(exists("mem"));
	/* with its directory, and that which stays has its times */
	assert_int_equal(FILL(1ull << CAP_MKNOD, IS(S_IFCHR | 0640, "a/b/c/mem", .rdev = mem)), 0);
	assert_int_equal(FILL(0, IS(S_IFDIR | 0700, "a"), IS(S_IFDIR | 0700, "./")), 0);
	assert_true(exists("a") && !exists("a/b"));
	snprintf(path, sizeof(path), "%s/a", tree);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mtime, 0);
	assert_int_equal(lstat(tree, &st), 0);
	assert_int_equal(st.st_mtime, 0);
}

static void test_attributes(void **state)
{
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .uid = UINT32_MAX)), -EBADMSG);
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .uid = 1ll << 32)), -EBADMSG);
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .xattr = "security.selinux")),
			 -EBADMSG);
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .xattr = "system.other")), -EBADMSG);
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .xattr = "trusted.kept")), 0);
}

static int count(void *ctx, const struct tmpfs_entry *e, struct error **err)
{
	++*(int *)ctx;
	return 0;
}

/* Before the first of them, however many there are. */
static void test_walk_is_cancelled(void **state)
{
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0, cancel = 0;

	assert_int_equal(tmpfs_walk(root, count, &n, &cancel, NULL), 0);
	assert_int_equal(n, 3); /* "outside", "tree" and the root */
	cancel = 1;
	assert_int_equal(tmpfs_walk(root, count, &n, &cancel, NULL), -ECANCELED);
	assert_int_equal(n, 3);
	close(root);
}

static void take_ids(void)
{
	int signal = 0;

	_exit(prctl(PR_SET_PDEATHSIG, SIGKILL) || take_fs_ids(1000, 1000, NULL) ||
	      prctl(PR_GET_PDEATHSIG, &signal) || signal != SIGKILL);
}

/* Who fills one of another's, which a user namespace has, still dies with the runtime. */
static void test_dies_with_parent(void **state)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		take_ids();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/*
 * A tmpfs has none of "user." before 6.6: "trusted." has to do. What stands for another
 * byte in the archive is no way past the names that are refused.
 */
static void test_xattr_names(void **state)
{
	static const char odd[] = "trusted.a=b 100% \xc3\xbc%41", plain[] = "trusted.0123";
	static const char *const bad[] = {"trusted.01%0", "trusted.0%00", "trusted.0%zz",
					  "%73ecurity.0"};
	static const struct wanted file[] = {IS(S_IFREG | 0600, "file", .xattr = plain)};
	static char bytes[1 << 17];
	size_t len = make_archive(file, 1, bytes, sizeof(bytes));
	char path[256], value[8], *name = memmem(bytes, len, plain, sizeof(plain) - 1);
	struct image_reader *r;

	/* the start's go */
	assert_int_equal(setxattr(tree, plain, "old", 3, 0), 0);
	assert_int_equal(FILL(0, IS(S_IFREG | 0600, "file", .xattr = odd)), 0);
	assert_int_equal(getxattr(tree, plain, value, sizeof(value)), -1);
	snprintf(path, sizeof(path), "%s/file", tree);
	assert_int_equal(getxattr(path, odd, value, sizeof(value)), 5);
	assert_non_null(name);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memcpy(name, bad[i], sizeof(plain) - 1);
		r = make_image(bytes, len);
		assert_int_equal(fill_from(r, 0), -EBADMSG);
		image_reader_free(r);
	}
}

/* Cut off, and every byte of it changed once. */
static void test_damaged(void **state)
{
	static const struct wanted good[] = {FILE_AT("dir/file"), IS(S_IFDIR | 0700, "./")};
	static char bytes[1 << 17];
	size_t len = make_archive(good, 2, bytes, sizeof(bytes));
	struct image_reader *r = make_image(bytes, 700);

	assert_int_equal(fill_from(r, 0), -EBADMSG);
	image_reader_free(r);
	r = make_image("", 0);
	fill_from(r, 0);
	image_reader_free(r);
	for (size_t i = 0; i < len && i < 4096; i += 7) {
		bytes[i] ^= 0x15;
		r = make_image(bytes, len);
		fill_from(r, 0);
		image_reader_free(r);
		bytes[i] ^= 0x15;
	}
	check_outside();
}

/* What was right when the image was opened is looked at again when it is used. */
static void test_changed_later(void **state)
{
	static const struct wanted good[] = {FILE_AT("file")};
	static char bytes[1 << 17];
	size_t len = make_archive(good, 1, bytes, sizeof(bytes));
	struct image_reader *r = make_image(bytes, len);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/" ARCHIVE, image);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	/* behind the end of the archive */
	assert_int_equal(pwrite(fd, "x", 1, len - 1), 1);
	close(fd);
	assert_int_equal(fill_from(r, 0), -EBADMSG);
	image_reader_free(r);
}

static int load(struct restore *r, struct ckpt_tmpfs *rec, const char *point, size_t len)
{
	struct buf b = {0};
	struct record got;
	size_t pos = 0;
	int ret;

	assert_non_null(record_add2(&b, CKPT_TMPFS, rec, sizeof(*rec), point, len));
	assert_int_equal(record_next(b.data, b.len, &pos, &got), 1);
	ret = resource_tmpfs.load(r, NULL, &got, NULL);
	buf_free(&b);
	return ret;
}

static void test_records(void **state)
{
	struct image_reader *reader = make_image("", 0);
	struct restore r = {.image = reader};
	struct ckpt_tmpfs rec = {.tmpfs = 1, .path_len = 4};

	assert_int_equal(load(&r, &rec, "/run", 3), -EBADMSG);
	assert_int_equal(load(&r, &rec, "/run/", 5), -EBADMSG);
	assert_int_equal(load(&r, &rec, "run/", 4), -EBADMSG);
	assert_int_equal(load(&r, &rec, "/r\0n", 4), -EBADMSG);
	rec.path_len = 0;
	assert_int_equal(load(&r, &rec, "", 0), -EBADMSG);
	rec = (struct ckpt_tmpfs){2, 4};
	assert_int_equal(load(&r, &rec, "/run", 4), -EBADMSG);
	rec.tmpfs = 1;
	assert_int_equal(load(&r, &rec, "/run", 4), 0);
	assert_int_equal(load(&r, &rec, "/run", 4), -EBADMSG); /* again */
	rec.tmpfs = 2;					       /* no such file */
	assert_int_equal(load(&r, &rec, "/run", 4), -EBADMSG);
	image_reader_free(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test_setup_teardown(test_good, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_ways_out, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_devices, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_attributes, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_walk_is_cancelled, make_tree, remove_tree),
		cmocka_unit_test(test_dies_with_parent),
		cmocka_unit_test_setup_teardown(test_xattr_names, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_damaged, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_changed_later, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_records, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
