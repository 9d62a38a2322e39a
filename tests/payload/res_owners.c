// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_owners GO: who gets which signal for a descriptor: a thread, a process, a group,
 * set by this user and by another; O_ASYNC, and a signal without an owner. "ready", and
 * with the file GO "PASS" if all is as it was and signals go where they should.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

enum { THREAD = 20, THREAD_END, GROUP, GROUP_END, OTHER, OTHER_END, SIGNAL_ONLY, COUNT };

static volatile pid_t thread, got_in;
static volatile sig_atomic_t got_fd, groups;

static void on_thread(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	got_fd = info->si_fd;
	got_in = gettid();
}

static void on_group(int sig)
{
	(void)sig;
	groups++;
}

static void *wait_here(void *arg)
{
	(void)arg;
	thread = gettid();
	for (;;)
		pause();
	return NULL;
}

static void owner(int fd, int type, pid_t pid, int sig)
{
	struct f_owner_ex owner = {type, pid};

	CHECK(!fcntl(fd, F_SETOWN_EX, &owner) && !fcntl(fd, F_SETSIG, sig));
}

static int has_owner(int fd, unsigned type, pid_t pid, int sig, uid_t uid)
{
	struct f_owner_ex owner = {F_OWNER_TID, -1};
	uid_t uids[2];

	CHECK(!fcntl(fd, F_GETOWN_EX, &owner) && !fcntl(fd, F_GETOWNER_UIDS, uids));
	return (unsigned)owner.type == type && owner.pid == pid && fcntl(fd, F_GETSIG) == sig &&
	       uids[0] == uid && uids[1] == uid;
}

static void set_as_other_user(void)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		CHECK(!setresuid(1000, 1000, 1000));
		owner(OTHER, F_OWNER_PID, getppid(), 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
}

static void make_pair(int first)
{
	int pair[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(dup2(pair[0], first) == first && dup2(pair[1], first + 1) == first + 1);
	close(pair[0]);
	close(pair[1]);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_thread, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction group = {.sa_handler = on_group, .sa_flags = SA_RESTART};
	int pipes[2];
	pthread_t id;

	CHECK(argc == 2);
	CHECK(!sigaction(SIGRTMIN + 2, &action, NULL) && !sigaction(SIGIO, &group, NULL));
	CHECK(!pthread_create(&id, NULL, wait_here, NULL));
	while (!thread)
		usleep(1000);
	CHECK(!pipe(pipes) && dup2(pipes[0], THREAD) == THREAD &&
	      dup2(pipes[1], THREAD_END) == THREAD_END);
	close(pipes[0]);
	close(pipes[1]);
	make_pair(GROUP);
	make_pair(OTHER);
	CHECK(dup2(open("/dev/null", O_RDWR), SIGNAL_ONLY) == SIGNAL_ONLY);
	owner(THREAD, F_OWNER_TID, thread, SIGRTMIN + 2);
	CHECK(!fcntl(THREAD, F_SETFL, O_ASYNC | O_NONBLOCK));
	owner(GROUP, F_OWNER_PGRP, getpgrp(), 0);
	CHECK(!fcntl(GROUP, F_SETFL, O_ASYNC));
	set_as_other_user();
	CHECK(!fcntl(SIGNAL_ONLY, F_SETSIG, SIGUSR2));
	ready_and_wait(argv[1]);

	CHECK(!groups && !got_in);
	CHECK(has_owner(THREAD, F_OWNER_TID, thread, SIGRTMIN + 2, 0));
	CHECK(has_owner(GROUP, F_OWNER_PGRP, getpgrp(), 0, 0));
	CHECK(has_owner(OTHER, F_OWNER_PID, getpid(), 0, 1000));
	CHECK(fcntl(SIGNAL_ONLY, F_GETSIG) == SIGUSR2 && fcntl(GROUP_END, F_GETOWN) == 0);
	CHECK((fcntl(THREAD, F_GETFL) & (O_ASYNC | O_NONBLOCK)) == (O_ASYNC | O_NONBLOCK));
	CHECK(fcntl(GROUP, F_GETFL) == (O_RDWR | O_ASYNC) && fcntl(OTHER, F_GETFL) == O_RDWR);
	CHECK(writes(THREAD_END, "x") && writes(GROUP_END, "x"));
	while (!got_in || !groups)
		usleep(1000);
	CHECK(got_fd == THREAD && got_in == thread);
	return passed();
}
