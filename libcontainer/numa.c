// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/numa.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/error.h"

#define BITS_PER_LONG (sizeof(long) * CHAR_BIT)
/* more than any kernel is built for: NR_CPUS goes to 8192, MAX_NUMNODES to 1024 */
#define CPUS_MAX  8192
#define NODES_MAX 1024

static int parse_number(const char **text, unsigned long *number)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	*number = strtoul(*text, &end, 10);
	*text = end;
	return errno ? -ERANGE : 0;
}

int numa_parse_list(const char *list, unsigned long *bits, size_t count)
{
	memset(bits, 0, (count + BITS_PER_LONG - 1) / BITS_PER_LONG * sizeof(long));
	for (;;) {
		unsigned long first, last;
		int ret;

		list += strspn(list, " ,\n");
		if (!*list)
			return 0;
		ret = parse_number(&list, &first);
		last = first;
		if (ret == 0 && *list == '-') {
			list++;
			ret = parse_number(&list, &last);
		}
		if (ret < 0)
			return ret;
		if (last < first || (*list && !strchr(" ,\n", *list)))
			return -EINVAL;
		if (last >= count)
			return -ERANGE;
		for (unsigned long n = first; n <= last; n++)
			bits[n / BITS_PER_LONG] |= 1ul << (n % BITS_PER_LONG);
	}
}

int numa_set_affinity(const char *list, const char *what, struct error **err)
{
	unsigned long bits[CPUS_MAX / BITS_PER_LONG];
	int ret;

	if (!list || !*list)
		return 0;
	ret = numa_parse_list(list, bits, CPUS_MAX);
	if (ret == 0 && syscall(SYS_sched_setaffinity, 0, sizeof(bits), bits) < 0)
		ret = -errno;
	if (ret < 0)
		error_errno(err, -ret, "%s: \"%s\"", what, list);
	if (ret == -EINVAL)
		return error_hint(err, "none of these CPUs is there, or the cpuset allows none");
	return ret;
}

int numa_set_memory_policy(const struct oci_memory_policy *policy, struct error **err)
{
	unsigned long nodes[NODES_MAX / BITS_PER_LONG] = {0};
	bool has_nodes = policy && policy->nodes && *policy->nodes;
	int ret;

	if (!policy)
		return 0;
	ret = has_nodes ? numa_parse_list(policy->nodes, nodes, NODES_MAX) : 0;
	/* the kernel reads one bit fewer than it is told of */
	if (ret == 0 && syscall(SYS_set_mempolicy, policy->mode | (int)policy->flags,
				has_nodes ? nodes : NULL, has_nodes ? NODES_MAX + 1 : 0) < 0)
		ret = -errno;
	if (ret < 0)
		error_errno(err, -ret, "/linux/memoryPolicy of config.json");
	if (ret == -ENOSYS)
		return error_hint(err, "the kernel is built without NUMA");
	if (ret == -EINVAL)
		return error_hint(err,
				  "the kernel does not know the mode, or has none of the nodes");
	return ret;
}
