// SPDX-License-Identifier: GPL-2.0-only
/*
 * Credentials are per thread. Order of restoring, see credentials(7),
 * capabilities(7): groups and gids while CAP_SETGID is there, bounding set while
 * CAP_SETPCAP is, uids with SECBIT_NO_SETUID_FIXUP so that they change no
 * capability, then capabilities, ambient ones, securebits, no_new_privs.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CAPS	    64
#define GROUPS_MAX  16384
#define OVERFLOW_ID 65534 /* what the kernel shows of ids without a mapping */

enum { INHERITABLE, PERMITTED, EFFECTIVE, BOUNDING, AMBIENT };

/* Who has more groups is asked again. */
#define GROUPS_ASKED 64

enum { ASK_UIDS, ASK_GIDS, ASK_GROUPS, ASK_BITS, ASK_NNP, ASK_FSUID, ASK_FSGID, ASK_CALLS };

void creds_ask(struct questions *q)
{
	uint64_t uids = ask_room(q, 12), gids = ask_room(q, 12);

	_Static_assert(ASK_CALLS == CREDS_CALLS, "one for each below");
	ask_call(q, SYS_getresuid, uids, uids + 4, uids + 8);
	ask_call(q, SYS_getresgid, gids, gids + 4, gids + 8);
	ask_call(q, SYS_getgroups, GROUPS_ASKED, ask_room(q, GROUPS_ASKED * sizeof(gid_t)));
	ask_call(q, SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	ask_call(q, SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	/* setting an invalid fs id changes nothing and returns the one there is */
	ask_call(q, SYS_setfsuid, -1);
	ask_call(q, SYS_setfsgid, -1);
}

static int record_creds(struct dump_task *t, struct ckpt_creds *creds, const void *groups, long n,
			struct error **err)
{
	creds->groups = n;
	if (!record_add2(&t->records, CKPT_CREDS, creds, sizeof(*creds), groups, n * sizeof(gid_t)))
		return error_errno(err, ENOMEM, "recording credentials");
	return 0;
}

static int record_with_many(struct dump_task *t, const struct dump_thread *th,
			    struct ckpt_creds *creds, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	int r;

	remote_set(call, SYS_getgroups, GROUPS_MAX, remote_data_address(&t->remote));
	r = remote_run(&t->remote, th->tid, 1, err);
	if (!r && call->ret < 0)
		r = error_errno(err, -call->ret, "asking thread %u for its groups", th->rec.tid);
	return r ? r : record_creds(t, creds, remote_data(&t->remote), call->ret, err);
}

int creds_dump(struct dump_task *t, const struct dump_thread *th, const struct answers *a,
	       const struct remote_call *call, struct error **err)
{
	struct ckpt_creds creds = {0};
	bool many = call[ASK_GROUPS].ret == -EINVAL;

	for (unsigned i = 0; i < ASK_FSUID; i++)
		if (call[i].ret < 0 && !(i == ASK_GROUPS && many))
			return error_errno(err, -call[i].ret,
					   "asking thread %u for its credentials", th->rec.tid);
	memcpy(creds.uid, answer_data(a, call[ASK_UIDS].args[0]), 12);
	memcpy(creds.gid, answer_data(a, call[ASK_GIDS].args[0]), 12);
	creds.uid[3] = call[ASK_FSUID].ret;
	creds.gid[3] = call[ASK_FSGID].ret;
	memcpy(creds.caps, th->status.caps, sizeof(creds.caps));
	creds.securebits = call[ASK_BITS].ret;
	creds.no_new_privs = call[ASK_NNP].ret;
	if (many)
		return record_with_many(t, th, &creds, err);
	return record_creds(t, &creds, answer_data(a, call[ASK_GROUPS].args[1]),
			    call[ASK_GROUPS].ret, err);
}

/* Four ids of /proc/PID/status, as we see them. */
static bool parse_ids(const char *status, const char *key, uint32_t ids[4])
{
	const char *at = strstr(status, key);

	return at &&
	       sscanf(at + strlen(key), "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4;
}

/* What stands behind "Groups:", as the container sees it. */
static int parse_groups(const struct dump_task *t, const char *status, struct buf *groups,
			struct error **err)
{
	const char *at = strstr(status, "\nGroups:");
	char *end;

	for (at = at ? at + 8 : "\n"; *at && *at != '\n'; at = end) {
		struct id_pair ids = {.gid = strtoul(at, &end, 10)};
		int r;

		if (end == at)
			break;
		r = gid_inside(t->speaker, &ids.gid, err);
		if (r == -EBADMSG) { /* has none there: what getgroups(2) says of it */
			error_free(*err);
			*err = NULL;
			ids.gid = OVERFLOW_ID;
		} else if (r) {
			return r;
		}
		if (!buf_add(groups, &ids.gid, sizeof(ids.gid)))
			return error_errno(err, ENOMEM, "recording credentials");
		end += strspn(end, " \t");
	}
	return 0;
}

/* Its securebits are shown nowhere; nothing it does can depend on them any more. */
int creds_dump_exited(struct dump_task *t, struct error **err)
{
	__cleanup_free char *status = NULL;
	__cleanup_buf struct buf groups = {0};
	struct ckpt_creds creds = {0};
	const char *nnp;
	int r = proc_read(&status, NULL, "%d/task/%d/status", t->pid, t->pid);

	if (r || !parse_ids(status, "\nUid:", creds.uid) || !parse_ids(status, "\nGid:", creds.gid))
		return error_errno(err, r ? -r : EPROTO, "reading the ids of task %d", t->pid);
	for (unsigned i = 0; !r && i < 4; i++) {
		struct id_pair ids = {creds.uid[i], creds.gid[i]};

		r = ids_inside(t->speaker, &ids, err);
		creds.uid[i] = ids.uid;
		creds.gid[i] = ids.gid;
	}
	if (!r)
		r = parse_groups(t, status, &groups, err);
	if (r)
		return r;
	nnp = strstr(status, "\nNoNewPrivs:");
	creds.no_new_privs = nnp && atoi(nnp + 12);
	memcpy(creds.caps, t->exited.status.caps, sizeof(creds.caps));
	return record_creds(t, &creds, groups.data, groups.len / sizeof(gid_t), err);
}

/* To setresuid(2) -1 is no change: whoever had it would be what the stub is, root. */
static bool has_no_id(const uint32_t *ids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ids[i] == UINT32_MAX)
			return true;
	return false;
}

int creds_validate(const struct record *rec, struct error **err)
{
	const struct ckpt_creds *creds = record_head(rec, sizeof(*creds), err);

	if (!creds)
		return -EBADMSG;
	if (creds->groups > GROUPS_MAX || rec->len - sizeof(*creds) < creds->groups * 4ull)
		return error_set(err, EBADMSG, "credentials: %u groups", creds->groups);
	if (has_no_id(creds->uid, 4) || has_no_id(creds->gid, 4) ||
	    has_no_id((const uint32_t *)(creds + 1), creds->groups))
		return error_set(err, EBADMSG, "credentials: an id of -1");
	if (creds->securebits & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
		return error_set(err, EBADMSG, "credentials: securebits %#x", creds->securebits);
	if ((creds->caps[EFFECTIVE] & ~creds->caps[PERMITTED]) ||
	    (creds->caps[AMBIENT] & ~(creds->caps[PERMITTED] & creds->caps[INHERITABLE])))
		return error_set(err, EBADMSG, "credentials: capabilities that cannot be");
	return 0;
}

static bool has_filter(const struct restore_thread *th)
{
	vec_for_each (rec, &th->more)
		if (rec->type == CKPT_SECCOMP)
			return true;
	return false;
}

/*
 * The stub has all that the runtime may do, and whoever wrote the image need not be
 * who wrote config.json. No exec gives more than the bounding set, which never grows:
 * whoever descends from an init made by this config.json has no more than it says.
 */
int creds_check_capabilities(const struct restore_request *request, const struct restore_thread *th,
			     struct error **err)
{
	uint64_t excess = 0;

	for (unsigned set = 0; request->caps_bounded && set < CKPT_CAP_SETS; set++)
		excess |= th->creds->caps[set] & ~request->caps_allowed;
	if (!excess)
		return 0;
	error_set(err, EPERM, "thread %u has capability %d", th->rec->tid, __builtin_ctzll(excess));
	return error_hint(err, "config.json does not allow it");
}

int creds_check_allowed(const struct restore_request *request, const struct restore_thread *th,
			struct error **err)
{
	int r = creds_check_capabilities(request, th, err);

	if (r)
		return r;
	if (request->want_seccomp && !has_filter(th))
		error_set(err, EPERM, "thread %u has no seccomp filter", th->rec->tid);
	else if (request->want_nnp && !th->creds->no_new_privs)
		error_set(err, EPERM, "thread %u does not have no_new_privs", th->rec->tid);
	else
		return 0;
	return error_hint(err, "config.json does not allow it");
}

/* Data of the restore: a capset header, two sets of capabilities, and groups, if they are few. */
struct creds_data {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct full[2], wanted[2];
	uint32_t groups[];
};
#define GROUPS_LATER 1024

static void fill_data(struct creds_data *data, const struct ckpt_creds *creds, uint64_t permitted)
{
	data->header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
	for (unsigned i = 0; i < 2; i++) {
		data->full[i] = (struct __user_cap_data_struct){
			.effective = permitted >> (32 * i),
			.permitted = permitted >> (32 * i),
			.inheritable = creds->caps[INHERITABLE] >> (32 * i),
		};
		data->wanted[i] = (struct __user_cap_data_struct){
			.effective = creds->caps[EFFECTIVE] >> (32 * i),
			.permitted = creds->caps[PERMITTED] >> (32 * i),
			.inheritable = creds->caps[INHERITABLE] >> (32 * i),
		};
	}
}

static const char caps_hint[] = "the container had capabilities that this runtime lacks";
static const struct remote_note secure_note = {.what = "setting the securebits"},
				caps_note = {.what = "setting the capabilities", .hint = caps_hint},
				groups_note = {.what = "setting the groups"},
				gids_note = {.what = "setting the group ids"},
				uids_note = {.what = "setting the user ids"},
				/* these return the previous value */
	fsid_note = {.what = "setting the ids for files", .any = true},
				bounding_note = {.what = "dropping a bounding capability"},
				ambient_note = {.what = "raising an ambient capability",
						.hint = caps_hint},
				nnp_note = {.what = "setting no_new_privs"},
				pdeathsig_note = {.what = "setting the parent death signal"};

/* Thousands of groups do not fit beside what else waits: they are set at once. */
static int set_groups(struct remote *r, pid_t tid, const struct ckpt_creds *creds,
		      struct creds_data *data, uint64_t at, struct error **err)
{
	bool few = creds->groups <= GROUPS_LATER;
	uint64_t groups = few ? at + offsetof(struct creds_data, groups) : remote_data_address(r);
	int ret;

	memcpy(few ? data->groups : remote_data(r), creds + 1, creds->groups * sizeof(uint32_t));
	ret = remote_later(r, tid, &groups_note, err, SYS_setgroups, creds->groups, groups);
	return ret || few ? ret : remote_flush(r, err);
}

static int drop_bounding(struct remote *r, pid_t tid, uint64_t drop, struct error **err)
{
	int ret = 0;

	for (unsigned cap = 0; !ret && cap < CAPS; cap++)
		if (drop & (1ull << cap))
			ret = remote_later(r, tid, &bounding_note, err, SYS_prctl, PR_CAPBSET_DROP,
					   cap, 0, 0, 0);
	return ret;
}

/*
 * An inheritable capability that is outside of a thread's bounding set was in it once, and
 * comes there only while the stub still has it in its own.
 */
int creds_drop_common(struct restore *r, struct error **err)
{
	struct restore_task *init = &r->tasks.items[0];
	struct proc_status status;
	uint64_t keep = 0;
	int ret = proc_status(init->pid, 0, &status, err);

	vec_for_each (t, &r->tasks) {
		const struct ckpt_creds *exited = t->exited_thread.creds;

		vec_for_each (th, &t->threads)
			keep |= th->creds->caps[BOUNDING] | th->creds->caps[INHERITABLE];
		if (exited)
			keep |= exited->caps[BOUNDING] | exited->caps[INHERITABLE];
	}
	return ret ? ret : drop_bounding(&init->remote, 0, status.caps[BOUNDING] & ~keep, err);
}

static int raise_ambient(struct remote *r, pid_t tid, uint64_t caps, struct error **err)
{
	int ret = 0;

	for (unsigned cap = 0; !ret && cap < CAPS; cap++)
		if (caps & (1ull << cap))
			ret = remote_later(r, tid, &ambient_note, err, SYS_prctl, PR_CAP_AMBIENT,
					   PR_CAP_AMBIENT_RAISE, cap, 0, 0);
	return ret;
}

/* had: the stub's bounding set */
static int restore_ids(struct remote *r, pid_t tid, const struct ckpt_creds *creds, uint64_t had,
		       struct creds_data *data, uint64_t at, struct error **err)
{
	int ret = set_groups(r, tid, creds, data, at, err);

	if (!ret)
		ret = remote_later(r, tid, &gids_note, err, SYS_setresgid, creds->gid[0],
				   creds->gid[1], creds->gid[2]);
	if (!ret)
		ret = remote_later(r, tid, &fsid_note, err, SYS_setfsgid, creds->gid[3]);
	if (!ret)
		ret = drop_bounding(r, tid, had & ~creds->caps[BOUNDING], err);
	if (!ret)
		ret = remote_later(r, tid, &uids_note, err, SYS_setresuid, creds->uid[0],
				   creds->uid[1], creds->uid[2]);
	return ret ? ret : remote_later(r, tid, &fsid_note, err, SYS_setfsuid, creds->uid[3]);
}

int creds_restore(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	struct remote *remote = &t->remote;
	const struct ckpt_creds *creds = th->creds;
	struct proc_status status;
	struct creds_data *data;
	uint64_t at;
	int r = proc_status(t->pid, th->tid, &status, err);

	if (r)
		return r;
	data = remote_later_data(remote,
				 sizeof(*data) +
					 (creds->groups > GROUPS_LATER ? 0 : creds->groups) *
						 sizeof(uint32_t),
				 &at, err);
	if (!data)
		return -error_code(*err);
	fill_data(data, creds, status.caps[PERMITTED]);
	r = remote_later(remote, th->tid, &secure_note, err, SYS_prctl, PR_SET_SECUREBITS,
			 SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
	/* inheritable ones may be outside of the bounding set, but not come there later */
	if (!r)
		r = remote_later(remote, th->tid, &caps_note, err, SYS_capset, at,
				 at + offsetof(struct creds_data, full));
	if (!r)
		r = restore_ids(remote, th->tid, creds, status.caps[BOUNDING], data, at, err);
	if (!r)
		r = raise_ambient(remote, th->tid, creds->caps[AMBIENT], err);
	if (!r)
		r = remote_later(remote, th->tid, &secure_note, err, SYS_prctl, PR_SET_SECUREBITS,
				 creds->securebits, 0, 0, 0);
	if (!r)
		r = remote_later(remote, th->tid, &caps_note, err, SYS_capset, at,
				 at + offsetof(struct creds_data, wanted));
	if (!r && creds->no_new_privs)
		r = remote_later(remote, th->tid, &nnp_note, err, SYS_prctl, PR_SET_NO_NEW_PRIVS, 1,
				 0, 0, 0);
	/* any change of credentials clears it */
	if (!r && th->rec->pdeathsig)
		r = remote_later(remote, th->tid, &pdeathsig_note, err, SYS_prctl, PR_SET_PDEATHSIG,
				 th->rec->pdeathsig, 0, 0, 0);
	return r;
}
