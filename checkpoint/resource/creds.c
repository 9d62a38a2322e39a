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
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "checkpoint/resource/thread.h"
#include "checkpoint/user/proc.h"
#include "util/error.h"

#define CAPS	   64
#define GROUPS_MAX 16384

enum { INHERITABLE, PERMITTED, EFFECTIVE, BOUNDING, AMBIENT };

/* Data: three uids, three gids, then groups. */
unsigned creds_ask(const struct remote *r, struct remote_call *calls, unsigned data_offset)
{
	uint64_t at = remote_data_address(r) + data_offset;

	remote_set(&calls[0], SYS_getresuid, at, at + 4, at + 8);
	remote_set(&calls[1], SYS_getresgid, at + 12, at + 16, at + 20);
	remote_set(&calls[2], SYS_getgroups, GROUPS_MAX, at + 24);
	remote_set(&calls[3], SYS_prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
	remote_set(&calls[4], SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	/* setting an invalid fs id changes nothing and returns the one there is */
	remote_set(&calls[5], SYS_setfsuid, -1);
	remote_set(&calls[6], SYS_setfsgid, -1);
	remote_set(&calls[7], SYS_prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0);
	return CREDS_CALLS;
}

int creds_dump(struct dump_task *t, struct dump_thread *th, const struct remote_call *calls,
	       unsigned data_offset, struct error **err)
{
	const uint32_t *data = (const void *)((const char *)remote_data(&t->remote) + data_offset);
	struct ckpt_creds creds = {0};
	struct proc_status status;
	int r;

	for (unsigned i = 0; i < CREDS_CALLS; i++)
		if (calls[i].ret < 0 && calls[i].ret > -4096 && i != 5 && i != 6)
			return error_errno(err, -calls[i].ret,
					   "asking thread %u for its credentials", th->rec.tid);
	r = proc_status(t->pid, th->tid, &status, err);
	if (r)
		return r;
	memcpy(creds.uid, data, 12);
	memcpy(creds.gid, data + 3, 12);
	creds.uid[3] = calls[5].ret;
	creds.gid[3] = calls[6].ret;
	memcpy(creds.caps, status.caps, sizeof(creds.caps));
	creds.securebits = calls[3].ret;
	creds.no_new_privs = calls[4].ret;
	creds.groups = calls[2].ret;
	if (!record_add2(&t->records, CKPT_CREDS, &creds, sizeof(creds), data + 6,
			 creds.groups * sizeof(uint32_t)))
		return error_errno(err, ENOMEM, "recording credentials");
	return 0;
}

int creds_validate(const struct record *rec, struct error **err)
{
	const struct ckpt_creds *creds = record_head(rec, sizeof(*creds), err);

	if (!creds)
		return -EBADMSG;
	if (creds->groups > GROUPS_MAX || rec->len - sizeof(*creds) < creds->groups * 4ull)
		return error_set(err, EBADMSG, "credentials: %u groups", creds->groups);
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
int creds_check_allowed(const struct restore_request *request, const struct restore_thread *th,
			struct error **err)
{
	uint64_t excess = 0;

	for (unsigned set = 0; request->caps_bounded && set < CKPT_CAP_SETS; set++)
		excess |= th->creds->caps[set] & ~request->caps_allowed;
	if (excess)
		error_set(err, EPERM, "thread %u has capability %d", th->rec->tid,
			  __builtin_ctzll(excess));
	else if (request->want_seccomp && !has_filter(th))
		error_set(err, EPERM, "thread %u has no seccomp filter", th->rec->tid);
	else if (request->want_nnp && !th->creds->no_new_privs)
		error_set(err, EPERM, "thread %u does not have no_new_privs", th->rec->tid);
	else
		return 0;
	return error_hint(err, "config.json does not allow it");
}

/* Data of the restore: a capset header, two sets of capabilities, then groups. */
struct creds_data {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct full[2], wanted[2];
	uint32_t groups[GROUPS_MAX];
};
_Static_assert(sizeof(struct creds_data) <= REMOTE_DATA_SIZE, "the data area is too small");

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
	memcpy(data->groups, creds + 1, creds->groups * sizeof(*data->groups));
}

static unsigned add_calls(struct remote_call *call, const struct ckpt_creds *creds, uint64_t at,
			  uint32_t pdeathsig)
{
	uint64_t header = at + offsetof(struct creds_data, header);
	unsigned n = 0;

	remote_set(&call[n++], SYS_prctl, PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
	/* inheritable ones may be outside of the bounding set, but not come there later */
	remote_set(&call[n++], SYS_capset, header, at + offsetof(struct creds_data, full));
	remote_set(&call[n++], SYS_setgroups, creds->groups,
		   at + offsetof(struct creds_data, groups));
	remote_set(&call[n++], SYS_setresgid, creds->gid[0], creds->gid[1], creds->gid[2]);
	remote_set(&call[n++], SYS_setfsgid, creds->gid[3]);
	for (unsigned cap = 0; cap < CAPS; cap++)
		if (!(creds->caps[BOUNDING] & (1ull << cap)))
			remote_set(&call[n++], SYS_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
	remote_set(&call[n++], SYS_setresuid, creds->uid[0], creds->uid[1], creds->uid[2]);
	remote_set(&call[n++], SYS_setfsuid, creds->uid[3]);
	for (unsigned cap = 0; cap < CAPS; cap++)
		if (creds->caps[AMBIENT] & (1ull << cap))
			remote_set(&call[n++], SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap,
				   0, 0);
	remote_set(&call[n++], SYS_prctl, PR_SET_SECUREBITS, creds->securebits, 0, 0, 0);
	remote_set(&call[n++], SYS_capset, header, at + offsetof(struct creds_data, wanted));
	if (creds->no_new_privs)
		remote_set(&call[n++], SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (pdeathsig) /* any change of credentials clears it */
		remote_set(&call[n++], SYS_prctl, PR_SET_PDEATHSIG, pdeathsig, 0, 0, 0);
	return n;
}

static int check_calls(const struct restore_thread *th, const struct remote_call *call, unsigned n,
		       struct error **err)
{
	for (unsigned i = 0; i < n; i++) {
		/* a capability that this kernel does not know cannot be dropped, nor had */
		if (call[i].nr == SYS_prctl && call[i].args[0] == PR_CAPBSET_DROP &&
		    call[i].ret == -EINVAL)
			continue;
		if (call[i].nr == SYS_setfsuid || call[i].nr == SYS_setfsgid)
			continue; /* these return the previous value */
		if (call[i].ret >= 0)
			continue;
		error_errno(err, -call[i].ret,
			    "setting the credentials of thread %u (call %ld, %lu)", th->rec->tid,
			    call[i].nr, call[i].args[0]);
		if (call[i].nr == SYS_capset)
			error_hint(err, "the container had capabilities that this runtime lacks");
		return -error_code(*err);
	}
	return 0;
}

int creds_restore(struct restore_task *t, struct restore_thread *th, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	struct proc_status status;
	unsigned n;
	int r = proc_status(t->pid, th->tid, &status, err);

	if (r)
		return r;
	fill_data(remote_data(&t->remote), th->creds, status.caps[PERMITTED]);
	n = add_calls(call, th->creds, remote_data_address(&t->remote), th->rec->pdeathsig);
	r = remote_run(&t->remote, th->tid, n, err);
	return r ? r : check_calls(th, call, n, err);
}
