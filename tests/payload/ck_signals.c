// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_signals [all|full N]: pending signals with payloads in their order, of the process
 * and of its threads; actions with their flags; alternate stacks. With "all",
 * every signal that a program usually leaves alone has a handler; with "full", there are as many
 * as RLIMIT_SIGPENDING allows, which is N.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "ck.h"

static int values[64], senders[64], tids[64], count;
static int sizes_on_stack;
static char *alternate;
static atomic_int thread_values[8], thread_count, thread_ready;
static pid_t second;
static volatile int urgent;
static int all;

static void on_rt(int signo, siginfo_t *info, void *context)
{
	char here;

	(void)signo;
	(void)context;
	if (gettid() == second) {
		thread_values[thread_count++] = info->si_value.sival_int;
		return;
	}
	values[count] = info->si_value.sival_int;
	senders[count] = info->si_pid;
	tids[count++] = info->si_code;
	if (&here >= alternate && &here < alternate + 65536)
		sizes_on_stack++;
}

static void on_urgent(int signo)
{
	urgent |= 1 << signo;
}

static void on_plain(int signo)
{
	(void)signo;
}

static void send_to(int signo, int value, pid_t tid)
{
	siginfo_t info = {.si_signo = signo, .si_code = SI_QUEUE};

	info.si_pid = getpid();
	info.si_value.sival_int = value;
	if (tid)
		syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signo, &info);
	else
		syscall(SYS_rt_sigqueueinfo, getpid(), signo, &info);
}

static void *run(void *arg)
{
	struct timespec now = {0};
	siginfo_t info;
	sigset_t set;

	(void)arg;
	second = gettid();
	thread_ready = 1;
	ck_wait_go();
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	if (!all)
		ck_check(sigtimedwait(&set, &info, &now) == SIGURG &&
			 info.si_value.sival_int == 70);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 9);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return NULL;
}

struct kernel_action {
	unsigned long handler, flags, restorer, mask;
};

static void get_action(int signo, struct kernel_action *a)
{
	memset(a, 0, sizeof(*a));
	syscall(SYS_rt_sigaction, signo, NULL, a, 8);
}

static void set_actions(void)
{
	struct sigaction rt = {.sa_sigaction = on_rt, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction one = {.sa_handler = on_plain,
				.sa_flags = SA_RESTART | SA_NODEFER | SA_RESETHAND};
	struct sigaction child = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT | SA_NOCLDSTOP};
	struct sigaction plain = {.sa_handler = on_urgent};

	for (int i = 0; i < 10; i++)
		sigaction(SIGRTMIN + i, &rt, NULL);
	sigaddset(&one.sa_mask, SIGQUIT);
	sigaddset(&one.sa_mask, SIGRTMAX);
	sigaction(SIGUSR1, &one, NULL);
	signal(SIGTRAP, SIG_IGN);
	signal(SIGTSTP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (!all)
		sigaction(SIGCHLD, &child, NULL);
	for (int i = 0; all && i < 3; i++)
		sigaction((int[]){SIGURG, SIGWINCH, SIGCHLD}[i], &plain, NULL);
}

static void check_pending(void)
{
	static const int wanted[] = {20, 21, 10, 11, 12, 13, 30};
	siginfo_t info;
	sigset_t set, pending;
	struct timespec now = {0};

	sigpending(&pending);
	ck_check(sigismember(&pending, SIGRTMIN + 1) && sigismember(&pending, SIGUSR2));
	ck_check(!sigismember(&pending, SIGHUP));
	/* one standard signal, whose siginfo counts too */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	ck_check(sigtimedwait(&set, &info, &now) == SIGUSR2 && info.si_code == SI_USER &&
		 info.si_pid == getpid());
	ck_check(sigtimedwait(&set, &info, &now) == -1);
	/* the thread.s own queue comes before that of the process; each by number, then in order */
	for (int i = 0; i < 7; i++) {
		sigemptyset(&set);
		for (int k = 1; k < 4; k++)
			sigaddset(&set, SIGRTMIN + k);
		if (sigtimedwait(&set, &info, &now) != SIGRTMIN + wanted[i] / 10 ||
		    info.si_value.sival_int != wanted[i] || info.si_code != SI_QUEUE)
			ck_bad("pending %d: value %d, wanted %d", i, info.si_value.sival_int,
			       wanted[i]);
	}
	ck_check(sigtimedwait(&set, &info, &now) == -1 && errno == EAGAIN);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 5);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ck_check(count == 3 && values[0] == 50 && values[1] == 51 && values[2] == 52);
	ck_check(sizes_on_stack == 3 && senders[0] == getpid());
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 1; i <= 10; i++)
		sigaddset(&set, SIGRTMIN + i);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGHUP);
	if (!all)
		sigaddset(&set, SIGURG);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void send_all(void)
{
	send_to(SIGRTMIN + 3, 30, 0);
	send_to(SIGRTMIN + 1, 10, 0);
	send_to(SIGRTMIN + 1, 11, 0);
	send_to(SIGRTMIN + 2, 20, gettid());
	send_to(SIGRTMIN + 1, 12, 0);
	send_to(SIGRTMIN + 2, 21, gettid());
	send_to(SIGRTMIN + 1, 13, 0);
	for (int i = 0; i < 3; i++) {
		send_to(SIGRTMIN + 9, 90 + i, second);
		send_to(SIGRTMIN + 5, 50 + i, gettid());
	}
	/* a checkpoint makes use of this one itself, unless it sees that it is pending */
	if (!all)
		send_to(SIGURG, 70, second);
	kill(getpid(), SIGUSR2);
	kill(getpid(), SIGUSR2);
}

