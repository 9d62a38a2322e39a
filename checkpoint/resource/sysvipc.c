// SPDX-License-Identifier: GPL-2.0-only
/*
 * System V shared memory, semaphores and message queues: all of the container's
 * IPC namespace. If it has none of its own, nothing is saved.
 */
#include "checkpoint/resource/sysvipc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "checkpoint/kernel/capture.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/ns.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	       4096UL
#define HUGETLBFS_TYPE 0x958458f6
#define UNKNOWN_ID     65534 /* what the kernel calls such */

const char *const ipc_limit_paths[IPC_LIMITS] = {
	"/proc/sys/kernel/shmmax", "/proc/sys/kernel/shmall", "/proc/sys/kernel/shmmni",
	IPC_RMID_FORCED,	   "/proc/sys/kernel/sem",    "/proc/sys/kernel/msgmax",
	"/proc/sys/kernel/msgmnb", "/proc/sys/kernel/msgmni",
};

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

/* Pids in the image are the container's; 0: of a task that is not in it (any more). */
static uint32_t container_pid(const struct checkpoint *c, pid_t pid)
{
	vec_for_each (t, &c->tasks)
		if (t->pid == pid)
			return t->rec.pid;
	return 0;
}

/*
 * Ids are recorded as the container has them, by the kernel too. A creator may be unknown
 * there: a restore from outside has made the object.
 */
static int to_perm(const struct checkpoint *c, const char *what, int id,
		   const struct ipc_perm *perm, struct ckpt_ipc_perm *to, struct error **err)
{
	struct id_pair owner = {perm->uid, perm->gid}, creator = {perm->cuid, perm->cgid};
	int r = ids_inside(c->init, &owner, err);

	if (r)
		return error_wrap(err, "saving the owner of %s %d", what, id);
	if (ids_inside(c->init, &creator, NULL))
		creator = (struct id_pair){UNKNOWN_ID, UNKNOWN_ID};
	*to = (struct ckpt_ipc_perm){
		.id = id,
		.key = perm->__key,
		.uid = owner.uid,
		.gid = owner.gid,
		.cuid = creator.uid,
		.cgid = creator.gid,
		.mode = perm->mode & 0777,
		.seq = perm->__seq,
	};
	return 0;
}

/* Calls dump for the id of each line of a file of /proc/sysvipc. */
static int for_each_id(struct checkpoint *c, const char *kind,
		       int (*dump)(struct checkpoint *c, int id, struct error **err),
		       struct error **err)
{
	__cleanup_free char *text = NULL;
	char *rest, *line;
	int r = proc_read(&text, NULL, "sysvipc/%s", kind);

	if (r)
		return error_errno(err, -r, "reading /proc/sysvipc/%s", kind);
	rest = text;
	strsep(&rest, "\n"); /* the titles */
	while (!r && (line = strsep(&rest, "\n"))) {
		int id;

		if (sscanf(line, "%*d %d", &id) == 1)
			r = dump(c, id, err);
	}
	return r;
}

