// SPDX-License-Identifier: GPL-2.0-only
/*
 * Multicast groups of sockets. The kernel lists the groups of each device, and tells
 * of a socket whether it is in one that it is asked about.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "checkpoint/resource/inet.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define SOURCES_MAX 64

struct candidate {
	char device[IFNAMSIZ];
	int index;
	union inet_address group;
};
typedef VEC(struct candidate) candidate_vec;

static int add(candidate_vec *all, int index, const char *device, const union inet_address *group)
{
	struct candidate *c = vec_add(all);

	if (!c)
		return -ENOMEM;
	c->index = index;
	c->group = *group;
	snprintf(c->device, sizeof(c->device), "%s", device);
	return 0;
}

/* A line for each device, and below it one for each group: the address as the CPU reads it. */
static int list_v4(const char *text, candidate_vec *all)
{
	char device[IFNAMSIZ] = "";
	int index = 0, r = 0;

	for (const char *line = text; !r && line && *line; line = strchr(line, '\n')) {
		union inet_address group = {.in = {.sin_family = AF_INET}};
		unsigned address;

		line += *line == '\n';
		if (*line != '\t' && sscanf(line, "%d %15[^ \t:]", &index, device) == 2)
			continue;
		if (!index || sscanf(line, "\t\t\t\t%8X", &address) != 1)
			continue;
		group.in.sin_addr.s_addr = address;
		r = add(all, index, device, &group);
	}
	return r;
}

static bool parse_v6(const char *digits, struct in6_addr *address)
{
	for (int i = 0; i < 16; i++) {
		unsigned byte;

		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return false;
		address->s6_addr[i] = byte;
	}
	return true;
}

static int list_v6(const char *text, candidate_vec *all)
{
	int r = 0;

	for (const char *line = text; !r && line && *line; line = strchr(line, '\n')) {
		union inet_address group = {.in6 = {.sin6_family = AF_INET6}};
		char device[IFNAMSIZ], digits[33];
		int index;

		line += *line == '\n';
		if (sscanf(line, "%d %15s %32s", &index, device, digits) == 3 &&
		    strlen(digits) == 32 && parse_v6(digits, &group.in6.sin6_addr))
			r = add(all, index, device, &group);
	}
	return r;
}

static int level_of(int family)
{
	return family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
}

static int save_one(int fd, struct inet_state *s, const struct candidate *c)
{
	struct ckpt_membership m = {0};
	struct buf item __cleanup_buf = {0};
	union {
		struct group_filter filter;
		char room[GROUP_FILTER_SIZE(SOURCES_MAX)];
	} u = {0};
	socklen_t len = sizeof(u);

	u.filter.gf_interface = c->index;
	u.filter.gf_numsrc = SOURCES_MAX;
	memcpy(&u.filter.gf_group, &c->group, sizeof(c->group));
	/* not a member */
	if (getsockopt(fd, level_of(s->rec.family), MCAST_MSFILTER, &u, &len))
		return 0;
	if (u.filter.gf_numsrc > SOURCES_MAX)
		return -E2BIG;
	memcpy(m.device, c->device, sizeof(m.device));
	memcpy(m.group, &c->group, sizeof(m.group));
	m.mode = u.filter.gf_fmode;
	m.sources = u.filter.gf_numsrc;
	if (!buf_add(&item, &m, sizeof(m)))
		return -ENOMEM;
	for (uint32_t i = 0; i < m.sources; i++)
		if (!buf_add(&item, &u.filter.gf_slist[i], sizeof(m.group)))
			return -ENOMEM;
	return items_add(&s->items, CKPT_ITEM_MEMBERSHIP, item.data, item.len);
}

int multicast_save(struct checkpoint *c, int fd, struct inet_state *s, struct error **err)
{
	bool v6 = s->rec.family == AF_INET6;
	__cleanup_free char *text = NULL;
	candidate_vec all = {0};
	int r = proc_read(&text, NULL, "%d/net/%s", c->init, v6 ? "igmp6" : "igmp");

	/* a kernel without multicast */
	if (r)
		return 0;
	r = v6 ? list_v6(text, &all) : list_v4(text, &all);
	vec_for_each (candidate, &all)
		if (!r)
			r = save_one(fd, s, candidate);
	vec_free(&all);
	return r ? error_errno(err, -r, "saving the multicast groups of a socket") : 0;
}

/* --- a restore --- */

static int join(const struct file_object *o, const struct ckpt_membership *m, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	union {
		struct group_filter filter;
		char room[GROUP_FILTER_SIZE(SOURCES_MAX)];
	} u = {0};
	struct group_req request = {0};
	struct ifreq device = {0};
	int level = level_of(rec->family);

	memcpy(device.ifr_name, m->device, sizeof(m->device));
	device.ifr_name[IFNAMSIZ - 1] = '\0';
	if (ioctl(o->fd, SIOCGIFINDEX, &device))
		return error_errno(err, errno, "joining a multicast group at device \"%s\"",
				   device.ifr_name);
	request.gr_interface = device.ifr_ifindex;
	memcpy(&request.gr_group, m->group, sizeof(m->group));
	if (setsockopt(o->fd, level, MCAST_JOIN_GROUP, &request, sizeof(request)))
		return error_errno(err, errno, "joining a multicast group at device \"%s\"",
				   device.ifr_name);
	if (m->mode == MCAST_EXCLUDE && !m->sources)
		return 0;
	u.filter.gf_interface = request.gr_interface;
	u.filter.gf_group = request.gr_group;
	u.filter.gf_fmode = m->mode;
	u.filter.gf_numsrc = m->sources;
	for (uint32_t i = 0; i < m->sources; i++)
		memcpy(&u.filter.gf_slist[i], (const char *)(m + 1) + i * sizeof(m->group),
		       sizeof(m->group));
	if (setsockopt(o->fd, level, MCAST_MSFILTER, &u, GROUP_FILTER_SIZE(m->sources)))
		return error_errno(err, errno, "setting the sources of a multicast group");
	return 0;
}

int multicast_load(const struct file_object *o, struct error **err)
{
	const struct ckpt_membership *m = NULL;
	size_t len;
	int ret = 0;

	while (!ret && (m = items_find(o, CKPT_ITEM_MEMBERSHIP, m, &len))) {
		if (len < sizeof(*m) || m->sources > SOURCES_MAX ||
		    len != sizeof(*m) + m->sources * sizeof(m->group))
			return error_set(err, EBADMSG, "socket %u has a malformed group", o->id);
		ret = join(o, m, err);
	}
	return ret;
}
