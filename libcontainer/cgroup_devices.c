// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/*
 * What every container may use whatever its rules say, since the specification
 * promises these devices to it (config-linux.md, "Default Devices"), and nodes
 * may be made freely since they are of no use without a rule.
 */
static const struct oci_device_rule always_allowed[] = {
	{.allow = true, .type = 'c', .access = (char *)"m"},
	{.allow = true, .type = 'b', .access = (char *)"m"},
#define CHAR_DEVICE(n, m)                                                                          \
	{                                                                                          \
		true, 'c', true, true, n, m, NULL                                                  \
	}
	CHAR_DEVICE(1, 3),					       /* null */
	CHAR_DEVICE(1, 5),					       /* zero */
	CHAR_DEVICE(1, 7),					       /* full */
	CHAR_DEVICE(1, 8),					       /* random */
	CHAR_DEVICE(1, 9),					       /* urandom */
	CHAR_DEVICE(5, 0),					       /* tty */
	CHAR_DEVICE(5, 2),					       /* ptmx */
	{.allow = true, .type = 'c', .has_major = true, .major = 136}, /* pts */
};

static int write_rule(int fd, const char *rule)
{
	ssize_t n;

	do
		n = write(fd, rule, strlen(rule));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void format_number(char *text, size_t size, bool has, int64_t number)
{
	if (has)
		snprintf(text, size, "%lld", (long long)number);
	else
		snprintf(text, size, "*");
}

static int apply_rule(int allow, int deny, const struct oci_device_rule *rule, struct error **err)
{
	char text[96] = "a", major[24], minor[24];
	int r;

	format_number(major, sizeof(major), rule->has_major, rule->major);
	format_number(minor, sizeof(minor), rule->has_minor, rule->minor);
	if (rule->type == 'c' || rule->type == 'b')
		snprintf(text, sizeof(text), "%c %s:%s %.8s", rule->type, major, minor,
			 rule->access && *rule->access ? rule->access : "rwm");
	r = write_rule(rule->allow ? allow : deny, text);
	if (r < 0)
		return error_errno(err, -r, "%s devices \"%s\"",
				   rule->allow ? "allowing" : "denying", text);
	return 0;
}

void cgroup_device_rules_free(struct cgroup_device_rules *rules)
{
	vec_free(rules);
}

static int apply_v1(const struct hierarchy *h, const struct cgroup_device_rules *rules,
		    struct error **err)
{
	__cleanup_fd int allow = openat(h->fd, "devices.allow", O_WRONLY | O_CLOEXEC);
	__cleanup_fd int deny = openat(h->fd, "devices.deny", O_WRONLY | O_CLOEXEC);

	if (allow < 0 || deny < 0)
		return error_errno(err, errno, "opening the device lists of cgroup \"%s\"",
				   h->path);
	vec_for_each (rule, rules) {
		int r = apply_rule(allow, deny, rule, err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_rules(struct cgroup_device_rules *to, const struct oci_device_rule *from,
		     size_t count, struct error **err)
{
	for (size_t i = 0; i < count; i++) {
		struct oci_device_rule *rule = vec_add(to);

		if (!rule)
			return error_errno(err, ENOMEM, "setting device rules");
		*rule = from[i];
		if (rule->access && strspn(rule->access, "rwm") != strlen(rule->access))
			return error_set(err, EINVAL,
					 "config.json: /linux/resources/devices/%zu: access "
					 "\"%.16s\"",
					 i, rule->access);
	}
	return 0;
}

int cgroup_device_rules(const struct oci_resources *res, struct cgroup_device_rules *rules,
			struct error **err)
{
	int r = add_rules(rules, res->devices.items, res->devices.count, err);

	if (r == 0)
		r = add_rules(rules, always_allowed,
			      sizeof(always_allowed) / sizeof(*always_allowed), err);
	return r;
}

int cgroup_apply_devices(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	__cleanup(cgroup_device_rules_free) struct cgroup_device_rules rules = {0};
	const struct hierarchy *v1 = NULL, *v2 = NULL;
	int r;

	vec_for_each (h, cg) {
		if (h->version == 1 && h->fd >= 0 && (h->controllers & CTL_DEVICES))
			v1 = h;
		if (h->version == 2 && h->fd >= 0)
			v2 = h;
	}
	r = cgroup_device_rules(res, &rules, err);
	if (r < 0)
		return r;
	if (v1)
		return apply_v1(v1, &rules, err);
	if (v2)
		return cgroup_apply_devices_v2(v2, rules.items, rules.count, err);
	/* in no cgroup: see may_do_without() and place_nowhere() */
	if (cg->rootless || !*cg->recorded)
		return 0;
	return error_set(err, ENOENT, "config.json: /linux/resources/devices: no hierarchy");
}
