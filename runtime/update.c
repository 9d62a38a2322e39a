// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/intel_rdt.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct option_spec options[] = {
	{"resources", 'r', "FILE", "limits as in /linux/resources; \"-\" is standard input"},
	{"blkio-weight", 0, "WEIGHT", "share of block I/O, 10 to 1000"},
	{"cpu-period", 0, "US", "period of the CPU quota"},
	{"cpu-quota", 0, "US", "CPU time per period; -1: no limit"},
	{"cpu-burst", 0, "US", "CPU time that may be saved for later"},
	{"cpu-share", 0, "N", "share of CPU time"},
	{"cpu-rt-period", 0, "US", "period of the real-time limit"},
	{"cpu-rt-runtime", 0, "US", "real-time CPU time per period"},
	{"cpu-idle", 0, "N", "1: run only when nobody else would"},
	{"cpuset-cpus", 0, "LIST", "CPUs to run on"},
	{"cpuset-mems", 0, "LIST", "memory nodes to use"},
	{"memory", 'm', "BYTES", "memory limit; -1: none"},
	{"memory-reservation", 0, "BYTES", "memory that it keeps under pressure"},
	{"memory-swap", 0, "BYTES", "limit of memory and swap together; -1: none"},
	{"kernel-memory", 0, "BYTES", NULL},
	{"kernel-memory-tcp", 0, "BYTES", "memory of TCP buffers, on cgroup v1"},
	{"pids-limit", 0, "N", "number of tasks; -1: no limit"},
	{"l3-cache-schema", 0, "LINE", "part of the L3 cache (Intel RDT)"},
	{"mem-bw-schema", 0, "LINE", "share of memory bandwidth (Intel RDT)"},
	{NULL, 0, NULL, NULL},
};

/* Which option is which number of struct oci_resources. What takes BYTES may have a unit: 64M. */
#define NUMBER(option, parent, member)                                                             \
	{                                                                                          \
		option, offsetof(struct oci_resources, parent member),                             \
			offsetof(struct oci_resources, parent has_##member)                        \
	}
static const struct {
	const char *option;
	size_t value, has;
} numbers[] = {
	NUMBER("blkio-weight", block_io., weight),
	NUMBER("cpu-period", cpu., period),
	NUMBER("cpu-quota", cpu., quota),
	NUMBER("cpu-burst", cpu., burst),
	NUMBER("cpu-share", cpu., shares),
	NUMBER("cpu-rt-period", cpu., realtime_period),
	NUMBER("cpu-rt-runtime", cpu., realtime_runtime),
	NUMBER("cpu-idle", cpu., idle),
	NUMBER("memory", memory., limit),
	NUMBER("memory-reservation", memory., reservation),
	NUMBER("memory-swap", memory., swap),
	NUMBER("kernel-memory", memory., kernel),
	NUMBER("kernel-memory-tcp", memory., kernel_tcp),
	NUMBER("pids-limit", , pids_limit),
};

static bool takes_bytes(const char *option)
{
	for (const struct option_spec *o = options; o->name; o++)
		if (!strcmp(o->name, option))
			return !strcmp(o->argument, "BYTES");
	return false;
}

/* "-1", "1048576", and with a unit of bytes "1m", "1M", "1MiB". */
static int parse_amount(const char *text, bool bytes, int64_t *amount)
{
	static const char units[] = "kmgtp";
	const char *unit;
	long long n;
	char *end;

	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || n < -1)
		return -EINVAL;
	*amount = n;
	if (!*end)
		return 0;
	unit = bytes && n >= 0 ? strchr(units, tolower((unsigned char)*end)) : NULL;
	if (!unit || (end[1] && strcasecmp(end + 1, "b") && strcasecmp(end + 1, "ib")))
		return -EINVAL;
	return __builtin_mul_overflow(n, 1ll << (10 * (unit - units + 1)), amount) ? -EINVAL : 0;
}

static int read_numbers(const struct runtime *rt, struct oci_resources *res, struct error **err)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		const char *option = numbers[i].option, *text = option_string(rt, option);
		bool bytes = takes_bytes(option);
		int64_t amount;

		if (!text || !*text)
			continue;
		if (parse_amount(text, bytes, &amount) < 0)
			return error_set(err, EINVAL, "option \"--%s\": \"%s\" is not a number%s",
					 option, text, bytes ? " of bytes" : "");
		memcpy((char *)res + numbers[i].value, &amount, sizeof(amount));
		*((bool *)res + numbers[i].has) = true;
	}
	return 0;
}

static int replace(char **text, const char *with, struct error **err)
{
	if (!with)
		return 0;
	free(*text);
	*text = strdup(with);
	return *text ? 0 : error_errno(err, ENOMEM, "reading the options");
}

static int read_document(const char *path, struct oci_resources **res, struct error **err)
{
	__cleanup_free char *text = NULL;
	size_t len;
	int ret = read_input(AT_FDCWD, strcmp(path, "-") ? path : "/dev/stdin", OCI_CONFIG_MAX,
			     &text, &len);

	if (ret < 0)
		return error_errno(err, -ret, "reading \"%s\"", path);
	ret = oci_resources_parse(text, len, res, err);
	return ret < 0 ? error_wrap(err, "%s", path) : 0;
}

/* The file's limits, and the options' over them. */
static int read_limits(const struct runtime *rt, struct oci_resources **res, struct error **err)
{
	const char *path = option_string(rt, "resources");
	int ret = path ? read_document(path, res, err) : 0;

	if (ret < 0)
		return ret;
	if (!*res)
		ret = oci_resources_parse("{}", 2, res, err);
	if (ret == 0)
		ret = read_numbers(rt, *res, err);
	if (ret == 0)
		ret = replace(&(*res)->cpu.cpus, option_string(rt, "cpuset-cpus"), err);
	if (ret == 0)
		ret = replace(&(*res)->cpu.mems, option_string(rt, "cpuset-mems"), err);
	return ret;
}

static int update_rdt(const struct runtime *rt, const struct container *c, struct error **err)
{
	__cleanup_oci_config struct oci_config *config = view_config(c);
	__cleanup_free char *root = NULL;
	struct oci_intel_rdt rdt = {
		.l3_cache_schema = (char *)option_string(rt, "l3-cache-schema"),
		.mem_bw_schema = (char *)option_string(rt, "mem-bw-schema"),
	};
	int ret;

	if (!rdt.l3_cache_schema && !rdt.mem_bw_schema)
		return 0;
	if (config && config->lx.intel_rdt)
		rdt.clos_id = config->lx.intel_rdt->clos_id;
	ret = intel_rdt_root(&root, err);
	return ret < 0 ? ret : intel_rdt_update(root, c->id, &rdt, err);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_oci_resources struct oci_resources *res = NULL;
	__cleanup_container struct container *c = NULL;
	__cleanup_cgroup struct cgroup *cg = NULL;
	int ret = read_limits(rt, &res, err);

	if (ret == 0)
		ret = container_open(rt->root, rt->id, "update", false, &c, err);
	if (ret < 0)
		return ret;
	if (c->state == CONTAINER_DEAD || !c->cgroup_path)
		return error_set(err, ESRCH, "container not running");
	ret = cgroup_open(c->cgroup_path, &cg, err);
	if (ret == 0)
		ret = cgroup_update(cg, res, err);
	return ret < 0 ? ret : update_rdt(rt, c, err);
}

const struct verb verb_update = {
	.name = "update",
	.summary = "change the limits of a container",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "What is not given stays as it is. BYTES may have a unit: 64M.",
	.run = run,
};
