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
#include "util/log.h"

/*
 * What every container may use whatever its rules say, since the specification
 * promises these devices to it (config-linux.md, "Default Devices"), and nodes
 * may be made freely since they are of no use without a rule.
 */
static const char *const always_allowed[] = {
	"c *:* m",   "b *:* m",	  "c 1:3 rwm", "c 1:5 rwm",   "c 1:7 rwm",
	"c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 136:* rwm", "c 5:2 rwm",
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

	if (rule->access && strspn(rule->access, "rwm") != strlen(rule->access))
		return error_set(err, EINVAL,
				 "config.json: /linux/resources/devices: access \"%.16s\"",
				 rule->access);
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

static int apply_v1(const struct hierarchy *h, const struct oci_resources *res, struct error **err)
{
	__cleanup_fd int allow = openat(h->fd, "devices.allow", O_WRONLY | O_CLOEXEC);
	__cleanup_fd int deny = openat(h->fd, "devices.deny", O_WRONLY | O_CLOEXEC);

	if (allow < 0 || deny < 0)
		return error_errno(err, errno, "opening the device lists of cgroup \"%s\"",
				   h->path);
	vec_for_each (rule, &res->devices) {
		int r = apply_rule(allow, deny, rule, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < sizeof(always_allowed) / sizeof(*always_allowed); i++) {
		int r = write_rule(allow, always_allowed[i]);

		if (r < 0)
			return error_errno(err, -r, "allowing devices \"%s\"", always_allowed[i]);
	}
	return 0;
}

int cgroup_apply_devices(struct cgroup *cg, const struct oci_resources *res, struct error **err)
{
	vec_for_each (h, cg) {
		if (h->version == 1 && h->fd >= 0 && (h->controllers & CTL_DEVICES))
			return apply_v1(h, res, err);
	}
	/* v2 wants a BPF program for it; until there is one, say it rather than nothing */
	log_debug("device rules are not enforced on cgroup v2");
	return 0;
}
