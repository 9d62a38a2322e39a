// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fields of config.json that are written to files of the kernel, with plain files in their
 * place: every resource of both cgroup versions, and what few machines have (AppArmor, SELinux,
 * resctrl). tests/oci/fields.tsv says which field is whose; under `make mutate-oci` FIRN_WITHOUT
 * is the field that is taken out, and FIRN_TEST the test to run.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/intel_rdt.h"
#include "libcontainer/labels.h"
#include "libcontainer/numa.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define FILES_MAX 8

struct file {
	const char *name, *text;
};

struct resource_case {
	const char *name;
	int version;					 /* of cgroups */
	const char *resources;				 /* JSON */
	struct file before[FILES_MAX], after[FILES_MAX]; /* after: these and empty ones */
	int code;					 /* a negative errno instead */
};

static const struct resource_case cases[] = {
	{"memory v1",
	 1,
	 "{\"memory\": {\"limit\": 10000000, \"reservation\": 5000000, \"swap\": 20000000,"
	 "\"kernel\": 3000000, \"kernelTCP\": 4000000, \"swappiness\": 10,"
	 "\"disableOOMKiller\": true, \"useHierarchy\": true}}",
	 {{"memory.limit_in_bytes", ""},
	  {"memory.memsw.limit_in_bytes", "99999999"},
	  {"memory.soft_limit_in_bytes", ""},
	  {"memory.kmem.limit_in_bytes", ""},
	  {"memory.kmem.tcp.limit_in_bytes", ""},
	  {"memory.swappiness", ""},
	  {"memory.oom_control", ""},
	  {"memory.use_hierarchy", "0"}},
	 {{"memory.limit_in_bytes", "10000000"},
	  {"memory.memsw.limit_in_bytes", "20000000"},
	  {"memory.soft_limit_in_bytes", "5000000"},
	  {"memory.kmem.limit_in_bytes", "3000000"},
	  {"memory.kmem.tcp.limit_in_bytes", "4000000"},
	  {"memory.swappiness", "10"},
	  {"memory.oom_control", "1"},
	  {"memory.use_hierarchy", "1"}},
	 0},
	{"memory v2",
	 2,
	 "{\"memory\": {\"limit\": 10000000, \"reservation\": 5000000, \"swap\": 30000000}}",
	 {{"memory.max", ""}, {"memory.low", ""}, {"memory.swap.max", ""}},
	 {{"memory.max", "10000000"}, {"memory.low", "5000000"}, {"memory.swap.max", "20000000"}},
	 0},
	{"memory without limits v2",
	 2,
	 "{\"memory\": {\"limit\": -1, \"swap\": -1}}",
	 {{"memory.max", ""}, {"memory.swap.max", ""}},
	 {{"memory.max", "max"}, {"memory.swap.max", "max"}},
	 0},
	{"memory in use",
	 1,
	 "{\"memory\": {\"limit\": 10000000, \"checkBeforeUpdate\": true}}",
	 {{"memory.limit_in_bytes", ""}, {"memory.usage_in_bytes", "10000001"}},
	 {{0}},
	 -EBUSY},
	{"memory in use v2",
	 2,
	 "{\"memory\": {\"limit\": 10000000, \"checkBeforeUpdate\": true}}",
	 {{"memory.max", ""}, {"memory.current", "10000001"}},
	 {{0}},
	 -EBUSY},
	{"memory below swap",
	 2,
	 "{\"memory\": {\"limit\": 10000000, \"swap\": 9000000}}",
	 {{"memory.max", ""}, {"memory.swap.max", ""}},
	 {{0}},
	 -EINVAL},
	{"cpu v1",
	 1,
	 "{\"cpu\": {\"shares\": 512, \"quota\": 20000, \"period\": 50000, \"burst\": 1000,"
	 "\"realtimeRuntime\": 950, \"realtimePeriod\": 1950, \"idle\": 1}}",
	 {{"cpu.shares", ""},
	  {"cpu.cfs_quota_us", ""},
	  {"cpu.cfs_period_us", ""},
	  {"cpu.cfs_burst_us", ""},
	  {"cpu.rt_runtime_us", ""},
	  {"cpu.rt_period_us", ""},
	  {"cpu.idle", ""}},
	 {{"cpu.shares", "512"},
	  {"cpu.cfs_quota_us", "20000"},
	  {"cpu.cfs_period_us", "50000"},
	  {"cpu.cfs_burst_us", "1000"},
	  {"cpu.rt_runtime_us", "950"},
	  {"cpu.rt_period_us", "1950"},
	  {"cpu.idle", "1"}},
	 0},
	{"cpu v2",
	 2,
	 "{\"cpu\": {\"shares\": 1024, \"quota\": 20000, \"period\": 50000, \"burst\": 1000,"
	 "\"idle\": 1}}",
	 {{"cpu.weight", ""}, {"cpu.max", ""}, {"cpu.max.burst", ""}, {"cpu.idle", ""}},
	 {{"cpu.weight", "39"},
	  {"cpu.max", "20000 50000"},
	  {"cpu.max.burst", "1000"},
	  {"cpu.idle", "1"}},
	 0},
	{"quota alone keeps the period v2",
	 2,
	 "{\"cpu\": {\"quota\": 40000}}",
	 {{"cpu.max", "10000 80000"}},
	 {{"cpu.max", "40000 80000"}},
	 0},
	{"cpuset",
	 1,
	 "{\"cpu\": {\"cpus\": \"0-1\", \"mems\": \"0\"}}",
	 {{"cpuset.cpus", ""}, {"cpuset.mems", ""}},
	 {{"cpuset.cpus", "0-1"}, {"cpuset.mems", "0"}},
	 0},
	{"pids", 2, "{\"pids\": {\"limit\": 55}}", {{"pids.max", ""}}, {{"pids.max", "55"}}, 0},
	{"pids without a limit",
	 2,
	 "{\"pids\": {\"limit\": -1}}",
	 {{"pids.max", ""}},
	 {{"pids.max", "max"}},
	 0},
	{"block devices v1",
	 1,
	 "{\"blockIO\": {\"weight\": 100, \"leafWeight\": 200, \"weightDevice\":"
	 "[{\"major\": 8, \"minor\": 16, \"weight\": 300, \"leafWeight\": 400}],"
	 "\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 1, \"rate\": 11}],"
	 "\"throttleWriteBpsDevice\": [{\"major\": 8, \"minor\": 2, \"rate\": 12}],"
	 "\"throttleReadIOPSDevice\": [{\"major\": 8, \"minor\": 3, \"rate\": 13}],"
	 "\"throttleWriteIOPSDevice\": [{\"major\": 8, \"minor\": 4, \"rate\": 14}]}}",
	 {{"blkio.weight", ""},
	  {"blkio.leaf_weight", ""},
	  {"blkio.weight_device", ""},
	  {"blkio.leaf_weight_device", ""},
	  {"blkio.throttle.read_bps_device", ""},
	  {"blkio.throttle.write_bps_device", ""},
	  {"blkio.throttle.read_iops_device", ""},
	  {"blkio.throttle.write_iops_device", ""}},
	 {{"blkio.weight", "100"},
	  {"blkio.leaf_weight", "200"},
	  {"blkio.weight_device", "8:16 300"},
	  {"blkio.leaf_weight_device", "8:16 400"},
	  {"blkio.throttle.read_bps_device", "8:1 11"},
	  {"blkio.throttle.write_bps_device", "8:2 12"},
	  {"blkio.throttle.read_iops_device", "8:3 13"},
	  {"blkio.throttle.write_iops_device", "8:4 14"}},
	 0},
	{"leaf weights v2", 2, "{\"blockIO\": {\"leafWeight\": 200}}", {{0}}, {{0}}, -EOPNOTSUPP},
	{"weights v2",
	 2,
	 "{\"blockIO\": {\"weight\": 1000}}",
	 {{"io.weight", ""}},
	 {{"io.weight", "default 10000"}},
	 0},
	{"weights of bfq v2",
	 2,
	 "{\"blockIO\": {\"weight\": 100}}",
	 {{"io.weight", ""}, {"io.bfq.weight", ""}},
	 {{"io.bfq.weight", "100"}},
	 0},
	{"weight of a device v2",
	 2,
	 "{\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0, \"weight\": 10}]}}",
	 {{"io.weight", ""}},
	 {{"io.weight", "8:0 1"}},
	 0},
#define THROTTLE_V2(field, key)                                                                    \
	{                                                                                          \
		field " v2", 2,                                                                    \
			"{\"blockIO\": {\"" field                                                  \
			"\": [{\"major\": 8, \"minor\": 1, \"rate\": 11}]}}",                      \
			{{"io.max", ""}}, {{"io.max", "8:1 " key "=11"}}, 0                        \
	}
	THROTTLE_V2("throttleReadBpsDevice", "rbps"),
	THROTTLE_V2("throttleWriteBpsDevice", "wbps"),
	THROTTLE_V2("throttleReadIOPSDevice", "riops"),
	THROTTLE_V2("throttleWriteIOPSDevice", "wiops"),
	{"huge pages v1",
	 1,
	 "{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 4194304}]}",
	 {{"hugetlb.2MB.limit_in_bytes", ""}, {"hugetlb.2MB.rsvd.limit_in_bytes", ""}},
	 {{"hugetlb.2MB.limit_in_bytes", "4194304"},
	  {"hugetlb.2MB.rsvd.limit_in_bytes", "4194304"}},
	 0},
	{"huge pages v2",
	 2,
	 "{\"hugepageLimits\": [{\"pageSize\": \"1GB\", \"limit\": 0}]}",
	 {{"hugetlb.1GB.max", ""}},
	 {{"hugetlb.1GB.max", "0"}},
	 0},
	{"network",
	 1,
	 "{\"network\": {\"classID\": 1048577, \"priorities\":"
	 "[{\"name\": \"eth0\", \"priority\": 5}]}}",
	 {{"net_cls.classid", ""}, {"net_prio.ifpriomap", ""}},
	 {{"net_cls.classid", "1048577"}, {"net_prio.ifpriomap", "eth0 5"}},
	 0},
	{"network v2", 2, "{\"network\": {\"classID\": 1048577}}", {{0}}, {{0}}, -ENOENT},
	{"rdma handles",
	 2,
	 "{\"rdma\": {\"mlx5_1\": {\"hcaHandles\": 3}}}",
	 {{"rdma.max", ""}},
	 {{"rdma.max", "mlx5_1 hca_handle=3"}},
	 0},
	{"rdma objects",
	 2,
	 "{\"rdma\": {\"mlx5_1\": {\"hcaObjects\": 10}}}",
	 {{"rdma.max", ""}},
	 {{"rdma.max", "mlx5_1 hca_object=10"}},
	 0},
	{"unified",
	 2,
	 "{\"unified\": {\"memory.high\": \"1073741824\"}}",
	 {{"memory.high", ""}},
	 {{"memory.high", "1073741824"}},
	 0},
	{"unified leaves the cgroup's own files alone",
	 2,
	 "{\"unified\": {\"cgroup.procs\": \"1\"}}",
	 {{"cgroup.procs", ""}},
	 {{0}},
	 -EINVAL},
};

