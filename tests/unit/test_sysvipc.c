// SPDX-License-Identifier: GPL-2.0-only
/* An IPC namespace saved into an image, and made again in another namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "checkpoint/resource/memory_object.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/resource/sysvipc.h"
#include "checkpoint/user/ns.h"
#include "tests/unit/child.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define SHM_SIZE (3 * 1024 * 1024 + 100)

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

struct ids {
	int shm, private, dest, sem, msg;
};

/* A process in an IPC namespace (and a UTS namespace) of its own; -1: there can be none. */
static pid_t new_namespace(void)
{
	int sync[2];
	pid_t pid = child_fork(sync);

	if (!pid) {
		if (unshare(CLONE_NEWIPC | CLONE_NEWUTS))
			_exit(1);
		child_sleeps(sync);
	}
	return child_wait(sync) ? pid : -1;
}

static int failed(struct error **err, const char *what)
{
	return error_errno(err, errno, "%s", what);
}

static int make_objects(void *ctx, struct error **err)
{
	struct ids *ids = ctx;
	struct {
		long type;
		char text[5000];
	} m = {.type = 7};
	struct shmid_ds shm = {.shm_perm = {.uid = 1234, .gid = 4321, .mode = 0640}};
	int unused = shmget(IPC_PRIVATE, 4096, 0600);
	char *p;

	/* so that ids do not come back right by themselves */
	shmctl(unused, IPC_RMID, NULL);
	ids->shm = shmget(0x1234, SHM_SIZE, IPC_CREAT | 0600);
	ids->private = shmget(IPC_PRIVATE, 100, 0600);
	p = shmat(ids->shm, NULL, 0);
	if (p == (void *)-1)
		return failed(err, "shmat");
	strcpy(p, "first");
	strcpy(p + SHM_SIZE - 10, "last");
	shmdt(p);
	if (shmctl(ids->shm, IPC_SET, &shm))
		return failed(err, "IPC_SET");
	ids->sem = semget(0x77, 3, IPC_CREAT | 0666);
	if (semctl(ids->sem, 0, SETALL, (union semun){.array = (unsigned short[]){5, 0, 32767}}))
		return failed(err, "SETALL");
	ids->msg = msgget(0x99, IPC_CREAT | 0622);
	for (int i = 0; i < 3; i++) {
		memset(m.text, 'a' + i, sizeof(m.text));
		m.type = 7 + i;
		if (msgsnd(ids->msg, &m, i == 1 ? 0 : 1000 * (i + 1) + i, 0))
			return failed(err, "msgsnd");
	}
	return write_file(AT_FDCWD, "/proc/sys/kernel/msgmnb", "20000");
}

static int check_messages(int id, struct error **err)
{
	struct {
		long type;
		char text[5000];
	} m;

	for (int i = 0; i < 3; i++) {
		ssize_t n = msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT);

		if (n != (i == 1 ? 0 : 1000 * (i + 1) + i) || m.type != 7 + i ||
		    (n && m.text[n - 1] != 'a' + i))
			return error_set(err, EPROTO, "message %d differs", i);
	}
	return 0;
}

static int check_objects(void *ctx, struct error **err)
{
	unsigned short values[3] = {0};
	const struct ids *ids = ctx;
	struct shmid_ds shm;
	struct msqid_ds msg;
	__cleanup_free char *text = NULL;
	char *p;

	if (shmget(0x1234, 0, 0) != ids->shm || semget(0x77, 3, 0) != ids->sem ||
	    msgget(0x99, 0) != ids->msg)
		return error_set(err, EPROTO, "other ids");
	if (shmctl(ids->shm, IPC_STAT, &shm) || shm.shm_perm.uid != 1234 ||
	    shm.shm_perm.gid != 4321 || (shm.shm_perm.mode & 0777) != 0640 ||
	    shm.shm_segsz != SHM_SIZE)
		return error_set(err, EPROTO, "shared memory differs");
	if (shmctl(ids->private, IPC_STAT, &shm) || shm.shm_segsz != 100 || shm.shm_perm.__key)
		return error_set(err, EPROTO, "private shared memory differs");
	p = shmat(ids->shm, NULL, SHM_RDONLY);
	if (p == (void *)-1)
		return failed(err, "shmat");
	if (strcmp(p, "first") || strcmp(p + SHM_SIZE - 10, "last") || p[1000000])
		return error_set(err, EPROTO, "contents of shared memory differ");
	shmdt(p);
	if (semctl(ids->sem, 0, GETALL, (union semun){.array = values}) || values[0] != 5 ||
	    values[1] || values[2] != 32767)
		return error_set(err, EPROTO, "semaphores differ");
	if (msgctl(ids->msg, IPC_STAT, &msg) || (msg.msg_perm.mode & 0777) != 0622 ||
	    msg.msg_qnum != 3)
		return error_set(err, EPROTO, "message queue differs");
	if (read_file(AT_FDCWD, "/proc/sys/kernel/msgmnb", 100, &text, NULL) ||
	    strcmp(text, "20000\n"))
		return error_set(err, EPROTO, "limit differs");
	return check_messages(ids->msg, err);
}

