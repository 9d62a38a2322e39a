// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/sync.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

/* How long the runtime may take to pass the listener on. */
#define LISTENER_PATIENCE_S 10

/* Instructions of later_calls(). */
#define LATER_CALLS_LEN 6

/* <asm/unistd.h> has it for programs of x32 only */
#define X32_SYSCALL_BIT 0x40000000

static void cleanup_filter(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

/* An action with the errno it returns, where it returns one. */
static uint32_t with_errno(uint32_t action, bool has, uint32_t value)
{
	if (action == SCMP_ACT_ERRNO(0))
		return SCMP_ACT_ERRNO(has ? value : EPERM);
	if (action == SCMP_ACT_TRACE(0))
		return SCMP_ACT_TRACE(has ? value : EPERM);
	return action;
}

static int add_architectures(scmp_filter_ctx ctx, const struct oci_seccomp *s, struct error **err)
{
	for (size_t i = 0; i < s->architectures.count; i++) {
		int ret = seccomp_arch_add(ctx, s->architectures.items[i]);

		if (ret < 0 && ret != -EEXIST)
			return error_errno(err, -ret, "/linux/seccomp/architectures/%zu", i);
	}
	return 0;
}

/*
 * Conditions on the same argument are alternatives of which each is a rule of
 * its own (libseccomp takes one per argument); on different ones they are
 * all demanded. runc has the same rule.
 */
static bool repeats_argument(const struct oci_seccomp_rule *rule)
{
	unsigned int seen = 0;

	vec_for_each (a, &rule->args) {
		if (seen & (1u << (a->index & 31)))
			return true;
		seen |= 1u << (a->index & 31);
	}
	return false;
}

static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr,
		    const struct oci_seccomp_rule *rule)
{
	struct scmp_arg_cmp compare[6];
	unsigned int count = 0;
	bool alternatives = repeats_argument(rule);

	vec_for_each (a, &rule->args) {
		struct scmp_arg_cmp c = {
			.arg = a->index,
			.op = a->op,
			.datum_a = a->value,
			.datum_b = a->value_two,
		};

		if (alternatives) {
			int ret = seccomp_rule_add_array(ctx, action, nr, 1, &c);

			if (ret < 0)
				return ret;
			continue;
		}
		if (count == 6)
			return -EINVAL;
		compare[count++] = c;
	}
	return alternatives ? 0 : seccomp_rule_add_array(ctx, action, nr, count, compare);
}

static int add_rule(scmp_filter_ctx ctx, const struct oci_seccomp *s,
		    const struct oci_seccomp_rule *rule, bool refuse_unknown, struct error **err)
{
	uint32_t standard =
		with_errno(s->default_action, s->has_default_errno_ret, s->default_errno_ret);
	uint32_t action = with_errno(rule->action, rule->has_errno_ret, rule->errno_ret);

	/* libseccomp refuses rules that say what happens anyway */
	if (action == standard)
		return 0;
	for (size_t i = 0; i < rule->names.count; i++) {
		int nr = seccomp_syscall_resolve_name(rule->names.items[i]);
		int ret;

		if (nr == __NR_SCMP_ERROR && refuse_unknown)
			return error_set(err, EINVAL, "unknown system call \"%s\"",
					 rule->names.items[i]);
		if (nr == __NR_SCMP_ERROR) {
			log_debug("seccomp: unknown system call \"%s\"", rule->names.items[i]);
			continue;
		}
		ret = add_call(ctx, action, nr, rule);
		if (ret < 0)
			return error_errno(err, -ret, "the rule for \"%s\"", rule->names.items[i]);
	}
	return 0;
}

/* The highest number that the rules name for an architecture (of libseccomp), or -1. */
static int highest_call(const struct oci_seccomp *s, uint32_t arch)
{
	int highest = -1;

	vec_for_each (rule, &s->syscalls) {
		for (size_t i = 0; i < rule->names.count; i++) {
			int nr = seccomp_syscall_resolve_name_arch(arch, rule->names.items[i]);

			if (nr > highest)
				highest = nr;
		}
	}
	return highest;
}

#define CALL_DATA(member) offsetof(struct seccomp_data, member)

/*
 * What goes before libseccomp's filter where calls that are not named fail with the errno that
 * stands in no config.json: those that came after the last that is named, which who wrote the
 * filter cannot have known, are as on a kernel that has not got them yet. libcs then do without,
 * where EPERM would be the end. runc has the same rule. Calls of x86-64 only: others go to the
 * filter.
 */
