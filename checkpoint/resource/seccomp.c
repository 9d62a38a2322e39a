// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seccomp filters of a thread, oldest first. Which ones threads have in common cannot be
 * asked, but what all threads of a process begin with is taken to be: it is installed
 * before they are cloned, so that SECCOMP_FILTER_FLAG_TSYNC still finds them related.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"

#define FILTERS_MAX 512

struct filter_metadata {
	uint64_t filter_off;
	uint64_t flags;
};

/* Who listens is a descriptor of somebody else's, which no restore can give him again. */
static bool asks_listener(const struct sock_filter *code, long n)
{
	for (long i = 0; i < n; i++)
		if (code[i].code == (BPF_RET | BPF_K) &&
		    (code[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF)
			return true;
	return false;
}

int seccomp_check_listener(const struct dump_thread *th, const struct ckpt_seccomp *rec,
			   struct error **err)
{
	if (!asks_listener((const void *)(rec + 1), rec->instructions))
		return 0;
	return error_set(err, EOPNOTSUPP,
			 "thread %u has a seccomp filter that asks a listener, "
			 "which cannot be saved",
			 th->rec.tid);
}

static int dump_filter(struct dump_task *t, struct dump_thread *th, unsigned index,
		       struct error **err)
{
	__cleanup_free struct sock_filter *code = calloc(BPF_MAXINSNS, sizeof(*code));
	struct filter_metadata meta = {.filter_off = index};
	struct ckpt_seccomp rec = {.mode = SECCOMP_MODE_FILTER}, *added;
	long n;

	if (!code)
		return error_errno(err, ENOMEM, "recording seccomp filters");
	n = ptrace(PTRACE_SECCOMP_GET_FILTER, th->tid, index, code);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return error_errno(err, errno, "reading a seccomp filter of thread %u",
				   th->rec.tid);
	if (ptrace(PTRACE_SECCOMP_GET_METADATA, th->tid, sizeof(meta), &meta) < 0)
		return error_errno(err, errno, "reading a seccomp filter's flags of thread %u",
				   th->rec.tid);
	rec.flags = meta.flags;
	rec.instructions = n;
	added = record_add2(&t->records, CKPT_SECCOMP, &rec, sizeof(rec), code, n * sizeof(*code));
	if (!added)
		return error_errno(err, ENOMEM, "recording seccomp filters");
	n = seccomp_check_listener(th, added, err);
	return n ? n : 1;
}

int seccomp_dump(struct dump_task *t, struct dump_thread *th, struct error **err)
{
	int r = 0;

	if (th->status.seccomp == SECCOMP_MODE_DISABLED)
		return 0;
	if (th->status.seccomp == SECCOMP_MODE_STRICT) {
		struct ckpt_seccomp rec = {.mode = SECCOMP_MODE_STRICT};

		if (!record_add(&t->records, CKPT_SECCOMP, &rec, sizeof(rec)))
			return error_errno(err, ENOMEM, "recording seccomp");
		return 0;
	}
	for (unsigned i = 0; i < FILTERS_MAX; i++) {
		r = dump_filter(t, th, i, err);
		if (r <= 0)
			return r;
	}
	return error_set(err, E2BIG, "thread %u has more than %d seccomp filters", th->rec.tid,
			 FILTERS_MAX);
}

int seccomp_validate(const struct record *rec, struct error **err)
{
	const struct ckpt_seccomp *s = record_head(rec, sizeof(*s), err);

	if (!s)
		return -EBADMSG;
	if (s->mode == SECCOMP_MODE_STRICT)
		return 0;
	if (s->mode != SECCOMP_MODE_FILTER || !s->instructions || s->instructions > BPF_MAXINSNS ||
	    rec->len - sizeof(*s) < s->instructions * sizeof(struct sock_filter))
		return error_set(err, EBADMSG, "a seccomp filter of %u instructions",
				 s->instructions);
	return 0;
}

static int install(struct restore_task *t, struct restore_thread *th, const struct record *rec,
		   struct error **err)
{
	const struct ckpt_seccomp *s = rec->data;
	struct remote_call *call = remote_calls(&t->remote);
	struct sock_fprog *prog = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	int r;

	if (s->mode == SECCOMP_MODE_STRICT) {
		remote_set(call, SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
	} else {
		prog->len = s->instructions;
		prog->filter = (struct sock_filter *)(at + sizeof(*prog));
		memcpy(prog + 1, s + 1, s->instructions * sizeof(struct sock_filter));
		remote_set(call, SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			   s->flags & (SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW),
			   at);
	}
	r = remote_run(&t->remote, th->tid, 1, err);
	if (!r && call->ret)
		r = error_errno(err, -call->ret, "installing a seccomp filter in thread %u",
				th->rec->tid);
	return r;
}

static const struct record *next_filter(const struct restore_thread *th, size_t *at)
{
	while (*at < th->more.count) {
		const struct record *rec = &th->more.items[(*at)++];

		if (rec->type == CKPT_SECCOMP)
			return rec;
	}
	return NULL;
}

static bool have_same(const struct record *a, const struct record *b)
{
	return a && b && ((const struct ckpt_seccomp *)a->data)->mode == SECCOMP_MODE_FILTER &&
	       a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* How many of the first filters of a thread another one has as well, of at most n. */
static unsigned common_filters(const struct restore_thread *a, const struct restore_thread *b,
			       unsigned n)
{
	size_t at_a = 0, at_b = 0;
	unsigned same = 0;

	while (same < n && have_same(next_filter(a, &at_a), next_filter(b, &at_b)))
		same++;
	return same;
}

int seccomp_restore_common(struct restore_task *t, struct error **err)
{
	struct restore_thread *leader = &t->threads.items[0];
	unsigned n = t->threads.count > 1 || t->exited ? FILTERS_MAX : 0;
	size_t at = 0;
	int r = 0;

	vec_for_each (th, &t->threads)
		n = common_filters(leader, th, n);
	t->common_filters = n;
	while (!r && n--)
		r = install(t, leader, next_filter(leader, &at), err);
	return r;
}

/* Before the credentials, which may take CAP_SYS_ADMIN away; the filters are suspended by ptrace.
 */
int seccomp_restore(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	const struct record *rec;
	size_t at = 0;
	int r = 0;

	for (unsigned i = 0; !r && (rec = next_filter(th, &at)); i++)
		if (i >= t->common_filters)
			r = install(t, th, rec, err);
	return r;
}
