// SPDX-License-Identifier: GPL-2.0-only
/* What a unit is told: annotations, the limits that a cgroup's files have, device rules. */
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
#include "libcontainer/systemd_devices.h"
#include "libcontainer/systemd_limits.h"
#include "libcontainer/systemd_property.h"
#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static void add_text(struct buf *b, const char *text)
{
	assert_non_null(buf_add(b, text, strlen(text)));
}

static void add_value(struct buf *b, const char *type, const struct unit_value *v)
{
	char number[32];

	if (*type == 'd')
		snprintf(number, sizeof(number), "%.3f", v->real);
	else
		snprintf(number, sizeof(number), "%lld", (long long)v->number);
	add_text(b, " ");
	add_text(b, v->text ? v->text : number);
	if (v->text && (v->second || strchr(type, 't'))) {
		add_text(b, "=");
		add_text(b, v->second ? v->second : number);
	}
}

/* "NAME TYPE VALUE...; ...", the caller's to free. */
static char *describe(const struct unit_properties *list)
{
	struct buf b = {0};

	assert_false(list->failed);
	vec_for_each (p, list) {
		if (p != list->items)
			add_text(&b, "; ");
		add_text(&b, p->name);
		add_text(&b, " ");
		add_text(&b, p->type);
		vec_for_each (v, &p->values)
			add_value(&b, p->type, v);
	}
	assert_non_null(buf_add(&b, "", 1));
	return (char *)b.data;
}

static void is(const struct unit_properties *list, const char *wanted)
{
	__cleanup_free char *text = describe(list);

	assert_string_equal(text, wanted);
}

static int annotate(const char *name, const char *value, struct unit_properties *list,
		    struct error **err)
{
	char key[128];
	struct oci_pair pairs[] = {
		{(char *)"org.example.other", (char *)"'unread"},
		{key, (char *)value},
	};
	const struct oci_pairs annotations = {pairs, 2, 2};

	snprintf(key, sizeof(key), "org.systemd.property.%s", name);
	return unit_properties_annotated(list, &annotations, err);
}

static void test_annotations(void **state)
{
	static const struct {
		const char *name, *value, *wanted;
	} good[] = {
		{"KillSignal", "15", "KillSignal i 15"},
		{"KillSignal", " -1 ", "KillSignal i -1"},
		{"TimeoutStopUSec", "uint64 10000000", "TimeoutStopUSec t 10000000"},
		{"TimeoutStopUSec", "uint64 18446744073709551615", "TimeoutStopUSec t -1"},
		{"TimeoutStopSec", "10", "TimeoutStopUSec t 10000000"},
		{"TimeoutStopSec", "1.5", "TimeoutStopUSec t 1500000"},
		{"TimeoutStopSec", "byte 0x10", "TimeoutStopUSec t 16000000"},
		{"CollectMode", "'inactive'", "CollectMode s inactive"},
		{"Description", "\"a \\\"b\\\" 'c'\"", "Description s a \"b\" 'c'"},
		{"SendSIGHUP", "true", "SendSIGHUP b 1"},
		{"SendSIGHUP", "boolean false", "SendSIGHUP b 0"},
		{"After", "['a.service', \"b.service\"]", "After as a.service b.service"},
		{"Ratio", "double 2", "Ratio d 2.000"},
		{"Ratio", "2.5", "Ratio d 2.500"},
		{"Bytes", "[byte 1, byte 255]", "Bytes ay 1 255"},
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		__cleanup_unit_properties struct unit_properties list = {0};
		__cleanup_error struct error *err = NULL;
		int r = annotate(good[i].name, good[i].value, &list, &err);

		if (r < 0)
			fail_msg("%s", error_message(err));
		is(&list, good[i].wanted);
	}
}

