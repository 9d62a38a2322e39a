// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_sched GO [keys|listener|ldt]: threads of several scheduling policies, with nice, I/O
 * priority, processors, timer slack and personality of their own, a session with a nice
 * value, and seccomp filters in common. "ready", and with the file GO "PASS" if all is as
 * it was. keys: there is a key in its process keyring; listener: a filter asks a listener;
 * ldt: there is a segment in an LDT, or "no LDT" where the kernel has none.
 */
#include <asm/ldt.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "res.h"

#define THREADS 6

/* as in linux/sched/types.h, which cannot be included together with libc's headers */
struct attr {
	unsigned size, policy;
	unsigned long long flags;
	int nice;
	unsigned priority;
	unsigned long long runtime, deadline, period;
	unsigned util_min, util_max;
};

static char before[THREADS][512];
static volatile int ready[THREADS], go, done[THREADS];

static void describe(char *text, size_t size)
{
	struct attr a = {.size = sizeof(a)};
	unsigned long long cpus[16] = {0};

	CHECK(!syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0));
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(cpus), cpus) > 0);
	snprintf(text, size,
		 "policy %u flags %#llx nice %d %d priority %u times %llu %llu %llu clamps %u %u "
		 "cpus "
		 "%llx "
		 "ioprio %#lx slack %ld personality %#x",
		 a.policy, a.flags, a.nice, getpriority(PRIO_PROCESS, 0), a.priority, a.runtime,
		 a.deadline, a.period, a.util_min, a.util_max, cpus[0],
		 syscall(SYS_ioprio_get, 1, 0), syscall(SYS_prctl, PR_GET_TIMERSLACK, 0, 0, 0, 0),
		 personality(0xffffffff));
}

static void compare(int i)
{
	char now[512];

	describe(now, sizeof(now));
	if (strcmp(now, before[i])) {
		printf("FAIL thread %d had\n  %s\nand has\n  %s\n", i, before[i], now);
		exit(1);
	}
}

static int set(unsigned policy, unsigned priority, int nice, unsigned long long flags)
{
	struct attr a = {.size = sizeof(a),
			 .policy = policy,
			 .priority = priority,
			 .nice = nice,
			 .flags = flags};

	if (policy == SCHED_DEADLINE) {
		a.runtime = 20000000;
		a.deadline = 50000000;
		a.period = 100000000;
	}
	return syscall(SYS_sched_setattr, 0, &a, 0);
}

static void one_cpu(void)
{
	unsigned long long cpus[16] = {0};

	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(cpus), cpus) > 0);
	cpus[0] &= -cpus[0];
	CHECK(!syscall(SYS_sched_setaffinity, 0, sizeof(cpus), cpus));
}

/* A kernel with clamps has the sysctl, which the container may not see. */
static void clamp(void)
{
	struct attr a = {.size = sizeof(a),
			 .policy = SCHED_OTHER,
			 .flags = 0x60,
			 .util_min = 100,
			 .util_max = 700};

	if (syscall(SYS_sched_setattr, 0, &a, 0))
		puts("no clamps");
}

static void *run(void *arg)
{
	int i = (long)arg;

	switch (i) {
	case 1:
		CHECK(!setpriority(PRIO_PROCESS, 0, 9));
		CHECK(!set(SCHED_FIFO, 3, 0, SCHED_FLAG_RESET_ON_FORK));
		break;
	case 2:
		CHECK(!set(SCHED_BATCH, 0, 3, 0) && !prctl(PR_SET_TIMERSLACK, 77777));
		CHECK(!syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)));
		break;
	case 3:
		CHECK(!set(SCHED_IDLE, 0, 0, 0));
		CHECK(!syscall(SYS_ioprio_set, 1, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0)));
		break;
	case 4:
		if (set(SCHED_DEADLINE, 0, 0, SCHED_FLAG_RESET_ON_FORK))
			printf("no deadlines: %m\n");
		break;
	case 5:
		one_cpu();
		clamp();
		CHECK(personality(PER_LINUX | ADDR_NO_RANDOMIZE | UNAME26) >= 0);
		CHECK(!set(SCHED_OTHER, 0, 7, 0x18)); /* policy and clamps stay */
		break;
	}
	describe(before[i], sizeof(before[i]));
	ready[i] = 1;
	while (!go)
		usleep(2000);
	compare(i);
	done[i] = 1;
	while (go != 2)
		usleep(2000);
	return NULL;
}

/* Calls of this number return this error, or ask a listener. */
static int filter(int nr, unsigned action, unsigned flags)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {4, code};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static int autogroup(int set_to)
{
	char text[64] = "";
	int fd = open("/proc/self/autogroup", O_RDWR), nice;

	if (fd < 0)
		return -100;
	if (set_to)
		CHECK(dprintf(fd, "%d", set_to) > 0);
	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0 && !close(fd));
	return sscanf(text, "/autogroup-%*d nice %d", &nice) == 1 ? nice : -100;
}

static void refuse(const char *what)
{
	if (!strcmp(what, "keys"))
		CHECK(syscall(SYS_add_key, "user", "a key", "x", 1, KEY_SPEC_PROCESS_KEYRING) > 0);
	else if (!strcmp(what, "listener"))
		CHECK(!close(filter(SYS_getpgid, SECCOMP_RET_USER_NOTIF,
				    SECCOMP_FILTER_FLAG_NEW_LISTENER)));
}

/* One that is in use, or is empty again. */
static void set_ldt(bool used)
{
	struct user_desc entry = {.entry_number = 5, .limit = 0xfffff, .seg_32bit = 1};

	entry.limit_in_pages = entry.useable = 1;
	if (syscall(SYS_modify_ldt, 1, &entry, sizeof(entry))) {
		puts("no LDT");
		return;
	}
	entry = (struct user_desc){.entry_number = 5, .read_exec_only = 1, .seg_not_present = 1};
	if (!used)
		CHECK(!syscall(SYS_modify_ldt, 1, &entry, sizeof(entry)));
}

int main(int argc, char **argv)
{
	pthread_t ids[THREADS];
	int nice;

	CHECK(argc >= 2);
	CHECK(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CHECK(!filter(SYS_getpgid, SECCOMP_RET_ERRNO | E2BIG, 0));
	CHECK(!filter(SYS_sysinfo, SECCOMP_RET_ERRNO | ENOTTY, 0));
	set_ldt(argc > 2 && !strcmp(argv[2], "ldt"));
	if (argc > 2)
		refuse(argv[2]);
	nice = autogroup(4);
	for (long i = 1; i < THREADS; i++)
		CHECK(!pthread_create(&ids[i], NULL, run, (void *)i));
	for (int i = 1; i < THREADS; i++)
		while (!ready[i])
			usleep(1000);
	CHECK(!set(SCHED_OTHER, 0, 5, 0));
	describe(before[0], sizeof(before[0]));
	ready_and_wait(argv[1]);

	compare(0);
	go = 1;
	for (int i = 1; i < THREADS; i++)
		while (!done[i])
			usleep(1000);
	CHECK(autogroup(0) == nice);
	CHECK(syscall(SYS_sysinfo, 0, 0) == -1 && errno == ENOTTY);
	/* their threads are related by filters, as they were: 0, or the thread that is not */
	CHECK(filter(SYS_getpgrp, SECCOMP_RET_ERRNO | E2BIG, SECCOMP_FILTER_FLAG_TSYNC) == 0);
	go = 2;
	for (int i = 1; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	return passed();
}
