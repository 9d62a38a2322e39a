// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "checkpoint/resource/memory_object.h"
#include "checkpoint/resource/sysvipc.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	    4096UL
#define SEM_VALUE   32767 /* SEMVMX */
#define SHM_SIZE    (1ULL << 46)
#define MESSAGE_MAX (64ULL << 20)

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* --- loading --- */

static int check_perm(const struct ckpt_ipc_perm *perm, struct error **err)
{
	if (perm->id > INT_MAX || perm->mode & ~0777)
		return error_set(err, EBADMSG, "IPC object %u has an impossible id or mode",
				 perm->id);
	return 0;
}

static int check_limits(const struct record *rec, struct error **err)
{
	return record_head(rec, sizeof(struct ckpt_ipc_limits), err) ? 0 : -EBADMSG;
}

static int check_shm(const struct record *rec, struct error **err)
{
	const struct ckpt_ipc_shm *shm = record_head(rec, sizeof(*shm), err);

	if (!shm)
		return -EBADMSG;
	if (!shm->size || shm->size > SHM_SIZE || shm->flags & ~(CKPT_IPC_DEST | CKPT_IPC_LOCKED))
		return error_set(err, EBADMSG, "shared memory %u cannot be", shm->perm.id);
	return check_perm(&shm->perm, err);
}

static int check_sem(const struct record *rec, struct error **err)
{
	const struct ckpt_ipc_sem *sem = record_head(rec, sizeof(*sem), err);
	const struct ckpt_ipc_sem_value *values;

	if (!sem)
		return -EBADMSG;
	if (!sem->nsems || sem->nsems > SYSVIPC_SEMS_MAX ||
	    sem->nsems != (rec->len - sizeof(*sem)) / sizeof(*values))
		return error_set(err, EBADMSG, "semaphore set %u has not the values it says",
				 sem->perm.id);
	values = (const void *)(sem + 1);
	for (unsigned i = 0; i < sem->nsems; i++)
		if (values[i].value > SEM_VALUE)
			return error_set(err, EBADMSG, "semaphore set %u has an impossible value",
					 sem->perm.id);
	return check_perm(&sem->perm, err);
}

static int check_msg(const struct record *rec, struct error **err)
{
	const struct ckpt_ipc_msg *msg = record_head(rec, sizeof(*msg), err);
	size_t left, pos = sizeof(*msg);

	if (!msg)
		return -EBADMSG;
	left = rec->len - pos;
	for (unsigned i = 0; i < msg->messages; i++) {
		const struct ckpt_ipc_message *m = (const void *)((const char *)rec->data + pos);
		size_t padded;

		if (left < sizeof(*m) || m->len > left - sizeof(*m) || m->len > MESSAGE_MAX ||
		    !m->type || m->type > LONG_MAX)
			return error_set(err, EBADMSG, "message %u of queue %u is malformed", i,
					 msg->perm.id);
		padded = sizeof(*m) + ((m->len + 7) & ~7ULL);
		if (padded > left)
			return error_set(err, EBADMSG, "message %u of queue %u is truncated", i,
					 msg->perm.id);
		left -= padded;
		pos += padded;
	}
	return check_perm(&msg->perm, err);
}

int sysvipc_check(const struct record *rec, struct error **err)
{
	switch (rec->type) {
	case CKPT_IPC_LIMITS:
		return check_limits(rec, err);
	case CKPT_IPC_SHM:
		return check_shm(rec, err);
	case CKPT_IPC_SEM:
		return check_sem(rec, err);
	case CKPT_IPC_MSG:
		return check_msg(rec, err);
	case CKPT_IPC_NEXT:
		return record_head(rec, sizeof(struct ckpt_ipc_next), err) ? 0 : -EBADMSG;
	default:
		return error_set(err, EBADMSG, "record \"%s\" is no IPC object",
				 record_name(rec->type));
	}
}

int sysvipc_load(struct restore *r, struct restore_task *t, const struct record *rec,
		 struct error **err)
{
	struct record *added;
	int ret;