static void test_bad_annotations(void **state)
{
	static const struct {
		const char *name, *value;
		int code;
	} bad[] = {
		{"A", "", -EINVAL},
		{"A", "word", -EINVAL},
		{"A", "'open", -EINVAL},
		{"A", "'open\\", -EINVAL},
		{"A", "'a' 'b'", -EINVAL},
		{"A", "['a'", -EINVAL},
		{"A", "[]", -EINVAL},
		{"A", "[('a', 1)]", -EINVAL},
		{"A", "['a', 1]", -EINVAL},
		{"A", "1x", -EINVAL},
		{"A", "--1", -EINVAL},
		{"A", "2147483648", -EINVAL},
		{"A", "byte 256", -EINVAL},
		{"A", "byte -1", -EINVAL},
		{"A", "uint64 18446744073709551616", -EINVAL},
		{"A", "string 1", -EINVAL},
		{"A", "uint64 'a'", -EINVAL},
		{"A", "uint64 true", -EINVAL},
		{"A", "nan", -EINVAL},
		{"A", "trueish", -EINVAL},
		{"StopSec", "'1'", -EINVAL},
		{"StopSec", "-1", -EINVAL},
		{"StopSec", "1e300", -EINVAL},
		{"StopSec", "[1]", -EINVAL},
		{"", "1", -EINVAL},
		{"A.B", "1", -EINVAL},
		{"Slice", "'a.slice'", -EPERM},
		{"PIDs", "[uint32 1]", -EPERM},
		{"Delegate", "false", -EPERM},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		__cleanup_unit_properties struct unit_properties list = {0};
		__cleanup_error struct error *err = NULL;

		if (annotate(bad[i].name, bad[i].value, &list, &err) != bad[i].code)
			fail_msg("%s=%s: %s", bad[i].name, bad[i].value,
				 err ? error_message(err) : "accepted");
		assert_non_null(strstr(error_message(err), "/annotations/org.systemd.property."));
	}
}

struct text_file {
	const char *name, *text;
};

