// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_details GO: what is easily lost. Holes of a deleted file, flags of pipes, a memory file
 * that can be executed though it is open for writing, registrations for membarrier(2),
 * memory that may be dropped, message queues that are full.
 */
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif
#define HOLE	 (8 << 20)
#define MAP_SIZE 8192

static int holey, ends[2], flags[2], program;
static int blocks_before;
static char *droppable;

static void set_hole(void)
{
	struct stat st;

	holey = open("/tmp/holey", O_RDWR | O_CREAT, 0600);
	CHECK(holey >= 0 && !unlink("/tmp/holey"));
	CHECK(pwrite(holey, "begin", 5, 0) == 5 && pwrite(holey, "end", 3, HOLE) == 3);
	CHECK(!ftruncate(holey, 2 * HOLE) && !fstat(holey, &st));
	/* where the file system has no holes there is nothing to lose */
	blocks_before = st.st_blocks;
}

static void check_hole(void)
{
	char got[6] = "";
	struct stat st;

	CHECK(!fstat(holey, &st) && st.st_size == 2 * HOLE);
	CHECK(pread(holey, got, 5, 0) == 5 && !strcmp(got, "begin"));
	CHECK(pread(holey, got, 5, HOLE / 2) == 5 && !got[0] && !memcmp(got, got + 1, 4));
	CHECK(pread(holey, got, 3, HOLE) == 3 && !memcmp(got, "end", 3));
	CHECK(st.st_blocks <= blocks_before + 16);
}

static void set_pipe(void)
{
	CHECK(!pipe2(ends, O_NONBLOCK));
	for (int i = 0; i < 2; i++)
		flags[i] = fcntl(ends[i], F_GETFL);
}

static void check_pipe(void)
{
	for (int i = 0; i < 2; i++)
		CHECK(fcntl(ends[i], F_GETFL) == flags[i]);
	CHECK(writes(ends[1], "through") && reads(ends[0], "through"));
	CHECK(!close(ends[1]) && reads(ends[0], ""));
}

static void set_program(void)
{
	static const char script[] = "#!/bin/true\n";

	program = memfd_create("script", 0);
	CHECK(program >= 0 && writes(program, script));
}

static void check_program(void)
{
	char *argv[] = {(char *)"script", NULL};
	int status;
	pid_t pid = fork();

	if (!pid) {
		syscall(SYS_execveat, program, "", argv, environ, AT_EMPTY_PATH);
		_exit(errno);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	errno = WEXITSTATUS(status);
	CHECK(!status);
	CHECK(writes(program, "#"));
}

static int barrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void set_memory(void)
{
	CHECK(!barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
	CHECK(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) == -1 && errno == EPERM);
	droppable =
		mmap(NULL, MAP_SIZE, PROT_READ | PROT_WRITE, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);
	if (droppable != MAP_FAILED)
		droppable[0] = 1;
}

/* Keeping it at a fork is what only droppable memory refuses. */
static void check_memory(void)
{
	CHECK(!barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	CHECK(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) == -1 && errno == EPERM);
	if (droppable == MAP_FAILED)
		return;
	CHECK(droppable[0] == 0 || droppable[0] == 1);
	CHECK(madvise(droppable, MAP_SIZE, MADV_KEEPONFORK) == -1 && errno == EINVAL);
}

static struct {
	int id;
	size_t bytes; /* of each message */
	int messages;
} queues[2] = {{.bytes = 1024}, {.bytes = 0}};

static int send_one(int i)
{
	static struct {
		long type;
		char text[1024];
	} message = {.type = 1};

	return msgsnd(queues[i].id, &message, queues[i].bytes, IPC_NOWAIT);
}

/* One as full as the system lets it be; one of empty messages, that now takes fewer than it has. */
static void set_queues(void)
{
	struct msqid_ds ds;

	for (int i = 0; i < 2; i++) {
		queues[i].id = msgget(IPC_PRIVATE, 0600);
		CHECK(queues[i].id >= 0);
	}
	while (!send_one(0))
		queues[0].messages++;
	CHECK(errno == EAGAIN);
	for (; queues[1].messages < 20; queues[1].messages++)
		CHECK(!send_one(1));
	CHECK(!msgctl(queues[1].id, IPC_STAT, &ds));
	ds.msg_qbytes = 5;
	CHECK(!msgctl(queues[1].id, IPC_SET, &ds));
}

static void check_queues(void)
{
	struct msqid_ds ds;

	for (int i = 0; i < 2; i++) {
		CHECK(send_one(i) == -1 && errno == EAGAIN);
		CHECK(!msgctl(queues[i].id, IPC_STAT, &ds));
		CHECK(ds.msg_qnum == (msgqnum_t)queues[i].messages);
		CHECK(ds.__msg_cbytes == queues[i].messages * queues[i].bytes);
	}
	CHECK(ds.msg_qbytes == 5);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	set_hole();
	set_pipe();
	set_program();
	set_memory();
	set_queues();
	ready_and_wait(argv[1]);
	check_hole();
	check_pipe();
	check_program();
	check_memory();
	check_queues();
	return passed();
}
