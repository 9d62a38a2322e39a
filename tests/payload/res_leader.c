// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_leader GO: processes whose first thread has exited, each with its code, while two others
 * run. The init is one. Its children are others: one that is a session leader and a subreaper, and
 * whose first thread has had ids of its own; one that exits as a whole; one that is stopped. Where
 * threads end one by one the code of the last one is the process's.
 */
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "res.h"

enum { PLAIN, LEADS, LEAVES, STOPS };

#define FIRST_UID  1000
#define FIRST_CODE 7
#define WHOLE_CODE 5
#define LAST_CODE  11
#define INIT_CODE  9

static const char *go;
static int role = PLAIN;
static volatile unsigned counted;
static volatile pid_t counter_tid, other_tid;
static char seen[2][2048];    /* of the first thread, from outside: before and after */
static int told[2], asked[2]; /* a child says that it is ready, and is told to check */

static struct {
	pid_t pid;
	int pipe[2], pair[2], file;
	char *private, *shared, *mapped;
	timer_t timer;
	pid_t grandchild;
} have;

/* --- what others see of the first thread --- */

static void add_lines(char *to, size_t size, const char *path, const char *const *keys)
{
	char line[512];
	FILE *f = fopen(path, "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f))
		for (const char *const *key = keys; *key; key++)
			if (!strncmp(line, *key, strlen(*key)))
				strncat(to, line, size - strlen(to) - 1);
	fclose(f);
}

/* The state and the exit code of /proc/PID/task/TID/stat. */
static void add_stat(char *to, size_t size, pid_t pid)
{
	char path[64], line[1024], state, *at;
	FILE *f;
	int field = 3;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
	f = fopen(path, "r");
	CHECK(f && fgets(line, sizeof(line), f));
	fclose(f);
	at = strrchr(line, ')') + 2;
	state = *at;
	for (; field < 52; field++)
		at = strchr(at, ' ') + 1;
	snprintf(to + strlen(to), size - strlen(to), "stat %c %d\n", state, atoi(at));
}

static int look(pid_t pid, char *to, size_t size)
{
	static const char *const keys[] = {
		"Name:",   "State:",  "Uid:",	 "Gid:",	"Groups:",  "CapInh:",
		"CapPrm:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:", NULL};
	static const char *const timer_keys[] = {"notify:", NULL};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, pid);
	*to = '\0';
	add_lines(to, size, path, keys);
	add_stat(to, size, pid);
	/* one of which the first thread is told */
	snprintf(path, sizeof(path), "/proc/%d/timers", pid);
	add_lines(to, size, path, timer_keys);
	snprintf(to + strlen(to), size - strlen(to), "nice %d\n", getpriority(PRIO_PROCESS, pid));
	return strstr(to, "State:\tZ") != NULL;
}

static void wait_for_zombie(pid_t pid)
{
	for (int i = 0; i < 1000 && !look(pid, seen[0], sizeof(seen[0])); i++)
		usleep(1000);
	CHECK(strstr(seen[0], "State:\tZ"));
}

/* --- what a process has --- */

static void *count(void *unused)
{
	(void)unused;
	counter_tid = gettid();
	while (counted < 1u << 30) {
		counted++;
		usleep(1000);
	}
	syscall(SYS_exit, 4);
	return NULL;
}

/* It would be killed if a thread of its parent's ended that is none of those that run. */
static pid_t make_grandchild(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

static void set(void)
{
	struct itimerval later = {.it_value.tv_sec = 5000};
	struct itimerspec much_later = {.it_value.tv_sec = 9000};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
	struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = gettid()};
	sigset_t all;

	have.pid = getpid();
	CHECK(!pipe(have.pipe) && writes(have.pipe[1], "piped"));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, have.pair) && writes(have.pair[0], "paired"));
	have.file = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (have.file < 0)
		have.file = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(have.file >= 0 && !ftruncate(have.file, 4096) &&
	      lseek(have.file, 123, SEEK_SET) == 123);
	have.private = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	have.shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	have.mapped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, have.file, 0);
	CHECK(have.private != MAP_FAILED && have.shared != MAP_FAILED && have.mapped != MAP_FAILED);
	strcpy(have.private, "private");
	strcpy(have.shared, "shared");
	strcpy(have.mapped, "mapped");
	CHECK(!setitimer(ITIMER_REAL, &later, NULL));
	event._sigev_un._tid = gettid();
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &have.timer));
	CHECK(!fcntl(have.pair[0], F_SETOWN_EX, &owner));
	CHECK(!timer_settime(have.timer, 0, &much_later, NULL));
	sigfillset(&all);
	sigdelset(&all, SIGALRM);
	CHECK(!sigprocmask(SIG_SETMASK, &all, NULL));
	CHECK(!sigqueue(have.pid, SIGRTMIN, (union sigval){.sival_int = 77}));
}