/* --- configurations --- */

static char dir[] = "/tmp/firn-fields-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	__cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, text, strlen(text)), 0);
}

static char *get(const char *name)
{
	char path[256], *text = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return read_file(AT_FDCWD, path, 65536, &text, NULL) == 0 ? text : NULL;
}

static void expect(const char *name, const char *wanted)
{
	__cleanup_free char *text = get(name);

	if (!text)
		fail_msg("%s is not there", name);
	if (strcmp(text, wanted))
		fail_msg("%s is \"%s\", wanted \"%s\"", name, text, wanted);
}

/* Without the field that FIRN_WITHOUT names: the same program does it for the bats tests. */
static struct oci_config *config_of(const char *json)
{
	struct oci_config *config = NULL;
	struct error *err = NULL;
	char command[256];
	__cleanup_free char *text = NULL;

	put("config.json", json);
	snprintf(command, sizeof(command),
		 "FIRN_REAL=true tests/oci/without-field create --bundle %s", dir);
	if (getenv("FIRN_WITHOUT") && system(command))
		fail_msg("%s failed", command);
	text = get("config.json");
	if (oci_config_parse(text, strlen(text), &config, &err) ||
	    oci_config_validate(config, &err))
		fail_msg("%s", error_message(err));
	return config;
}

static struct oci_config *config_with(const char *member, const char *json)
{
	char text[2048];

