// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_semundo GO: processes that have semaphores undo what they did when they end, one of
 * them by a thread that has its own list of that. "ready", and with the file GO "PASS" if the
 * values are as they were, and become what they were before the processes when these end.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>

#include "res.h"

#define START 5

static int set;
static volatile int *done;

static void change(unsigned short sem, short by)
{
	struct sembuf op = {sem, by, SEM_UNDO};

	CHECK(!semop(set, &op, 1));
}

static void wait_for_end(void)
{
	for (;;)
		pause();
}

static pid_t changer(int number, short first, short second)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	change(0, first);
	change(1, second);
	done[number] = 1;
	wait_for_end();
	_exit(1);
}

static void *change_by_thread(void *unused)
{
	(void)unused;
	change(2, -2);
	done[2] = 1;
	wait_for_end();
	return NULL;
}

/* The thread shares the list of the process that makes it. */
static pid_t threaded(void)
{
	pid_t pid = fork();
	pthread_t thread;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	CHECK(!pthread_create(&thread, NULL, change_by_thread, NULL));
	wait_for_end();
	_exit(1);
}

static int has(int first, int second, int third)
{
	return semctl(set, 0, GETVAL) == first && semctl(set, 1, GETVAL) == second &&
	       semctl(set, 2, GETVAL) == third;
}

static void end(pid_t pid)
{
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
}

int main(int argc, char **argv)
{
	unsigned short values[3] = {START, START, START};
	pid_t one, two, three;

	CHECK(argc == 2);
	done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	set = semget(4711, 3, IPC_CREAT | 0600);
	CHECK(set >= 0 && !semctl(set, 0, SETALL, values));
	one = changer(0, -3, 2);
	while (!done[0])
		usleep(1000);
	two = changer(1, 1, -4);
	three = threaded();
	while (!done[1] || !done[2])
		usleep(1000);
	CHECK(has(START - 2, START - 2, START - 2));
	ready_and_wait(argv[1]);

	CHECK(has(START - 2, START - 2, START - 2));
	end(one);
	CHECK(has(START + 1, START - 4, START - 2));
	end(three);
	CHECK(has(START + 1, START - 4, START));
	end(two);
	CHECK(has(START, START, START));
	CHECK(!semctl(set, 0, IPC_RMID));
	return passed();
}
