// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_stops GO [SIGNAL]: children in job-control stops. One has been stopped by SIGSTOP and told
 * so once more; one by SIGTSTP, which its parent has not heard of yet; one with two threads by
 * SIGTTIN, its parent has heard of it, and a SIGSTOP waits for the second thread. A fourth
 * ("told") runs; with SIGNAL it must have been stopped by that in the end.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#define STOP_BIT (1ull << (SIGSTOP - 1))

static void *rest(void *tid)
{
	*(volatile pid_t *)tid = gettid();
	for (;;)
		pause();
	return NULL;
}

/* A child in a group of its own, that ends by SIGUSR1 only when it goes on. */
static pid_t make_child(const char *name, volatile pid_t *thread)
{
	int ready[2], pid;
	char c;

	CHECK(!pipe(ready));
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		close(ready[1]);
		CHECK(read(ready[0], &c, 1) == 1);
		close(ready[0]);
		return pid;
	}
	setpgid(0, 0);
	prctl(PR_SET_NAME, name);
	if (thread) {
		static pid_t second;
		pthread_t t;

		CHECK(!pthread_create(&t, NULL, rest, &second));
		while (!*(volatile pid_t *)&second)
			usleep(1000);
	}
	CHECK(write(ready[1], "x", 1) == 1);
	for (;;)
		pause();
}

/* Pid of the thread that is not the leader: its directory is there under task. */
static pid_t second_thread(pid_t pid)
{
	char path[64];

	for (pid_t tid = pid + 1; tid < pid + 100; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", pid, tid);
		if (!access(path, F_OK))
			return tid;
	}
	return 0;
}

/* The state, and the pending signals that stand behind this key. */
static int is_stopped(pid_t pid, pid_t tid, const char *key, unsigned long long *pending)
{
	char path[64], line[256];
	int stopped = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	f = fopen(path, "r");
	CHECK(f);
	*pending = 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "State:\tT", 8))
			stopped = 1;
		if (!strncmp(line, key, strlen(key)))
			*pending = strtoull(line + strlen(key), NULL, 16);
	}
	fclose(f);
	return stopped;
}

static void stop(pid_t pid, int signo, int options)
{
	siginfo_t info;

	CHECK(!kill(pid, signo));
	CHECK(!waitid(P_PID, pid, &info, WSTOPPED | options));
	CHECK(info.si_code == CLD_STOPPED && info.si_status == signo);
}

/* Nothing has happened to it that its parent has not heard of. */
static int is_news(pid_t pid)
{
	siginfo_t info = {0};

	CHECK(!waitid(P_PID, pid, &info, WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT));
	return info.si_pid == pid;
}

/* A tracer is told by which signal, whoever has heard of it before. */
static void check_signal(pid_t pid, int signo)
{
	int status;

	CHECK(!ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(status >> 8 == (signo | PTRACE_EVENT_STOP << 8));
	CHECK(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
}

static void check_goes_on(pid_t pid, pid_t tid, const char *key)
{
	unsigned long long pending;
	siginfo_t info;
	int status;

	CHECK(!kill(pid, SIGCONT));
	CHECK(!waitid(P_PID, pid, &info, WCONTINUED));
	CHECK(!is_stopped(pid, tid, key, &pending) && !(pending & STOP_BIT));
	CHECK(!kill(pid, SIGKILL));
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
}

int main(int argc, char **argv)
{
	pid_t again = make_child("again", NULL), typed = make_child("typed", NULL);
	pid_t threads = make_child("threads", &(pid_t){0}), told = make_child("told", NULL);
	pid_t second = second_thread(threads);
	unsigned long long pending;
	siginfo_t info;

	CHECK(argc > 1 && second);
	stop(again, SIGSTOP, 0);
	CHECK(!kill(again, SIGSTOP));
	stop(typed, SIGTSTP, WNOWAIT);
	stop(threads, SIGTTIN, 0);
	CHECK(!syscall(SYS_tgkill, threads, second, SIGSTOP));
	CHECK(is_stopped(again, again, "ShdPnd:", &pending) && pending & STOP_BIT);
	ready_and_wait(argv[1]);

	CHECK(is_stopped(again, again, "ShdPnd:", &pending) && pending & STOP_BIT);
	CHECK(!is_news(again));
	check_signal(again, SIGSTOP);
	check_goes_on(again, again, "ShdPnd:");

	CHECK(is_stopped(typed, typed, "ShdPnd:", &pending) && !pending);
	CHECK(!waitid(P_PID, typed, &info, WSTOPPED | WNOHANG));
	CHECK(info.si_pid == typed && info.si_code == CLD_STOPPED && info.si_status == SIGTSTP);
	check_goes_on(typed, typed, "ShdPnd:");

	CHECK(is_stopped(threads, second, "SigPnd:", &pending) && pending & STOP_BIT);
	CHECK(is_stopped(threads, threads, "SigPnd:", &pending) && !pending);
	CHECK(!is_news(threads));
	check_signal(threads, SIGTTIN);
	check_goes_on(threads, second, "SigPnd:");

	CHECK(argc > 2 || !is_news(told));
	if (argc > 2) {
		CHECK(!waitid(P_PID, told, &info, WSTOPPED));
		CHECK(info.si_code == CLD_STOPPED && info.si_status == atoi(argv[2]));
		check_goes_on(told, told, "ShdPnd:");
	}
	return passed();
}
