// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

unsigned int cgroup_limited(const struct oci_resources *res)
{
	const struct oci_memory *m = &res->memory;
	const struct oci_cpu *c = &res->cpu;
	const struct oci_block_io *b = &res->block_io;
	unsigned int limited = 0;

	if (m->has_limit || m->has_reservation || m->has_swap || m->has_kernel ||
	    m->has_kernel_tcp || m->has_swappiness || m->has_use_hierarchy ||
	    (m->has_disable_oom_killer && m->disable_oom_killer))
		limited |= CTL_MEMORY;
	if (c->has_shares || c->has_quota || c->has_burst || c->has_period || c->has_idle ||
	    c->has_realtime_period || c->has_realtime_runtime)
		limited |= CTL_CPU;
	if (c->cpus || c->mems)
		limited |= CTL_CPUSET;
	if (res->has_pids_limit)
		limited |= CTL_PIDS;
	if (b->has_weight || b->has_leaf_weight || b->weight_devices.count || b->read_bps.count ||
	    b->write_bps.count || b->read_iops.count || b->write_iops.count)
		limited |= CTL_BLKIO;
	if (res->hugepage_limits.count)
		limited |= CTL_HUGETLB;
	if (res->has_class_id)
		limited |= CTL_NET_CLS;
	if (res->net_priorities.count)
		limited |= CTL_NET_PRIO;
	if (res->rdma.count)
		limited |= CTL_RDMA;
	if (res->devices.count)
		limited |= CTL_DEVICES;
	if (res->unified.count)
		limited |= CTL_UNIFIED;
	return limited;
}

/* [2, 262144] to [1, 10000], as the runtime specification's note on v2 wants it. */
unsigned long long cgroup_cpu_weight(unsigned long long shares)
{
	if (shares < 2)
		shares = 2;
	if (shares > 262144)
		shares = 262144;
	return 1 + (shares - 2) * 9999 / 262142;
}

/* [10, 1000] to [1, 10000]. */
unsigned long long cgroup_io_weight(unsigned long long weight)
{
	if (weight < 10)
		weight = 10;
	if (weight > 1000)
		weight = 1000;
	return 1 + (weight - 10) * 9999 / 990;
}

/* The joined hierarchy with a controller, or NULL. */
static const struct hierarchy *find(const struct cgroup *cg, unsigned int controller)
{
	vec_for_each (h, cg) {
		if (h->fd >= 0 && (h->controllers & controller))
			return h;
	}
	return NULL;
}

/* The same, but its absence is an error: a limit is not dropped silently. */
static int need(const struct cgroup *cg, unsigned int controller, const char *name,
		const struct hierarchy **h, struct error **err)
{
	*h = find(cg, controller);
	if (*h)
		return 0;
	error_set(err, ENOENT, "config.json: /linux/resources: no cgroup controller \"%s\"", name);
	return error_hint(err, "the kernel lacks it, or its hierarchy is not mounted");
}

static int put(const struct hierarchy *h, struct error **err, const char *file, const char *fmt,
	       ...) __attribute__((format(printf, 4, 5)));

static int put(const struct hierarchy *h, struct error **err, const char *file, const char *fmt,
	       ...)
{
	char text[1024];
	va_list args;
	int r;

	va_start(args, fmt);
	r = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (r >= (int)sizeof(text))
		return error_errno(err, E2BIG, "setting %s", file);
	r = write_file(h->fd, file, text);
	if (r < 0)
		return error_errno(err, -r, "setting %s of cgroup \"%s\" to \"%s\"", file, h->path,
				   text);
	return 0;
}

/* A number of bytes, or the word for no limit. */
static int put_limit(const struct hierarchy *h, const char *file, int64_t value, struct error **err)
{
	if (value >= 0)
		return put(h, err, file, "%lld", (long long)value);
	return put(h, err, file, "%s", h->version == 1 ? "-1" : "max");
}

/* A number in a file, -1 for "max", and also if it cannot be read. */
static int64_t get_number(const struct hierarchy *h, const char *file)
{
	__cleanup_free char *text = NULL;

	if (read_file(h->fd, file, 4096, &text, NULL) < 0 || *text < '0' || *text > '9')
		return -1;
	return strtoll(text, NULL, 10);
}

/* What is in use already would be taken from the container by the OOM killer. */
static int check_before_update(const struct hierarchy *h, const struct oci_memory *m,
			       struct error **err)
{
	int64_t used;

