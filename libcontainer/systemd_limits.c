// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/systemd_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/cgroup_internal.h"
#include "libcontainer/systemd_property.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* v1 shows no limit as the greatest number of pages there can be. */
#define UNLIMITED_V1 0x7ffffffffffff000ull

#define CPU_LIST_MAX 8192

#define DEFAULT_WEIGHT 100

/* The first systemd whose scopes have one. */
#define VERSION_OOM_POLICY 253

struct file {
	int version;
	unsigned int controller;
	const char *file, *property;
	unsigned int since; /* the first systemd that has the property; 0: any */
	void (*add)(const struct file *f, char *text, struct unit_properties *list);
	const char *more; /* a second file, whose text is appended to that of the first */
};

static uint64_t limit(const struct file *f, const char *text)
{
	uint64_t n = strtoull(text, NULL, 10);

	return !strncmp(text, "max", 3) || (f->version == 1 && n >= UNLIMITED_V1) ? UNIT_INFINITY
										  : n;
}

static void add_number(const struct file *f, char *text, struct unit_properties *list)
{
	unit_property_number(list, f->property, "t", limit(f, text));
}

/* Where systemd takes no 0, least: 1 byte is no page, and a process is there already. */
static void add_positive(const struct file *f, char *text, struct unit_properties *list)
{
	uint64_t n = limit(f, text);

	unit_property_number(list, f->property, "t", n ? n : 1);
}

/* 0 is what an idle cgroup has: see add_idle(). */
static void add_weight(const struct file *f, char *text, struct unit_properties *list)
{
	if (limit(f, text))
		add_number(f, text, list);
}

/* systemd has no property for it, but takes a weight of 0 for that. */
static void add_idle(const struct file *f, char *text, struct unit_properties *list)
{
	if (*text == '1')
		unit_property_number(list, f->property, "t", 0);
}

/*
 * "QUOTA PERIOD". systemd keeps the time per second, in its unit's file as a whole percentage
 * without rounding: after a reload it would be less. So it is rounded up here, and may be
 * more by less than a percent of a CPU.
 */
static void add_quota(const struct file *f, char *text, struct unit_properties *list)
{
	uint64_t per_second = UNIT_INFINITY;
	char quota[24];
	unsigned long long n, period;

	if (sscanf(text, "%23s %llu", quota, &period) != 2 || !period)
		return;
	n = strtoull(quota, NULL, 10);
	if (*quota >= '0' && *quota <= '9' && n < UINT64_MAX / 1000000)
		per_second = (n * 1000000 / period + 9999) / 10000 * 10000;
	unit_property_number(list, f->property, "t", per_second);
}

/* "QUOTA PERIOD", or "PERIOD" */
static void add_period(const struct file *f, char *text, struct unit_properties *list)
{
	unsigned long long period;

	if (sscanf(text, f->version == 1 ? "%llu" : "%*s %llu", &period) == 1)
		unit_property_number(list, f->property, "t", period);
}

/* A list as "0-3,7" as systemd takes it: bits, the lowest first. */
static void add_list(const struct file *f, char *text, struct unit_properties *list)
{
	uint8_t bits[CPU_LIST_MAX / 8] = {0};
	struct unit_property *p;
	unsigned int from, to, last = 0;
	bool any = false;
	int used;

	for (; sscanf(text, "%u%n", &from, &used) == 1; text += *text == ',') {
		text += used;
		to = from;
		if (sscanf(text, "-%u%n", &to, &used) == 1)
			text += used;
		if (to >= CPU_LIST_MAX || from > to)
			return;
		for (unsigned int i = from; i <= to; i++)
			bits[i / 8] |= 1 << i % 8;
		last = to > last ? to : last;
		any = true;
	}
	/* without any, an empty one: those of the parent */
	if (!any && *text && *text != '\n')
		return;
	p = unit_property_new(list, f->property, "ay");
	for (unsigned int i = 0; any && i <= last / 8; i++)
		unit_property_add(list, p, NULL, NULL, bits[i]);
}

/* systemd's weights, 1 to 10000, to which bfq's of 1 to 1000 correspond from 100 on up. */
static uint64_t from_bfq(uint64_t weight)
{
	return weight <= 100 ? weight : 100 + (weight - 100) * 11;
}

static struct unit_property *last_named(struct unit_properties *list, const char *name)
{
	struct unit_property *found = NULL;

	vec_for_each (p, list) {
		if (!strcmp(p->name, name))
			found = p;
	}
	return found;
}

/* systemd keeps the values of devices that are not named again, unless none is: that clears all. */
static void forget_devices(const char *name, struct unit_properties *list)
{
	if (!last_named(list, name))
		unit_property_new(list, name, "a(st)");
}

