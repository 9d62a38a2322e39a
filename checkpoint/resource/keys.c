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

int keys_check(struct dump_task *t, struct dump_thread *th, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	int r;

	for (unsigned i = 0; i < RINGS; i++) {
		/* a length of 0: only how much there is */
		remote_set(&call[2 * i], SYS_keyctl, KEYCTL_READ, rings[i].id, 0, 0);
		remote_set(&call[2 * i + 1], SYS_keyctl, KEYCTL_DESCRIBE, rings[i].id, at + i * 256,
			   255);
	}
	r = remote_run(&t->remote, th->tid, 2 * RINGS, err);
	for (unsigned i = 0; !r && i < RINGS; i++) {
		const char *description = (const char *)remote_data(&t->remote) + i * 256;

		if (call[2 * i].ret <= 0 || is_hosts(description, call[2 * i + 1].ret))
			continue;
		error_set(err, EBUSY, "thread %u has keys in its %s keyring, which cannot be saved",
			  th->rec.tid, rings[i].name);
		return error_hint(err, "let the program remove them");
	}
	return r;
}