static int dump_limits(struct checkpoint *c, struct error **err)
{
	uint64_t values[11] = {0}, *next = values;
	struct ckpt_ipc_limits rec;

	_Static_assert(sizeof(rec) == sizeof(values), "eight limits, one of them of four numbers");
	for (unsigned i = 0; i < IPC_LIMITS; i++) {
		__cleanup_free char *text = NULL;
		int r = read_file(AT_FDCWD, ipc_limit_paths[i], 256, &text, NULL);
		unsigned wanted = strstr(ipc_limit_paths[i], "/sem") ? 4 : 1;
		char *end = text;

		if (r)
			return error_errno(err, -r, "reading %s", ipc_limit_paths[i]);
		while (wanted--)
			*next++ = strtoull(end, &end, 10);
	}
	memcpy(&rec, values, sizeof(rec));
	if (!record_add(&c->records, CKPT_IPC_LIMITS, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording IPC limits");
	return 0;
}

int sysvipc_open_segment(int id, uint64_t size, int flags, int *fd, struct error **err)
{
	void *p = shmat(id, NULL, SHM_RDONLY);
	unsigned long start = (unsigned long)p, end;

	if (p == (void *)-1)
		return error_errno(err, errno, "attaching shared memory %d", id);
	end = (start + size + PAGE - 1) & ~(PAGE - 1);
	*fd = open_fmt(flags, "/proc/self/map_files/%lx-%lx", start, end);
	shmdt(p);
	return *fd < 0 ? error_errno(err, -*fd, "opening shared memory %d", id) : 0;
}

/* Its contents are read through the file behind a mapping of our own. */
static int register_segment(struct checkpoint *c, int id, uint64_t size, uint32_t *object,
			    struct error **err)
{
	__cleanup_fd int fd = -1;
	struct statfs fs;
	int r = sysvipc_open_segment(id, size, O_RDONLY, &fd, err);

	if (r)
		return r;
	if (fstatfs(fd, &fs))
		return error_errno(err, errno, "opening shared memory %d", id);
	if (fs.f_type == HUGETLBFS_TYPE)
		return error_set(err, EOPNOTSUPP,
				 "shared memory %d is made of huge pages, which cannot be saved",
				 id);
	return memory_object_register(c, fd, size, object, err);
}

static int dump_shm(struct checkpoint *c, int id, struct error **err)
{
	struct ckpt_ipc_shm rec;
	struct shmid_ds ds;
	int r;

	if (shmctl(id, IPC_STAT, &ds))
		return error_errno(err, errno, "looking at shared memory %d", id);
	rec = (struct ckpt_ipc_shm){
		.size = ds.shm_segsz,
		.atime = ds.shm_atime,
		.dtime = ds.shm_dtime,
		.ctime = ds.shm_ctime,
		.cpid = container_pid(c, ds.shm_cpid),
		.lpid = container_pid(c, ds.shm_lpid),
		.flags = (ds.shm_perm.mode & SHM_DEST ? CKPT_IPC_DEST : 0) |
			 (ds.shm_perm.mode & SHM_LOCKED ? CKPT_IPC_LOCKED : 0),
	};
	r = to_perm(c, "shared memory", id, &ds.shm_perm, &rec.perm, err);
	if (!r)
		r = register_segment(c, id, rec.size, &rec.object, err);
	if (!r && !record_add(&c->records, CKPT_IPC_SHM, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording shared memory");
	return r;
}

static int dump_sem(struct checkpoint *c, int id, struct error **err)
{
	__cleanup_free struct ckpt_ipc_sem_value *values = NULL;
	__cleanup_free unsigned short *numbers = NULL;
	struct ckpt_ipc_sem rec;
	struct semid_ds ds;
	int r;

	if (semctl(id, 0, IPC_STAT, (union semun){.buf = &ds}))
		return error_errno(err, errno, "looking at semaphore set %d", id);
	rec = (struct ckpt_ipc_sem){
		.otime = ds.sem_otime,
		.ctime = ds.sem_ctime,
		.nsems = ds.sem_nsems,
	};
	r = to_perm(c, "semaphore set", id, &ds.sem_perm, &rec.perm, err);
	if (r)
		return r;
	numbers = calloc(rec.nsems, sizeof(*numbers));
	values = calloc(rec.nsems, sizeof(*values));
	if (!numbers || !values)
		return error_errno(err, ENOMEM, "reading semaphore set %d", id);
	if (semctl(id, 0, GETALL, (union semun){.array = numbers}))
		return error_errno(err, errno, "reading semaphore set %d", id);
	for (unsigned i = 0; i < rec.nsems; i++) {
		int pid = semctl(id, i, GETPID);

		values[i].value = numbers[i];
		values[i].pid = pid > 0 ? container_pid(c, pid) : 0;
	}
	if (!record_add2(&c->records, CKPT_IPC_SEM, &rec, sizeof(rec), values,
			 rec.nsems * sizeof(*values)))
		return error_errno(err, ENOMEM, "recording semaphore set %d", id);
	return 0;
}

/* MSG_COPY (CONFIG_CHECKPOINT_RESTORE) leaves a message where it is, and the queue's times alone.
 */
static int dump_messages(int id, const struct msqid_ds *ds, struct buf *messages,
			 struct error **err)
{
	size_t room = ds->__msg_cbytes + 1;
	__cleanup_free struct ipc_msgbuf *m = malloc(sizeof(*m) + room);

	if (!m)
		return error_errno(err, ENOMEM, "reading message queue %d", id);
	for (msgqnum_t i = 0; i < ds->msg_qnum; i++) {
		ssize_t n = msgrcv(id, m, room, i, MSG_COPY | IPC_NOWAIT);
		struct ckpt_ipc_message head = {.len = n};

		if (n < 0)
			return error_errno(err, errno, "copying message %lu of queue %d", i, id);
		head.type = m->type;
		if (!buf_add(messages, &head, sizeof(head)) ||
		    (n && !buf_add(messages, m->text, n)) || buf_align(messages, 8))
			return error_errno(err, ENOMEM, "reading message queue %d", id);
	}
	return 0;
}

static int dump_msg(struct checkpoint *c, int id, struct error **err)
{
	__cleanup_buf struct buf messages = {0};
	struct ckpt_ipc_msg rec;
	struct msqid_ds ds;
	int r;

	if (msgctl(id, IPC_STAT, &ds))
		return error_errno(err, errno, "looking at message queue %d", id);
	rec = (struct ckpt_ipc_msg){
		.stime = ds.msg_stime,
		.rtime = ds.msg_rtime,
		.ctime = ds.msg_ctime,
		.qbytes = ds.msg_qbytes,
		.lspid = container_pid(c, ds.msg_lspid),
		.lrpid = container_pid(c, ds.msg_lrpid),
		.messages = ds.msg_qnum,
	};
	r = to_perm(c, "message queue", id, &ds.msg_perm, &rec.perm, err);
	if (!r)
		r = dump_messages(id, &ds, &messages, err);
	if (!r &&
	    !record_add2(&c->records, CKPT_IPC_MSG, &rec, sizeof(rec), messages.data, messages.len))
		return error_errno(err, ENOMEM, "recording message queue %d", id);
	return r;
}

/* Somebody may just have asked for an id (sysctl kernel.*_next_id). */
static int dump_next_ids(struct checkpoint *c, struct error **err)
{
	static const char *const kinds[] = {"msg", "sem", "shm"};
	int ids[3] = {-1, -1, -1};
	struct ckpt_ipc_next rec;

	for (unsigned i = 0; i < 3; i++) {
		__cleanup_free char *text = NULL;
		int r = proc_read(&text, NULL, "sys/kernel/%s_next_id", kinds[i]);

		if (r && r != -ENOENT)
			return error_errno(err, -r, "reading kernel.%s_next_id", kinds[i]);
		if (!r)
			ids[i] = atoi(text);
	}
	rec = (struct ckpt_ipc_next){.msg = ids[0], .sem = ids[1], .shm = ids[2]};
	if ((rec.msg & rec.sem & rec.shm) != -1 &&
	    !record_add(&c->records, CKPT_IPC_NEXT, &rec, sizeof(rec)))
		return error_errno(err, ENOMEM, "recording the ids of the next IPC objects");
	return 0;
}

int sysvipc_dump_namespace(struct checkpoint *c, struct error **err)
{
	int r = dump_limits(c, err);

	if (!r)
		r = for_each_id(c, "shm", dump_shm, err);
	if (!r)
		r = for_each_id(c, "sem", dump_sem, err);
	if (!r)
		r = for_each_id(c, "msg", dump_msg, err);
	if (!r)
		r = dump_next_ids(c, err);
	return r;
}

static int dump_inside(void *ctx, struct error **err)
{
	return sysvipc_dump_namespace(ctx, err);
}

static int sysvipc_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (t)
		return 0;
	r = same_namespace(c->init, "ipc", err);
	if (r)
		return r < 0 ? r : 0;
	return in_namespaces(c->init, CLONE_NEWIPC, dump_inside, c, err);
}

/* --- as the kernel has recorded it --- */

static int adopt_segment(struct checkpoint *c, const struct record *rec, struct error **err)
{
	const struct ckpt_ipc_shm *from = record_head(rec, sizeof(*from), err);
	struct ckpt_ipc_shm shm;
	int r;

	if (!from)
		return -EBADMSG;
	shm = *from;
	r = register_segment(c, shm.perm.id, shm.size, &shm.object, err);
	if (!r && !record_add(&c->records, CKPT_IPC_SHM, &shm, sizeof(shm)))
		r = error_errno(err, ENOMEM, "recording shared memory");
	return r;
}

static bool is_namespaces(uint32_t type)
{
	return type == CKPT_IPC_LIMITS || type == CKPT_IPC_SEM || type == CKPT_IPC_MSG;
}

/* Its init's records have it. The contents of segments are read through mappings of ours. */
static int adopt_inside(void *ctx, struct error **err)
{
	struct checkpoint *c = ctx;
	const struct buf *kernel = &c->tasks.items[0].kernel;
	struct record rec;
	size_t pos = 0;
	int r = 0;

	while (!r && record_next(kernel->data, kernel->len, &pos, &rec) == 1) {
		if (rec.type == CKPT_IPC_SHM)
			r = adopt_segment(c, &rec, err);
		else if (is_namespaces(rec.type) &&
			 !record_add(&c->records, rec.type, rec.data, rec.len))
			r = error_errno(err, ENOMEM, "recording System V IPC");
	}
	/* the kernel's records have none of it, its files do */
	return r ? r : dump_next_ids(c, err);
}

static const enum ckpt_type undo_types[] = {CKPT_SEM_UNDO, 0};

/* Undo of a thread that has its own comes with the thread. */
static int sysvipc_adopt(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	if (t)
		return kernel_take(t, undo_types, err);
	if (!c->own_ipc)
		return 0;
	return in_namespaces(c->init, CLONE_NEWIPC, adopt_inside, c, err);
}

static void sysvipc_release(struct checkpoint *c, struct restore *r)
{
	if (!r || !r->ipc)
		return;
	vec_free(&r->ipc->records);
	free(r->ipc);
	r->ipc = NULL;
}

static const enum ckpt_type sysvipc_types[] = {
	CKPT_IPC_LIMITS, CKPT_IPC_SHM, CKPT_IPC_SEM, CKPT_IPC_MSG, CKPT_IPC_NEXT, CKPT_SEM_UNDO, 0};

static const char *const sysvipc_not_captured[] = {
	"semaphore adjustments to be undone at exit (SEM_UNDO), but on the patched kernel",
	"creator, times and last pids of System V IPC objects, but on the patched kernel; there "
	"when, "
	"and by whom, shared memory that is attached was attached last",
	NULL,
};

const struct resource_class resource_sysvipc = {
	.name = "sysvipc",
	.version = 1,
	.types = sysvipc_types,
	.admit = sysvipc_admit,
	.dump = sysvipc_dump,
	.kernel = KERNEL_CLASS(SYSVIPC) | KERNEL_CLASS(SEMUNDO),
	.adopt = sysvipc_adopt,
	.load = sysvipc_load,
	.restore = {[STAGE_CONTENTS] = sysvipc_restore_contents,
		    [STAGE_CROSS] = sysvipc_restore_cross},
	.release = sysvipc_release,
	.not_captured = sysvipc_not_captured,
};
