// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "oci/config.h"
#include "oci/spec.h"
#include "util/cleanup.h"
#include "util/error.h"

static int parse(const char *json, struct oci_config **config, struct error **err)
{
	int r = oci_config_parse(json, strlen(json), config, err);

	return r ? r : oci_config_validate(*config, err);
}

/* One of everything that Firn reads. */
static const char full[] =
	"{\"ociVersion\": \"1.3.0\", \"unknown\": {\"x\": [1, 2.5, null]},"
	"\"root\": {\"path\": \"rootfs\", \"readonly\": true},"
	"\"hostname\": \"h\", \"domainname\": \"d\","
	"\"process\": {\"terminal\": true, \"consoleSize\": {\"height\": 24, \"width\": 80},"
	" \"cwd\": \"/w\", \"env\": [\"A=1\", \"B=\"], \"args\": [\"sh\", \"-c\", \"true\"],"
	" \"user\": {\"uid\": 1, \"gid\": 4294967294, \"umask\": 18,"
	"  \"additionalGids\": [5, 6]},"
	" \"capabilities\": {\"bounding\": [\"CAP_KILL\", \"CAP_CHECKPOINT_RESTORE\"],"
	"  \"effective\": [], \"permitted\": [\"CAP_NOT_YET_KNOWN\", \"CAP_CHOWN\"]},"
	" \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"soft\": 1024,"
	"  \"hard\": 18446744073709551615}],"
	" \"noNewPrivileges\": true, \"apparmorProfile\": \"a\", \"selinuxLabel\": \"s\","
	" \"oomScoreAdj\": -5, \"scheduler\": {\"policy\": \"SCHED_BATCH\", \"nice\": -3,"
	"  \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\"]},"
	" \"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\", \"priority\": 4},"
	" \"execCPUAffinity\": {\"initial\": \"0\", \"final\": \"0-1,3\"}},"
	"\"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
	" {\"destination\": \"data\", \"source\": \"/d\", \"options\": [\"rbind\", \"ro\"],"
	"  \"uidMappings\": [{\"containerID\": 0, \"hostID\": 9, \"size\": 1}],"
	"  \"gidMappings\": [{\"containerID\": 0, \"hostID\": 8, \"size\": 1}]}],"
	"\"hooks\": {\"prestart\": [{\"path\": \"/p\"}],"
	" \"createRuntime\": [{\"path\": \"/cr\", \"args\": [\"cr\", \"x\"],"
	"  \"env\": [\"K=V\"], \"timeout\": 7}],"
	" \"createContainer\": [{\"path\": \"/cc\"}], \"startContainer\": [{\"path\": \"/sc\"}],"
	" \"poststart\": [{\"path\": \"/ps\"}], \"poststop\": [{\"path\": \"/pp\"}]},"
	"\"annotations\": {\"k\": \"first\", \"a/b~c\": \"\", \"k\": \"last\"},"
	"\"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\","
	"  \"path\": \"/run/netns/n\"}, {\"type\": \"mount\"}, {\"type\": \"ipc\"},"
	"  {\"type\": \"uts\"}, {\"type\": \"user\"}, {\"type\": \"cgroup\"}, {\"type\": "
	"\"time\"}],"
	" \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1000, \"size\": 10}],"
	" \"gidMappings\": [{\"containerID\": 1, \"hostID\": 2000, \"size\": 20}],"
	" \"timeOffsets\": {\"monotonic\": {\"secs\": -7, \"nanosecs\": 999999999}},"
	" \"devices\": [{\"type\": \"c\", \"path\": \"/dev/fuse\", \"major\": 10,"
	"  \"minor\": 229, \"fileMode\": 438, \"uid\": 0}, {\"type\": \"p\", \"path\": \"/f\"}],"
	" \"cgroupsPath\": \"/a/b..c\","
	" \"resources\": {\"memory\": {\"limit\": 9223372036854775807, \"swap\": -1,"
	"   \"swappiness\": 0, \"disableOOMKiller\": false},"
	"  \"cpu\": {\"shares\": 2, \"quota\": -1, \"burst\": 5, \"period\": 100000,"
	"   \"cpus\": \"0-1\", \"mems\": \"0\", \"idle\": 1},"
	"  \"pids\": {\"limit\": 32}, \"blockIO\": {\"weight\": 10,"
	"   \"weightDevice\": [{\"major\": 8, \"minor\": 0, \"leafWeight\": 300}],"
	"   \"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 1, \"rate\": 600}],"
	"   \"throttleWriteIOPSDevice\": [{\"major\": 8, \"minor\": 2, \"rate\": 601}]},"
	"  \"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 18446744073709551615}],"
	"  \"network\": {\"classID\": 1048577, \"priorities\": [{\"name\": \"eth0\","
	"   \"priority\": 500}]},"
	"  \"rdma\": {\"mlx5_1\": {\"hcaHandles\": 3}},"
	"  \"unified\": {\"io.max\": \"8:0 rbps=1\", \"memory.high\": \"max\"},"
	"  \"devices\": [{\"allow\": false, \"access\": \"rwm\"}, {\"allow\": true,"
	"   \"type\": \"c\", \"major\": 10, \"minor\": -1, \"access\": \"rw\"}]},"
	" \"rootfsPropagation\": \"rslave\","
	" \"seccomp\": {\"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38,"
	"  \"architectures\": [\"SCMP_ARCH_X86_64\", \"SCMP_ARCH_X32\"],"
	"  \"flags\": [\"SECCOMP_FILTER_FLAG_LOG\"], \"listenerPath\": \"/l\","
	"  \"listenerMetadata\": \"m\","
	"  \"syscalls\": [{\"names\": [\"read\", \"write\"], \"action\": \"SCMP_ACT_ALLOW\"},"
	"   {\"names\": [\"socket\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 22,"
	"    \"args\": [{\"index\": 0, \"value\": 18446744073709551615, \"valueTwo\": 3,"
	"     \"op\": \"SCMP_CMP_MASKED_EQ\"}]}]},"
	" \"sysctl\": {\"net.ipv4.ip_forward\": \"1\", \"kernel.shmmax\": \"9\"},"
	" \"maskedPaths\": [\"/proc/kcore\"], \"readonlyPaths\": [\"/proc/sys\"],"
	" \"mountLabel\": \"l\", \"personality\": {\"domain\": \"LINUX32\", \"flags\": []},"
	" \"intelRdt\": {\"closID\": \"c\", \"schemata\": [\"L3:0=f\"], \"l3CacheSchema\": "
	"\"L3:0=ff\","
	"  \"memBwSchema\": \"MB:0=20\", \"enableMonitoring\": true, \"enableCMT\": true},"
	" \"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"nodes\": \"0-1\","
	"  \"flags\": [\"MPOL_F_STATIC_NODES\"]},"
	" \"netDevices\": {\"eth1\": {\"name\": \"net0\"}, \"eth2\": {}}}}";