/* How many are pending for the processes of its user; also for those that nobody has reaped yet. */
static int user_pending(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char text[256];
	int pending = -1;

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "SigQ: %d", &pending) == 1)
			break;
	if (f)
		fclose(f);
	return pending;
}

static int queue_one(int value)
{
	return sigqueue(getpid(), SIGRTMIN + 10, (union sigval){.sival_int = value});
}

static int fill_queue(rlim_t full)
{
	struct rlimit limit = {full, full};
	int queued = 0;

	if (setrlimit(RLIMIT_SIGPENDING, &limit))
		abort();
	while (!queue_one(queued))
		queued++;
	/* now there are more than it may have */
	limit.rlim_cur = full / 4;
	if (errno != EAGAIN || queued <= (int)full / 4 || setrlimit(RLIMIT_SIGPENDING, &limit))
		abort();
	return queued;
}

static void check_full(rlim_t full, int queued)
{
	struct timespec now = {0};
	struct rlimit limit;
	siginfo_t info;
	sigset_t set;
	int before = user_pending();

	ck_check(!getrlimit(RLIMIT_SIGPENDING, &limit));
	ck_check(limit.rlim_cur == full / 4 && limit.rlim_max == full);
	ck_check(queue_one(0) == -1 && errno == EAGAIN);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 10);
	for (int i = 0; i < queued; i++)
		ck_check(sigtimedwait(&set, &info, &now) == SIGRTMIN + 10 &&
			 info.si_value.sival_int == i);
	ck_check(sigtimedwait(&set, &info, &now) == -1);
	/* they were counted for its user, and for nobody else */
	ck_check(before - user_pending() >= queued);
}

static void check_actions(const struct kernel_action before[65])
{
	struct kernel_action after;

	for (int i = 1; i < 65; i++) {
		get_action(i, &after);
		if (memcmp(&after, &before[i], sizeof(after)))
			ck_bad("signal %d: handler %#lx flags %#lx mask %#lx, before %#lx %#lx "
			       "%#lx",
			       i, after.handler, after.flags, after.mask, before[i].handler,
			       before[i].flags, before[i].mask);
	}
}

int main(int argc, char **argv)
{
	rlim_t full = argc > 2 && !strcmp(argv[1], "full") ? atoi(argv[2]) : 0;
	struct kernel_action before[65];
	int queued = 0;
	stack_t stack = {.ss_size = 65536}, got;
	pthread_t thread;
	sigset_t set, mask;

	alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack.ss_sp = alternate;
	sigaltstack(&stack, NULL);
	all = argc > 1 && !strcmp(argv[1], "all");
	set_actions();
	block_signals();
	pthread_create(&thread, NULL, run, NULL);
	while (!thread_ready)
		usleep(1000);
	send_all();
	if (full)
		queued = fill_queue(full);
	for (int i = 1; i < 65; i++)
		get_action(i, &before[i]);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ck_ready();
	ck_wait_go();
	if (full)
		check_full(full, queued);
	check_actions(before);
	sigprocmask(SIG_BLOCK, NULL, &set);
	ck_check(!memcmp(&mask, &set, 8));
	sigaltstack(NULL, &got);
	ck_check(got.ss_sp == alternate && got.ss_size == 65536 && !got.ss_flags);
	check_pending();
	pthread_join(thread, NULL);
	ck_check(thread_count == 3 && thread_values[0] == 90 && thread_values[2] == 92);
	if (urgent)
		ck_bad("handlers ran that nobody called: %#x", urgent);
	if (all) {
		raise(SIGURG);
		ck_check(urgent == 1 << SIGURG);
	}
	raise(SIGTRAP);
	return ck_end();
}