	if (rec->type == CKPT_SEM_UNDO)
		return sysvipc_load_undo(t, rec, err);
	if (t)
		return error_set(err, EBADMSG, "IPC objects do not belong to a process");
	ret = sysvipc_check(rec, err);
	if (ret)
		return ret;
	if (!r->ipc)
		r->ipc = calloc(1, sizeof(*r->ipc));
	added = r->ipc ? vec_add(&r->ipc->records) : NULL;
	if (!added)
		return error_errno(err, ENOMEM, "loading IPC objects");
	*added = *rec;
	return 0;
}

/* --- making --- */

static int write_number(const char *path, const char *text, struct error **err)
{
	int r = write_file(AT_FDCWD, path, text);

	return r ? error_errno(err, -r, "writing \"%s\" to %s", text, path) : 0;
}

static int set_limits(const struct ckpt_ipc_limits *limits, struct error **err)
{
	uint64_t values[11], *next = values;

	memcpy(values, limits, sizeof(values));
	for (unsigned i = 0; i < IPC_LIMITS; i++) {
		bool sem = strstr(ipc_limit_paths[i], "/sem");
		__cleanup_free char *now = NULL;
		char text[128];
		int r = read_file(AT_FDCWD, ipc_limit_paths[i], 256, &now, NULL);

		if (r)
			return error_errno(err, -r, "reading %s", ipc_limit_paths[i]);
		if (sem)
			snprintf(text, sizeof(text),
				 "%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", next[0],
				 next[1], next[2], next[3]);
		else
			snprintf(text, sizeof(text), "%" PRIu64 "\n", next[0]);
		next += sem ? 4 : 1;
		/* it would remove every segment that we have filled and let go: set it last */
		if (!strcmp(ipc_limit_paths[i], IPC_RMID_FORCED))
			continue;
		if (strcmp(text, now) && write_number(ipc_limit_paths[i], text, err))
			return -error_code(*err);
	}
	return 0;
}

/* The next object made gets this id (ipc/util.c, CONFIG_CHECKPOINT_RESTORE). */
static int set_next_id(const char *kind, uint32_t id, struct error **err)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s_next_id", kind);
	snprintf(text, sizeof(text), "%u", id);
	return write_number(path, text, err);
}

static int check_id(const char *what, const struct ckpt_ipc_perm *perm, int id, struct error **err)
{
	if (id < 0)
		return error_errno(err, errno, "making %s %u", what, perm->id);
	if ((uint32_t)id != perm->id)
		return error_set(err, EEXIST, "making %s %u: the kernel gave it the id %d", what,
				 perm->id, id);
	return 0;
}

/* The owner as we call him. */
static int find_owner(const struct restore *r, const char *what, const struct ckpt_ipc_perm *perm,
		      struct id_pair *owner, struct error **err)
{
	int ret;

	*owner = (struct id_pair){perm->uid, perm->gid};
	ret = ids_outside(r->init, owner, err);
	return ret ? error_wrap(err, "making %s %u", what, perm->id) : 0;
}

static int fill_segment(struct restore *r, const struct ckpt_ipc_shm *shm, struct error **err)
{
	__cleanup_fd int fd = -1;
	void *p = shmat(shm->perm.id, NULL, 0);
	unsigned long start = (unsigned long)p, end;

	if (p == (void *)-1)
		return error_errno(err, errno, "attaching shared memory %u", shm->perm.id);
	end = (start + shm->size + PAGE - 1) & ~(PAGE - 1);
	fd = open_fmt(O_RDWR, "/proc/self/map_files/%lx-%lx", start, end);
	shmdt(p);
	if (fd < 0)
		return error_errno(err, -fd, "opening shared memory %u", shm->perm.id);
	return memory_object_fill(r, shm->object, fd, shm->size, err);
}