static void check_signals(void)
{
	struct timespec none = {0};
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigtimedwait(&set, &info, &none) == SIGRTMIN && info.si_value.sival_int == 77);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK(sigtimedwait(&set, &info, &none) == SIGRTMIN + 1);
	sigfillset(&set);
	sigdelset(&set, SIGCHLD);
	sigdelset(&set, SIGCONT);
	CHECK(sigtimedwait(&set, &info, &none) == -1 && errno == EAGAIN);
}

static void check(void)
{
	struct itimerval later;
	struct itimerspec much_later;
	struct f_owner_ex owner;
	unsigned before = counted;

	CHECK(look(have.pid, seen[1], sizeof(seen[1])));
	if (strcmp(seen[0], seen[1])) {
		printf("FAIL first thread was\n%sand is\n%s", seen[0], seen[1]);
		exit(1);
	}
	CHECK(getpid() == have.pid && gettid() == other_tid);
	CHECK(!syscall(SYS_tgkill, have.pid, counter_tid, 0));
	for (int i = 0; i < 5000 && counted == before; i++)
		usleep(1000);
	CHECK(counted > before);
	CHECK(reads(have.pipe[0], "piped") && reads(have.pair[1], "paired"));
	CHECK(lseek(have.file, 0, SEEK_CUR) == 123);
	CHECK(!strcmp(have.private, "private") && !strcmp(have.shared, "shared"));
	CHECK(!strcmp(have.mapped, "mapped"));
	CHECK(!getitimer(ITIMER_REAL, &later) && later.it_value.tv_sec > 4800 &&
	      later.it_value.tv_sec <= 5000);
	CHECK(!timer_gettime(have.timer, &much_later) && much_later.it_value.tv_sec > 8800);
	CHECK(!fcntl(have.pair[0], F_GETOWN_EX, &owner));
	CHECK(owner.type == F_OWNER_TID && owner.pid == have.pid);
	check_signals();
	CHECK(!kill(have.grandchild, 0) && !waitpid(have.grandchild, NULL, WNOHANG));
	CHECK(!kill(have.grandchild, SIGKILL) && waitpid(have.grandchild, NULL, 0) > 0);
}

static void check_leads(void)
{
	int subreaper = 0;
	pid_t user;

	CHECK(getsid(0) == have.pid && getpgrp() == have.pid);
	CHECK(!prctl(PR_GET_CHILD_SUBREAPER, &subreaper) && subreaper);
	CHECK(getuid() == 0);
	/* whoever is allowed to signal it is asked of its first thread */
	user = fork();
	CHECK(user >= 0);
	if (!user) {
		CHECK(!syscall(SYS_setresuid, FIRST_UID, FIRST_UID, FIRST_UID));
		_exit(kill(have.pid, 0) ? 1 : 0);
	}
	end_role(user);
}

/* --- the children --- */

static struct child {
	int role;
	const char *name;
	pid_t pid;
	int status;
} children[] = {
	{LEADS, "leads", 0, LAST_CODE << 8},
	{LEAVES, "leaves", 0, WHOLE_CODE << 8},
	{STOPS, "stops", 0, LAST_CODE << 8},
};
#define CHILDREN (sizeof(children) / sizeof(*children))

static void tell(int fd)
{
	CHECK(write(fd, "x", 1) == 1);
}

static void hear(int fd)
{
	char c;

	CHECK(read(fd, &c, 1) == 1);
}

static void make_children(void);

