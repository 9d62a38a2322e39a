// SPDX-License-Identifier: GPL-2.0-only
/* Where images are written: what is refused, replaced, and cleaned up after. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/unit/image_fixture.h"
#include "util/cleanup.h"

/* Runs a shell command in the test's directory; its exit status must be 0. */
static void shell(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", dir, command);
	if (system(line))
		fail_msg("fails: %s", command);
}

static void write_image(void)
{
	__cleanup_error struct error *err = NULL;

	if (fixture_write(image, true, &err))
		fail_msg("%s", error_message(err));
}

/* The image's id, which no two have in common. */
static void read_id(char id[33])
{
	__cleanup_free char *text = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/manifest.json", image);
	assert_int_equal(read_file(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
	memcpy(id, strstr(text, "\"id\": \"") + 7, 32);
	id[32] = '\0';
}

static void expect_whole(void)
{
	__cleanup_error struct error *err = NULL;
	struct image_reader *r;

	if (image_open(image, &r, &err))
		fail_msg("%s", error_message(err));
	image_reader_free(r);
}

static void expect_failure(int code, const char *text)
{
	__cleanup_error struct error *err = NULL;
	__cleanup_free char *line = NULL;

	assert_int_equal(fixture_write(image, true, &err), code);
	line = error_line(err);
	if (!strstr(line, text))
		fail_msg("\"%s\" instead of \"%s\"", line, text);
}

static void test_foreign(void **state)
{
	shell("mkdir image && touch image/notes.txt image/task-1.core image/z");
	expect_failure(-ENOTEMPTY, "not of a checkpoint image: \"notes.txt\" (give an empty");
	shell("test $(ls image | wc -l) = 3");
	/* a bundle's */
	shell("rm image/* && touch image/config.json");
	expect_failure(-ENOTEMPTY, "\"config.json\"");
	shell("rm image/* && echo '{}' >image/manifest.json");
	expect_failure(-ENOTEMPTY, "\"manifest.json\"");
	shell("rm image/* && mkdir image/container.rec image/manifest.json.tmp");
	expect_failure(-ENOTEMPTY, "\"container.rec\"");
	shell("rmdir image/* && ln -s /etc/passwd image/config.json");
	expect_failure(-ENOTEMPTY, "\"config.json\"");
	shell("rm image/* && rmdir image && touch image");
	expect_failure(-ENOTDIR, "image");
}

static void test_engine_files(void **state)
{
	shell("mkdir image && cd image && touch dump.log stats-dump descriptors.json && "
	      "ln -s ../elsewhere parent");
	write_image();
	expect_whole();
	shell("echo kept >image/dump.log");
	write_image();
	expect_whole();
	shell("grep -q kept image/dump.log && test -L image/parent && test -e image/stats-dump");
	shell("test $(ls -A | wc -l) = 1 && test $(ls -A image | wc -l) = 9");
}

static void test_fresh_is_removed(void **state)
{
	__cleanup_error struct error *err = NULL;

	snprintf(image, sizeof(image), "%s/a/b/image", dir);
	assert_int_equal(fixture_write(image, false, &err), 0);
	shell("! test -e a");
	write_image();
	expect_whole();
	shell("test $(stat -c %a a/b/image) = 700");

	snprintf(image, sizeof(image), "%s/there", dir);
	shell("mkdir there && touch there/dump.log");
	assert_int_equal(fixture_write(image, false, &err), 0);
	shell("test \"$(ls -A there)\" = dump.log");
}

static void test_replaced(void **state)
{
	char first[33], second[33];

	write_image();
	read_id(first);
	shell("cp -a image/task-1.core image/task-99.core");
	/* not committed: the old one stays */
	assert_int_equal(fixture_write(image, false, NULL), 0);
	expect_whole();
	read_id(second);
	assert_string_equal(first, second);
	write_image();
	expect_whole();
	read_id(second);
	assert_string_not_equal(first, second);
	shell("! test -e image/task-99.core && test \"$(ls -A)\" = image");
	/* a damaged one may be replaced too; a foreign file in it may not be lost */
	shell("echo '# \"firn-checkpoint-image\"' >image/manifest.json");
	write_image();
	shell("touch image/mine");
	expect_failure(-ENOTEMPTY, "\"mine\"");
	expect_whole();
}

/* A reader has what it opened, whatever becomes of the path. */
static void test_replaced_while_read(void **state)
{
	struct image_reader *r;
	struct core core;
	uint64_t size;
	int fd;

	write_image();
	assert_int_equal(image_open(image, &r, NULL), 0);
	assert_int_equal(core_read(r, 1, &core, NULL), 0);
	write_image();
	assert_int_equal(image_reader_file(r, "task-1.core", &fd, &size, NULL), 0);
	/* never a file of the new image under the old one's manifest */
	assert_int_equal(image_reader_file(r, "task-7.core", &fd, &size, NULL), -ENOENT);
	core_free(&core);
	image_reader_free(r);
}

static void test_two_writers(void **state)
{
	struct image_writer *w;

	assert_int_equal(image_create(image, &w, NULL), 0);
	expect_failure(-EBUSY, "another checkpoint is writing to it");
	image_close(w);
	write_image();
	assert_int_equal(image_create(image, &w, NULL), 0);
	expect_failure(-EBUSY, "another checkpoint is writing to it");
	image_close(w);
	expect_whole();
}

static void test_names(void **state)
{
	static const char *const bad[] = {
		"manifest.json", "../x",    "task-.core", "task-01.core", "task-1.core/x",
		"object-1",	 "ghost-x", "",		  "a/b"};
	struct image_writer *w;
	struct image_file *f;

	assert_int_equal(image_create(image, &w, NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(image_add_file(w, bad[i], &f, NULL), -EINVAL);
	assert_int_equal(image_add_file(w, "ghost-0", &f, NULL), 0);
	assert_int_equal(image_add_file(w, "ghost-0", &f, NULL), -EEXIST);
	image_close(w);
}

static void run_to_fault(const char *fault)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		setenv("FIRN_FAULT", fault, 1);
		_exit(fixture_write(image, true, NULL) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Killed anywhere, there is the old image or the new one, or none and a path that can be used. */
static void test_killed(void **state)
{
	static const char *const points[] = {"image-commit", "image-manifest", "image-exchange",
					     "image-exchanged"};
	char fault[64];

	for (size_t i = 0; i < 2; i++) {
		snprintf(fault, sizeof(fault), "%s:kill", points[i]);
		run_to_fault(fault);
		shell("test -e image/manifest.json.tmp && ! test -e image/manifest.json");
		write_image();
		expect_whole();
		shell("rm -r image");
	}
	write_image();
	for (size_t i = 0; i < 4; i++) {
		snprintf(fault, sizeof(fault), "%s:kill", points[i]);
		run_to_fault(fault);
		expect_whole();
		shell("test $(ls -A | wc -l) = 2");
		write_image();
		expect_whole();
		shell("test \"$(ls -A)\" = image");
	}
}

static void test_failed(void **state)
{
	static const char *const points[] = {"image-commit", "image-manifest", "image-exchange",
					     "image-exchanged"};
	char fault[64], before[33], after[33];

	run_to_fault("image-manifest:EIO");
	shell("! test -e image");
	write_image();
	read_id(before);
	for (size_t i = 0; i < 4; i++) {
		snprintf(fault, sizeof(fault), "%s:EIO", points[i]);
		run_to_fault(fault);
		expect_whole();
		read_id(after);
		assert_string_equal(before, after);
		shell("test \"$(ls -A)\" = image");
	}
}

/* In a mount namespace of the test's own; false where that is not allowed. */
static bool mount_tmpfs(const char *where, const char *options)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", where, "tmpfs", 0, options)) {
		print_message("wants the right to mount a tmpfs\n");
		return false;
	}
	return true;
}

static void test_no_space(void **state)
{
	if (!mount_tmpfs(dir, "size=64k"))
		skip();
	/* room for some of it: less and less */
	for (int pages = 15; pages > 3; pages--) {
		char command[128];
		int r;

		snprintf(command, sizeof(command), "head -c %d /dev/zero >ballast",
			 (16 - pages) * 4096);
		shell(command);
		r = fixture_write(image, true, NULL);
		if (r)
			assert_int_equal(r, -ENOSPC);
		if (r)
			shell("test \"$(ls -A)\" = ballast");
		else
			shell("rm -r image");
	}
	expect_failure(-ENOSPC, "No space left on device");
	umount2(dir, MNT_DETACH);
}

static void test_mount_point(void **state)
{
	shell("mkdir image");
	if (!mount_tmpfs(image, "size=1m"))
		skip();
	write_image();
	expect_whole();
	expect_failure(-EBUSY, "is a mount point, so the image in it cannot be replaced "
			       "(checkpoint to a new directory");
	expect_whole();
	umount2(image, MNT_DETACH);
}

static void test_read_only(void **state)
{
	if (!mount_tmpfs(dir, "size=1m"))
		skip();
	write_image();
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		skip();
	expect_failure(-EROFS, "beside it");
	expect_whole();
	snprintf(image, sizeof(image), "%s/new", dir);
	expect_failure(-EROFS, "Read-only file system");
	umount2(dir, MNT_DETACH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
		cmocka_unit_test_setup_teardown(test_engine_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fresh_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replaced_while_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_space, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mount_point, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