static struct oci_config *load_full(void)
{
	__cleanup_error struct error *err = NULL;
	struct oci_config *config = NULL;

	if (parse(full, &config, &err))
		fail_msg("%s", error_message(err));
	return config;
}

static void test_process(void **state)
{
	__cleanup_oci_config struct oci_config *config = load_full();
	const struct oci_process *p = config->process;

	assert_true(p->terminal && p->no_new_privileges && p->has_console_size);
	assert_int_equal(p->console_height, 24);
	assert_int_equal(p->console_width, 80);
	assert_string_equal(p->cwd, "/w");
	assert_int_equal(p->args.count, 3);
	assert_string_equal(p->args.items[2], "true");
	assert_null(p->args.items[3]);
	assert_string_equal(p->env.items[1], "B=");
	assert_int_equal(p->user.uid, 1);
	assert_int_equal(p->user.gid, UINT32_MAX - 1);
	assert_true(p->user.has_umask);
	assert_int_equal(p->user.umask, 022);
	assert_int_equal(p->user.additional_gids.items[1], 6);
	assert_true(p->has_capabilities);
	assert_true(p->capabilities.bounding ==
		    (1ULL << CAP_KILL | 1ULL << CAP_CHECKPOINT_RESTORE));
	assert_true(p->capabilities.has_effective && !p->capabilities.effective);
	assert_false(p->capabilities.has_ambient);
	assert_true(p->capabilities.permitted == 1ULL << CAP_CHOWN);
	assert_int_equal(p->rlimits.items[0].type, RLIMIT_NOFILE);
	assert_int_equal(p->rlimits.items[0].soft, 1024);
	assert_true(p->rlimits.items[0].hard == RLIM_INFINITY);
	assert_true(p->has_oom_score_adj);
	assert_int_equal(p->oom_score_adj, -5);
	assert_int_equal(p->scheduler->policy, SCHED_BATCH);
	assert_int_equal(p->scheduler->nice, -3);
	assert_int_equal(p->scheduler->flags, 1);
	assert_int_equal(p->io_priority->class, 2);
	assert_int_equal(p->io_priority->priority, 4);
	assert_string_equal(p->exec_cpu_affinity_final, "0-1,3");
}

