// SPDX-License-Identifier: GPL-2.0-only
/*
 * From records to what a restore is made of. Everything is validated here, before a process is
 * made, and nothing but memory is touched: so a checkpoint goes through it as well.
 */
#include "checkpoint/engine/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/resource/memory_cow.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/thread.h"
#include "util/error.h"
#include "util/fault.h"

static const struct resource_class *class_of(enum ckpt_type type)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		for (const enum ckpt_type *t = resource_classes[i]->types; t && *t; t++)
			if (*t == type)
				return resource_classes[i];
	return NULL;
}

static int load_record(struct restore *r, struct restore_task *t, const struct record *rec,
		       struct error **err)
{
	const struct resource_class *class = class_of(rec->type);
	int ret;

	if (!class || !class->load)
		return error_set(err, EBADMSG, "a record of type %d that nothing knows", rec->type);
	if (rec->version > class->version)
		return error_set(err, EOPNOTSUPP, "record %s has version %u",
				 record_name(rec->type), rec->version);
	ret = class->load(r, t, rec, err);
	return ret ? error_wrap(err, "record %s", record_name(rec->type)) : 0;
}

static int load_begin(struct restore *r, const struct record *rec, struct error **err)
{
	r->begin = record_head(rec, sizeof(*r->begin), err);
	if (!r->begin)
		return -EBADMSG;
	if (rec->type != CKPT_BEGIN || r->begin->magic != CKPT_MAGIC)
		return error_set(err, EBADMSG, "does not begin as a checkpoint");
	if (r->begin->format != CKPT_FORMAT_VERSION)
		return error_set(err, EOPNOTSUPP, "format version %u", r->begin->format);
	return 0;
}

static int load_container(struct restore *r, struct error **err)
{
	uint64_t records = 0;
	bool ended = false;
	struct record rec;
	size_t pos = 0;
	int ret = 0;

	while (!ended && (ret = record_next(r->records, r->records_len, &pos, &rec)) == 1) {
		if (!records)
			ret = load_begin(r, &rec, err);
		else if (rec.type == CKPT_END)
			ended = true;
		else
			ret = load_record(r, NULL, &rec, err);
		if (ret < 0)
			return ret;
		records++;
	}
	if (ret < 0 || !ended)
		return error_set(err, EBADMSG, "truncated or malformed");
	if (!r->tasks.count || r->tasks.count != r->begin->tasks)
		return error_set(err, EBADMSG, "%zu tasks where %u are announced", r->tasks.count,
				 r->begin->tasks);
	return 0;
}

static int check_complete(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret;

	if (!t->mm || !t->vmas || !t->auxv || !t->sigactions || !t->threads.count ||
	    t->threads.count != t->rec->threads)
		return error_set(err, EBADMSG, "records are missing");
	ret = exited_check(r, t, err);
	if (ret)
		return ret;
	vec_for_each (th, &t->threads) {
		if (!th->creds || !th->xstate)
			return error_set(err, EBADMSG, "records of thread %u are missing",
					 th->rec->tid);
		if (!ret)
			ret = creds_check_allowed(r->request, th, err);
	}
	return ret;
}

static int load_core(struct restore *r, struct restore_task *t, struct error **err)
{
	struct record rec;
	size_t pos = 0;
	int ret = fault_point("load-core", err);

	if (ret)
		return ret;
	while ((ret = record_next(t->core.records, t->core.records_len, &pos, &rec)) == 1) {
		ret = load_record(r, t, &rec, err);
		if (ret)
			return ret;
	}
	if (ret < 0)
		return error_set(err, EBADMSG, "malformed records");
	return check_complete(r, t, err);
}

/* --- an image --- */

static int read_core(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = core_read(r->image, t->rec->pid, &t->core, err);

	if (ret)
		return ret;
	snprintf(t->core_name, sizeof(t->core_name), "task-%u.core", t->rec->pid);
	return load_core(r, t, err);
}

int load_image(struct restore *r, struct error **err)
{
	int ret = image_reader_records(r->image, &r->records, &r->records_len, err);

	if (!ret)
		ret = load_container(r, err);
	if (ret)
		return error_wrap(err, "container.rec");
	vec_for_each (t, &r->tasks) {
		if (t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		ret = read_core(r, t, err);
		if (ret)
			return error_wrap(err, "task-%u.core", t->rec->pid);
	}
	return cow_check(r, err);
}

void load_free(struct restore *r)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		if (resource_classes[i]->release)
			resource_classes[i]->release(NULL, r);
	vec_for_each (t, &r->tasks) {
		vec_for_each (th, &t->threads)
			vec_free(&th->more);
		vec_free(&t->threads);
		vec_free(&t->exited_thread.more);
		vec_free(&t->more);
		vec_free(&t->sources);
		core_free(&t->core);
		cow_forget(t);
		remote_forget(&t->remote);
		if (t->pidfd >= 0)
			close(t->pidfd);
	}
	vec_free(&r->tasks);
}

/* --- what is about to become one --- */

/* The image has both in the same order. */
static int load_captured(struct restore *r, const struct checkpoint *c, struct error **err)
{
	int ret = load_container(r, err);

	if (ret)
		return error_wrap(err, "container.rec");
	for (size_t i = 0; i < r->tasks.count; i++) {
		const struct dump_task *from = &c->tasks.items[i];
		struct restore_task *t = &r->tasks.items[i];

		if (t->rec->state == CKPT_TASK_ZOMBIE)
			continue;
		t->core = (struct core){.records = from->records.data,
					.records_len = from->records.len,
					.pages = from->pages};
		ret = load_core(r, t, err);
		if (ret)
			return error_wrap(err, "task-%u.core", t->rec->pid);
	}
	return cow_check(r, err);
}

int load_review(const struct checkpoint *c, struct error **err)
{
	/* what config.json grants, a container cannot have more of */
	struct restore_request request = {.init = -1, .stub_sync = -1, .console = -1};
	struct restore r = {.request = &request,
			    .trial = true,
			    .init = -1,
			    .rootfd = -1,
			    .records = c->records.data,
			    .records_len = c->records.len};
	int ret = image_review(c->image, &r.image, err);

	request.image = r.image;
	if (!ret)
		ret = load_captured(&r, c, err);
	/* they are the checkpoint's */
	vec_for_each (t, &r.tasks)
		t->core = (struct core){.fd = -1};
	load_free(&r);
	image_reader_free(r.image);
	return ret ? error_wrap(err, "what was saved could not be restored") : 0;
}