/* A value for a device, "MAJOR:MINOR", appended to the property of that name. */
static void add_device(const char *name, const char *device, uint64_t number,
		       struct unit_properties *list)
{
	struct unit_property *found = last_named(list, name);
	char path[64];

	if (!found || !found->values.count)
		found = unit_property_new(list, name, "a(st)");
	snprintf(path, sizeof(path), "/dev/block/%.40s", device);
	unit_property_add(list, found, path, NULL, number);
}

/*
 * "default N" or "N", and "MAJOR:MINOR N" for devices. On v2 there are two files, for one or the
 * other scheduler, and one property: who has been given a weight tells it.
 */
static void add_weights(const struct file *f, char *text, struct unit_properties *list)
{
	bool bfq = strstr(f->file, "bfq");
	char *save = NULL, name[48];

	snprintf(name, sizeof(name), "%sDeviceWeight", f->property);
	forget_devices(name, list);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *number = strrchr(line, ' ');
		uint64_t n = strtoull(number ? number : line, NULL, 10);
		char weight[48];

		if (bfq && f->version == 2)
			n = from_bfq(n);
		if (!strchr(line, ':')) {
			snprintf(weight, sizeof(weight), "%sWeight", f->property);
			if (n != DEFAULT_WEIGHT || !last_named(list, weight))
				unit_property_number(list, weight, "t", n);
		} else if (number) {
			*number = '\0';
			add_device(name, line, n, list);
		}
	}
}

/* "MAJOR:MINOR rbps=N wbps=max riops=max wiops=N" */
static void add_io_max(const struct file *f, char *text, struct unit_properties *list)
{
	static const char *const keys[][2] = {
		{"rbps=", "IOReadBandwidthMax"},
		{"wbps=", "IOWriteBandwidthMax"},
		{"riops=", "IOReadIOPSMax"},
		{"wiops=", "IOWriteIOPSMax"},
	};
	char *save = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		forget_devices(keys[i][1], list);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *rest = NULL, *device = strtok_r(line, " ", &rest), *word;

		while (device && (word = strtok_r(NULL, " ", &rest)))
			for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
				size_t len = strlen(keys[i][0]);

				if (!strncmp(word, keys[i][0], len) && strcmp(word + len, "max"))
					add_device(keys[i][1], device,
						   strtoull(word + len, NULL, 10), list);
			}
	}
}

/* "MAJOR:MINOR N" */
static void add_throttle(const struct file *f, char *text, struct unit_properties *list)
{
	char *save = NULL;

	forget_devices(f->property, list);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *blank = strchr(line, ' ');

		if (!blank)
			continue;
		*blank = '\0';
		add_device(f->property, line, strtoull(blank + 1, NULL, 10), list);
	}
}

static void add_boolean(const struct file *f, char *text, struct unit_properties *list)
{
	unit_property_number(list, f->property, "b", *text == '1');
}

/* Of each controller all files that systemd writes together: one alone would reset the others. */
static const struct file files[] = {
	{2, CTL_MEMORY, "memory.max", "MemoryMax", 0, add_positive, NULL},
	{2, CTL_MEMORY, "memory.high", "MemoryHigh", 0, add_positive, NULL},
	{2, CTL_MEMORY, "memory.low", "MemoryLow", 0, add_number, NULL},
	{2, CTL_MEMORY, "memory.min", "MemoryMin", 240, add_number, NULL},
	{2, CTL_MEMORY, "memory.swap.max", "MemorySwapMax", 0, add_number, NULL},
	{2, CTL_MEMORY, "memory.zswap.max", "MemoryZSwapMax", 253, add_number, NULL},
	{2, CTL_MEMORY, "memory.zswap.writeback", "MemoryZSwapWriteback", 256, add_boolean, NULL},
	{2, CTL_CPU, "cpu.weight", "CPUWeight", 0, add_weight, NULL},
	{2, CTL_CPU, "cpu.idle", "CPUWeight", 252, add_idle, NULL},
	{2, CTL_CPU, "cpu.max", "CPUQuotaPerSecUSec", 0, add_quota, NULL},
	{2, CTL_CPU, "cpu.max", "CPUQuotaPeriodUSec", 242, add_period, NULL},
	{2, CTL_CPUSET, "cpuset.cpus", "AllowedCPUs", 244, add_list, NULL},
	{2, CTL_CPUSET, "cpuset.mems", "AllowedMemoryNodes", 244, add_list, NULL},
	{2, CTL_PIDS, "pids.max", "TasksMax", 0, add_positive, NULL},
	{2, CTL_BLKIO, "io.weight", "IO", 0, add_weights, NULL},
	{2, CTL_BLKIO, "io.bfq.weight", "IO", 0, add_weights, NULL},
	{2, CTL_BLKIO, "io.max", NULL, 0, add_io_max, NULL},
	{1, CTL_MEMORY, "memory.limit_in_bytes", "MemoryLimit", 0, add_positive, NULL},
	{1, CTL_CPU, "cpu.shares", "CPUShares", 0, add_number, NULL},
	{1, CTL_CPU, "cpu.cfs_quota_us", "CPUQuotaPerSecUSec", 0, add_quota, "cpu.cfs_period_us"},
	{1, CTL_CPU, "cpu.cfs_period_us", "CPUQuotaPeriodUSec", 242, add_period, NULL},
	{1, CTL_PIDS, "pids.max", "TasksMax", 0, add_positive, NULL},
	{1, CTL_BLKIO, "blkio.weight", "BlockIO", 0, add_weights, NULL},
	{1, CTL_BLKIO, "blkio.throttle.read_bps_device", "BlockIOReadBandwidth", 0, add_throttle,
	 NULL},
	{1, CTL_BLKIO, "blkio.throttle.write_bps_device", "BlockIOWriteBandwidth", 0, add_throttle,
	 NULL},
};

