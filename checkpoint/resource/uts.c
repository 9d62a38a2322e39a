// SPDX-License-Identifier: GPL-2.0-only
/* Hostname and domain name, if the container has its own. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "util/error.h"

static int read_names(void *ctx, struct error **err)
{
	struct ckpt_uts *rec = ctx;
	struct utsname names;

	if (uname(&names))
		return error_errno(err, errno, "reading the hostname");
	memcpy(rec->nodename, names.nodename, sizeof(rec->nodename));
	memcpy(rec->domainname, names.domainname, sizeof(rec->domainname));
	return 0;
}

static int uts_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct ckpt_uts rec = {0};
	int r;

	if (t)
		return 0;
	r = same_namespace(c->init, "uts", err);
	if (r)
		return r < 0 ? r : 0;
	r = in_namespaces(c->init, CLONE_NEWUTS, read_names, &rec, err);
	if (!r && !record_add(&c->records, CKPT_UTS, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording the hostname");
	return r;
}

static int uts_load(struct restore *r, struct restore_task *t, const struct record *rec,
		    struct error **err)
{
	const struct ckpt_uts *uts = record_head(rec, sizeof(*uts), err);

	if (!uts)
		return -EBADMSG;
	if (t || !memchr(uts->nodename, 0, sizeof(uts->nodename)) ||
	    !memchr(uts->domainname, 0, sizeof(uts->domainname)))
		return error_set(err, EBADMSG, "a hostname that cannot be");
	return 0;
}

static int write_names(void *ctx, struct error **err)
{
	const struct ckpt_uts *rec = ctx;

	if (sethostname(rec->nodename, strlen(rec->nodename)))
		return error_errno(err, errno, "setting the hostname");
	if (setdomainname(rec->domainname, strlen(rec->domainname)))
		return error_errno(err, errno, "setting the domain name");
	return 0;
}

static int uts_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	struct record rec;
	size_t pos = 0;
	int ret;

	while ((ret = record_next(r->records, r->records_len, &pos, &rec)) == 1)
		if (rec.type == CKPT_UTS)
			break;
	if (ret != 1)
		return 0;
	ret = same_namespace(r->init, "uts", err);
	if (ret < 0)
		return ret;
	if (ret)
		return error_set(err, EXDEV,
				 "the image has a hostname, but the container would share ours");
	return in_namespaces(r->init, CLONE_NEWUTS, write_names, (void *)rec.data, err);
}

static const enum ckpt_type uts_types[] = {CKPT_UTS, 0};

const struct resource_class resource_uts = {
	.name = "uts",
	.version = 1,
	.types = uts_types,
	.dump = uts_dump,
	.load = uts_load,
	.restore = {[STAGE_CONTENTS] = uts_restore},
};
