// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_ipctimes GO: System V objects of all kinds, and a segment that was removed while it is
 * attached. "ready", and with the file GO "PASS" if creators, times and last pids are as they were,
 * if messages come in the order in which they were sent, and if the removed segment is gone when it
 * is detached. When that was attached last is not compared: a checkpoint does it, to know it again.
 */
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "res.h"

struct message {
	long type;
	char text[8];
};

static const long types[] = {5, 3, 9, 3};
#define MESSAGES 4

static int queue, set, segment, removed;

struct all {
	struct msqid_ds queue;
	struct semid_ds set;
	struct shmid_ds segment, removed;
	int sem_pid;
};

static void look(struct all *all)
{
	memset(all, 0, sizeof(*all));
	CHECK(!msgctl(queue, IPC_STAT, &all->queue));
	CHECK(!semctl(set, 0, IPC_STAT, &all->set));
	CHECK(!shmctl(segment, IPC_STAT, &all->segment));
	CHECK(!shmctl(removed, IPC_STAT, &all->removed));
	all->sem_pid = semctl(set, 1, GETPID);
}

static void send(long type)
{
	struct message m = {.type = type};

	CHECK(!msgsnd(queue, &m, sizeof(m.text), 0));
}

static void make_all(void)
{
	struct sembuf up = {.sem_num = 1, .sem_op = 2};
	struct message m;

	queue = msgget(7, IPC_CREAT | 0600);
	set = semget(8, 2, IPC_CREAT | 0600);
	segment = shmget(9, 4096, IPC_CREAT | 0600);
	removed = shmget(10, 4096, IPC_CREAT | 0600);
	CHECK(queue >= 0 && set >= 0 && segment >= 0 && removed >= 0);
	CHECK(!semop(set, &up, 1));
	send(1);
	CHECK(msgrcv(queue, &m, sizeof(m.text), 0, 0) == sizeof(m.text));
	for (int i = 0; i < MESSAGES; i++)
		send(types[i]);
	CHECK(!shmdt(shmat(segment, NULL, 0)));
}

int main(int argc, char **argv)
{
	struct all before, after;
	struct message m;
	void *p;

	CHECK(argc == 2);
	make_all();
	p = shmat(removed, NULL, 0);
	CHECK(p != (void *)-1 && !shmctl(removed, IPC_RMID, NULL));
	look(&before);
	ready_and_wait(argv[1]);

	look(&after);
	CHECK(!memcmp(&before.queue, &after.queue, sizeof(before.queue)));
	CHECK(!memcmp(&before.set, &after.set, sizeof(before.set)));
	CHECK(!memcmp(&before.segment, &after.segment, sizeof(before.segment)));
	CHECK(!memcmp(&before.removed.shm_perm, &after.removed.shm_perm,
		      sizeof(before.removed.shm_perm)));
	CHECK(before.removed.shm_ctime == after.removed.shm_ctime &&
	      before.removed.shm_cpid == after.removed.shm_cpid && after.removed.shm_nattch == 1);
	CHECK(before.sem_pid == after.sem_pid && before.sem_pid == getpid());
	for (int i = 0; i < MESSAGES; i++)
		CHECK(msgrcv(queue, &m, sizeof(m.text), 0, IPC_NOWAIT) == sizeof(m.text) &&
		      m.type == types[i]);
	CHECK(!shmdt(p));
	CHECK(shmctl(removed, IPC_STAT, &after.removed) && (errno == EINVAL || errno == EIDRM));
	return passed();
}
