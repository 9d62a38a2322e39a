// SPDX-License-Identifier: GPL-2.0-only
/* What is taken from the host for the container: network devices, cache classes, NUMA nodes. */
#include <ctype.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/error.h"

/* As the kernel has it, net/core/dev.c dev_valid_name(); a '%' would be a pattern to it. */
static bool is_interface(const char *name)
{
	if (!*name || strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if (*c == '/' || *c == ':' || *c == '%' || isspace((unsigned char)*c))
			return false;
	return true;
}

static const char *name_inside(const struct oci_net_device *device)
{
	return device->name && *device->name ? device->name : device->host;
}

int oci_net_devices_validate(const struct oci_linux *lx, struct error **err)
{
	vec_for_each (d, &lx->net_devices) {
		if (!is_interface(d->host))
			return error_set(
				err, EINVAL,
				"/linux/netDevices: \"%s\" is not the name of an interface",
				d->host);
		if (!is_interface(name_inside(d)))
			return error_set(
				err, EINVAL,
				"/linux/netDevices/%s/name: \"%s\" is not the name of an interface",
				d->host, d->name);
		for (const struct oci_net_device *e = lx->net_devices.items; e < d; e++)
			if (!strcmp(name_inside(d), name_inside(e)))
				return error_set(err, EINVAL,
						 "/linux/netDevices/%s/name: \"%s\" is given twice",
						 d->host, name_inside(d));
	}
	return 0;
}

/* A line of a class's "schemata"; a line end would smuggle in another. */
static int line_validate(const char *line, const char *at, struct error **err)
{
	for (const char *c = line; c && *c; c++)
		if (iscntrl((unsigned char)*c))
			return error_set(err, EINVAL, "%s: must be one line", at);
	if (line && !strchr(line, ':'))
		return error_set(err, EINVAL, "%s: \"%s\" is not a line like L3:0=f", at, line);
	return 0;
}

int oci_intel_rdt_validate(const struct oci_intel_rdt *rdt, struct error **err)
{
	const char *id = rdt->clos_id;
	int r;

	if (id &&
	    (!*id || strchr(id, '/') || strchr(id, '\n') || !strcmp(id, ".") || !strcmp(id, "..")))
		return error_set(err, EINVAL,
				 "/linux/intelRdt/closID: \"%s\" cannot name a directory", id);
	r = line_validate(rdt->l3_cache_schema, "/linux/intelRdt/l3CacheSchema", err);
	if (!r)
		r = line_validate(rdt->mem_bw_schema, "/linux/intelRdt/memBwSchema", err);
	for (size_t i = 0; !r && i < rdt->schemata.count; i++) {
		char at[64];

		snprintf(at, sizeof(at), "/linux/intelRdt/schemata/%zu", i);
		r = line_validate(rdt->schemata.items[i], at, err);
	}
	return r;
}

int oci_memory_policy_validate(const struct oci_memory_policy *policy, struct error **err)
{
	const uint32_t both = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
	bool takes_nodes = policy->mode != MPOL_DEFAULT && policy->mode != MPOL_LOCAL;
	bool has_nodes = policy->nodes && *policy->nodes;

	if (has_nodes && strspn(policy->nodes, "0123456789,- ") != strlen(policy->nodes))
		return error_set(err, EINVAL,
				 "/linux/memoryPolicy/nodes: \"%s\" is not a list of nodes",
				 policy->nodes);
	if (takes_nodes != has_nodes && policy->mode != MPOL_PREFERRED)
		return error_set(err, EINVAL, "/linux/memoryPolicy/nodes: %s %s",
				 oci_word_name(&oci_memory_policy_words, policy->mode),
				 takes_nodes ? "needs nodes" : "takes none");
	if ((policy->flags & both) == both)
		return error_set(
			err, EINVAL,
			"/linux/memoryPolicy/flags: static and relative nodes exclude each "
			"other");
	return 0;
}
