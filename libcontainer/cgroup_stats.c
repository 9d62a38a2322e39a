// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/cgroup_stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/json_write.h"

static const struct hierarchy *find(const struct cgroup *cg, unsigned int controller)
{
	vec_for_each (h, cg)
		if (h->fd >= 0 && h->controllers & controller)
			return h;
	return NULL;
}

static char *get_text(const struct hierarchy *h, const char *file)
{
	char *text = NULL;

	return h && read_file(h->fd, file, 1 << 20, &text, NULL) == 0 ? text : NULL;
}

/* "max" is what v1 writes as a very large number. */
static uint64_t get_number(const struct hierarchy *h, const char *file)
{
	__cleanup_free char *text = get_text(h, file);

	if (text && !strncmp(text, "max", 3))
		return UINT64_MAX;
	return text ? strtoull(text, NULL, 10) : 0;
}

/* The value of a line "key value". */
static uint64_t get_key(const char *text, const char *key)
{
	size_t len = strlen(key);

	while (text && *text) {
		if (!strncmp(text, key, len) && text[len] == ' ')
			return strtoull(text + len, NULL, 10);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return 0;
}

static void object(struct json *j, const char *key)
{
	json_key(j, key);
	json_object_begin(j);
}

/* --- cpu --- */

static void write_percpu(struct json *j, const struct hierarchy *h)
{
	__cleanup_free char *text = get_text(h, "cpuacct.usage_percpu");
	char *end, *next = text;

	json_key(j, "percpu");
	json_array_begin(j);
	while (next && *next) {
		unsigned long long n = strtoull(next, &end, 10);

		if (end == next)
			break;
		json_uint(j, n);
		next = end + strspn(end, " \n");
	}
	json_array_end(j);
}

static void write_cpu(struct json *j, const struct cgroup *cg)
{
	const struct hierarchy *acct = find(cg, CTL_CPUACCT), *cpu = find(cg, CTL_CPU);
	const struct hierarchy *v2 = acct ? NULL : cgroup_freezer_hierarchy(cg);
	__cleanup_free char *stat = get_text(v2 && v2->version == 2 ? v2 : cpu, "cpu.stat");
	__cleanup_free char *split = get_text(acct, "cpuacct.stat");
	uint64_t tick = 1000000000ull / sysconf(_SC_CLK_TCK);
	bool is_v2 = !acct;

	object(j, "cpu");
	object(j, "usage");
	json_add_uint(j, "total",
		      is_v2 ? get_key(stat, "usage_usec") * 1000
			    : get_number(acct, "cpuacct.usage"));
	write_percpu(j, acct);
	json_add_uint(j, "kernel",
		      is_v2 ? get_key(stat, "system_usec") * 1000
			    : get_key(split, "system") * tick);
	json_add_uint(j, "user",
		      is_v2 ? get_key(stat, "user_usec") * 1000 : get_key(split, "user") * tick);
	json_object_end(j);
	object(j, "throttling");
	json_add_uint(j, "periods", get_key(stat, "nr_periods"));
	json_add_uint(j, "throttledPeriods", get_key(stat, "nr_throttled"));
	json_add_uint(j, "throttledTime",
		      is_v2 ? get_key(stat, "throttled_usec") * 1000
			    : get_key(stat, "throttled_time"));
	json_object_end(j);
	json_object_end(j);
}

/* --- memory --- */

/* One of runc's four kinds of memory: the files that it is in, NULL where there is none. */
static const struct {
	const char *name;
	const char *limit, *usage, *max, *failures; /* v1 */
	const char *limit2, *usage2, *max2;	    /* v2 */
} kinds[] = {
	{"usage", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes",
	 "memory.failcnt", "memory.max", "memory.current", "memory.peak"},
	{"swap", "memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
	 "memory.memsw.max_usage_in_bytes", "memory.memsw.failcnt", "memory.swap.max",
	 "memory.swap.current", "memory.swap.peak"},
	{"kernel", "memory.kmem.limit_in_bytes", "memory.kmem.usage_in_bytes",
	 "memory.kmem.max_usage_in_bytes", "memory.kmem.failcnt", NULL, NULL, NULL},
	{"kernelTCP", "memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes",
	 "memory.kmem.tcp.max_usage_in_bytes", "memory.kmem.tcp.failcnt", NULL, NULL, NULL},
};

static void add_file(struct json *j, const char *key, const struct hierarchy *h, const char *v1,
		     const char *v2)
{
	const char *file = h && h->version == 2 ? v2 : v1;

	json_add_uint(j, key, h && file ? get_number(h, file) : 0);
}

static void write_raw(struct json *j, const char *stat)
{
	object(j, "raw");
	while (stat && *stat) {
		char key[64];
		uint64_t value;

		if (sscanf(stat, "%63s %" SCNu64, key, &value) == 2)
			json_add_uint(j, key, value);
		stat += strcspn(stat, "\n");
		stat += *stat == '\n';
	}
	json_object_end(j);
}

static void write_memory(struct json *j, const struct cgroup *cg)
{
	const struct hierarchy *h = find(cg, CTL_MEMORY);
	__cleanup_free char *stat = get_text(h, "memory.stat");

	object(j, "memory");
	json_add_uint(j, "cache", get_key(stat, h && h->version == 2 ? "file" : "cache"));
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		object(j, kinds[i].name);
		add_file(j, "limit", h, kinds[i].limit, kinds[i].limit2);
		add_file(j, "usage", h, kinds[i].usage, kinds[i].usage2);
		add_file(j, "max", h, kinds[i].max, kinds[i].max2);
		add_file(j, "failcnt", h, kinds[i].failures, NULL);
		json_object_end(j);
	}
	write_raw(j, stat);
	json_object_end(j);
}