static void test_container(void **state)
{
	__cleanup_oci_config struct oci_config *config = load_full();

	assert_int_equal(config->json_len, strlen(full));
	assert_string_equal(config->json, full);
	assert_string_equal(config->root->path, "rootfs");
	assert_true(config->root->readonly);
	assert_string_equal(config->domainname, "d");
	assert_int_equal(config->mounts.count, 2);
	assert_null(config->mounts.items[0].options.items);
	assert_string_equal(config->mounts.items[1].options.items[1], "ro");
	assert_int_equal(config->mounts.items[1].gid_mappings.items[0].host_id, 8);
	assert_string_equal(config->hooks.create_runtime.items[0].args.items[1], "x");
	assert_true(config->hooks.create_runtime.items[0].has_timeout);
	assert_int_equal(config->hooks.create_runtime.items[0].timeout, 7);
	assert_false(config->hooks.prestart.items[0].has_timeout);
	assert_string_equal(config->hooks.create_container.items[0].path, "/cc");
	assert_string_equal(config->hooks.start_container.items[0].path, "/sc");
	assert_string_equal(config->hooks.poststart.items[0].path, "/ps");
	assert_string_equal(config->hooks.poststop.items[0].path, "/pp");
	assert_string_equal(oci_pairs_get(&config->annotations, "k"), "last");
	assert_string_equal(oci_pairs_get(&config->annotations, "a/b~c"), "");
	assert_null(oci_pairs_get(&config->annotations, "none"));
}

static void test_linux(void **state)
{
	__cleanup_oci_config struct oci_config *config = load_full();
	const struct oci_linux *lx = &config->lx;

	assert_int_equal(lx->namespaces.count, 8);
	assert_string_equal(oci_config_namespace(config, CLONE_NEWNET)->path, "/run/netns/n");
	assert_null(oci_config_namespace(config, CLONE_NEWNS)->path);
	assert_int_equal(lx->uid_mappings.items[0].host_id, 1000);
	assert_int_equal(lx->gid_mappings.items[0].size, 20);
	assert_true(lx->time_offsets.has_monotonic && !lx->time_offsets.has_boottime);
	assert_int_equal(lx->time_offsets.monotonic.secs, -7);
	assert_int_equal(lx->time_offsets.monotonic.nanosecs, 999999999);
	assert_int_equal(lx->devices.items[0].type, 'c');
	assert_int_equal(lx->devices.items[0].file_mode, 0666);
	assert_true(lx->devices.items[0].has_uid && !lx->devices.items[0].has_gid);
	assert_int_equal(lx->rootfs_propagation, MS_SLAVE | MS_REC);
	assert_string_equal(oci_pairs_get(&lx->sysctl, "kernel.shmmax"), "9");
	assert_string_equal(lx->masked_paths.items[0], "/proc/kcore");
	assert_string_equal(lx->readonly_paths.items[0], "/proc/sys");
	assert_true(lx->has_personality);
	assert_int_equal(lx->personality, 8);
	assert_string_equal(lx->intel_rdt->clos_id, "c");
	assert_string_equal(lx->intel_rdt->schemata.items[0], "L3:0=f");
	assert_string_equal(lx->intel_rdt->l3_cache_schema, "L3:0=ff");
	assert_string_equal(lx->intel_rdt->mem_bw_schema, "MB:0=20");
	assert_true(lx->intel_rdt->enable_monitoring);
	assert_int_equal(lx->memory_policy->mode, 2);
	assert_int_equal(lx->memory_policy->flags, 1 << 15);
	assert_string_equal(lx->memory_policy->nodes, "0-1");
	assert_int_equal(lx->net_devices.count, 2);
	assert_string_equal(lx->net_devices.items[0].host, "eth1");
	assert_string_equal(lx->net_devices.items[0].name, "net0");
	assert_null(lx->net_devices.items[1].name);
}

