// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into what `make valgrind` builds: system calls that Valgrind 3.19 does not know, and
 * would answer with ENOSYS, or gets in the way of, are made on the real processor behind its back.
 * None of them writes to memory as it is called here. clone3 is not among these, for Valgrind has
 * to know of its children: it becomes clone, which can all but put the child into a cgroup of v2;
 * a pid is asked for as was done before clone3, and may be taken by another meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

static const long unknown[] = {
	SYS_pidfd_open, SYS_pidfd_getfd,   SYS_pidfd_send_signal, SYS_openat2,
	SYS_seccomp,	SYS_fsopen,	   SYS_fsconfig,	  SYS_fsmount,
	SYS_move_mount, SYS_open_tree,	   SYS_mount_setattr,	  SYS_process_mrelease,
	SYS_prlimit64,	SYS_setdomainname,
};

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

struct call {
	long number, a[6];
};

static long make_call(const struct call *c)
{
	register long r10 __asm__("r10") = c->a[3];
	register long r8 __asm__("r8") = c->a[4];
	register long r9 __asm__("r9") = c->a[5];
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(c->number), "D"(c->a[0]), "S"(c->a[1]), "d"(c->a[2]), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* On the real processor: what Valgrind passes first is its number of the thread. */
static long make_natively(long tid, const struct call *c)
{
	return make_call(c);
}

/*
 * Valgrind looks for a program's path, and the trampoline has none. While it runs us all signals
 * are blocked, which must not be so in the program: firn's own mask is empty at that point.
 */
static long execute_natively(long tid, const struct call *c)
{
	static const uint64_t none;
	const struct call unblock = {SYS_rt_sigprocmask,
				     {SIG_SETMASK, (long)&none, 0, sizeof(none)}};

	make_call(&unblock);
	return make_call(c);
}

/* The next pid of our pid namespace is to be this one. */
static long ask_for_pid(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", pid - 1);
	bool written = fd >= 0 && write(fd, text, len) == len;

	close(fd);
	return !written ? -EPERM : kill(pid, 0) == 0 ? -EEXIST : 0;
}

static long clone_instead(const struct call *clone3)
{
	const struct clone_args *args = (const struct clone_args *)clone3->a[0];
	const pid_t *wanted = (const pid_t *)args->set_tid;
	const struct call c = {
		.number = SYS_clone,
		.a = {(long)(args->flags | args->exit_signal), 0, (long)args->pidfd, 0, 0, 0},
	};

	long ret;

	if (args->flags & CLONE_INTO_CGROUP || args->set_tid_size > 1)
		return -ENOSYS;
	ret = args->set_tid_size ? ask_for_pid(*wanted) : 0;
	return ret ? ret : make_call(&c);
}

static long dispatch(const struct call *c)
{
	if (!RUNNING_ON_VALGRIND)
		return make_call(c);
	if (c->number == SYS_clone3)
		return clone_instead(c);
	if (c->number == SYS_execveat)
		return VALGRIND_NON_SIMD_CALL1(execute_natively, c);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (unknown[i] == c->number)
			return VALGRIND_NON_SIMD_CALL1(make_natively, c);
	return make_call(c);
}

static long with_errno(const struct call *c)
{
	long ret = dispatch(c);

	if (ret >= 0 || ret < -4095)
		return ret;
	errno = -ret;
	return -1;
}

#define MADE_BY(number, ...) with_errno(&(const struct call){number, {__VA_ARGS__}})

/* Those that libc has functions for. */
int pidfd_open(pid_t pid, unsigned flags)
{
	return MADE_BY(SYS_pidfd_open, pid, flags);
}

int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
	return MADE_BY(SYS_pidfd_getfd, pidfd, fd, flags);
}

int pidfd_send_signal(int pidfd, int signo, siginfo_t *info, unsigned flags)
{
	return MADE_BY(SYS_pidfd_send_signal, pidfd, signo, (long)info, flags);
}

int fsopen(const char *name, unsigned flags)
{
	return MADE_BY(SYS_fsopen, (long)name, flags);
}

int fsconfig(int fd, unsigned command, const char *key, const void *value, int aux)
{
	return MADE_BY(SYS_fsconfig, fd, command, (long)key, (long)value, aux);
}

int fsmount(int fd, unsigned flags, unsigned attributes)
{
	return MADE_BY(SYS_fsmount, fd, flags, attributes);
}

int move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
	return MADE_BY(SYS_move_mount, from, (long)from_path, to, (long)to_path, flags);
}

int open_tree(int fd, const char *path, unsigned flags)
{
	return MADE_BY(SYS_open_tree, fd, (long)path, flags);
}

int mount_setattr(int fd, const char *path, unsigned flags, struct mount_attr *attr, size_t size)
{
	return MADE_BY(SYS_mount_setattr, fd, (long)path, flags, (long)attr, size);
}

int setdomainname(const char *name, size_t len)
{
	return MADE_BY(SYS_setdomainname, (long)name, len);
}

