// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_creds user|root: credentials of all kinds, of a process and of one of its
 * threads, and a filter of its own. user: uid 1000 with groups and ambient
 * capabilities, pdeathsig, dumpable. root: fewer capabilities and securebits.
 */
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ck.h"

static char main_before[4096], thread_before[4096];
static volatile int thread_ready;

/* What /proc says, without what changes by itself. */
static void describe(char *text, size_t size)
{
	char line[512], path[64];
	int sig = -1, n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", gettid());
	f = fopen(path, "re");
	text[0] = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		static const char *const keys[] = {"Name:",   "Umask:", "Uid:",	       "Gid:",
						   "Groups:", "Cap",	"NoNewPrivs:", "Seccomp",
						   "Sig",     "Pid:"};

		for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			if (!strncmp(line, keys[i], strlen(keys[i])) && strncmp(line, "SigQ", 4))
				strncat(text, line, size - strlen(text) - 1);
	}
	if (f)
		fclose(f);
	prctl(PR_GET_PDEATHSIG, &sig);
	n = strlen(text);
	snprintf(text + n, size - n,
		 "securebits %#x dumpable %d pdeathsig %d personality %#x slack %ld nice %d "
		 "keepcaps %d policy %d\n",
		 prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE), sig, personality(0xffffffff),
		 syscall(SYS_prctl, PR_GET_TIMERSLACK), getpriority(PRIO_PROCESS, 0),
		 prctl(PR_GET_KEEPCAPS), sched_getscheduler(0));
}

static void compare(const char *who, const char *before)
{
	char now[4096];

	describe(now, sizeof(now));
	if (strcmp(before, now))
		ck_bad("%s had\n%sand has\n%s", who, before, now);
}

/* getppid() fails with E2BIG for whoever has this filter. */
static void install_filter(unsigned nr, unsigned code)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, filter};

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		ck_bad("installing a filter: %m");
}

static void *run(void *arg)
{
	(void)arg;
	/* system calls of its own: libc would change all threads */
	syscall(SYS_setfsuid, 1234);
	install_filter(SYS_getpgid, ENOTTY);
	describe(thread_before, sizeof(thread_before));
	thread_ready = 1;
	ck_wait_go();
	compare("the thread", thread_before);
	ck_check(syscall(SYS_getpgid, 0) == -1 && errno == ENOTTY);
	ck_check(syscall(SYS_getppid) == -1 && errno == E2BIG);
	return NULL;
}

static void set_caps(unsigned long effective, unsigned long permitted, unsigned long inheritable)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{effective, permitted, inheritable},
		{effective >> 32, permitted >> 32, inheritable >> 32},
	};

	if (syscall(SYS_capset, &h, d))
		ck_bad("capset: %m");
}

static void become_user(void)
{
	gid_t groups[] = {2000, 3000, 4000};
	unsigned long caps = 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE;

	prctl(PR_SET_KEEPCAPS, 1);
	if (setgroups(3, groups) || setresgid(1000, 1001, 1002) || setresuid(1000, 1001, 1000))
		ck_bad("becoming a user: %m");
	set_caps(1 << CAP_KILL, caps, 1 << CAP_NET_BIND_SERVICE);
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0))
		ck_bad("ambient: %m");
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void become_less(void)
{
	prctl(PR_CAPBSET_DROP, CAP_MKNOD);
	if (prctl(PR_SET_SECUREBITS,
		  1 << 2 | 1 << 3 | 1 << 6)) /* no setuid fixup, locked; no ambient raise */
		ck_bad("securebits: %m");
	set_caps(1 << CAP_KILL | 1 << CAP_SETPCAP,
		 1 << CAP_KILL | 1 << CAP_SETPCAP | 1 << CAP_SETUID, 1 << CAP_KILL);
	setpriority(PRIO_PROCESS, 0, 5);
	prctl(PR_SET_TIMERSLACK, 123456);
	prctl(PR_SET_NAME, "a ) name\\n");
	personality(PER_LINUX | ADDR_NO_RANDOMIZE);
	umask(027);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); /* the filter wants it */
}

int main(int argc, char **argv)
{
	pthread_t thread;
	int reaper = -1;

	chmod("/tmp", 0777);
	if (argc > 1 && !strcmp(argv[1], "user"))
		become_user();
	else
		become_less();
	install_filter(SYS_getppid, E2BIG);
	pthread_create(&thread, NULL, run, NULL);
	while (!thread_ready)
		usleep(1000);
	describe(main_before, sizeof(main_before));
	ck_ready();
	ck_wait_go();
	compare("the process", main_before);
	ck_check(syscall(SYS_getppid) == -1 && errno == E2BIG);
	ck_check(syscall(SYS_getpgid, 0) >= 0);
	prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	ck_check(reaper == !(argc > 1 && !strcmp(argv[1], "user")));
	pthread_join(thread, NULL);
	return ck_end();
}