	if (!m->check_before_update || !m->has_limit || m->limit < 0)
		return 0;
	used = get_number(h, h->version == 1 ? "memory.usage_in_bytes" : "memory.current");
	if (used <= m->limit)
		return 0;
	return error_set(err, EBUSY,
			 "config.json: /linux/resources/memory/limit: %lld bytes are in use, more "
			 "than %lld",
			 (long long)used, (long long)m->limit);
}

/* The kernel wants memory <= memory and swap at any moment: the greater one grows first. */
static int apply_limits_v1(const struct hierarchy *h, const struct oci_memory *m,
			   struct error **err)
{
	const char *memory = "memory.limit_in_bytes", *both = "memory.memsw.limit_in_bytes";
	bool has_swap = m->has_swap && m->swap;
	bool grows = has_swap && (m->swap < 0 || m->swap > get_number(h, both));
	int r = 0;

	if (grows)
		r = put_limit(h, both, m->swap, err);
	/* memory without a limit cannot be below one of both */
	else if (!has_swap && m->has_limit && m->limit < 0 && !faccessat(h->fd, both, W_OK, 0))
		r = put_limit(h, both, -1, err);
	if (r == 0 && m->has_limit && m->limit)
		r = put_limit(h, memory, m->limit, err);
	if (r == 0 && has_swap && !grows)
		r = put_limit(h, both, m->swap, err);
	return r;
}

/* Since Linux 5.16 there is no such limit; before, it was of little use. */
static int apply_kernel_v1(const struct hierarchy *h, const struct oci_memory *m,
			   struct error **err)
{
	if (!m->has_kernel || !m->kernel)
		return 0;
	if (faccessat(h->fd, "memory.kmem.limit_in_bytes", W_OK, 0) < 0)
		return error_set(err, EOPNOTSUPP,
				 "config.json: /linux/resources/memory/kernel: this kernel has no "
				 "such limit");
	return put_limit(h, "memory.kmem.limit_in_bytes", m->kernel, err);
}

/* Always on in kernels that do not offer to turn it off. */
static int apply_hierarchy_v1(const struct hierarchy *h, const struct oci_memory *m,
			      struct error **err)
{
	if (!m->has_use_hierarchy || get_number(h, "memory.use_hierarchy") == m->use_hierarchy)
		return 0;
	return put(h, err, "memory.use_hierarchy", "%d", m->use_hierarchy);
}

static int apply_memory_v1(const struct hierarchy *h, const struct oci_memory *m,
			   struct error **err)
{
	int r = apply_hierarchy_v1(h, m, err);

	if (r == 0)
		r = apply_limits_v1(h, m, err);
	if (r == 0)
		r = apply_kernel_v1(h, m, err);
	if (r == 0 && m->has_reservation)
		r = put_limit(h, "memory.soft_limit_in_bytes", m->reservation, err);
	if (r == 0 && m->has_kernel_tcp)
		r = put_limit(h, "memory.kmem.tcp.limit_in_bytes", m->kernel_tcp, err);
	if (r == 0 && m->has_swappiness)
		r = put(h, err, "memory.swappiness", "%lld", (long long)m->swappiness);
	if (r == 0 && m->has_disable_oom_killer)
		r = put(h, err, "memory.oom_control", "%d", m->disable_oom_killer);
	return r;
}

/* v2 counts swap alone, the configuration memory and swap together. */
static int swap_v2(const struct hierarchy *h, const struct oci_memory *m, int64_t *swap,
		   struct error **err)
{
	int64_t limit = m->has_limit ? m->limit : get_number(h, "memory.max");

	*swap = m->swap;
	if (m->swap < 0)
		return 0;
	if (limit < 0 || m->swap < limit)
		return error_set(err, EINVAL,
				 "config.json: /linux/resources/memory/swap: needs a limit of "
				 "memory that is not above it");
	*swap = m->swap - limit;
	return 0;
}

static int apply_memory_v2(const struct hierarchy *h, const struct oci_memory *m,
			   struct error **err)
{
	bool has_swap = m->has_swap && m->swap;
	int64_t swap = 0;
	int r = 0;

	if (m->has_kernel || m->has_kernel_tcp || m->has_swappiness ||
	    (m->has_disable_oom_killer && m->disable_oom_killer))
		log_warning("/linux/resources/memory of config.json: kernel, kernelTCP, swappiness "
			    "and disableOOMKiller mean nothing on cgroup v2");
	if (has_swap)
		r = swap_v2(h, m, &swap, err);
	/* a kernel without swap has no file for it, and nothing to limit */
	if (r == 0 && has_swap && (swap > 0 || !faccessat(h->fd, "memory.swap.max", W_OK, 0)))
		r = put_limit(h, "memory.swap.max", swap, err);
	if (r == 0 && m->has_limit && m->limit)
		r = put_limit(h, "memory.max", m->limit, err);
	if (r == 0 && m->has_reservation)
		r = put_limit(h, "memory.low", m->reservation, err);
	return r;
}