/* Valgrind lets nobody change the hard limit of open files. */
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	struct rlimit known;

	/* what it tells is less than there is: above are its own descriptors, which must stay
	 * allowed */
	if (resource == RLIMIT_NOFILE && RUNNING_ON_VALGRIND && !getrlimit(resource, &known) &&
	    limit->rlim_max == known.rlim_max)
		return MADE_BY(SYS_setrlimit, resource, (long)limit);
	return MADE_BY(SYS_prlimit64, 0, resource, (long)limit, 0);
}

static long natively(const struct call *c)
{
	long ret = VALGRIND_NON_SIMD_CALL1(make_natively, c);

	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

/* Who has set the owner is a question that Valgrind refuses. */
int fcntl(int fd, int command, ...)
{
	struct call c = {SYS_fcntl, {fd, command}};
	bool unknown_to_it = command == F_GETOWNER_UIDS && RUNNING_ON_VALGRIND;
	va_list args;
	long ret;

	va_start(args, command);
	c.a[2] = va_arg(args, long);
	va_end(args);
	if (!unknown_to_it)
		return with_errno(&c);
	ret = natively(&c);
	VALGRIND_MAKE_MEM_DEFINED(c.a[2], 2 * sizeof(uid_t));
	return ret;
}

/* The length of a filter is told in instructions. */
int getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int ret = MADE_BY(SYS_getsockopt, fd, level, option, (long)value, (long)len);

	if (ret == 0 && level == SOL_SOCKET && option == SO_GET_FILTER && value)
		VALGRIND_MAKE_MEM_DEFINED(value, *len * sizeof(struct sock_filter));
	return ret;
}

/* What a request of ptrace writes to data, where Valgrind does not know. */
static size_t written_by_ptrace(int request, const struct call *c, long ret)
{
	switch (request) {
	case PTRACE_GETSIGMASK:
	case PTRACE_SECCOMP_GET_METADATA:
	case PTRACE_GET_RSEQ_CONFIGURATION:
		return c->a[2];
	case PTRACE_GET_SYSCALL_INFO:
		return ret < c->a[2] ? ret : c->a[2];
	case PTRACE_PEEKSIGINFO:
		return ret * sizeof(siginfo_t);
	case PTRACE_SECCOMP_GET_FILTER:
		return ret * sizeof(struct sock_filter);
	default:
		return 0;
	}
}

static long trace(const struct call *c)
{
	long ret = with_errno(c);

	if (ret >= 0 && c->a[3])
		VALGRIND_MAKE_MEM_DEFINED(c->a[3], written_by_ptrace(c->a[0], c, ret));
	return ret;
}

/* Sets of capabilities are two words long; Valgrind knows of one. */
static long get_capabilities(const struct call *c)
{
	long ret = with_errno(c);

	if (ret == 0 && c->a[1])
		VALGRIND_MAKE_MEM_DEFINED(c->a[1], _LINUX_CAPABILITY_U32S_3 *
							   sizeof(struct __user_cap_data_struct));
	return ret;
}

/* Instead of libc's. */
long syscall(long number, ...)
{
	struct call c = {.number = number};
	va_list args;

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		c.a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_capget)
		return get_capabilities(&c);
	return number == SYS_ptrace ? trace(&c) : with_errno(&c);
}

long ptrace(enum __ptrace_request request, ...)
{
	struct call c = {SYS_ptrace, {request}};
	bool peek = request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA ||
		    request == PTRACE_PEEKUSER;
	long word, ret;
	va_list args;

	va_start(args, request);
	for (int i = 1; i < 4; i++)
		c.a[i] = va_arg(args, long);
	va_end(args);
	if (peek)
		c.a[3] = (long)&word;
	ret = trace(&c);
	if (peek && ret >= 0)
		errno = 0;
	return peek && ret >= 0 ? word : ret;
}

/* PAGEMAP_SCAN, which Debian 12's headers do not have. */
struct scan {
	uint64_t size, flags, start, end, walk_end, regions, count, max, inverted, all, any, wanted;
};
#define SCAN	    _IOWR('f', 16, struct scan)
#define REGION_SIZE 24

/* linux/inotify.h and fcntl.h do not go together */
#define INOTIFY_IOC_SETNEXTWD _IOW('I', 0, int32_t)

int ioctl(int fd, unsigned long request, ...)
{
	struct call c = {SYS_ioctl, {fd, (long)request}};
	va_list args;
	long ret;

	va_start(args, request);
	c.a[2] = va_arg(args, long);
	va_end(args);
	/* its argument is a number, and Valgrind takes it for an address */
	if (request == INOTIFY_IOC_SETNEXTWD && RUNNING_ON_VALGRIND)
		return natively(&c);
	ret = with_errno(&c);
	if (ret == 0 && request == TIOCGSID)
		VALGRIND_MAKE_MEM_DEFINED(c.a[2], sizeof(pid_t));
	if (ret > 0 && request == SCAN) {
		const struct scan *scan = (const struct scan *)c.a[2];

		VALGRIND_MAKE_MEM_DEFINED(scan->regions, ret * REGION_SIZE);
	}
	return ret;
}