static int later_calls(const struct oci_seccomp *s, struct sock_filter *room)
{
	int highest = highest_call(s, SCMP_ARCH_X86_64);
	const struct sock_filter code[LATER_CALLS_LEN] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_DATA(arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_DATA(nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_SYSCALL_BIT, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, highest, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};

	if (s->default_action != SCMP_ACT_ERRNO(0) || s->has_default_errno_ret || highest < 0)
		return 0;
	memcpy(room, code, sizeof(code));
	return LATER_CALLS_LEN;
}

static int export_program(scmp_filter_ctx ctx, const struct oci_seccomp *seccomp,
			  struct seccomp_program *program, struct error **err)
{
	__cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
	struct stat st;
	size_t count;
	int before, ret;

	if (fd < 0)
		return error_errno(err, errno, "making room for the seccomp filter");
	ret = seccomp_export_bpf(ctx, fd);
	if (ret < 0 || fstat(fd, &st) < 0)
		return error_errno(err, ret < 0 ? -ret : errno, "compiling the seccomp filter");
	count = st.st_size / sizeof(struct sock_filter);
	if (count + LATER_CALLS_LEN > BPF_MAXINSNS)
		return error_set(err, E2BIG, "the seccomp filter is longer than %d instructions",
				 BPF_MAXINSNS);
	program->filter = malloc((count + LATER_CALLS_LEN) * sizeof(struct sock_filter));
	if (!program->filter)
		return error_errno(err, ENOMEM, "compiling the seccomp filter");
	before = later_calls(seccomp, program->filter);
	program->count = before + count;
	ret = pread_full(fd, program->filter + before, st.st_size, 0);
	if (ret < 0)
		return error_errno(err, -ret, "reading the seccomp filter");
	return 0;
}

int seccomp_compile(const struct oci_seccomp *seccomp, bool refuse_unknown,
		    struct seccomp_program *program, struct error **err)
{
	__cleanup(cleanup_filter) scmp_filter_ctx ctx = NULL;
	int ret;

	if (!seccomp)
		return 0;
	ctx = seccomp_init(with_errno(seccomp->default_action, seccomp->has_default_errno_ret,
				      seccomp->default_errno_ret));
	if (!ctx)
		return error_set(err, EINVAL, "/linux/seccomp/defaultAction is not supported");
	ret = add_architectures(ctx, seccomp, err);
	if (ret < 0)
		return ret;
	/* a binary search tree: what libseccomp offers for long lists */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	vec_for_each (rule, &seccomp->syscalls) {
		ret = add_rule(ctx, seccomp, rule, refuse_unknown, err);
		if (ret < 0)
			return error_wrap(err, "/linux/seccomp/syscalls/%zu",
					  (size_t)(rule - seccomp->syscalls.items));
	}
	program->flags = seccomp->has_flags ? seccomp->flags : 0;
	program->listener = seccomp->listener_path;
	return export_program(ctx, seccomp, program, err);
}

/* If the runtime dies meanwhile nobody would end us. Timers of this kind end with exec. */
static int set_deadline(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	const struct itimerspec when = {.it_value.tv_sec = LISTENER_PATIENCE_S};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0 ||
	    timer_settime(timer, 0, &when, NULL) < 0)
		return -errno;
	return 0;
}

/*
 * Once the filter is there, any system call may wait for who has the listener. So its number is
 * told before (the lowest that is free, as the kernel takes it), and what is waited for is a
 * variable that the runtime sets from outside.
 */
static int install_listener(const struct seccomp_program *program, const struct sock_fprog *prog,
			    int report_fd, struct error **err)
{
	uint32_t flags = program->flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
	volatile int taken = 0;
	int number = dup(report_fd);
	int ret = number < 0 ? -errno : 0;

	/* else its result would be a thread's id */
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	if (number >= 0)
		close(number);
	if (ret == 0)
		ret = set_deadline();
	if (ret < 0)
		return error_errno(err, -ret, "preparing the seccomp listener");
	ret = sync_send_listener(report_fd, number, (uintptr_t)&taken, err);
	if (ret < 0)
		return ret;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, prog) < 0)
		return error_errno(err, errno, "installing the seccomp filter");
	while (!taken)
		__builtin_ia32_pause();
	return 0;
}

int seccomp_install(const struct seccomp_program *program, int report_fd, struct error **err)
{
	struct sock_fprog prog = {.len = program->count, .filter = program->filter};

	if (!program->filter)
		return 0;
	if (program->listener)
		return install_listener(program, &prog, report_fd, err);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program->flags, &prog) < 0)
		return error_errno(err, errno, "installing the seccomp filter");
	return 0;
}

void seccomp_program_free(struct seccomp_program *program)
{
	free(program->filter);
	program->filter = NULL;
}