static int apply_memory(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_MEMORY, "memory", &h, err);

	if (r == 0)
		r = check_before_update(h, &res->memory, err);
	if (r < 0)
		return r;
	return h->version == 1 ? apply_memory_v1(h, &res->memory, err)
			       : apply_memory_v2(h, &res->memory, err);
}

/* A v1 limit in two files, 0 for what is not wanted. */
struct bandwidth {
	const char *period_file, *quota_file;
	int64_t period, quota;
};

/*
 * The kernel refuses a period with which the old quota would be too much of the parent's, or of
 * the period itself: then the quota goes first.
 */
static int apply_bandwidth_v1(const struct hierarchy *h, const struct bandwidth *b,
			      struct error **err)
{
	bool period = b->period;
	char text[24];
	int r = 0;

	if (period) {
		snprintf(text, sizeof(text), "%" PRId64, b->period);
		period = write_file(h->fd, b->period_file, text) < 0;
	}
	if (b->quota)
		r = put(h, err, b->quota_file, "%" PRId64, b->quota);
	if (r == 0 && period)
		r = put(h, err, b->period_file, "%" PRId64, b->period);
	return r;
}

static int apply_cpu_v1(const struct hierarchy *h, const struct oci_cpu *c, struct error **err)
{
	const struct bandwidth fair = {
		.period_file = "cpu.cfs_period_us",
		.quota_file = "cpu.cfs_quota_us",
		.period = c->has_period ? (int64_t)c->period : 0,
		.quota = c->has_quota ? c->quota : 0,
	};
	const struct bandwidth realtime = {
		.period_file = "cpu.rt_period_us",
		.quota_file = "cpu.rt_runtime_us",
		.period = c->has_realtime_period ? (int64_t)c->realtime_period : 0,
		.quota = c->has_realtime_runtime ? c->realtime_runtime : 0,
	};
	int r = 0;

	if (c->has_shares && c->shares)
		r = put(h, err, "cpu.shares", "%lld", (long long)c->shares);
	if (r == 0)
		r = apply_bandwidth_v1(h, &fair, err);
	if (r == 0 && c->has_burst)
		r = put(h, err, "cpu.cfs_burst_us", "%lld", (long long)c->burst);
	return r < 0 ? r : apply_bandwidth_v1(h, &realtime, err);
}

/* Both are in one file: what is not given stays. */
static int apply_bandwidth_v2(const struct hierarchy *h, const struct oci_cpu *c,
			      struct error **err)
{
	bool has_period = c->has_period && c->period, has_quota = c->has_quota && c->quota;
	__cleanup_free char *text = NULL;
	char quota[24] = "max";
	long long period = 100000;

	if (!has_period && !has_quota)
		return 0;
	if (read_file(h->fd, "cpu.max", 256, &text, NULL) == 0)
		sscanf(text, "%23s %lld", quota, &period);
	if (has_period)
		period = c->period;
	if (has_quota && c->quota < 0)
		strcpy(quota, "max");
	else if (has_quota)
		snprintf(quota, sizeof(quota), "%lld", (long long)c->quota);
	return put(h, err, "cpu.max", "%s %lld", quota, period);
}

static int apply_cpu_v2(const struct hierarchy *h, const struct oci_cpu *c, struct error **err)
{
	int r = 0;

	/* realtime limits do not exist on v2; the specification lets them go */
	if (c->has_shares && c->shares)
		r = put(h, err, "cpu.weight", "%llu", cgroup_cpu_weight(c->shares));
	if (r == 0)
		r = apply_bandwidth_v2(h, c, err);
	if (r == 0 && c->has_burst)
		r = put(h, err, "cpu.max.burst", "%lld", (long long)c->burst);
	return r;
}

static int apply_cpu(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_CPU, "cpu", &h, err);

	if (r < 0)
		return r;
	/* an idle cgroup takes no shares */
	if (res->cpu.has_idle && !res->cpu.idle)
		r = put(h, err, "cpu.idle", "0");
	if (r == 0)
		r = h->version == 1 ? apply_cpu_v1(h, &res->cpu, err)
				    : apply_cpu_v2(h, &res->cpu, err);
	if (r == 0 && res->cpu.has_idle && res->cpu.idle)
		r = put(h, err, "cpu.idle", "%lld", (long long)res->cpu.idle);
	return r;
}