/* What systemd writes besides, by what it thinks best. */
static const struct {
	int version;
	const char *name;
} written[] = {
	{2,
	 "memory.oom.group"}, /* by OOMPolicy, which is not to be changed: systemd_limits_start() */
	{1, "blkio.bfq.weight"}, /* by BlockIOWeight, whose range is another */
};

/* NULL text: there is no such file. */
static int read_one(int dir_fd, const struct file *f, char **text, struct error **err)
{
	__cleanup_free char *first = NULL;
	__cleanup_free char *second = NULL;
	int r = read_file(dir_fd, f->file, 1 << 20, &first, NULL);

	if (r == 0 && f->more)
		r = read_file(dir_fd, f->more, 4096, &second, NULL);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_errno(err, -r, "reading \"%s\" of the container's cgroup", f->file);
	if (asprintf(text, "%s%s", first, second ? second : "") < 0) {
		*text = NULL;
		return error_errno(err, ENOMEM, "reading \"%s\"", f->file);
	}
	return 0;
}

int systemd_limits_read(int dir_fd, int cgroup_version, unsigned int controllers,
			unsigned int systemd_version, struct unit_properties *list,
			struct error **err)
{
	/* "unified" may set any file */
	if (controllers & CTL_UNIFIED)
		controllers = ~0u;
	for (const struct file *f = files; f < files + sizeof(files) / sizeof(*files); f++) {
		__cleanup_free char *text = NULL;
		int r;

		if (f->version != cgroup_version || !(f->controller & controllers) ||
		    f->since > systemd_version)
			continue;
		r = read_one(dir_fd, f, &text, err);
		if (r < 0)
			return r;
		if (text)
			f->add(f, text, list);
	}
	return list->failed ? error_errno(err, ENOMEM, "collecting the limits") : 0;
}

void systemd_limits_start(const struct oci_resources *res, unsigned int systemd_version,
			  struct unit_properties *list)
{
	if (systemd_version < VERSION_OOM_POLICY)
		return;
	vec_for_each (pair, &res->unified) {
		if (strcmp(pair->key, "memory.oom.group"))
			continue;
		unit_property_text(list, "OOMPolicy",
				   strtol(pair->value, NULL, 10) ? "kill" : "continue");
	}
}

int systemd_limits_keep(int dir_fd, int cgroup_version, struct systemd_kept *kept,
			struct error **err)
{
	for (size_t i = 0; i < sizeof(written) / sizeof(*written); i++) {
		__cleanup_free char *text = NULL;
		struct systemd_kept_file *new;
		int r;

		if (written[i].version != cgroup_version)
			continue;
		r = read_file(dir_fd, written[i].name, 4096, &text, NULL);
		if (r == -ENOENT)
			continue;
		new = r < 0 ? NULL : vec_add(kept);
		if (!new)
			return error_errno(err, r < 0 ? -r : ENOMEM, "reading \"%s\"",
					   written[i].name);
		*new = (struct systemd_kept_file){dir_fd, written[i].name, take_ptr(text)};
	}
	return 0;
}

int systemd_limits_put_back(const struct systemd_kept *kept, struct error **err)
{
	vec_for_each (file, kept) {
		__cleanup_free char *text = NULL;
		int r = read_file(file->dir_fd, file->name, 4096, &text, NULL);

		if (r == 0 && strcmp(text, file->text))
			r = write_file(file->dir_fd, file->name, file->text);
		if (r < 0)
			return error_errno(err, -r,
					   "setting \"%s\" again, which systemd has written",
					   file->name);
	}
	return 0;
}

void systemd_kept_free(struct systemd_kept *kept)
{
	vec_for_each (file, kept)
		free(file->text);
	vec_free(kept);
}