	snprintf(
		text, sizeof(text),
		"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"r\"}, \"linux\": {\"%s\": %s}}",
		member, json);
	return config_of(text);
}

static int make_dir(void **state)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

/* --- cgroups --- */

static void test_resources(void **state)
{
	const struct resource_case *c = *state;
	__cleanup_oci_config struct oci_config *config = config_with("resources", c->resources);
	struct error *err = NULL;
	struct hierarchy h = {.version = c->version,
			      .controllers = ~0u,
			      .names = (char *)"",
			      .path = (char *)"/c"};
	struct cgroup cg = {.items = &h, .count = 1};

	for (const struct file *f = c->before; f < c->before + FILES_MAX && f->name; f++)
		put(f->name, f->text);
	h.fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(cgroup_apply(&cg, &config->lx.resources, ~0u, &err), c->code);
	close(h.fd);
	if (!c->code && err)
		fail_msg("%s", error_message(err));
	error_free(err);
	for (const struct file *f = c->after; f < c->after + FILES_MAX && f->name; f++)
		expect(f->name, f->text);
}

/* --- labels --- */

#define PROCESS(field)                                                                             \
	"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"r\"},"                                 \
	"\"process\": {\"cwd\": \"/\", \"args\": [\"x\"], " field "}}"

#define MOUNT_LABEL                                                                                \
	"{\"ociVersion\": \"1.3.0\", \"root\": {\"path\": \"r\"}, \"linux\": {\"mountLabel\": "    \
	"\"l\"}}"