static int apply_cpuset(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_CPUSET, "cpuset", &h, err);

	if (r == 0 && res->cpu.cpus && *res->cpu.cpus)
		r = put(h, err, "cpuset.cpus", "%s", res->cpu.cpus);
	if (r == 0 && res->cpu.mems && *res->cpu.mems)
		r = put(h, err, "cpuset.mems", "%s", res->cpu.mems);
	return r;
}

static int apply_pids(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_PIDS, "pids", &h, err);

	if (r < 0 || res->pids_limit == 0)
		return r;
	if (res->pids_limit < 0)
		return put(h, err, "pids.max", "max");
	return put(h, err, "pids.max", "%lld", (long long)res->pids_limit);
}

static int apply_throttle(const struct hierarchy *h, const struct oci_throttle_devices *list,
			  const char *v1_file, const char *v2_key, struct error **err)
{
	vec_for_each (d, list) {
		int r;

		if (h->version == 1)
			r = put(h, err, v1_file, "%lld:%lld %llu", (long long)d->major,
				(long long)d->minor, (unsigned long long)d->rate);
		else
			r = put(h, err, "io.max", "%lld:%lld %s=%llu", (long long)d->major,
				(long long)d->minor, v2_key, (unsigned long long)d->rate);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The weights belong to a scheduler, which need not be the one in use: its files come first. */
static int apply_io_weight(const struct hierarchy *h, int64_t weight, struct error **err)
{
	if (h->version == 2) {
		if (faccessat(h->fd, "io.bfq.weight", W_OK, 0) == 0)
			return put(h, err, "io.bfq.weight", "%lld", (long long)weight);
		return put(h, err, "io.weight", "default %llu", cgroup_io_weight(weight));
	}
	if (faccessat(h->fd, "blkio.bfq.weight", W_OK, 0) == 0)
		return put(h, err, "blkio.bfq.weight", "%lld", (long long)weight);
	return put(h, err, "blkio.weight", "%lld", (long long)weight);
}

/* They came with the CFQ scheduler, and went with it in Linux 5.0. */
static int apply_leaf_weight(const struct hierarchy *h, const char *file,
			     const struct oci_weight_device *d, int64_t weight, struct error **err)
{
	if (h->version == 2 || faccessat(h->fd, file, W_OK, 0) < 0)
		return error_set(
			err, EOPNOTSUPP,
			"config.json: /linux/resources/blockIO: leafWeight: this kernel, or "
			"cgroup v2, has none");
	if (!d)
		return put(h, err, file, "%lld", (long long)weight);
	return put(h, err, file, "%lld:%lld %lld", (long long)d->major, (long long)d->minor,
		   (long long)weight);
}

static int apply_io_weight_device(const struct hierarchy *h, const struct oci_weight_device *d,
				  struct error **err)
{
	bool bfq = faccessat(h->fd, h->version == 1 ? "blkio.bfq.weight_device" : "io.bfq.weight",
			     W_OK, 0) == 0;
	const char *file = h->version == 1 ? bfq ? "blkio.bfq.weight_device" : "blkio.weight_device"
			   : bfq	   ? "io.bfq.weight"
					   : "io.weight";
	unsigned long long weight = d->weight;

	if (d->has_leaf_weight) {
		int r = apply_leaf_weight(h, "blkio.leaf_weight_device", d, d->leaf_weight, err);

		if (r < 0)
			return r;
	}
	if (!d->has_weight)
		return 0;
	if (h->version == 2 && !bfq)
		weight = cgroup_io_weight(weight);
	return put(h, err, file, "%lld:%lld %llu", (long long)d->major, (long long)d->minor,
		   weight);
}

static int apply_blkio(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct oci_block_io *b = &res->block_io;
	const struct hierarchy *h;
	int r = need(cg, CTL_BLKIO, "blkio", &h, err);

	if (r < 0)
		return r;
	if (b->has_weight && b->weight)
		r = apply_io_weight(h, b->weight, err);
	if (r == 0 && b->has_leaf_weight && b->leaf_weight)
		r = apply_leaf_weight(h, "blkio.leaf_weight", NULL, b->leaf_weight, err);
	vec_for_each (d, &b->weight_devices) {
		if (r == 0)
			r = apply_io_weight_device(h, d, err);
	}
	if (r == 0)
		r = apply_throttle(h, &b->read_bps, "blkio.throttle.read_bps_device", "rbps", err);
	if (r == 0)
		r = apply_throttle(h, &b->write_bps, "blkio.throttle.write_bps_device", "wbps",
				   err);
	if (r == 0)
		r = apply_throttle(h, &b->read_iops, "blkio.throttle.read_iops_device", "riops",
				   err);
	if (r == 0)
		r = apply_throttle(h, &b->write_iops, "blkio.throttle.write_iops_device", "wiops",
				   err);
	return r;
}

/* Of usage, and of reservations where the kernel (since 5.7) counts them: see the specification. */
static int put_hugetlb(const struct hierarchy *h, const struct oci_hugepage_limit *limit,
		       struct error **err)
{
	static const char *const kinds[] = {"", "rsvd."};
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		char file[64];

		snprintf(file, sizeof(file), "hugetlb.%.16s.%s%s", limit->page_size, kinds[i],
			 h->version == 1 ? "limit_in_bytes" : "max");
		if (i == 0 || faccessat(h->fd, file, W_OK, 0) == 0)
			r = put(h, err, file, "%llu", (unsigned long long)limit->limit);
	}
	return r;
}

static int apply_hugetlb(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_HUGETLB, "hugetlb", &h, err);

	vec_for_each (limit, &res->hugepage_limits) {
		if (r == 0)
			r = put_hugetlb(h, limit, err);
	}
	return r;
}