static int make_shm(struct restore *r, const struct ckpt_ipc_shm *shm, struct error **err)
{
	const struct ckpt_ipc_perm *perm = &shm->perm;
	struct shmid_ds ds = {0};
	struct id_pair owner;
	int id, ret = find_owner(r, "shared memory", perm, &owner, err);

	if (!ret)
		ret = set_next_id("shm", perm->id, err);
	if (ret)
		return ret;
	id = shmget(perm->key, shm->size, IPC_CREAT | IPC_EXCL | perm->mode);
	ret = check_id("shared memory", perm, id, err);
	if (!ret)
		ret = fill_segment(r, shm, err);
	if (ret)
		return ret;
	ds.shm_perm.uid = owner.uid;
	ds.shm_perm.gid = owner.gid;
	ds.shm_perm.mode = perm->mode;
	if (shmctl(id, IPC_SET, &ds))
		return error_errno(err, errno, "setting the owner of shared memory %d", id);
	if (shm->flags & CKPT_IPC_LOCKED && shmctl(id, SHM_LOCK, NULL))
		return error_errno(err, errno, "locking shared memory %d", id);
	return 0;
}

static int make_sem(const struct restore *r, const struct ckpt_ipc_sem *sem, struct error **err)
{
	const struct ckpt_ipc_sem_value *values = (const void *)(sem + 1);
	__cleanup_free unsigned short *numbers = calloc(sem->nsems, sizeof(*numbers));
	const struct ckpt_ipc_perm *perm = &sem->perm;
	struct semid_ds ds = {0};
	struct id_pair owner;
	int id, ret;

	if (!numbers)
		return error_errno(err, ENOMEM, "making semaphore set %u", perm->id);
	for (unsigned i = 0; i < sem->nsems; i++)
		numbers[i] = values[i].value;
	ret = find_owner(r, "semaphore set", perm, &owner, err);
	if (!ret)
		ret = set_next_id("sem", perm->id, err);
	if (ret)
		return ret;
	id = semget(perm->key, sem->nsems, IPC_CREAT | IPC_EXCL | perm->mode);
	ret = check_id("semaphore set", perm, id, err);
	if (ret)
		return ret;
	if (semctl(id, 0, SETALL, (union semun){.array = numbers}))
		return error_errno(err, errno, "setting semaphore set %d", id);
	ds.sem_perm.uid = owner.uid;
	ds.sem_perm.gid = owner.gid;
	ds.sem_perm.mode = perm->mode;
	if (semctl(id, 0, IPC_SET, (union semun){.buf = &ds}))
		return error_errno(err, errno, "setting the owner of semaphore set %d", id);
	return 0;
}

static int send_messages(const struct ckpt_ipc_msg *msg, struct error **err)
{
	const char *pos = (const char *)(msg + 1);

	for (unsigned i = 0; i < msg->messages; i++) {
		const struct ckpt_ipc_message *head = (const void *)pos;
		__cleanup_free struct ipc_msgbuf *m = malloc(sizeof(*m) + head->len);

		if (!m)
			return error_errno(err, ENOMEM, "filling message queue %u", msg->perm.id);
		m->type = head->type;
		memcpy(m->text, head + 1, head->len);
		if (msgsnd(msg->perm.id, m, head->len, IPC_NOWAIT))
			return error_errno(err, errno, "sending message %u of queue %u", i,
					   msg->perm.id);
		pos += sizeof(*head) + ((head->len + 7) & ~7ULL);
	}
	return 0;
}

static int set_queue(const struct ckpt_ipc_msg *msg, const struct id_pair *owner, uint64_t qbytes,
		     struct error **err)
{
	struct msqid_ds ds = {.msg_qbytes = qbytes};
	int r;

	ds.msg_perm.uid = owner->uid;
	ds.msg_perm.gid = owner->gid;
	ds.msg_perm.mode = msg->perm.mode;
	if (!msgctl(msg->perm.id, IPC_SET, &ds))
		return 0;
	r = error_errno(err, errno, "setting message queue %u to %llu bytes", msg->perm.id,
			(unsigned long long)qbytes);
	return r == -EPERM ? error_hint(err, "more than kernel.msgmnb wants CAP_SYS_RESOURCE") : r;
}

