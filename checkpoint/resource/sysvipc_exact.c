// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creators, times and last pids of System V IPC objects: restart(2) alone can set them, and
 * does so on objects that are there. Filling and attaching has changed them, so this comes last.
 */
#include <string.h>

#include "checkpoint/kernel/restart.h"
#include "checkpoint/resource/sysvipc.h"
#include "util/cleanup.h"
#include "util/error.h"

/* What is set elsewhere is left out: messages are sent, and segments locked and removed. */
union exact {
	struct ckpt_ipc_shm shm;
	struct ckpt_ipc_msg msg;
};

/* The record as restart(2) is to have it, and its length; NULL: of no object. */
static const void *exact_record(const struct record *rec, union exact *own, size_t *len)
{
	switch (rec->type) {
	case CKPT_IPC_SHM:
		memcpy(&own->shm, rec->data, sizeof(own->shm));
		own->shm.flags = 0;
		*len = sizeof(own->shm);
		return own;
	case CKPT_IPC_MSG:
		memcpy(&own->msg, rec->data, sizeof(own->msg));
		own->msg.messages = 0;
		*len = sizeof(own->msg);
		return own;
	case CKPT_IPC_SEM:
		*len = rec->len;
		return rec->data;
	default:
		return NULL;
	}
}

static int set_all(struct restore *r, struct buf *stream, struct error **err)
{
	int ret = stream->len ? kernel_restart(r, &r->tasks.items[0], NULL, KERNEL_CLASS(SYSVIPC),
					       stream, err)
			      : 0;

	stream->len = 0;
	return ret;
}

/* Sets of thousands of semaphores do not fit into the window, and keep what the restore left. */
int sysvipc_restore_exact(struct restore *r, struct error **err)
{
	__cleanup_buf struct buf stream = {0};
	int ret = 0;

	if (!kernel_restores(r, KERNEL_CLASS(SYSVIPC)))
		return 0;
	vec_for_each (rec, &r->ipc->records) {
		union exact own;
		size_t len;
		const void *data = exact_record(rec, &own, &len);

		if (ret || !data)
			continue;
		if (!kernel_stream_fits(&stream, len))
			ret = set_all(r, &stream, err);
		if (ret || !kernel_stream_fits(&stream, len))
			continue;
		if (!record_add(&stream, rec->type, data, len))
			ret = error_errno(err, ENOMEM, "preparing restart(2)");
	}
	return ret ? ret : set_all(r, &stream, err);
}