static int name_host(void *ctx, struct error **err)
{
	return sethostname(ctx, strlen(ctx)) ? failed(err, "sethostname") : 0;
}

static int check_host(void *ctx, struct error **err)
{
	char name[65];

	gethostname(name, sizeof(name));
	return strcmp(name, ctx) ? error_set(err, EPROTO, "hostname is %s", name) : 0;
}

static void save(pid_t init, const char *path)
{
	struct checkpoint_request request = {.init = init};
	struct checkpoint_result result = {0};
	struct checkpoint c = {.request = &request, .result = &result, .init = init};
	struct ckpt_begin begin = {.magic = CKPT_MAGIC, .format = CKPT_FORMAT_VERSION};
	struct image_info info = {.id = "test", .provider = "user"};
	struct ckpt_end count = {0};
	struct error *err = NULL;
	struct image_file *f;
	struct record rec;
	size_t pos = 0;

	image_create(path, &c.image, &err);
	no_error(err);
	record_add(&c.records, CKPT_BEGIN, &begin, sizeof(begin));
	resource_uts.dump(&c, NULL, &err);
	no_error(err);
	resource_sysvipc.dump(&c, NULL, &err);
	no_error(err);
	resource_memory_object.dump(&c, NULL, &err);
	no_error(err);
	while (record_next(c.records.data, c.records.len, &pos, &rec) == 1)
		count.records++;
	record_add(&c.records, CKPT_END, &count, sizeof(count));
	image_add_file(c.image, "container.rec", &f, &err);
	no_error(err);
	image_file_write(f, c.records.data, c.records.len, &err);
	no_error(err);
	image_add_file(c.image, "config.json", &f, &err);
	no_error(err);
	image_file_write(f, "{}", 2, &err);
	no_error(err);
	image_commit(c.image, &info, &err);
	no_error(err);
	image_close(c.image);
	resource_memory_object.release(&c, NULL);
	buf_free(&c.records);
}

/* Loads every record with the class that it is of. */
static int load(struct restore *r, struct error **err)
{
	static const struct resource_class *const classes[] = {&resource_uts, &resource_sysvipc,
							       &resource_memory_object};
	struct record rec;
	size_t pos = 0;
	int ret = 0;

	while (!ret && record_next(r->records, r->records_len, &pos, &rec) == 1)
		for (unsigned i = 0; i < 3; i++)
			for (const enum ckpt_type *t = classes[i]->types; *t; t++)
				if (*t == rec.type && !ret)
					ret = classes[i]->load(r, NULL, &rec, err);
	return ret;
}

static void bring_back(pid_t init, const char *path)
{
	struct restore_request request = {.init = init};
	struct restore r = {.request = &request, .init = init};
	struct error *err = NULL;

	image_open(path, &r.image, &err);
	no_error(err);
	image_reader_records(r.image, &r.records, &r.records_len, &err);
	load(&r, &err);
	no_error(err);
	resource_uts.restore[STAGE_CONTENTS](&r, NULL, &err);
	no_error(err);
	resource_sysvipc.restore[STAGE_CONTENTS](&r, NULL, &err);
	no_error(err);
	resource_sysvipc.restore[STAGE_CROSS](&r, NULL, &err);
	no_error(err);
	resource_sysvipc.release(NULL, &r);
	resource_memory_object.release(NULL, &r);
	image_reader_free(r.image);
}

