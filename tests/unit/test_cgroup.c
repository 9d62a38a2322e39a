// SPDX-License-Identifier: GPL-2.0-only
/* Layouts that this machine does not have, conversions, and creation to removal on the one it has.
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "tests/unit/cgroup_create.h"
#include "tests/unit/child.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct hierarchy *named(const struct cgroup *cg, const char *names)
{
	vec_for_each (h, cg) {
		if (!strcmp(h->names, names))
			return h;
	}
	fail_msg("no hierarchy \"%s\"", names);
	return NULL;
}

static void test_layout_hybrid(void **state)
{
	struct cgroup *cg = calloc(1, sizeof(*cg));
	const struct hierarchy *h;

	assert_int_equal(
		cgroup_layout_parse(
			"22 1 0:20 / / rw - ext4 /dev/sda rw\n"
			"31 22 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
			"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup "
			"rw,cpu,cpuacct\n"
			"33 31 0:30 /docker/x /sys/fs/cgroup/with\\040blank rw master:3 - cgroup "
			"cgroup rw,freezer\n"
			"34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup "
			"rw,xattr,name=systemd\n"
			"35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
			"36 31 0:29 / /mnt/again rw - cgroup cgroup rw,cpu,cpuacct\n",
			"4:freezer:/docker/x/y\n3:cpuacct,cpu:/a:b\n1:name=systemd:/../..\n"
			"0::/user.slice\n",
			cg, NULL),
		0);
	assert_int_equal(cg->count, 4);
	h = named(cg, "freezer");
	assert_string_equal(h->mount, "/sys/fs/cgroup/with blank");
	assert_string_equal(h->own, "/y");
	assert_int_equal(h->controllers, CTL_FREEZER);
	h = named(cg, "cpuacct,cpu");
	assert_string_equal(h->mount, "/sys/fs/cgroup/cpu,cpuacct");
	assert_string_equal(h->own, "/a:b");
	assert_int_equal(h->controllers, CTL_CPU | CTL_CPUACCT);
	assert_string_equal(named(cg, "name=systemd")->own, "/");
	h = named(cg, "");
	assert_int_equal(h->version, 2);
	assert_string_equal(h->own, "/user.slice");
	assert_true(cgroup_is_v1(cg));
	cgroup_free(cg);
}

/* One v1 hierarchy that somebody has mounted for himself. */
static void test_layout_stray(void **state)
{
	struct cgroup *cg = calloc(1, sizeof(*cg));

	assert_int_equal(
		cgroup_layout_parse(
			"31 22 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
			"32 22 0:29 / /sys/fs/cgroup/net_cls rw - cgroup net_cls rw,net_cls\n",
			"1:net_cls:/\n0::/user.slice\n", cg, NULL),
		0);
	assert_int_equal(cg->count, 2);
	assert_false(cgroup_is_v1(cg));
	cgroup_free(cg);
}

static void test_layout_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"31 22",
		" - cgroup",
		"1 2 3 4 5 - cgroup2",
		"- - - - -",
		"a b c d - cgroup c",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct cgroup *cg = calloc(1, sizeof(*cg));

		assert_int_equal(cgroup_layout_parse(bad[i], "0:", cg, NULL), -ENOENT);
		cgroup_free(cg);
	}
}

static void test_conversions(void **state)
{
	assert_int_equal(cgroup_cpu_weight(2), 1);
	assert_int_equal(cgroup_cpu_weight(1024), 39);
	assert_int_equal(cgroup_cpu_weight(262144), 10000);
	assert_int_equal(cgroup_cpu_weight(0), 1);
	assert_int_equal(cgroup_cpu_weight(~0ULL), 10000);
	assert_int_equal(cgroup_io_weight(10), 1);
	assert_int_equal(cgroup_io_weight(1000), 10000);
}

