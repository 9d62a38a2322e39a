// SPDX-License-Identifier: GPL-2.0-only
#include "oci/words.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

/* since Linux 6.9; the headers may be older */
#define MPOL_WEIGHTED_INTERLEAVE_NUMBER 6

#define WORD(value)                                                                                \
	{                                                                                          \
#value, value                                                                      \
	}

static const struct oci_word namespaces[] = {
	{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mount", CLONE_NEWNS},
	{"network", CLONE_NEWNET},   {"pid", CLONE_NEWPID}, {"time", CLONE_NEWTIME},
	{"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS}, {0},
};
const struct oci_words oci_namespace_words = {"namespace type", namespaces};

#define CAP(name)                                                                                  \
	{                                                                                          \
#name, 1ULL << name                                                                \
	}
static const struct oci_word capabilities[] = {
	CAP(CAP_CHOWN),
	CAP(CAP_DAC_OVERRIDE),
	CAP(CAP_DAC_READ_SEARCH),
	CAP(CAP_FOWNER),
	CAP(CAP_FSETID),
	CAP(CAP_KILL),
	CAP(CAP_SETGID),
	CAP(CAP_SETUID),
	CAP(CAP_SETPCAP),
	CAP(CAP_LINUX_IMMUTABLE),
	CAP(CAP_NET_BIND_SERVICE),
	CAP(CAP_NET_BROADCAST),
	CAP(CAP_NET_ADMIN),
	CAP(CAP_NET_RAW),
	CAP(CAP_IPC_LOCK),
	CAP(CAP_IPC_OWNER),
	CAP(CAP_SYS_MODULE),
	CAP(CAP_SYS_RAWIO),
	CAP(CAP_SYS_CHROOT),
	CAP(CAP_SYS_PTRACE),
	CAP(CAP_SYS_PACCT),
	CAP(CAP_SYS_ADMIN),
	CAP(CAP_SYS_BOOT),
	CAP(CAP_SYS_NICE),
	CAP(CAP_SYS_RESOURCE),
	CAP(CAP_SYS_TIME),
	CAP(CAP_SYS_TTY_CONFIG),
	CAP(CAP_MKNOD),
	CAP(CAP_LEASE),
	CAP(CAP_AUDIT_WRITE),
	CAP(CAP_AUDIT_CONTROL),
	CAP(CAP_SETFCAP),
	CAP(CAP_MAC_OVERRIDE),
	CAP(CAP_MAC_ADMIN),
	CAP(CAP_SYSLOG),
	CAP(CAP_WAKE_ALARM),
	CAP(CAP_BLOCK_SUSPEND),
	CAP(CAP_AUDIT_READ),
	CAP(CAP_PERFMON),
	CAP(CAP_BPF),
	CAP(CAP_CHECKPOINT_RESTORE),
	{0},
};
const struct oci_words oci_capability_words = {"capability", capabilities};

static const struct oci_word rlimits[] = {
	WORD(RLIMIT_AS),
	WORD(RLIMIT_CORE),
	WORD(RLIMIT_CPU),
	WORD(RLIMIT_DATA),
	WORD(RLIMIT_FSIZE),
	WORD(RLIMIT_LOCKS),
	WORD(RLIMIT_MEMLOCK),
	WORD(RLIMIT_MSGQUEUE),
	WORD(RLIMIT_NICE),
	WORD(RLIMIT_NOFILE),
	WORD(RLIMIT_NPROC),
	WORD(RLIMIT_RSS),
	WORD(RLIMIT_RTPRIO),
	WORD(RLIMIT_RTTIME),
	WORD(RLIMIT_SIGPENDING),
	WORD(RLIMIT_STACK),
	{0},
};
const struct oci_words oci_rlimit_words = {"resource limit", rlimits};

static const struct oci_word propagations[] = {
	{"private", MS_PRIVATE},
	{"rprivate", MS_PRIVATE | MS_REC},
	{"shared", MS_SHARED},
	{"rshared", MS_SHARED | MS_REC},
	{"slave", MS_SLAVE},
	{"rslave", MS_SLAVE | MS_REC},
	{"unbindable", MS_UNBINDABLE},
	{"runbindable", MS_UNBINDABLE | MS_REC},
	{0},
};
const struct oci_words oci_propagation_words = {"mount propagation", propagations};

/* SCHED_ISO, which the specification names too, never came to the kernel */
static const struct oci_word sched_policies[] = {
	{"SCHED_OTHER", SCHED_NORMAL},
	WORD(SCHED_FIFO),
	WORD(SCHED_RR),
	WORD(SCHED_BATCH),
	WORD(SCHED_IDLE),
	WORD(SCHED_DEADLINE),
	{0},
};
const struct oci_words oci_sched_policy_words = {"scheduling policy", sched_policies};

static const struct oci_word sched_flags[] = {
	WORD(SCHED_FLAG_RESET_ON_FORK),	 WORD(SCHED_FLAG_RECLAIM),
	WORD(SCHED_FLAG_DL_OVERRUN),	 WORD(SCHED_FLAG_KEEP_POLICY),
	WORD(SCHED_FLAG_KEEP_PARAMS),	 WORD(SCHED_FLAG_UTIL_CLAMP_MIN),
	WORD(SCHED_FLAG_UTIL_CLAMP_MAX), {0},
};
const struct oci_words oci_sched_flag_words = {"scheduler flag", sched_flags};

static const struct oci_word io_classes[] = {
	WORD(IOPRIO_CLASS_RT),
	WORD(IOPRIO_CLASS_BE),
	WORD(IOPRIO_CLASS_IDLE),
	{0},
};
const struct oci_words oci_io_class_words = {"I/O priority class", io_classes};

static const struct oci_word memory_policies[] = {
	WORD(MPOL_DEFAULT),
	WORD(MPOL_PREFERRED),
	WORD(MPOL_BIND),
	WORD(MPOL_INTERLEAVE),
	WORD(MPOL_LOCAL),
	WORD(MPOL_PREFERRED_MANY),
	{"MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE_NUMBER},
	{0},
};
const struct oci_words oci_memory_policy_words = {"memory policy", memory_policies};

static const struct oci_word memory_policy_flags[] = {
	WORD(MPOL_F_NUMA_BALANCING),
	WORD(MPOL_F_RELATIVE_NODES),
	WORD(MPOL_F_STATIC_NODES),
	{0},
};
const struct oci_words oci_memory_policy_flag_words = {"memory policy flag", memory_policy_flags};

static const struct oci_word personalities[] = {
	{"LINUX", PER_LINUX},
	{"LINUX32", PER_LINUX32},
	{0},
};
const struct oci_words oci_personality_words = {"personality domain", personalities};

static const struct oci_word seccomp_actions[] = {
	WORD(SCMP_ACT_ALLOW),	    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
	WORD(SCMP_ACT_KILL),	    WORD(SCMP_ACT_KILL_PROCESS),
	WORD(SCMP_ACT_KILL_THREAD), WORD(SCMP_ACT_LOG),
	WORD(SCMP_ACT_NOTIFY),	    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
	WORD(SCMP_ACT_TRAP),	    {0},
};
const struct oci_words oci_seccomp_action_words = {"seccomp action", seccomp_actions};

static const struct oci_word seccomp_ops[] = {
	WORD(SCMP_CMP_EQ), WORD(SCMP_CMP_GE),	     WORD(SCMP_CMP_GT), WORD(SCMP_CMP_LE),
	WORD(SCMP_CMP_LT), WORD(SCMP_CMP_MASKED_EQ), WORD(SCMP_CMP_NE), {0},
};
const struct oci_words oci_seccomp_op_words = {"seccomp operator", seccomp_ops};

static const struct oci_word seccomp_archs[] = {
	WORD(SCMP_ARCH_AARCH64),   WORD(SCMP_ARCH_ARM),
	WORD(SCMP_ARCH_MIPS),	   WORD(SCMP_ARCH_MIPS64),
	WORD(SCMP_ARCH_MIPS64N32), WORD(SCMP_ARCH_MIPSEL),
	WORD(SCMP_ARCH_MIPSEL64),  WORD(SCMP_ARCH_MIPSEL64N32),
	WORD(SCMP_ARCH_PARISC),	   WORD(SCMP_ARCH_PARISC64),
	WORD(SCMP_ARCH_PPC),	   WORD(SCMP_ARCH_PPC64),
	WORD(SCMP_ARCH_PPC64LE),   WORD(SCMP_ARCH_RISCV64),
	WORD(SCMP_ARCH_S390),	   WORD(SCMP_ARCH_S390X),
	WORD(SCMP_ARCH_X32),	   WORD(SCMP_ARCH_X86),
	WORD(SCMP_ARCH_X86_64),	   {0},
};
const struct oci_words oci_seccomp_arch_words = {"seccomp architecture", seccomp_archs};

static const struct oci_word seccomp_flags[] = {
	WORD(SECCOMP_FILTER_FLAG_TSYNC),
	WORD(SECCOMP_FILTER_FLAG_LOG),
	WORD(SECCOMP_FILTER_FLAG_SPEC_ALLOW),
	WORD(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
	{0},
};
const struct oci_words oci_seccomp_flag_words = {"seccomp flag", seccomp_flags};

const struct oci_word *oci_word_find(const struct oci_words *words, const char *name)
{
	for (const struct oci_word *w = words->words; w->name; w++)
		if (strcmp(w->name, name) == 0)
			return w;
	return NULL;
}

const char *oci_word_name(const struct oci_words *words, uint64_t value)
{
	for (const struct oci_word *w = words->words; w->name; w++)
		if (w->value == value)
			return w->name;
	return NULL;
}
