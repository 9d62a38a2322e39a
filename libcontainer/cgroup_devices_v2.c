// SPDX-License-Identifier: GPL-2.0-only
/*
 * cgroup v2 has no device lists: a BPF program on the cgroup is asked at every
 * open and mknod (kernel/bpf/cgroup.c, __cgroup_bpf_check_dev_permission()).
 * The rules are laid out as one, the last rule first, so that the first that
 * matches decides as the last one does in a list.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/cgroup_internal.h"
#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

/* A rule takes ten instructions at most, and a program has at most a million. */
#define RULES_MAX 10000

/* What the first instructions leave in registers. */
enum { REG_TYPE = BPF_REG_2, REG_ACCESS = BPF_REG_3, REG_MAJOR = BPF_REG_4, REG_MINOR = BPF_REG_5 };

struct program {
	struct bpf_insn *items;
	size_t count, size;
	bool failed;
};

static void emit(struct program *p, int code, int dst, int src, int off, int imm)
{
	struct bpf_insn *insn = vec_add(p);

	if (insn)
		*insn = (struct bpf_insn){
			.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
	else
		p->failed = true;
}

static void emit_return(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* access_type holds the device's type in its lower half, what is wanted in its upper. */
static void emit_start(struct program *p)
{
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REG_TYPE, BPF_REG_1,
	     offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(p, BPF_ALU | BPF_MOV | BPF_X, REG_ACCESS, REG_TYPE, 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, REG_TYPE, 0, 0, 0xffff);
	emit(p, BPF_ALU | BPF_RSH | BPF_K, REG_ACCESS, 0, 0, 16);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REG_MAJOR, BPF_REG_1,
	     offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(p, BPF_LDX | BPF_MEM | BPF_W, REG_MINOR, BPF_REG_1,
	     offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
}

static int access_bits(const char *access)
{
	const char *all = access && *access ? access : "rwm";

	return (strchr(all, 'r') ? BPF_DEVCG_ACC_READ : 0) |
	       (strchr(all, 'w') ? BPF_DEVCG_ACC_WRITE : 0) |
	       (strchr(all, 'm') ? BPF_DEVCG_ACC_MKNOD : 0);
}

/* To allow, all that is wanted must be in the rule; to deny, any of it. */
static void emit_access(struct program *p, const struct oci_device_rule *rule)
{
	int bits = access_bits(rule->access);

	emit(p, BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, REG_ACCESS, 0, 0);
	emit(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, bits);
	if (rule->allow)
		emit(p, BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, REG_ACCESS, 0, 0);
	else
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_1, 0, 0, 0);
}

static bool is_for_all(const struct oci_device_rule *rule)
{
	return rule->type != 'c' && rule->type != 'b';
}

static void emit_rule(struct program *p, const struct oci_device_rule *rule)
{
	size_t start = p->count;

	if (!is_for_all(rule)) {
		emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_TYPE, 0, 0,
		     rule->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
		emit_access(p, rule);
		if (rule->has_major)
			emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_MAJOR, 0, 0, rule->major);
		if (rule->has_minor)
			emit(p, BPF_JMP | BPF_JNE | BPF_K, REG_MINOR, 0, 0, rule->minor);
	}
	emit_return(p, rule->allow);
	/* all conditions jump to what follows the rule */
	for (size_t i = start; i < p->count; i++)
		if (BPF_CLASS(p->items[i].code) == BPF_JMP && BPF_OP(p->items[i].code) != BPF_EXIT)
			p->items[i].off = p->count - i - 1;
}

static int load(const struct program *p)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uintptr_t)p->items;
	attr.insn_cnt = p->count;
	attr.license = (uintptr_t) "GPL";
	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

static int attach(int program, int cgroup)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = cgroup;
	attr.attach_bpf_fd = program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	return syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr));
}

int cgroup_apply_devices_v2(const struct hierarchy *h, const struct oci_device_rule *rules,
			    size_t count, struct error **err)
{
	struct program p = {0};
	bool decided = false;
	int fd, r = 0;

	if (count > RULES_MAX)
		return error_set(err, E2BIG, "config.json: /linux/resources/devices: %zu rules",
				 count);
	emit_start(&p);
	/* before a rule for all devices there is nothing: the kernel refuses dead code */
	for (size_t i = count; i > 0 && !decided; i--) {
		emit_rule(&p, &rules[i - 1]);
		decided = is_for_all(&rules[i - 1]);
	}
	if (!decided)
		emit_return(&p, true);
	fd = p.failed ? (errno = ENOMEM, -1) : load(&p);
	if (fd < 0 || attach(fd, h->fd) < 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	vec_free(&p);
	/* without the privilege nobody can make device nodes in there either */
	if (r == -EPERM) {
		log_debug("device rules are not enforced: no right to load BPF programs");
		return 0;
	}
	if (r < 0)
		return error_errno(err, -r, "setting the device rules of cgroup \"%s\"", h->path);
	return 0;
}