/* --- the others --- */

static void write_pids(struct json *j, const struct cgroup *cg)
{
	const struct hierarchy *h = find(cg, CTL_PIDS);
	uint64_t limit = get_number(h, "pids.max");

	object(j, "pids");
	json_add_uint(j, "current", get_number(h, "pids.current"));
	/* 0 means none, as runc has it */
	json_add_uint(j, "limit", limit == UINT64_MAX ? 0 : limit);
	json_object_end(j);
}

/* Lines "MAJOR:MINOR OPERATION VALUE". */
static void write_devices_v1(struct json *j, const struct hierarchy *h, const char *key,
			     const char *file)
{
	__cleanup_free char *text = get_text(h, file);

	json_key(j, key);
	json_array_begin(j);
	for (char *line = text; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned int major, minor;
		char operation[16];
		uint64_t value;

		if (sscanf(line, "%u:%u %15s %" SCNu64, &major, &minor, operation, &value) != 4)
			continue;
		json_object_begin(j);
		json_add_uint(j, "major", major);
		json_add_uint(j, "minor", minor);
		json_add_string(j, "op", operation);
		json_add_uint(j, "value", value);
		json_object_end(j);
	}
	json_array_end(j);
}

/* Lines "MAJOR:MINOR KEY=VALUE ...", of which two are wanted. */
static void write_devices_v2(struct json *j, const char *text, const char *key, const char *read,
			     const char *write)
{
	const char *keys[] = {read, write}, *operations[] = {"Read", "Write"};

	json_key(j, key);
	json_array_begin(j);
	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, "\n");
		unsigned int major, minor;

		for (int i = 0; i < 2 && sscanf(line, "%u:%u ", &major, &minor) == 2; i++) {
			const char *found = memmem(line, len, keys[i], strlen(keys[i]));

			if (!found)
				continue;
			json_object_begin(j);
			json_add_uint(j, "major", major);
			json_add_uint(j, "minor", minor);
			json_add_string(j, "op", operations[i]);
			json_add_uint(j, "value", strtoull(found + strlen(keys[i]), NULL, 10));
			json_object_end(j);
		}
		line += len;
		line += *line == '\n';
	}
	json_array_end(j);
}

