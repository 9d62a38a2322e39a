// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_threads: eight threads that compute, lock, wait and yield, each with its own
 * TLS, name, signal mask and alternate stack. What they compute is known.
 */
#include <immintrin.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include "ck.h"

#define THREADS 8

static __thread uint64_t mine[512];
static __thread int on_stack;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t robust;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t started;
static atomic_int stop;
static atomic_long bad[THREADS];
static long counter, added[THREADS];
static int token;
static uint64_t rounds[THREADS];
static pid_t tids[THREADS];
static char stacks[THREADS][32768];

static void on_signal(int signo)
{
	char here;
	(void)signo;
	on_stack = &here - stacks[0];
}

/* The FPU's control words and all of its registers hold a thread's own values all the time. */
static double chaos(int self)
{
	double x = 0.1 + self / 100.0, y = x;
	__m128i v = _mm_set1_epi32(self * 0x01010101);

	for (int i = 0; i < 2000; i++) {
		x = 3.99 * x * (1 - x);
		v = _mm_add_epi32(v, _mm_set1_epi32(3));
		__asm__ volatile("" : "+x"(v), "+x"(x));
	}
	if (_mm_cvtsi128_si32(v) != self * 0x01010101 + 6000)
		atomic_fetch_add(&bad[self], 1);
	(void)y;
	return x;
}

static void compute(int self)
{
	unsigned csr = (_mm_getcsr() & ~0x6000u) | (self % 4) << 13;
	double first;
	uint16_t cw;

	_mm_setcsr(csr); /* a rounding mode of its own */
	first = chaos(self);
	for (; !stop; rounds[self]++) {
		if (chaos(self) != first || (_mm_getcsr() & 0x6000) != (csr & 0x6000))
			atomic_fetch_add(&bad[self], 1);
		__asm__ volatile("fnstcw %0" : "=m"(cw));
		if (cw != 0x37f)
			atomic_fetch_add(&bad[self], 1);
	}
}

static void count(int self)
{
	for (; !stop; rounds[self]++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		added[self]++;
		if (added[self] % 64 == 0)
			usleep(100);
	}
}

/* Two that pass a token to and fro. */
static void play(int self)
{
	pthread_mutex_lock(&lock);
	for (; !stop; rounds[self]++) {
		while (token != self % 2 && !stop)
			pthread_cond_wait(&turn, &lock);
		token = 1 - self % 2;
		pthread_cond_broadcast(&turn);
	}
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&lock);
}

static void *run(void *arg)
{
	int self = (long)arg;
	stack_t stack = {.ss_sp = stacks[self], .ss_size = sizeof(stacks[self])}, got;
	sigset_t set, now;
	char name[16], real[16];

	for (int i = 0; i < 512; i++)
		mine[i] = self * 1000 + i;
	snprintf(name, sizeof(name), "thread-%d", self);
	prctl(PR_SET_NAME, name);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + self);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	sigaltstack(&stack, NULL);
	tids[self] = gettid();
	pthread_barrier_wait(&started);
	if (self < 3)
		compute(self);
	else if (self < 6)
		count(self);
	else
		play(self);
	for (int i = 0; i < 512; i++)
		if (mine[i] != (uint64_t)(self * 1000 + i))
			atomic_fetch_add(&bad[self], 1);
	prctl(PR_GET_NAME, real);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	sigaltstack(NULL, &got);
	if (strcmp(name, real) || memcmp(&now, &set, 8) || got.ss_sp != stacks[self] ||
	    got.ss_size != sizeof(stacks[self]) || got.ss_flags || gettid() != tids[self])
		atomic_fetch_add(&bad[self], 1000000);
	raise(SIGUSR1);
	if (on_stack < self * 32768 || on_stack >= (self + 1) * 32768)
		atomic_fetch_add(&bad[self], 2000000);
	/* rseq: registered again with the kernel, which keeps cpu_id up to date */
	{
		struct rseq *rs = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);

		if (__rseq_size && (rs->cpu_id >= 1024 || !syscall(SYS_rseq, rs, 32, 0, RSEQ_SIG)))
			atomic_fetch_add(&bad[self], 4000000);
	}
	if (self == 7)
		pthread_mutex_lock(&robust); /* and dies with it */
	return (void *)(long)(self + 1);
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	pthread_t threads[THREADS];
	uint64_t before[THREADS];
	pthread_mutexattr_t attr;
	long sum = 0;

	sigaction(SIGUSR1, &action, NULL);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	pthread_barrier_init(&started, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	pthread_barrier_wait(&started);
	ck_ready();
	ck_wait_go();
	memcpy(before, rounds, sizeof(before));
	/* all of them get on */
	for (int i = 0; i < THREADS; i++) {
		int tries = 2000;

		while (*(volatile uint64_t *)&rounds[i] == before[i] && tries--)
			usleep(5000);
		if (tries < 0)
			ck_bad("thread %d does not get on", i);
	}
	stop = 1;
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&lock);
	for (long i = 0; i < THREADS; i++) {
		void *ret;

		ck_check(!pthread_join(threads[i], &ret) && ret == (void *)(i + 1));
		if (bad[i])
			ck_bad("thread %ld: %ld", i, bad[i]);
		sum += added[i];
	}
	ck_check(sum == counter);
	ck_check(pthread_mutex_lock(&robust) == EOWNERDEAD);
	return ck_end();
}