static int make_msg(const struct restore *r, const struct ckpt_ipc_msg *msg, struct error **err)
{
	const char *pos = (const char *)(msg + 1);
	uint64_t bytes = 0, needed;
	struct id_pair owner;
	int id, ret = find_owner(r, "message queue", &msg->perm, &owner, err);

	if (!ret)
		ret = set_next_id("msg", msg->perm.id, err);
	if (ret)
		return ret;
	id = msgget(msg->perm.key, IPC_CREAT | IPC_EXCL | msg->perm.mode);
	ret = check_id("message queue", &msg->perm, id, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < msg->messages; i++) {
		const struct ckpt_ipc_message *head = (const void *)pos;

		bytes += head->len;
		pos += sizeof(*head) + ((head->len + 7) & ~7ULL);
	}
	/*
	 * It may hold more than it now takes: the limit can be lowered below the contents. Their
	 * number is limited as their bytes are, each by itself; more than both would want
	 * CAP_SYS_RESOURCE, for a queue that is as full as kernel.msgmnb lets it be.
	 */
	needed = bytes > msg->messages ? bytes : msg->messages;
	ret = set_queue(msg, &owner, msg->qbytes > needed ? msg->qbytes : needed, err);
	if (!ret)
		ret = send_messages(msg, err);
	if (!ret && needed > msg->qbytes)
		ret = set_queue(msg, &owner, msg->qbytes, err);
	return ret;
}

/* Behind all that is made, which uses it up. */
static int set_next_ids(const struct ckpt_ipc_next *next, struct error **err)
{
	int ret = 0;

	if (next->msg >= 0)
		ret = set_next_id("msg", next->msg, err);
	if (!ret && next->sem >= 0)
		ret = set_next_id("sem", next->sem, err);
	if (!ret && next->shm >= 0)
		ret = set_next_id("shm", next->shm, err);
	return ret;
}

static int make_one(struct restore *r, const struct record *rec, struct error **err)
{
	switch (rec->type) {
	case CKPT_IPC_LIMITS:
		return set_limits(rec->data, err);
	case CKPT_IPC_SHM:
		return make_shm(r, rec->data, err);
	case CKPT_IPC_SEM:
		return make_sem(r, rec->data, err);
	case CKPT_IPC_NEXT:
		return set_next_ids(rec->data, err);
	default:
		return make_msg(r, rec->data, err);
	}
}

int sysvipc_make_namespace(struct restore *r, struct error **err)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < r->ipc->records.count; i++)
		ret = make_one(r, &r->ipc->records.items[i], err);
	return ret;
}

static int make_inside(void *ctx, struct error **err)
{
	return sysvipc_make_namespace(ctx, err);
}

int sysvipc_restore_contents(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret;

	if (!r->ipc)
		return 0;
	ret = same_namespace(r->init, "ipc", err);
	if (ret < 0)
		return ret;
	if (ret)
		return error_set(err, EXDEV,
				 "the image has IPC objects, but the container would share ours");
	return in_namespaces(r->init, CLONE_NEWIPC, make_inside, r, err);
}

/* Segments that were removed while attached: not before the tasks are attached again. */
static int remove_inside(void *ctx, struct error **err)
{
	struct restore *r = ctx;

	vec_for_each (rec, &r->ipc->records) {
		const struct ckpt_ipc_shm *shm = rec->data;
		const struct ckpt_ipc_limits *limits = rec->data;
		int ret = 0;

		if (rec->type == CKPT_IPC_LIMITS && limits->shm_rmid_forced)
			ret = write_number(IPC_RMID_FORCED, "1", err);
		if (ret)
			return ret;
		if (rec->type != CKPT_IPC_SHM || !(shm->flags & CKPT_IPC_DEST))
			continue;
		if (shmctl(shm->perm.id, IPC_RMID, NULL))
			return error_errno(err, errno, "removing shared memory %u", shm->perm.id);
	}
	return 0;
}

int sysvipc_restore_cross(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = sysvipc_restore_undo(r, err);

	if (ret || !r->ipc)
		return ret;
	/* before what is removed can be gone */
	ret = sysvipc_restore_exact(r, err);
	return ret ? ret : in_namespaces(r->init, CLONE_NEWIPC, remove_inside, r, err);
}