static int apply_net(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = 0;

	if (res->has_class_id) {
		r = need(cg, CTL_NET_CLS, "net_cls", &h, err);
		if (r == 0)
			r = put(h, err, "net_cls.classid", "%u", res->class_id);
	}
	if (r < 0 || !res->net_priorities.count)
		return r;
	r = need(cg, CTL_NET_PRIO, "net_prio", &h, err);
	vec_for_each (p, &res->net_priorities) {
		if (r == 0)
			r = put(h, err, "net_prio.ifpriomap", "%s %u", p->name, p->priority);
	}
	return r;
}

static int apply_rdma(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	const struct hierarchy *h;
	int r = need(cg, CTL_RDMA, "rdma", &h, err);

	vec_for_each (d, &res->rdma) {
		if (r == 0 && d->has_hca_handles)
			r = put(h, err, "rdma.max", "%s hca_handle=%u", d->name, d->hca_handles);
		if (r == 0 && d->has_hca_objects)
			r = put(h, err, "rdma.max", "%s hca_object=%u", d->name, d->hca_objects);
	}
	return r;
}

/* Of the pids controller only with that. */
static int apply_unified(struct cgroup *cg, const struct oci_resources *res, bool pids,
			 struct error **err)
{
	const struct hierarchy *v2 = NULL;
	int r = 0;

	vec_for_each (h, cg) {
		if (h->version == 2 && h->fd >= 0)
			v2 = h;
	}
	if (!v2)
		return error_set(err, EOPNOTSUPP,
				 "config.json: /linux/resources/unified: no cgroup v2 is mounted");
	vec_for_each (pair, &res->unified) {
		/* a file of this cgroup, and none that moves or kills tasks or frees the caller's
		 */
		if (!*pair->key || strchr(pair->key, '/') || !strncmp(pair->key, "cgroup.", 7) ||
		    *pair->key == '.')
			return error_set(err, EINVAL,
					 "config.json: /linux/resources/unified: \"%.64s\" is not "
					 "a file that may be set",
					 pair->key);
		if (r == 0 && (pids || strncmp(pair->key, "pids.", 5)))
			r = put(v2, err, pair->key, "%s", pair->value);
	}
	return r;
}

int cgroup_apply(struct cgroup *cg, const struct oci_resources *res, unsigned int controllers,
		 struct error **err)
{
	static const struct {
		unsigned int controller;
		int (*apply)(struct cgroup *cg, const struct oci_resources *res,
			     struct error **err);
	} steps[] = {
		{CTL_MEMORY, apply_memory},
		{CTL_CPU, apply_cpu},
		{CTL_CPUSET, apply_cpuset},
		{CTL_PIDS, apply_pids},
		{CTL_BLKIO, apply_blkio},
		{CTL_HUGETLB, apply_hugetlb},
		{CTL_NET_CLS | CTL_NET_PRIO, apply_net},
		{CTL_RDMA, apply_rdma},
		{CTL_DEVICES, cgroup_apply_devices},
	};
	unsigned int limited = cgroup_limited(res) & controllers;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		int r = 0;

		if (limited & steps[i].controller)
			r = steps[i].apply(cg, res, err);
		if (r < 0)
			return r;
	}
	return limited & CTL_UNIFIED ? apply_unified(cg, res, controllers & CTL_PIDS, err) : 0;
}