/* A directory with these files stands for a cgroup. */
static void limits(const struct text_file *files, size_t count, int cgroup,
		   unsigned int controllers, unsigned int systemd, const char *wanted)
{
	__cleanup_unit_properties struct unit_properties list = {0};
	__cleanup_error struct error *err = NULL;
	char dir[] = "/tmp/test_systemd.XXXXXX";
	__cleanup_fd int fd = -1;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (size_t i = 0; i < count; i++) {
		__cleanup_fd int file =
			openat(fd, files[i].name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		assert_int_equal(write_full(file, files[i].text, strlen(files[i].text)), 0);
	}
	systemd_limits_read(fd, cgroup, controllers, systemd, &list, &err);
	for (size_t i = 0; i < count; i++)
		unlinkat(fd, files[i].name, 0);
	rmdir(dir);
	if (err)
		fail_msg("%s", error_message(err));
	is(&list, wanted);
}

#define LIMITS(files, ...) limits(files, sizeof(files) / sizeof(*(files)), __VA_ARGS__)

static void test_limits_v2(void **state)
{
	static const struct text_file files[] = {
		{"memory.max", "1048576\n"},
		{"memory.high", "max\n"},
		{"memory.low", "0\n"},
		{"cpu.weight", "39\n"},
		{"cpu.idle", "0\n"},
		{"cpu.max", "50000 100000\n"},
		{"cpuset.cpus", "0-2,9\n"},
		{"cpuset.mems", "\n"},
		{"pids.max", "7\n"},
		{"io.weight", "default 200\n8:0 300\n8:16 400\n"},
		{"io.max", "8:0 rbps=1 wbps=max riops=2 wiops=max\n8:16 rbps=3 wbps=4\n"},
	};

	LIMITS(files, 2, CTL_MEMORY, 252, "MemoryMax t 1048576; MemoryHigh t -1; MemoryLow t 0");
	LIMITS(files, 2, CTL_CPU, 252,
	       "CPUWeight t 39; CPUQuotaPerSecUSec t 500000; CPUQuotaPeriodUSec t 100000");
	/* the period came later than the quota */
	LIMITS(files, 2, CTL_CPU, 240, "CPUWeight t 39; CPUQuotaPerSecUSec t 500000");
	LIMITS(files, 2, CTL_CPUSET, 252, "AllowedCPUs ay 7 2; AllowedMemoryNodes ay");
	LIMITS(files, 2, CTL_CPUSET, 243, "");
	LIMITS(files, 2, CTL_PIDS, 252, "TasksMax t 7");
	/* of devices that are not there any more, and with "max", systemd is to forget the limits
	 */
	LIMITS(files, 2, CTL_BLKIO, 252,
	       "IODeviceWeight a(st); IOWeight t 200; "
	       "IODeviceWeight a(st) /dev/block/8:0=300 /dev/block/8:16=400; "
	       "IOReadBandwidthMax a(st); IOWriteBandwidthMax a(st); IOReadIOPSMax a(st); "
	       "IOWriteIOPSMax a(st); IOReadBandwidthMax a(st) /dev/block/8:0=1 /dev/block/8:16=3; "
	       "IOReadIOPSMax a(st) /dev/block/8:0=2; IOWriteBandwidthMax a(st) "
	       "/dev/block/8:16=4");
	LIMITS(files, 2, CTL_HUGETLB, 252, "");
	LIMITS(files, 1, CTL_MEMORY, 252, "");
}

static void test_limits_special(void **state)
{
	static const struct text_file idle[] = {{"cpu.weight", "0\n"}, {"cpu.idle", "1\n"}};
	static const struct text_file zeros[] = {{"memory.max", "0\n"},
						 {"memory.high", "0\n"},
						 {"memory.low", "0\n"},
						 {"memory.swap.max", "0\n"},
						 {"pids.max", "0\n"}};
	static const struct text_file fraction[] = {{"cpu.max", "34501 100000\n"}};
	static const struct text_file free_cpu[] = {{"cpu.max", "max 50000\n"}};
	static const struct text_file bfq[] = {{"io.bfq.weight", "default 1000\n8:0 50\n"}};
	static const struct text_file weight[] = {{"io.weight", "default 200\n"},
						  {"io.bfq.weight", "default 100\n"}};
	static const struct text_file bfq_weight[] = {{"io.weight", "default 100\n"},
						      {"io.bfq.weight", "default 200\n"}};
	static const struct text_file odd[] = {
		{"cpuset.cpus", "3-1\n"}, {"cpu.max", "x\n"}, {"cpuset.mems", "99999\n"}};

	LIMITS(idle, 2, CTL_CPU, 252, "CPUWeight t 0");
	LIMITS(idle, 2, CTL_CPU, 251, "");
	/* systemd refuses some, and with one property all of them */
	LIMITS(zeros, 2, ~0u, 252,
	       "MemoryMax t 1; MemoryHigh t 1; MemoryLow t 0; MemorySwapMax t 0; TasksMax t 1");
	/* a percentage in the unit's file, and never less than asked for */
	LIMITS(fraction, 2, CTL_CPU, 252,
	       "CPUQuotaPerSecUSec t 350000; CPUQuotaPeriodUSec t 100000");
	LIMITS(free_cpu, 2, CTL_CPU, 252, "CPUQuotaPerSecUSec t -1; CPUQuotaPeriodUSec t 50000");
	LIMITS(bfq, 2, CTL_BLKIO, 252,
	       "IODeviceWeight a(st); IOWeight t 10000; IODeviceWeight a(st) /dev/block/8:0=50");
	/* the one that was given counts, for whichever scheduler */
	LIMITS(weight, 2, CTL_BLKIO, 252, "IODeviceWeight a(st); IOWeight t 200");
	LIMITS(bfq_weight, 2, CTL_BLKIO, 252,
	       "IODeviceWeight a(st); IOWeight t 100; IOWeight t 1200");
	LIMITS(odd, 2, ~0u, 252, "");
}

static void test_limits_v1(void **state)
{
	static const struct text_file files[] = {
		{"memory.limit_in_bytes", "9223372036854771712\n"},
		{"cpu.shares", "1024\n"},
		{"cpu.cfs_quota_us", "-1\n"},
		{"cpu.cfs_period_us", "100000\n"},
		{"pids.max", "max\n"},
		{"blkio.weight", "500\n"},
		{"blkio.throttle.read_bps_device", "8:0 1024\n8:16 2048\n"},
	};

	LIMITS(files, 1, ~0u, 252,
	       "MemoryLimit t -1; CPUShares t 1024; CPUQuotaPerSecUSec t -1; CPUQuotaPeriodUSec t "
	       "100000; TasksMax t -1; BlockIODeviceWeight a(st); BlockIOWeight t 500; "
	       "BlockIOReadBandwidth a(st); BlockIOReadBandwidth a(st) "
	       "/dev/block/8:0=1024 /dev/block/8:16=2048");
}

static void test_oom_policy(void **state)
{
	static const struct {
		const char *value;
		unsigned int systemd;
		const char *wanted;
	} cases[] = {
		{"1", 253, "OOMPolicy s kill"},
		{"0\n", 253, "OOMPolicy s continue"},
		{"1", 252, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		__cleanup_unit_properties struct unit_properties list = {0};
		struct oci_pair pairs[] = {
			{(char *)"memory.max", (char *)"7"},
			{(char *)"memory.oom.group", (char *)cases[i].value},
		};
		const struct oci_resources res = {.unified = {pairs, 2, 2}};

		systemd_limits_start(&res, cases[i].systemd, &list);
		is(&list, cases[i].wanted);
	}
}

/* What systemd overwrites is put back; what it leaves alone, and what is not there, too. */
static void test_kept(void **state)
{
	__cleanup_systemd_kept struct systemd_kept kept = {0};
	char dir[] = "/tmp/test_systemd.XXXXXX";
	__cleanup_free char *text = NULL;
	__cleanup_fd int fd = -1, file = -1;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(systemd_limits_keep(fd, 2, &kept, NULL), 0);
	assert_int_equal(kept.count, 0);
	file = openat(fd, "memory.oom.group", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write_full(file, "1\n", 2), 0);
	assert_int_equal(systemd_limits_keep(fd, 1, &kept, NULL), 0);
	assert_int_equal(kept.count, 0);
	assert_int_equal(systemd_limits_keep(fd, 2, &kept, NULL), 0);
	assert_int_equal(pwrite(file, "0\n", 2, 0), 2);
	assert_int_equal(systemd_limits_put_back(&kept, NULL), 0);
	assert_int_equal(read_file(fd, "memory.oom.group", 16, &text, NULL), 0);
	assert_string_equal(text, "1\n");
	unlinkat(fd, "memory.oom.group", 0);
	rmdir(dir);
}

static const char drivers[] = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n";

/* What is told of the rules; NULL: nothing. */
static void devices(const struct oci_device_rule *items, size_t count, bool replaces,
		    unsigned int systemd, size_t left_out, const char *wanted)
{
	__cleanup_unit_properties struct unit_properties list = {0};
	const struct systemd_device_rules rules = {items, count, drivers, systemd, replaces};
	char text[256] = "Kept b 1";
	size_t missing = 0;

	unit_property_number(&list, "Kept", "b", 1);
	assert_int_equal(systemd_devices(&rules, &list, &missing), wanted != NULL);
	if (wanted)
		snprintf(text, sizeof(text), "Kept b 1; DevicePolicy s strict; DeviceAllow a(ss)%s",
			 wanted);
	is(&list, text);
	if (wanted)
		assert_int_equal(missing, left_out);
}

#define DEVICES(rules, ...) devices(rules, sizeof(rules) / sizeof(*(rules)), __VA_ARGS__)

#define ALL(allow_)                                                                                \
	{                                                                                          \
		.allow = allow_, .type = 'a'                                                       \
	}
#define RULE(allow_, type_, ...)                                                                   \
	{                                                                                          \
		.allow = allow_, .type = type_, ##__VA_ARGS__                                      \
	}
#define MAJOR(n) .has_major = true, .major = n
#define MINOR(n) .has_minor = true, .minor = n

static void test_devices(void **state)
{
	const struct oci_device_rule usual[] = {
		ALL(false),
		RULE(true, 'c', .access = (char *)"m"),
		RULE(true, 'c', MAJOR(1), MINOR(3)),
		RULE(true, 'c', MAJOR(136), .access = (char *)"wr"),
		RULE(true, 'b', MAJOR(8), .access = (char *)""),
	};
	const struct oci_device_rule late[] = {RULE(true, 'c', MAJOR(1), MINOR(5)), ALL(false),
					       RULE(true, 'c', MAJOR(1), MINOR(3))};
	const struct oci_device_rule open[] = {ALL(true)};
	const struct oci_device_rule none[] = {ALL(false)};
	const struct oci_device_rule no_default[] = {RULE(true, 'c', MAJOR(1), MINOR(3))};
	const struct oci_device_rule twice[] = {
		ALL(false), RULE(true, 'c', .access = (char *)"rw"),
		RULE(true, 'c', .access = (char *)"m"), RULE(true, 'b', MAJOR(8), MINOR(0)),
		RULE(true, 'b', MAJOR(8), MINOR(0), .access = (char *)"m")};

	DEVICES(usual, false, 252, 0, " char-*=m /dev/char/1:3=rwm char-136=rw block-8=rwm");
	/* by the driver's name, before systemd knew numbers */
	DEVICES(usual, false, 239, 0, " char-*=m /dev/char/1:3=rwm char-pts=rw block-sd=rwm");
	DEVICES(late, false, 252, 0, " /dev/char/1:3=rwm");
	DEVICES(none, false, 252, 0, "");
	DEVICES(open, false, 252, 0, NULL);
	DEVICES(open, true, 252, 0, NULL);
	DEVICES(no_default, true, 252, 0, NULL);
	devices(NULL, 0, true, 252, 0, NULL);
	/* of two for the same devices systemd keeps the last */
	DEVICES(twice, false, 252, 0, " char-*=rwm /dev/block/8:0=rwm");
}

/* Rules that forbid behind the one that forbids all: Docker has such for every container. */
static void test_devices_denied(void **state)
{
	const struct oci_device_rule fuse[] = {ALL(false), RULE(true, 'c', MAJOR(1), MINOR(3)),
					       RULE(false, 'c', MAJOR(10), MINOR(229))};
	const struct oci_device_rule same[] = {
		ALL(false), RULE(true, 'c', MAJOR(1), MINOR(3)),
		RULE(false, 'c', MAJOR(1), MINOR(3), .access = (char *)"w"),
		RULE(true, 'b', MAJOR(8), MINOR(1)), RULE(false, 'b', MAJOR(8))};
	const struct oci_device_rule hole[] = {
		ALL(false), RULE(true, 'c', MAJOR(1)), RULE(true, 'c', MAJOR(5)),
		RULE(false, 'c', MAJOR(1), MINOR(5), .access = (char *)"w")};

	DEVICES(fuse, false, 252, 0, " /dev/char/1:3=rwm");
	DEVICES(fuse, true, 252, 0, " /dev/char/1:3=rwm");
	DEVICES(same, true, 252, 0, " /dev/char/1:3=rm");
	/* where systemd's list is all there is, it allows less, and not more */
	DEVICES(hole, true, 252, 1, " char-1=rm char-5=rwm");
	DEVICES(hole, false, 252, 0, NULL);
}

/* One rule that systemd has no words for does not take the others along. */
static void test_devices_unsayable(void **state)
{
	const struct oci_device_rule minor[] = {ALL(false), RULE(true, 'c', MINOR(8)),
						RULE(true, 'c', MAJOR(1), MINOR(3))};
	const struct oci_device_rule unknown[] = {ALL(false), RULE(true, 'c', MAJOR(8)),
						  RULE(true, 'c', MAJOR(1), MINOR(3))};

	DEVICES(minor, true, 252, 1, " /dev/char/1:3=rwm");
	DEVICES(minor, false, 252, 0, NULL);
	DEVICES(unknown, true, 239, 1, " /dev/char/1:3=rwm");
	DEVICES(unknown, false, 239, 0, NULL);
	DEVICES(unknown, false, 240, 0, " char-8=rwm /dev/char/1:3=rwm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_annotations),    cmocka_unit_test(test_bad_annotations),
		cmocka_unit_test(test_limits_v2),      cmocka_unit_test(test_limits_special),
		cmocka_unit_test(test_limits_v1),      cmocka_unit_test(test_oom_policy),
		cmocka_unit_test(test_kept),	       cmocka_unit_test(test_devices),
		cmocka_unit_test(test_devices_denied), cmocka_unit_test(test_devices_unsayable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