static void test_paths(void **state)
{
	static char *const bad[] = {"/", "/..", "/a/../../b", "..", "/a\nb", "/./", "."};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct oci_config config = {.lx.cgroups_path = bad[i]};
		struct cgroup *cg = NULL;

		if (cgroup_create("unit", &config, &cg, NULL) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

static size_t count_dirs(const struct cgroup *cg)
{
	size_t n = 0;

	vec_for_each (h, cg) {
		char path[8192];

		snprintf(path, sizeof(path), "%s%s", h->mount, h->path);
		n += h->fd >= 0 && access(path, F_OK) == 0;
	}
	return n;
}

/* Made with limits, joined, opened again by the recorded path, listed, killed, removed. */
static void test_life(void **state)
{
	struct oci_config config = {0};
	struct cgroup *cg = NULL, *again = NULL;
	struct pid_list list;
	struct error *err = NULL;
	char id[64];
	pid_t pid;

	snprintf(id, sizeof(id), "unit-cgroup-%d", getpid());
	config.lx.resources.has_pids_limit = true;
	config.lx.resources.pids_limit = 77;
	config.lx.resources.memory.has_limit = true;
	config.lx.resources.memory.limit = 256 << 20;
	cgroup_create(id, &config, &cg, &err);
	no_error(err);
	assert_true(count_dirs(cg) >= 1);
	vec_for_each (h, cg) {
		__cleanup_free char *text = NULL;

		if (h->fd < 0 || !(h->controllers & CTL_PIDS))
			continue;
		assert_int_equal(read_file(h->fd, "pids.max", 64, &text, NULL), 0);
		assert_string_equal(text, "77\n");
	}
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	cgroup_attach(cg, pid, &err);
	no_error(err);
	cgroup_open(cgroup_path(cg), &again, &err);
	no_error(err);
	assert_int_equal(count_dirs(again), count_dirs(cg));
	assert_int_equal(cgroup_pids(again, &list, NULL), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.pids[0], pid);
	free(list.pids);
	/* nobody else may use it now */
	{
		__cleanup_error struct error *busy = NULL;
		struct cgroup *second = NULL;

		assert_int_equal(cgroup_create(id, &config, &second, &busy), -EBUSY);
		assert_int_equal(count_dirs(again), count_dirs(cg));
	}
	cgroup_kill_all(again, SIGKILL, &err);
	no_error(err);
	waitpid(pid, NULL, 0);
	cgroup_destroy(again, &err);
	no_error(err);
	assert_int_equal(count_dirs(cg), 0);
	/* twice is no error */
	cgroup_destroy(again, &err);
	no_error(err);
	cgroup_free(cg);
	cgroup_free(again);
}

/* A limit that cannot be set is an error, and nothing is left of the attempt. */
static void test_failure_leaves_nothing(void **state)
{
	struct oci_config config = {0};
	struct oci_pair pair = {(char *)"memory.max", (char *)"what?"};
	__cleanup_error struct error *err = NULL;
	struct cgroup *cg = NULL, *left = NULL;
	char id[64], path[128];

	snprintf(id, sizeof(id), "unit-left-%d", getpid());
	snprintf(path, sizeof(path), "/firn/%s", id);
	config.lx.cgroups_path = path;
	config.lx.resources.unified.items = &pair;
	config.lx.resources.unified.count = 1;
	assert_true(cgroup_create(id, &config, &cg, &err) < 0);
	assert_int_equal(cgroup_open(path, &left, NULL), 0);
	assert_int_equal(count_dirs(left), 0);
	cgroup_free(left);
}

static void test_unified_files(void **state)
{
	static char *const bad[] = {"cgroup.procs", "../memory.max", ".", "", "cgroup.freeze"};
	char id[64];

	snprintf(id, sizeof(id), "unit-unified-%d", getpid());
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct oci_config config = {0};
		struct oci_pair pair = {bad[i], (char *)"1"};
		struct cgroup *cg = NULL;

		config.lx.resources.unified.items = &pair;
		config.lx.resources.unified.count = 1;
		if (cgroup_create(id, &config, &cg, NULL) >= 0)
			fail_msg("accepted \"%s\"", bad[i]);
	}
}

/* In a child within the cgroup: 0 or the errno of opening a device node. */
static int open_device(struct cgroup *cg, const char *path, int flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd;

		if (cgroup_attach(cg, getpid(), NULL) < 0)
			_exit(200);
		fd = open(path, flags | O_CLOEXEC);
		_exit(fd < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

/* Deny all, allow reading of /dev/kmsg: as the default rules and one of the user's. */
static void test_devices(void **state)
{
	struct oci_device_rule rules[] = {
		{.allow = false, .type = 'a'},
		{.allow = true,
		 .type = 'c',
		 .has_major = true,
		 .has_minor = true,
		 .major = 10,
		 .minor = 229,
		 .access = (char *)"r"},
	};
	struct oci_config config = {0};
	struct cgroup *cg = NULL;
	struct error *err = NULL;
	char id[64], allowed[96], denied[96];

	snprintf(id, sizeof(id), "unit-devices-%d", getpid());
	snprintf(allowed, sizeof(allowed), "/tmp/%s-a", id);
	snprintf(denied, sizeof(denied), "/tmp/%s-d", id);
	if (mknod(allowed, S_IFCHR | 0600, 10 << 8 | 229) < 0 ||
	    mknod(denied, S_IFCHR | 0600, 1 << 8 | 11) < 0) {
		print_message("skipped: wants the right to make device nodes\n");
		skip();
	}
	config.lx.resources.devices.items = rules;
	config.lx.resources.devices.count = 2;
	cgroup_create(id, &config, &cg, &err);
	no_error(err);
	assert_int_equal(open_device(cg, "/dev/null", O_RDWR), 0);
	assert_int_equal(open_device(cg, denied, O_RDONLY), EPERM);
	/* whether there is such a driver does not matter here */
	assert_int_not_equal(open_device(cg, allowed, O_RDONLY), EPERM);
	assert_int_equal(open_device(cg, allowed, O_RDWR), EPERM);
	assert_int_equal(open_device(cg, allowed, O_WRONLY), EPERM);
	cgroup_destroy(cg, &err);
	no_error(err);
	cgroup_free(cg);
	unlink(allowed);
	unlink(denied);
}

int main(void)
{
	const struct CMUnitTest parsing[] = {
		cmocka_unit_test(test_layout_hybrid),
		cmocka_unit_test(test_layout_stray),
		cmocka_unit_test(test_layout_bad),
		cmocka_unit_test(test_conversions),
	};
	const struct CMUnitTest making[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_failure_leaves_nothing),
		cmocka_unit_test(test_unified_files),
		cmocka_unit_test(test_devices),
	};
	int failed = cmocka_run_group_tests_name("cgroup parsing", parsing, NULL, NULL);

	if (geteuid()) {
		print_message("skipped: making cgroups wants root\n");
		return failed;
	}
	return failed + cmocka_run_group_tests_name("cgroup", making, NULL, NULL);
}