static void test_resources(void **state)
{
	__cleanup_oci_config struct oci_config *config = load_full();
	const struct oci_resources *res = &config->lx.resources;

	assert_true(res->memory.limit == INT64_MAX);
	assert_true(res->memory.has_swap && res->memory.swap == -1);
	assert_true(res->memory.has_swappiness && res->memory.swappiness == 0);
	assert_true(res->memory.has_disable_oom_killer && !res->memory.disable_oom_killer);
	assert_false(res->memory.has_reservation || res->memory.has_use_hierarchy);
	assert_int_equal(res->cpu.quota, -1);
	assert_int_equal(res->cpu.period, 100000);
	assert_int_equal(res->cpu.idle, 1);
	assert_true(res->has_pids_limit);
	assert_int_equal(res->pids_limit, 32);
	assert_int_equal(res->block_io.weight, 10);
	assert_int_equal(res->block_io.weight_devices.items[0].leaf_weight, 300);
	assert_int_equal(res->block_io.read_bps.items[0].rate, 600);
	assert_int_equal(res->block_io.write_iops.items[0].minor, 2);
	assert_true(res->hugepage_limits.items[0].limit == UINT64_MAX);
	assert_int_equal(res->class_id, 1048577);
	assert_string_equal(res->net_priorities.items[0].name, "eth0");
	assert_string_equal(res->rdma.items[0].name, "mlx5_1");
	assert_int_equal(res->rdma.items[0].hca_handles, 3);
	assert_false(res->rdma.items[0].has_hca_objects);
	assert_string_equal(res->unified.items[0].value, "8:0 rbps=1");
	assert_int_equal(res->devices.items[0].type, 'a');
	assert_false(res->devices.items[0].has_major);
	assert_true(res->devices.items[1].has_major && !res->devices.items[1].has_minor);
}

static void test_seccomp(void **state)
{
	__cleanup_oci_config struct oci_config *config = load_full();
	const struct oci_seccomp *s = config->lx.seccomp;

	assert_int_equal(s->default_action, SCMP_ACT_ERRNO(0));
	assert_int_equal(s->default_errno_ret, 38);
	assert_int_equal(s->architectures.count, 2);
	assert_int_equal(s->architectures.items[1], SCMP_ARCH_X32);
	assert_true(s->has_flags && s->flags == 2);
	assert_string_equal(s->syscalls.items[0].names.items[1], "write");
	assert_int_equal(s->syscalls.items[0].action, SCMP_ACT_ALLOW);
	assert_false(s->syscalls.items[0].has_errno_ret);
	assert_int_equal(s->syscalls.items[1].errno_ret, 22);
	assert_true(s->syscalls.items[1].args.items[0].value == UINT64_MAX);
	assert_int_equal(s->syscalls.items[1].args.items[0].value_two, 3);
	assert_int_equal(s->syscalls.items[1].args.items[0].op, SCMP_CMP_MASKED_EQ);
}

/* A minimal configuration with text put in its middle. */
#define WITH(text)	     "{\"ociVersion\":\"1.0.2-dev\",\"root\":{\"path\":\"r\"}," text ",\"hooks\":{}}"
#define WITH_PROCESS(text)   WITH("\"process\":{\"cwd\":\"/\",\"args\":[\"a\"]," text "}")
#define WITH_LINUX(text)     WITH("\"linux\":{" text "}")
#define WITH_RESOURCES(text) WITH_LINUX("\"resources\":{" text "}")
#define WITH_SECCOMP(text)   WITH_LINUX("\"seccomp\":{" text "}")