static void remove_image(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void test_round_trip(void **state)
{
	char path[] = "/tmp/test_sysvipc.XXXXXX";
	pid_t from = new_namespace(), to = new_namespace();
	struct error *err = NULL;
	struct ids ids;

	if (from < 0 || to < 0)
		skip(); /* needs CAP_SYS_ADMIN for namespaces */
	assert_non_null(mkdtemp(path));
	in_namespaces(from, CLONE_NEWIPC, make_objects, &ids, &err);
	no_error(err);
	in_namespaces(from, CLONE_NEWUTS, name_host, "ship", &err);
	no_error(err);
	save(from, path);
	bring_back(to, path);
	in_namespaces(to, CLONE_NEWIPC, check_objects, &ids, &err);
	no_error(err);
	/* nothing was taken off where it came from */
	in_namespaces(from, CLONE_NEWIPC, check_objects, &ids, &err);
	no_error(err);
	in_namespaces(to, CLONE_NEWUTS, check_host, "ship", &err);
	no_error(err);
	child_end(from);
	child_end(to);
	remove_image(path);
}

static void test_host_namespace(void **state)
{
	struct checkpoint_request request = {.init = getpid()};
	struct checkpoint c = {.request = &request, .init = request.init};
	struct error *err = NULL;

	assert_int_equal(resource_sysvipc.dump(&c, NULL, &err), 0);
	assert_int_equal(resource_uts.dump(&c, NULL, &err), 0);
	assert_int_equal(c.records.len, 0);
}

static void refused(enum ckpt_type type, const void *data, size_t len)
{
	struct record rec = {.type = type, .version = 1, .data = data, .len = len};
	struct error *err = NULL;

	assert_int_equal(sysvipc_check(&rec, &err), -EBADMSG);
	assert_non_null(err);
	error_free(err);
}

static void test_hostile(void **state)
{
	struct {
		struct ckpt_ipc_sem sem;
		struct ckpt_ipc_sem_value values[2];
	} sem = {.sem = {.nsems = 2}};
	struct {
		struct ckpt_ipc_msg msg;
		struct ckpt_ipc_message head;
		char text[8];
	} msg = {.msg = {.messages = 1}, .head = {.type = 1, .len = 8}};
	struct ckpt_ipc_shm shm = {.size = 4096};
	struct error *err = NULL;
	struct record good = {.type = CKPT_IPC_MSG, .data = &msg, .len = sizeof(msg)};

	assert_int_equal(sysvipc_check(&good, &err), 0);
	refused(CKPT_IPC_LIMITS, &shm, 8);
	refused(CKPT_IPC_SHM, &shm, sizeof(shm) - 8);
	shm.perm.mode = 01777;
	refused(CKPT_IPC_SHM, &shm, sizeof(shm));
	shm.perm.mode = 0777;
	shm.size = UINT64_MAX;
	refused(CKPT_IPC_SHM, &shm, sizeof(shm));
	sem.sem.nsems = 3;
	refused(CKPT_IPC_SEM, &sem, sizeof(sem));
	sem.sem.nsems = UINT32_MAX;
	refused(CKPT_IPC_SEM, &sem, sizeof(sem));
	sem.sem.nsems = 2;
	sem.values[1].value = 40000;
	refused(CKPT_IPC_SEM, &sem, sizeof(sem));
	msg.head.len = 9;
	refused(CKPT_IPC_MSG, &msg, sizeof(msg));
	msg.head.len = UINT64_MAX;
	refused(CKPT_IPC_MSG, &msg, sizeof(msg));
	msg.head.len = 8;
	msg.head.type = 0;
	refused(CKPT_IPC_MSG, &msg, sizeof(msg));
	msg.head.type = 1;
	msg.msg.messages = 2;
	refused(CKPT_IPC_MSG, &msg, sizeof(msg));
	msg.msg.messages = 1;
	msg.msg.perm.id = UINT32_MAX;
	refused(CKPT_IPC_MSG, &msg, sizeof(msg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_host_namespace),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
