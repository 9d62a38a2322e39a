// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys (keyrings(7)) cannot be saved: their contents may be readable for nobody. A thread
 * that has some is named. Only the thread itself can be asked, so it is when it has
 * stopped.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/thread.h"
#include "util/error.h"

static const struct {
	int id;
	const char *name;
} rings[] = {
	{KEY_SPEC_THREAD_KEYRING, "thread"},
	{KEY_SPEC_PROCESS_KEYRING, "process"},
	{KEY_SPEC_SESSION_KEYRING, "session"},
};
#define RINGS (sizeof(rings) / sizeof(*rings))

/* Those of a user, and the session's of who has started us, are the host's: they stay. */
static bool is_hosts(const char *description, long len)
{
	char ours[256];
	long n = syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, ours, sizeof(ours));

	return len > 0 && (memmem(description, len, ";_uid", 5) ||
			   (n == len && (size_t)n < sizeof(ours) && !memcmp(description, ours, n)));
}

void keys_ask(struct questions *q)
{
	_Static_assert(RINGS == KEYS_CALLS, "one call for each");
	/* a length of 0: only how much there is */
	for (unsigned i = 0; i < RINGS; i++)
		ask_call(q, SYS_keyctl, KEYCTL_READ, rings[i].id, 0, 0);
}

static int check_ring(struct dump_task *t, struct dump_thread *th, unsigned i, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	int r;

	remote_set(call, SYS_keyctl, KEYCTL_DESCRIBE, rings[i].id, remote_data_address(&t->remote),
		   255);
	r = remote_run(&t->remote, th->tid, 1, err);
	if (r || is_hosts(remote_data(&t->remote), call->ret))
		return r;
	error_set(err, EBUSY, "thread %u has keys in its %s keyring, which cannot be saved",
		  th->rec.tid, rings[i].name);
	return error_hint(err, "let the program remove them");
}

int keys_check(struct dump_task *t, struct dump_thread *th, const struct remote_call *answers,
	       struct error **err)
{
	int r = 0;

	for (unsigned i = 0; !r && i < RINGS; i++)
		if (answers[i].ret > 0)
			r = check_ring(t, th, i, err);
	return r;
}