static const struct {
	const char *json, *message;
} broken[] = {
	/* not JSON, or not only JSON */
	{"", "line 1, column 1: malformed JSON: premature EOF"},
	{"{\"a\": 1,\n \"b\": [1, 2,}\n}",
	 "line 2, column 13: malformed JSON: unallowed token at this point in JSON text"},
	{"{\"a\": 1", "line 1, column 8: malformed JSON: premature EOF"},
	{"{} {}", "line 1, column 4: malformed JSON: trailing garbage"},
	{"/* a comment */ {}", NULL},
	{"{\"ociVersion\": \"1.0.0\\u0000\"}",
	 "line 1, column 28: malformed JSON: a string must not contain \\u0000"},
	{"{\"a\": \"\xff\"}", NULL},
	/* types */
	{"[]", "must be an object"},
	{"{}", "/ociVersion: missing"},
	{"{\"ociVersion\":null}", "/ociVersion: missing"},
	{"{\"ociVersion\":1}", "/ociVersion: must be a string"},
	{WITH("\"process\":[]"), "/process: must be an object"},
	{WITH("\"process\":{}"), "/process/cwd: missing"},
	{WITH("\"process\":{\"cwd\":\"/\",\"args\":\"sh\"}"),
	 "/process/args: must be an array of strings"},
	{WITH("\"process\":{\"cwd\":\"/\",\"args\":[\"sh\",null]}"),
	 "/process/args: must be an array of strings"},
	{WITH_PROCESS("\"terminal\":\"yes\""), "/process/terminal: must be true or false"},
	{WITH_PROCESS("\"user\":{\"uid\":-1}"),
	 "/process/user/uid: -1 is out of range (0 to 4294967294)"},
	/* to the kernel no id, and no change: whoever asked for it would be root */
	{WITH_PROCESS("\"user\":{\"uid\":4294967295}"),
	 "/process/user/uid: 4294967295 is out of range (0 to 4294967294)"},
	{WITH_PROCESS("\"user\":{\"gid\":4294967295}"),
	 "/process/user/gid: 4294967295 is out of range (0 to 4294967294)"},
	{WITH_PROCESS("\"user\":{\"additionalGids\":[7,4294967295]}"),
	 "/process/user/additionalGids/1: 4294967295 is out of range (0 to 4294967294)"},
	{WITH_PROCESS("\"user\":{\"uid\":1.0}"), "/process/user/uid: must be an integer"},
	{WITH_PROCESS("\"user\":{\"umask\":512}"),
	 "/process/user/umask: 512 is out of range (0 to 511)"},
	{WITH_PROCESS("\"user\":{\"additionalGids\":[1,\"2\"]}"),
	 "/process/user/additionalGids/1: must be an integer"},
	{WITH_PROCESS("\"capabilities\":{\"bounding\":true}"),
	 "/process/capabilities/bounding: must be an array of strings"},
	{WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_FOO\",\"soft\":1,\"hard\":1}]"),
	 "/process/rlimits/0/type: unknown resource limit \"RLIMIT_FOO\""},
	{WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1}]"),
	 "/process/rlimits/0/hard: missing"},
	{WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,"
		      "\"hard\":18446744073709551616}]"),
	 "/process/rlimits/0/hard: 18446744073709551616 is out of range "
	 "(0 to 18446744073709551615)"},
	{WITH_PROCESS("\"oomScoreAdj\":1001"),
	 "/process/oomScoreAdj: 1001 is out of range (-1000 to 1000)"},
	{WITH_PROCESS("\"scheduler\":{\"policy\":\"SCHED_ISO\"}"),
	 "/process/scheduler/policy: unknown scheduling policy \"SCHED_ISO\""},
	{WITH("\"mounts\":{}"), "/mounts: must be an array"},
	{WITH("\"mounts\":[{\"destination\":\"/a\"},{\"type\":\"proc\"}]"),
	 "/mounts/1/destination: missing"},
	{WITH("\"mounts\":[null]"), "/mounts/0: missing"},
	{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},"
	 "\"hooks\":{\"poststop\":[{\"args\":[]}]}}",
	 "/hooks/poststop/0/path: missing"},
	{WITH("\"annotations\":{\"a/b~c\":1}"), "/annotations/a~1b~0c: must be a string"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"netns\"}]"),
	 "/linux/namespaces/0/type: unknown namespace type \"netns\""},
	{WITH_LINUX("\"rootfsPropagation\":\"sharde\""),
	 "/linux/rootfsPropagation: unknown mount propagation \"sharde\""},
	{WITH_LINUX("\"devices\":[{\"type\":\"cc\",\"path\":\"/d\"}]"),
	 "/linux/devices/0/type: \"cc\" is not one of the letters cbup"},
	{WITH_RESOURCES("\"memory\":{\"limit\":-2}"),
	 "/linux/resources/memory/limit: -2 is out of range (-1 to 9223372036854775807)"},
	{WITH_RESOURCES("\"pids\":{}"), "/linux/resources/pids/limit: missing"},
	{WITH_SECCOMP("\"syscalls\":[]"), "/linux/seccomp/defaultAction: missing"},
	{WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_VAX\"]"),
	 "/linux/seccomp/architectures/0: unknown seccomp architecture \"SCMP_ARCH_VAX\""},
	{WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],"
		      "\"action\":\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":6,\"value\":0,"
		      "\"op\":\"SCMP_CMP_EQ\"}]}]"),
	 "/linux/seccomp/syscalls/0/args/0/index: 6 is out of range (0 to 5)"},
	/* sense */
	{"{\"ociVersion\":\"1.0.0\"}", "/root: missing"},
	{"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}",
	 "/ociVersion: version 2.0.0 is not supported (1.0.0 to 1.3.0 are)"},
	{"{\"ociVersion\":\"one\",\"root\":{\"path\":\"r\"}}",
	 "/ociVersion: \"one\" is not a version"},
	{WITH("\"process\":{\"cwd\":\"w\",\"args\":[\"a\"]}"),
	 "/process/cwd: \"w\" is not an absolute path"},
	{WITH("\"process\":{\"cwd\":\"/\"}"), "/process/args: missing"},
	{WITH("\"process\":{\"cwd\":\"/\",\"args\":[]}"), "/process/args: must not be empty"},
	{WITH_PROCESS("\"env\":[\"A=1\",\"B\"]"), "/process/env/1: \"B\" is not NAME=VALUE"},
	{WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1},"
		      "{\"type\":\"RLIMIT_CPU\",\"soft\":1,\"hard\":1}]"),
	 "/process/rlimits/1/type: RLIMIT_CPU is given twice"},
	{WITH_PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\",\"soft\":2,\"hard\":1}]"),
	 "/process/rlimits/0: the soft limit is above the hard limit"},
	{WITH("\"mounts\":[{\"destination\":\"\"}]"), "/mounts/0/destination: must not be empty"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\",\"path\":\"/p\"}]"),
	 "/linux/namespaces/1: \"pid\" is given twice"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"pid\",\"path\":\"ns/pid\"}]"),
	 "/linux/namespaces/0/path: \"ns/pid\" is not an absolute path"},
	{WITH("\"hostname\":\"h\""),
	 "/hostname: needs a namespace of type \"uts\" in /linux/namespaces"},
	{WITH_LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]"),
	 "/linux/uidMappings: needs a namespace of type \"user\" in /linux/namespaces"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"user\"}],"
		    "\"gidMappings\":[{\"containerID\":0,\"hostID\":4294967290,\"size\":9}]"),
	 "/linux/gidMappings/0: goes beyond the highest id"},
	{WITH_LINUX("\"devices\":[{\"type\":\"b\",\"path\":\"/d\",\"major\":1}]"),
	 "/linux/devices/0/minor: missing"},
	{WITH_LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/d\",\"uid\":4294967295}]"),
	 "/linux/devices/0/uid: 4294967295 is out of range (0 to 4294967294)"},
	{WITH_LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/d\",\"gid\":4294967295}]"),
	 "/linux/devices/0/gid: 4294967295 is out of range (0 to 4294967294)"},
	/* mknod(2) would make 1:3 */
	{WITH_LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/d\",\"major\":4097,\"minor\":3}]"),
	 "/linux/devices/0/major: 4097 is out of range (0 to 4095)"},
	{WITH_LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/d\",\"major\":1,\"minor\":1048576}]"),
	 "/linux/devices/0/minor: 1048576 is out of range (0 to 1048575)"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"mount\"}],\"maskedPaths\":[\"proc\"]"),
	 "/linux/maskedPaths/0: \"proc\" is not an absolute path"},
	{WITH_LINUX("\"cgroupsPath\":\"/a/../b\""),
	 "/linux/cgroupsPath: \"/a/../b\" must not contain \"..\""},
	{WITH_LINUX("\"intelRdt\":{\"closID\":\"..\"}"),
	 "/linux/intelRdt/closID: \"..\" cannot name a directory"},
	{WITH_LINUX("\"intelRdt\":{\"schemata\":[\"L3:0=f\\nMB:0=1\"]}"),
	 "/linux/intelRdt/schemata/0: must be one line"},
	{WITH_LINUX("\"intelRdt\":{\"memBwSchema\":\"20\"}"),
	 "/linux/intelRdt/memBwSchema: \"20\" is not a line like L3:0=f"},
	{WITH_LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}"),
	 "/linux/memoryPolicy/nodes: MPOL_BIND needs nodes"},
	{WITH_LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_DEFAULT\",\"nodes\":\"0\"}"),
	 "/linux/memoryPolicy/nodes: MPOL_DEFAULT takes none"},
	{WITH_LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"a\"}"),
	 "/linux/memoryPolicy/nodes: \"a\" is not a list of nodes"},
	{WITH_LINUX("\"netDevices\":{\"eth0\":{}}"),
	 "/linux/netDevices: needs a namespace of type \"network\" in /linux/namespaces"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"network\"}],\"netDevices\":{\"a/b\":{}}"),
	 "/linux/netDevices: \"a/b\" is not the name of an interface"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"network\"}],"
		    "\"netDevices\":{\"a\":{\"name\":\"c\"},\"b\":{\"name\":\"c\"}}"),
	 "/linux/netDevices/b/name: \"c\" is given twice"},
	{WITH_LINUX("\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"x\"]}"),
	 "/linux/personality/flags/0: unknown flag \"x\""},
	{WITH_LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}"),
	 "/linux/seccomp/listenerPath: SCMP_ACT_NOTIFY needs it"},
	{WITH_LINUX("\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"}"),
	 "/linux/sysctl: \"net.ipv4.ip_forward\" needs a namespace of type \"network\" "
	 "in /linux/namespaces"},
	{WITH_LINUX("\"sysctl\":{\"kernel.core_pattern\":\"|x\"}"),
	 "/linux/sysctl: \"kernel.core_pattern\" does not belong to a namespace"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"network\"}],"
		    "\"sysctl\":{\"net/../kernel/core_pattern\":\"|x\"}"),
	 "/linux/sysctl: \"net/../kernel/core_pattern\" is not a sysctl"},
	{WITH_LINUX("\"namespaces\":[{\"type\":\"network\"}],"
		    "\"sysctl\":{\"net.//.kernel.core_pattern\":\"|x\"}"),
	 "/linux/sysctl: \"net.//.kernel.core_pattern\" is not a sysctl"},
	{WITH_RESOURCES("\"devices\":[{\"allow\":true,\"access\":\"rx\"}]"),
	 "/linux/resources/devices/0/access: \"rx\" is not made of r, w and m"},
	/* devices.allow of cgroup v1 would take it for "any" */
	{WITH_RESOURCES("\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":4294967295}]"),
	 "/linux/resources/devices/0/major: 4294967295 is out of range (-1 to 4095)"},
	{WITH_RESOURCES("\"devices\":[{\"allow\":true,\"type\":\"c\",\"minor\":4294967295}]"),
	 "/linux/resources/devices/0/minor: 4294967295 is out of range (-1 to 1048575)"},
	{WITH_RESOURCES("\"hugepageLimits\":[{\"pageSize\":\"../2MB\",\"limit\":1}]"),
	 "/linux/resources/hugepageLimits/0/pageSize: \"../2MB\" is not a size like 2MB"},
	{WITH_RESOURCES("\"unified\":{\"../cgroup.procs\":\"1\"}"),
	 "/linux/resources/unified: \"../cgroup.procs\" is not the name of a cgroup file"},
	{WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":1"),
	 "/linux/seccomp/defaultErrnoRet: SCMP_ACT_ALLOW takes none"},
	{WITH_SECCOMP("\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],"
		      "\"action\":\"SCMP_ACT_LOG\"}]"),
	 "/linux/seccomp/syscalls/0/names: must not be empty"},
	{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},"
	 "\"hooks\":{\"poststart\":[{\"path\":\"hook\"}]}}",
	 "/hooks/poststart/0/path: \"hook\" is not an absolute path"},
	{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},"
	 "\"hooks\":{\"poststart\":[{\"path\":\"/hook\",\"timeout\":0}]}}",
	 "/hooks/poststart/0/timeout: 0 is out of range (1 to 2147483647)"},
};