static void write_blkio(struct json *j, const struct cgroup *cg)
{
	const struct hierarchy *h = find(cg, CTL_BLKIO);
	__cleanup_free char *stat = h && h->version == 2 ? get_text(h, "io.stat") : NULL;

	object(j, "blkio");
	if (h && h->version == 2) {
		write_devices_v2(j, stat, "ioServiceBytesRecursive", "rbytes=", "wbytes=");
		write_devices_v2(j, stat, "ioServicedRecursive", "rios=", "wios=");
	} else {
		write_devices_v1(j, h, "ioServiceBytesRecursive",
				 "blkio.throttle.io_service_bytes_recursive");
		write_devices_v1(j, h, "ioServicedRecursive",
				 "blkio.throttle.io_serviced_recursive");
	}
	json_object_end(j);
}

static void write_hugetlb(struct json *j, const struct cgroup *cg)
{
	static const char *const sizes[] = {"64KB", "1MB", "2MB", "32MB", "1GB", "16GB"};
	const struct hierarchy *h = find(cg, CTL_HUGETLB);
	const char *end = h && h->version == 2 ? "current" : "usage_in_bytes";

	object(j, "hugetlb");
	for (size_t i = 0; h && i < sizeof(sizes) / sizeof(*sizes); i++) {
		char file[64];

		snprintf(file, sizeof(file), "hugetlb.%s.%s", sizes[i], end);
		if (faccessat(h->fd, file, R_OK, 0) < 0)
			continue;
		object(j, sizes[i]);
		json_add_uint(j, "usage", get_number(h, file));
		json_object_end(j);
	}
	json_object_end(j);
}

void cgroup_stats_write(struct json *j, const struct cgroup *cg)
{
	json_object_begin(j);
	write_cpu(j, cg);
	write_memory(j, cg);
	write_pids(j, cg);
	write_blkio(j, cg);
	write_hugetlb(j, cg);
	json_object_end(j);
}

/* --- out of memory --- */

/* v1: an eventfd is bound to memory.oom_control by a line in cgroup.event_control. */
static int open_oom_v1(const struct hierarchy *h)
{
	__cleanup_fd int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	__cleanup_fd int control = openat(h->fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
	char line[32];
	int ret;

	if (event < 0 || control < 0)
		return -errno;
	snprintf(line, sizeof(line), "%d %d", event, control);
	ret = write_file(h->fd, "cgroup.event_control", line);
	return ret < 0 ? ret : take_fd(&event);
}

static int open_oom_v2(const struct hierarchy *h)
{
	__cleanup_fd int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s/memory.events", h->mount, h->path);
	if (watch < 0 || inotify_add_watch(watch, path, IN_MODIFY) < 0)
		return -errno;
	return take_fd(&watch);
}

int cgroup_oom_open(const struct cgroup *cg, struct error **err)
{
	const struct hierarchy *h = find(cg, CTL_MEMORY);
	int fd;

	if (!h)
		return error_set(err, EOPNOTSUPP, "the container is in no memory cgroup");
	fd = h->version == 1 ? open_oom_v1(h) : open_oom_v2(h);
	return fd < 0 ? error_errno(err, -fd, "watching for the OOM killer") : fd;
}

int cgroup_oom_read(const struct cgroup *cg, int fd, uint64_t *count)
{
	const struct hierarchy *h = find(cg, CTL_MEMORY);
	__cleanup_free char *events = NULL;
	char buf[4096];
	uint64_t more = 0;
	ssize_t n = read(fd, buf, sizeof(buf));

	if (h && faccessat(h->fd, "cgroup.procs", F_OK, 0) < 0)
		return -ENODEV;
	if (n < 0)
		return 0;
	if (h && h->version == 2) {
		events = get_text(h, "memory.events");
		*count = get_key(events, "oom_kill");
		return 0;
	}
	memcpy(&more, buf, sizeof(more));
	*count += more;
	return 0;
}
