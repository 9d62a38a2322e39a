// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_leader_owns GO [two]: what one thread alone has, in a process whose first thread has exited
 * and had ids of its own: a child that is told of its end, a timer on its CPU time, a connection
 * that nobody has accepted. An older thread ends when the program goes on. two: that one has a
 * child as well.
 */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "res.h"

#define FIRST_UID 1000
#define TIMER_MS  150

static const char *go;
static int two;
static volatile int older_ready, older_ends;
static pid_t first_tid, older_tid;

static struct {
	pid_t child;
	int listener, client;
	timer_t timer;
} have;

/* What a line of /proc has behind this key; "" if nobody is there any more. */
static const char *proc_line(const char *path, const char *key)
{
	static char line[256];
	FILE *f = fopen(path, "r");
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, key, strlen(key));
	if (f)
		fclose(f);
	return found ? line + strlen(key) : "";
}

/* The state of a thread, or 0. */
static char state_of(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return *proc_line(path, "State:\t");
}

/* The signal stays pending: it is seen without a wait whether it came. */
static pid_t make_child(int pdeathsig)
{
	int told[2];
	sigset_t set;
	pid_t pid;
	char c;

	CHECK(!pipe(told));
	pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		CHECK(read(told[0], &c, 1) == 1 && !close(told[0]) && !close(told[1]));
		return pid;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK(!prctl(PR_SET_PDEATHSIG, pdeathsig) && write(told[1], "x", 1) == 1);
	for (;;)
		pause();
}

static void connect_unaccepted(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0owns"};
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 5;

	have.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	have.client = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(have.listener >= 0 && have.client >= 0);
	CHECK(!bind(have.listener, (struct sockaddr *)&name, len) && !listen(have.listener, 1));
	CHECK(!connect(have.client, (struct sockaddr *)&name, len));
}

static void set(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	struct itimerspec value = {.it_value.tv_nsec = TIMER_MS * 1000000};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(!pthread_sigmask(SIG_BLOCK, &set, NULL));
	have.child = make_child(SIGUSR1);
	CHECK(!timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &have.timer));
	CHECK(!timer_settime(have.timer, 0, &value, NULL));
	connect_unaccepted();
}

static void check_child(void)
{
	char path[64];

	older_ends = 1;
	while (state_of(older_tid))
		usleep(1000);
	snprintf(path, sizeof(path), "/proc/%d/status", have.child);
	CHECK(!strcmp(proc_line(path, "ShdPnd:\t"), "0000000000000000\n"));
	CHECK(!kill(have.child, SIGKILL) && waitpid(have.child, NULL, 0) == have.child);
}

static long cpu_ms(void)
{
	struct timespec now;

	CHECK(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check_timer(void)
{
	long end = cpu_ms() + 10 * TIMER_MS;
	struct timespec none = {0};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	while (sigtimedwait(&set, NULL, &none) < 0)
		CHECK(cpu_ms() < end);
}

static void check_connection(void)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept(have.listener, NULL, NULL);

	CHECK(fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len));
	CHECK(peer.pid == getpid() && peer.uid == 0 && peer.gid == 0);
}

static void *be_older(void *unused)
{
	(void)unused;
	older_tid = gettid();
	if (two)
		make_child(0);
	older_ready = 1;
	while (!older_ends)
		usleep(1000);
	syscall(SYS_exit, 0);
	return NULL;
}

static void *own(void *unused)
{
	(void)unused;
	while (!older_ready || state_of(first_tid) != 'Z')
		usleep(1000);
	set();
	ready_and_wait(go);
	check_child();
	check_timer();
	check_connection();
	exit(passed());
}

int main(int argc, char **argv)
{
	pthread_t older, owner;

	CHECK(argc == 2 || argc == 3);
	go = argv[1];
	two = argc == 3;
	first_tid = gettid();
	CHECK(!pthread_create(&older, NULL, be_older, NULL));
	CHECK(!pthread_create(&owner, NULL, own, NULL));
	CHECK(!syscall(SYS_setresgid, FIRST_UID, FIRST_UID, FIRST_UID));
	CHECK(!syscall(SYS_setresuid, FIRST_UID, FIRST_UID, FIRST_UID));
	syscall(SYS_exit, 0);
	return 1;
}
