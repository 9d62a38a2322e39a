// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_prctl GO [plain]: what prctl(2) and arch_prctl(2) have set: of the process
 * memory-deny-write-execute with a mapping of before that is both (a child inherits it), huge
 * pages, AMX; of a thread the time stamp counter, memory errors, speculation, CPUID; dispatch of
 * system calls, with all of them blocked while the program waits (not if it is to be plain). Says
 * "without WHAT" of what kernel or CPU have not.
 */
#include <asm/prctl.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "res.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#define MDWE	       3  /* PR_MDWE_REFUSE_EXEC_GAIN | PR_MDWE_NO_INHERIT */
#define EXCEPT_ADVISED 2  /* PR_THP_DISABLE_EXCEPT_ADVISED */
#define DISPATCH       59 /* PR_SET_SYSCALL_USER_DISPATCH */
#define INCLUSIVE      2  /* PR_SYS_DISPATCH_INCLUSIVE_ON */
#define TILES	       18
#define GET_XCOMP_PERM 0x1022
#define REQ_XCOMP_PERM 0x1023
#define L1D_FLUSH      2
#define PAGE	       4096

/* Two system calls at places of their own: the range of either can be told to the kernel. */
long here(long nr, long a, long b);
long there(long nr, long a, long b);
extern const char here_end[], there_end[];
#define CALL_AT(name)                                                                              \
	__asm__(".text\n.globl " #name "," #name "_end\n" #name ":\n"                              \
		"mov %rdi, %rax\nmov %rsi, %rdi\nmov %rdx, %rsi\nxor %edx, %edx\n"                 \
		"syscall\nret\n" #name "_end:\n")
CALL_AT(here);
CALL_AT(there);

static void without(const char *what)
{
	printf("without %s: %s\n", what, strerror(errno));
}

/* --- the process --- */

static unsigned char *both; /* writable and executable */
static int memory_denied, tiles, advised;

static void set_process(void)
{
	both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	CHECK(both != MAP_FAILED);
	memory_denied = !prctl(PR_SET_MDWE, MDWE, 0, 0, 0) || !prctl(PR_SET_MDWE, 1, 0, 0, 0);
	if (memory_denied)
		memory_denied = prctl(PR_GET_MDWE, 0, 0, 0, 0);
	else
		without("memory-deny-write-execute");
	tiles = !syscall(SYS_arch_prctl, REQ_XCOMP_PERM, TILES);
	if (!tiles)
		without("AMX tiles");
	advised = !prctl(PR_SET_THP_DISABLE, 1, EXCEPT_ADVISED, 0, 0);
	if (!advised)
		without("huge pages where they are advised only");
}

static void check_process(void)
{
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
	unsigned long permitted = 0;

	memcpy(both, code, sizeof(code));
	CHECK(((int (*)(void))(void *)both)() == 42);
	if (memory_denied) {
		CHECK(prctl(PR_GET_MDWE, 0, 0, 0, 0) == memory_denied);
		CHECK(mmap(NULL, PAGE, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0) == MAP_FAILED &&
		      errno == EACCES);
	}
	syscall(SYS_arch_prctl, GET_XCOMP_PERM, &permitted);
	CHECK(!tiles || permitted & 1ul << TILES);
	CHECK(!advised || prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == (1 | EXCEPT_ADVISED));
}

/* --- a process and its child, which inherits what it was denied --- */

static int over[2]; /* nobody writes to it, and all is over when nobody could */

static void wait_until_over(void)
{
	char c;

	close(over[1]);
	CHECK(read(over[0], &c, 1) == 0);
	CHECK(prctl(PR_GET_MDWE, 0, 0, 0, 0) == 1);
}

static void be_denied(void)
{
	pid_t heir;

	CHECK(!prctl(PR_SET_MDWE, 1, 0, 0, 0));
	heir = start_role(wait_until_over);
	wait_until_over();
	end_role(heir);
}

/* --- a thread --- */

static const struct speculation {
	const char *name;
	int which, value;
} speculations[] = {
	{"choice of the speculation of stores", PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE},
	{"choice of the speculation of indirect branches", PR_SPEC_INDIRECT_BRANCH,
	 PR_SPEC_DISABLE},
	{"choice of the flushing of the L1 data cache", L1D_FLUSH, PR_SPEC_ENABLE},
};
#define SPECULATIONS (sizeof(speculations) / sizeof(*speculations))

static int speculation_was[SPECULATIONS], cpuid_off, flusher;

static int get_speculation(const struct speculation *s)
{
	return prctl(PR_GET_SPECULATION_CTRL, s->which, 0, 0, 0);
}

static void set_thread(void)
{
	CHECK(!prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0));
	CHECK(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	flusher = !prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	if (!flusher)
		without("the I/O flusher state");
	cpuid_off = !syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
	if (!cpuid_off)
		without("faults of CPUID");
	for (size_t i = 0; i < SPECULATIONS; i++) {
		const struct speculation *s = &speculations[i];

		if (prctl(PR_SET_SPECULATION_CTRL, s->which, s->value, 0, 0))
			without(s->name);
		speculation_was[i] = get_speculation(s);
	}
}

static sigjmp_buf faulted;

static void on_fault(int signo)
{
	siglongjmp(faulted, signo);
}

static int reading_tsc_faults(void)
{
	struct sigaction action = {.sa_handler = on_fault};
	unsigned low, high;

	CHECK(!sigaction(SIGSEGV, &action, NULL));
	if (sigsetjmp(faulted, 1))
		return 1;
	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return 0;
}

static void check_thread(void)
{
	int tsc = 0;

	CHECK(!prctl(PR_GET_TSC, &tsc, 0, 0, 0) && tsc == PR_TSC_SIGSEGV);
	CHECK(reading_tsc_faults());
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
	CHECK(!flusher || prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) == 1);
	CHECK(!cpuid_off || !syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
	for (size_t i = 0; i < SPECULATIONS; i++)
		CHECK(get_speculation(&speculations[i]) == speculation_was[i]);
}

static void check_others(void)
{
	int tsc = 0;

	CHECK(!prctl(PR_GET_TSC, &tsc, 0, 0, 0) && tsc == PR_TSC_ENABLE);
	CHECK(!reading_tsc_faults());
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
}

/* --- dispatch of system calls --- */

static volatile char selector;
static volatile sig_atomic_t dispatched;
static volatile int goes;

static void on_dispatch(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	dispatched += info->si_syscall == SYS_getpid;
}

static void handle_dispatch(void)
{
	struct sigaction action = {.sa_sigaction = on_dispatch, .sa_flags = SA_SIGINFO};

	CHECK(!sigaction(SIGSYS, &action, NULL));
}

/* The call comes to the program instead of the kernel, this once. */
static void check_dispatched(long (*call)(long, long, long))
{
	int before = dispatched;

	call(SYS_getpid, 0, 0);
	CHECK(dispatched == before + 1);
}

/* --- its tasks --- */

static pthread_barrier_t set;

static void wait_until_it_goes(void)
{
	struct timespec ms10 = {0, 10000000};

	while (!goes)
		there(SYS_nanosleep, (long)&ms10, 0);
}

static void *be_controlled(void *same)
{
	set_thread();
	pthread_barrier_wait(&set);
	wait_until_it_goes();
	check_thread();
	return same;
}

/* Only calls of one place are dispatched. */
static void *be_dispatched(void *plain)
{
	int inclusive = !plain && !prctl(DISPATCH, INCLUSIVE, here, here_end - (char *)here, NULL);

	if (!inclusive && !plain)
		without("dispatch of a range of calls");
	pthread_barrier_wait(&set);
	wait_until_it_goes();
	CHECK(getppid() >= 0);
	if (inclusive)
		check_dispatched(here);
	return NULL;
}

/* By calls that are not dispatched, whichever are. */
static void wait_for_file(const char *go)
{
	struct timespec ms10 = {0, 10000000};

	puts("ready");
	fflush(stdout);
	selector = SYSCALL_DISPATCH_FILTER_BLOCK;
	while (there(SYS_access, (long)go, F_OK))
		there(SYS_nanosleep, (long)&ms10, 0);
}

int main(int argc, char **argv)
{
	char *plain = argc > 2 ? argv[2] : NULL;
	pthread_t threads[2];
	pid_t denied = 0;

	CHECK(argc >= 2 && !pipe(over));
	if (prctl(PR_GET_MDWE, 0, 0, 0, 0) == 0)
		denied = start_role(be_denied);
	set_process();
	handle_dispatch();
	CHECK(!pthread_barrier_init(&set, NULL, 3));
	CHECK(!pthread_create(&threads[0], NULL, be_controlled, NULL));
	CHECK(!pthread_create(&threads[1], NULL, be_dispatched, plain));
	pthread_barrier_wait(&set);
	CHECK(plain ||
	      !prctl(DISPATCH, PR_SYS_DISPATCH_ON, there, there_end - (char *)there, &selector));
	wait_for_file(argv[1]);
	if (!plain)
		check_dispatched(here);
	goes = 1;
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_join(threads[i], NULL));
	check_process();
	check_others();
	close(over[1]);
	if (denied)
		end_role(denied);
	return passed();
}