/* Each error as the user will read it; a NULL message only has to fail. */
static void test_broken(void **state)
{
	int wrong = 0;

	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		__cleanup_oci_config struct oci_config *config = NULL;
		__cleanup_error struct error *err = NULL;
		char expected[256];

		assert_true(parse(broken[i].json, &config, &err) < 0);
		assert_non_null(err);
		if (!broken[i].message)
			continue;
		snprintf(expected, sizeof(expected), "config.json: %s", broken[i].message);
		if (strcmp(error_message(err), expected) == 0)
			continue;
		print_error("%s\n  says %s\n  not  %s\n", broken[i].json, error_message(err),
			    expected);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

/* What looks odd and is right. */
static void test_accepted(void **state)
{
	static const char *const good[] = {
		"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}}",
		"{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"}}",
		WITH("\"process\":null"),
		WITH("\"hostname\":\"\""),
		WITH("\"mounts\":[{\"destination\":\"relative\"}]"),
		WITH_PROCESS("\"rlimits\":[],\"args\":[\"b\"],\"user\":{\"uid\":-0}"),
		WITH_LINUX("\"cgroupsPath\":\"system.slice:firn:x..y\""),
		WITH_RESOURCES("\"devices\":[{\"allow\":true,\"type\":\"\"}]"),
		WITH_LINUX("\"namespaces\":[{\"type\":\"network\"}],"
			   "\"sysctl\":{\"net/ipv4/conf/eth0.1/forwarding\":\"1\"}"),
	};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		__cleanup_oci_config struct oci_config *config = NULL;
		__cleanup_error struct error *err = NULL;

		if (parse(good[i], &config, &err))
			fail_msg("%s: %s", good[i], error_message(err));
	}
}

