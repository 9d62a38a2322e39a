// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of namespaces (/proc/PID/ns/NAME) that the container itself has: after a restore
 * they are of those that it has then. Which one it is says the inode.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/vfs.h>

#include "checkpoint/resource/files.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const struct {
	uint32_t type;
	const char *name; /* below /proc/PID/ns, and in front of ":[" in links */
} namespaces[] = {
	{CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWNS, "mnt"},
	{CLONE_NEWNET, "net"},	     {CLONE_NEWPID, "pid"}, {CLONE_NEWTIME, "time"},
	{CLONE_NEWUSER, "user"},     {CLONE_NEWUTS, "uts"},
};
#define NAMESPACES (sizeof(namespaces) / sizeof(*namespaces))

/* NAMESPACES: none of these. */
static size_t index_of(const char *link)
{
	const char *end = strstr(link, ":[");
	size_t i = 0;

	while (i < NAMESPACES && (!end || strncmp(link, namespaces[i].name, end - link) ||
				  namespaces[i].name[end - link]))
		i++;
	return i;
}

static bool matches(const struct description *d)
{
	struct statfs fs;

	return index_of(d->link) < NAMESPACES && !fstatfs(d->fd, &fs) && fs.f_type == NSFS_MAGIC;
}

/* All its tasks have the namespaces of its init, see tasks_survey(). */
static int namespace_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	const char *name = namespaces[index_of(d->link)].name;
	__cleanup_fd int fd = open_fmt(O_RDONLY, "/proc/%d/ns/%s", c->init, name);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return error_errno(err, fd < 0 ? -fd : errno, "looking at the %s namespace", name);
	if (st.st_dev == d->st.st_dev && st.st_ino == d->st.st_ino)
		return 0;
	return description_block(c, d, "close it for the checkpoint",
				 "a %s namespace that is not the container's", name);
}

static int namespace_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct ckpt_namespace rec = {
		.id = d->id,
		.open_flags = d->open_flags,
		.type = namespaces[index_of(d->link)].type,
	};

	if (!record_add(&c->records, CKPT_NAMESPACE, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording a namespace");
	return 0;
}

/* --- a restore --- */

static const char *name_of(uint32_t type)
{
	for (size_t i = 0; i < NAMESPACES; i++)
		if (namespaces[i].type == type)
			return namespaces[i].name;
	return NULL;
}

static int namespace_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_namespace *rec = o->rec;

	if (o->tail_len || rec->reserved || !name_of(rec->type))
		return error_set(err, EBADMSG, "namespace %u is malformed", o->id);
	return 0;
}

static int namespace_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_namespace *rec = o->rec;
	const char *name = name_of(rec->type);
	int fd = open_fmt(O_RDONLY | (rec->open_flags & O_PATH), "/proc/%d/ns/%s", r->init, name);

	if (fd < 0)
		return error_errno(err, -fd, "opening the %s namespace", name);
	o->fd = fd;
	return rec->open_flags & O_PATH ? 0 : files_set_flags(fd, rec->open_flags, err);
}

const struct file_kind file_kind_namespace = {
	.type = CKPT_NAMESPACE,
	.size = sizeof(struct ckpt_namespace),
	.matches = matches,
	.admit = namespace_admit,
	.dump = namespace_dump,
	.load = namespace_load,
	.open = namespace_open,
};