static void make_proc(void)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "rm -rf %s/self && mkdir -p %s/self/attr/apparmor && cd %s/self/attr && "
		 "touch exec current keycreate apparmor/exec apparmor/current",
		 dir, dir, dir);
	assert_int_equal(system(command), 0);
}

static void apply_labels(const char *json, enum labels_for whom)
{
	__cleanup_oci_config struct oci_config *config = config_of(json);
	__cleanup_fd int proc = -1;
	struct error *err = NULL;

	make_proc();
	proc = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(labels_wanted(config->process));
	if (labels_apply(proc, config->process, whom, &err) < 0)
		fail_msg("%s", error_message(err));
}

static void test_apparmor(void **state)
{
	apply_labels(PROCESS("\"apparmorProfile\": \"acme\""), LABELS_PROGRAM);
	expect("self/attr/apparmor/exec", "exec acme");
	expect("self/attr/exec", "");
	apply_labels(PROCESS("\"apparmorProfile\": \"acme\""), LABELS_CALLER);
	expect("self/attr/apparmor/current", "changeprofile acme");
	expect("self/attr/apparmor/exec", "");
}

static void test_selinux(void **state)
{
	apply_labels(PROCESS("\"selinuxLabel\": \"u:r:t:s0:c1,c2\""), LABELS_CALLER);
	expect("self/attr/current", "u:r:t:s0:c1,c2");
	expect("self/attr/exec", "");
	apply_labels(PROCESS("\"selinuxLabel\": \"u:r:t:s0:c1,c2\""), LABELS_PROGRAM);
	expect("self/attr/exec", "u:r:t:s0:c1,c2");
	expect("self/attr/keycreate", "u:r:t:s0:c1,c2");
}

static void test_mount_label(void **state)
{
	__cleanup_oci_config struct oci_config *config =
		config_with("mountLabel", "\"u:r:t:s0:c1,c2\"");
	const char *label = config->lx.mount_label;
	__cleanup_free char *tmpfs = labels_mount_data("tmpfs", "mode=755", label);
	__cleanup_free char *empty = labels_mount_data("devpts", "", label);
	__cleanup_free char *proc = labels_mount_data("proc", "hidepid=2", label);

	assert_string_equal(tmpfs, "mode=755,context=\"u:r:t:s0:c1,c2\"");
	assert_string_equal(empty, "context=\"u:r:t:s0:c1,c2\"");
	assert_string_equal(proc, "hidepid=2");
}

static int check_in(const char *json)
{
	__cleanup_oci_config struct oci_config *config = config_of(json);
	__cleanup_fd int sys = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error *err = NULL;
	int ret = labels_check_in(sys, config->process, config->lx.mount_label, &err);

	assert_true(!ret == !err);
	error_free(err);
	return ret;
}