static void test_sysctl_path(void **state)
{
	static const char *const cases[][2] = {
		{"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"net/ipv4/conf/eth0.1/mtu", "net/ipv4/conf/eth0.1/mtu"},
		{"net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		__cleanup_free char *path = oci_sysctl_path(cases[i][0]);

		assert_string_equal(path, cases[i][1]);
	}
}

/* Cut anywhere, and with each byte replaced: an error or a configuration, never a crash or a leak.
 */
static void test_mangled(void **state)
{
	size_t len = strlen(full);

	for (size_t cut = 0; cut < len; cut++) {
		__cleanup_error struct error *err = NULL;
		struct oci_config *config = NULL;
		/* exactly as long as told, so that a sanitizer sees reads beyond it */
		char *text = malloc(cut ? cut : 1);

		memcpy(text, full, cut);
		assert_int_equal(oci_config_parse(text, cut, &config, &err), -EINVAL);
		assert_null(config);
		free(text);
	}
	for (size_t at = 0; at < len; at++) {
		static const char bytes[] = {'"', '0', '}', ',', '\\', '[', 0};
		__cleanup_free char *text = strdup(full);

		for (size_t i = 0; i < sizeof(bytes); i++) {
			__cleanup_error struct error *err = NULL;
			struct oci_config *config = NULL;

			text[at] = bytes[i];
			if (!oci_config_parse(text, len, &config, &err))
				oci_config_validate(config, &err);
			oci_config_free(config);
		}
	}
}

static void test_limits(void **state)
{
	__cleanup_error struct error *deep = NULL, *large = NULL, *many = NULL;
	struct oci_config *config = NULL;
	size_t len = OCI_CONFIG_MAX + 1;
	char *text = malloc(len);

	memset(text, '[', len);
	assert_int_equal(oci_config_parse(text, 100000, &config, &deep), -EINVAL);
	assert_string_equal(error_message(deep), "config.json: line 1, column 65: malformed JSON: "
						 "nested too deeply");
	assert_int_equal(oci_config_parse(text, len, &config, &large), -EFBIG);
	for (size_t i = 1; i < len; i++)
		text[i] = i % 2 ? '0' : ',';
	assert_int_equal(oci_config_parse(text, 4000000, &config, &many), -EINVAL);
	assert_non_null(strstr(error_message(many), "too many values"));
	free(text);
}

static void test_load(void **state)
{
	char dir[] = "/tmp/firn-oci-XXXXXX";
	__cleanup_error struct error *missing = NULL, *err = NULL;
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_free char *spec = oci_spec_default(false, 0, 0);
	__cleanup_fd int dirfd = -1;
	int fd;

	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(oci_config_load(dirfd, "config.json", &config, &missing), -ENOENT);
	assert_string_equal(error_message(missing),
			    "reading \"config.json\": No such file or directory");
	fd = openat(dirfd, "config.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, spec, strlen(spec)), strlen(spec));
	close(fd);
	assert_int_equal(oci_config_load(dirfd, "config.json", &config, &err), 0);
	assert_string_equal(config->process->args.items[0], "sh");
	unlinkat(dirfd, "config.json", 0);
	rmdir(dir);
}

static void test_process_document(void **state)
{
	static const char good[] = "{\"cwd\":\"/\",\"args\":[\"ls\"]}";
	static const char bad[] = "{\"cwd\":\"/\",\"args\":[]}";
	__cleanup_oci_process struct oci_process *process = NULL, *none = NULL;
	__cleanup_error struct error *err = NULL;

	assert_int_equal(oci_process_parse(good, strlen(good), &process, NULL), 0);
	assert_string_equal(process->args.items[0], "ls");
	assert_int_equal(oci_process_parse(bad, strlen(bad), &none, &err), -EINVAL);
	assert_string_equal(error_message(err), "process: /args: must not be empty");
}

static void test_resources_document(void **state)
{
	static const char good[] = "{\"memory\":{\"limit\":4096}}";
	static const char bad[] = "{\"cpu\":{\"cpus\":\"all\"}}";
	__cleanup_oci_resources struct oci_resources *resources = NULL, *none = NULL;
	__cleanup_error struct error *err = NULL;

	assert_int_equal(oci_resources_parse(good, strlen(good), &resources, NULL), 0);
	assert_true(resources->memory.has_limit && resources->memory.limit == 4096);
	assert_int_equal(oci_resources_parse(bad, strlen(bad), &none, &err), -EINVAL);
	assert_string_equal(error_message(err),
			    "resources: /cpu/cpus: \"all\" is not a list of CPUs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_linux),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_sysctl_path),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_process_document),
		cmocka_unit_test(test_resources_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