static int is_stopped(pid_t pid)
{
	siginfo_t info = {0};

	return !waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT | WNOHANG) && info.si_pid == pid;
}

/* The stopped one's first thread is a zombie still, and its others have stopped. */
static void check_stopped(pid_t pid)
{
	char path[300], line[256];
	struct dirent *e;
	DIR *dir;

	CHECK(is_stopped(pid));
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	CHECK(dir);
	while ((e = readdir(dir))) {
		FILE *f;
		int right = 0;

		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, e->d_name);
		f = fopen(path, "r");
		CHECK(f);
		while (fgets(line, sizeof(line), f))
			right |= !strncmp(line, atoi(e->d_name) == pid ? "State:\tZ" : "State:\tT",
					  8);
		fclose(f);
		CHECK(right);
	}
	closedir(dir);
}

static void end_children(void)
{
	for (size_t i = 0; i < CHILDREN; i++) {
		siginfo_t info;

		if (children[i].role == STOPS) {
			check_stopped(children[i].pid);
			CHECK(!kill(children[i].pid, SIGCONT));
			CHECK(!waitid(P_PID, children[i].pid, &info, WCONTINUED));
		}
	}
	for (size_t i = 0; i < CHILDREN; i++)
		tell(asked[1]);
	for (size_t i = 0; i < CHILDREN; i++) {
		int status = -1;

		CHECK(waitpid(children[i].pid, &status, 0) == children[i].pid);
		if (status != children[i].status) {
			printf("FAIL %s ended with status %#x\n", children[i].name, status);
			exit(1);
		}
	}
}

/* The thread that is not the first and does not count. */
static void *act(void *unused)
{
	sigset_t own;

	(void)unused;
	other_tid = gettid();
	while (!counter_tid)
		usleep(1000);
	sigemptyset(&own);
	CHECK(!pthread_kill(pthread_self(), SIGRTMIN + 1));
	have.grandchild = make_grandchild();
	wait_for_zombie(have.pid);
	if (role == PLAIN) {
		make_children();
		ready_and_wait(go);
	} else {
		tell(told[1]);
		hear(asked[0]);
	}
	check();
	if (role == LEADS)
		check_leads();
	if (role == LEAVES)
		exit(WHOLE_CODE);
	if (role == PLAIN) {
		end_children();
		passed();
	}
	counted = 1u << 30;
	while (!syscall(SYS_tgkill, have.pid, counter_tid, 0))
		usleep(1000);
	syscall(SYS_exit, LAST_CODE);
	return NULL;
}

static void lead(void)
{
	gid_t groups[] = {2001, 2002};

	CHECK(setsid() > 0 && !prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	CHECK(!setpriority(PRIO_PROCESS, 0, 5));
	CHECK(!syscall(SYS_setgroups, 2, groups));
	CHECK(!syscall(SYS_setresgid, FIRST_UID, FIRST_UID + 1, FIRST_UID + 1));
	CHECK(!syscall(SYS_setresuid, FIRST_UID, FIRST_UID + 1, FIRST_UID));
}

/* The calling thread, a process's first, exits; it does not return. */
static void go_without(int code)
{
	pthread_t threads[2];

	set();
	CHECK(!pthread_create(&threads[0], NULL, count, NULL));
	CHECK(!pthread_create(&threads[1], NULL, act, NULL));
	/* the others keep what they have begun with */
	while (!counter_tid || !other_tid)
		usleep(1000);
	if (role == LEADS)
		lead();
	syscall(SYS_exit, code);
}

static void make_children(void)
{
	CHECK(!pipe(told) && !pipe(asked));
	for (size_t i = 0; i < CHILDREN; i++) {
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (!pid) {
			role = children[i].role;
			prctl(PR_SET_NAME, children[i].name);
			counter_tid = other_tid = 0;
			counted = 0;
			go_without(FIRST_CODE);
		}
		children[i].pid = pid;
		hear(told[0]);
		if (role == PLAIN && children[i].role == STOPS) {
			CHECK(!kill(pid, SIGSTOP));
			while (!is_stopped(pid))
				usleep(1000);
		}
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	go = argv[1];
	go_without(INIT_CODE);
	return 1;
}