/* A label that nobody enforces is refused. */
static void test_no_module(void **state)
{
	static const char *const json[] = {
		PROCESS("\"apparmorProfile\": \"acme\""),
		PROCESS("\"selinuxLabel\": \"l\""),
		MOUNT_LABEL,
	};
	char command[256];

	snprintf(command, sizeof(command),
		 "mkdir -p %s/module/apparmor/parameters %s/fs/selinux && "
		 "echo N >%s/module/apparmor/parameters/enabled",
		 dir, dir, dir);
	for (int i = 0; i < 3; i++)
		assert_int_equal(check_in(json[i]), -EOPNOTSUPP);
	assert_int_equal(system(command), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(check_in(json[i]), -EOPNOTSUPP);
	put("module/apparmor/parameters/enabled", "Y\n");
	put("fs/selinux/enforce", "0");
	for (int i = 0; i < 3; i++)
		assert_int_equal(check_in(json[i]), 0);
}

/* What is no proc gets no label. */
static void test_false_proc(void **state)
{
	struct error *err = NULL;

	assert_int_equal(labels_open_proc(dir, &err), -EPERM);
	error_free(err);
	close(labels_open_proc("/proc", NULL));
}

/* --- resctrl --- */

static void test_rdt_class(void **state)
{
	__cleanup_oci_config struct oci_config *config = config_with(
		"intelRdt", "{\"closID\": \"gold\", \"l3CacheSchema\": \"L3:0=ff\","
			    "\"memBwSchema\": \"MB:0=20\", \"schemata\": [\"L3:1=f\", \"MB:1=70\"],"
			    "\"enableMonitoring\": true}");
	__cleanup_intel_rdt struct intel_rdt rdt = {0};
	__cleanup_free char *record = NULL;
	char groups[128];

	/* the kernel makes this one with the class */
	snprintf(groups, sizeof(groups), "mkdir -p %s/gold/mon_groups", dir);
	assert_int_equal(system(groups), 0);
	assert_int_equal(intel_rdt_create(dir, "id", config->lx.intel_rdt, &rdt, NULL), 0);
	expect("gold/schemata", "L3:0=ff\nMB:0=20\nL3:1=f\nMB:1=70\n");
	assert_int_equal(intel_rdt_join(&rdt, 4711, NULL), 0);
	expect("gold/tasks", "4711");
	expect("gold/mon_groups/id/tasks", "4711");
	/* it was there before: not ours to remove */
	assert_false(rdt.clos_made);
	assert_true(rdt.group_made);
	record = intel_rdt_record(&rdt);
	assert_non_null(strstr(record, "/gold/mon_groups/id\n"));
	assert_null(strstr(record, "/gold\n"));
}

static void test_rdt_own_class(void **state)
{
	__cleanup_oci_config struct oci_config *config = config_with("intelRdt", "{}");
	__cleanup_intel_rdt struct intel_rdt rdt = {0};
	__cleanup_free char *record = NULL;
	char path[128];

	assert_int_equal(intel_rdt_create(dir, "id", config->lx.intel_rdt, &rdt, NULL), 0);
	snprintf(path, sizeof(path), "%s/id", dir);
	assert_int_equal(access(path, F_OK), 0);
	record = intel_rdt_record(&rdt);
	intel_rdt_remove_recorded(record);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_rdt_missing_class(void **state)
{
	__cleanup_oci_config struct oci_config *config =
		config_with("intelRdt", "{\"closID\": \"gold\"}");
	__cleanup_intel_rdt struct intel_rdt rdt = {0};
	struct error *err = NULL;

	assert_int_equal(intel_rdt_create(dir, "id", config->lx.intel_rdt, &rdt, &err), -ENOENT);
	error_free(err);
}

/* Here or there; what matters is that it is never taken silently. */
static void test_rdt_root(void **state)
{
	__cleanup_free char *root = NULL;
	struct error *err = NULL;
	int ret = intel_rdt_root(&root, &err);

	assert_true(ret == 0 || ret == -EOPNOTSUPP);
	assert_true(!ret == !err);
	error_free(err);
}

/* --- lists of CPUs and nodes --- */

static void test_lists(void **state)
{
	static const struct {
		const char *list;
		int ret;
		unsigned long bits;
	} lists[] = {
		{"0-3,7", 0, 0x8f},
		{"", 0, 0},
		{"5", 0, 0x20},
		{"1, 3\n", 0, 0xa},
		{"3-1", -EINVAL, 0},
		{"1-", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"2x", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"64", -ERANGE, 0},
		{"0-4294967296", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		unsigned long bits = ~0ul;

		assert_int_equal(numa_parse_list(lists[i].list, &bits, 64), lists[i].ret);
		if (!lists[i].ret)
			assert_true(bits == lists[i].bits);
	}
}

#define TEST(function)                                                                             \
	{                                                                                          \
#function, function, make_dir, remove_dir, NULL                                    \
	}
#define CASES (sizeof(cases) / sizeof(*cases))

int main(void)
{
	static const struct CMUnitTest others[] = {
		TEST(test_lists),     TEST(test_apparmor),
		TEST(test_selinux),   TEST(test_mount_label),
		TEST(test_no_module), TEST(test_false_proc),
		TEST(test_rdt_class), TEST(test_rdt_own_class),
		TEST(test_rdt_root),  TEST(test_rdt_missing_class),
	};
	struct CMUnitTest tests[CASES + sizeof(others) / sizeof(*others)];
	const char *only = getenv("FIRN_TEST");

	for (size_t i = 0; i < CASES; i++)
		tests[i] = (struct CMUnitTest){cases[i].name, test_resources, make_dir, remove_dir,
					       (void *)&cases[i]};
	memcpy(tests + CASES, others, sizeof(others));
	if (only)
		cmocka_set_test_filter(only);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
