/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * checkpoint(2) and restart(2): arguments, and the records that they write and
 * read. The same file is include/uapi/linux/checkpoint.h of the kernel and a
 * part of the checkpoint image's format.
 *
 * Only __uNN types, no pointers, no padding that is not named; unused fields are
 * zero. A structure only grows at its end.
 */
#ifndef _UAPI_LINUX_CHECKPOINT_H
#define _UAPI_LINUX_CHECKPOINT_H

#include <linux/types.h>

/* --- the calls --- */

#define CHECKPOINT_ABI	 1
#define CHECKPOINT_MAGIC 0x6e726946 /* what a query answers: this is the call that was meant */

enum checkpoint_op {
	CHECKPOINT_QUERY,    /* fills in magic, abi and classes; pidfd and fd are -1 */
	CHECKPOINT_HOLD,     /* fd is the frozen cgroup, or -1; returns a descriptor */
	CHECKPOINT_SNAPSHOT, /* of a held process's memory; returns a descriptor */
	CHECKPOINT_DUMP,     /* records of the classes go to fd */
	/* what a held process's time namespace has now: monotonic and boottime */
	CHECKPOINT_SET_CLOCKS,
};

/* What can be saved and restored; a set of them is 1 << these. */
enum checkpoint_class {
	CHECKPOINT_CLASS_MEMORY = 0,  /* MM, VMAS, AUXV, PAGES */
	CHECKPOINT_CLASS_THREADS = 1, /* THREAD, XSTATE */
	CHECKPOINT_CLASS_SIGNALS = 2, /* SIGACTIONS, SIGPENDING */
	CHECKPOINT_CLASS_TIMERS = 3,  /* ITIMERS, POSIX_TIMERS */
	CHECKPOINT_CLASS_CREDS = 4,   /* CREDS, PROCESS */
	CHECKPOINT_CLASS_LOCKS = 5,   /* locks: flock, posix, OFD */
	CHECKPOINT_CLASS_LEASES = 6,  /* leases */
	CHECKPOINT_CLASS_SYSVIPC = 7, /* of a namespace: IPC_* */
	CHECKPOINT_CLASS_SEMUNDO = 8, /* semaphore undo */
	CHECKPOINT_CLASS_TIME = 9,    /* the offsets of a time namespace */
};

/* What a call refused, and why. */
struct checkpoint_error {
	__u32 pid;	/* as the caller sees it; 0: no process's */
	__u32 class_id; /* enum checkpoint_class, or ~0 */
	char object[48];
	char reason[72];
};

/* flags */
#define CHECKPOINT_FROM_SNAPSHOT 1 /* source is a snapshot and not a hold: memory only */

struct checkpoint_args {
	__u32 op; /* enum checkpoint_op */
	__u32 flags;
	__u64 classes; /* wanted; a query's answer */
	__u32 magic;   /* a query's answer */
	__u32 abi;     /* a query's answer */
	/* The begin of the checkpoint on the host's clocks: relative times are counted from it. */
	__u64 realtime, monotonic, boottime;
	__s32 source;	    /* what CHECKPOINT_HOLD returned, or CHECKPOINT_SNAPSHOT */
	__s32 pages;	    /* page contents go to this file, or -1 */
	__u64 pages_offset; /* from here on; moved on by what was written */
	__u64 cursor;	    /* memory: 0, or where an interrupted call (EINTR) was */
	__u64 error;	    /* address of a struct checkpoint_error, or 0 */
	__u32 error_size;
	__u32 reserved;
};

/* A file that a stub has open for a mapping: its record's kind and source. */
struct restart_file {
	__u32 kind; /* enum ckpt_vma_kind */
	__u32 source;
	__s32 fd;
	__u32 reserved;
};

/* flags */
#define RESTART_CHECK 1 /* only says whether the records are well-formed */

struct restart_args {
	__u32 flags;
	__u32 files; /* how many files_at has */
	__u64 classes;
	/* Now, on the host's clocks: what relative times are armed against. */
	__u64 realtime, monotonic, boottime;
	__u64 files_at; /* address of struct restart_file rows */
	__s32 pages;	/* page contents, or -1 */
	__u32 error_size;
	__u64 error;		     /* address of a struct checkpoint_error, or 0 */
	__u64 keep_start, keep_len;  /* memory: a mapping that survives */
	__u64 drop_start, drop_len;  /* threads: unmapped at last */
	__u64 stream_at, stream_len; /* with fd -1: the records, in the caller's memory */
};

/* --- records --- */

struct ckpt_header {
	__u32 type;
	__u16 version;
	__u16 reserved;
	__u64 len; /* of what follows, without padding to 8 bytes */
};

/* of the container */
#define CKPT_LOCK	26
#define CKPT_LEASE	27
#define CKPT_IPC_LIMITS 41
#define CKPT_IPC_SHM	42
#define CKPT_IPC_SEM	43
#define CKPT_IPC_MSG	44

/* of a process */
#define CKPT_MM		64
#define CKPT_VMAS	65
#define CKPT_AUXV	66
#define CKPT_SIGACTIONS 69
/* before the first CKPT_THREAD: the shared queue; after: that thread's */
#define CKPT_SIGPENDING	  70
#define CKPT_RLIMITS	  71
#define CKPT_ITIMERS	  72
#define CKPT_POSIX_TIMERS 73
#define CKPT_PROCESS	  74
#define CKPT_PAGES	  75 /* of a dump: as many as it takes, without checksums */
#define CKPT_MM_POLICY	  76
/* a set each; before the first CKPT_THREAD: of all threads, after: of one that has its own */
#define CKPT_SEM_UNDO	77
#define CKPT_MEMBARRIER 78
#define CKPT_PRCTLS	80

/* of a thread */
#define CKPT_THREAD	   96
#define CKPT_XSTATE	   97
#define CKPT_CREDS	   98
#define CKPT_SECCOMP	   99
#define CKPT_SCHED	   100
#define CKPT_THREAD_PRCTLS 101

/* A run of pages in a core's page index or a memory object. */
enum ckpt_page_kind { CKPT_PAGES_DATA = 1, CKPT_PAGES_ZERO = 2, CKPT_PAGES_PARENT = 3 };
#define CKPT_PAGES_HUGE 1 /* backed by huge pages when saved */

struct ckpt_page_run {
	__u64 address; /* virtual; in an object: offset in it */
	__u64 len;
	__u64 offset; /* in the file, page aligned; data only */
	__u16 kind;
	__u16 flags;
	__u32 source; /* 0: this file; reserved for increments */
};

/* The page index of a core: runs rows of ckpt_page_run follow, then checksums __u64. */
struct ckpt_pages {
	__u64 data_offset, data_len;
	__u64 runs;
	__u64 checksums;
};

enum ckpt_ipc_flags { CKPT_IPC_DEST = 1, CKPT_IPC_LOCKED = 2 };

struct ckpt_ipc_perm {
	__u32 id;
	__u32 key;
	__u32 uid, gid, cuid, cgid;
	__u32 mode;
	__u32 seq;
};

struct ckpt_ipc_limits {
	__u64 shmmax, shmall, shmmni, shm_rmid_forced;
	__u64 sem[4]; /* kernel.sem */
	__u64 msgmax, msgmnb, msgmni;
};

struct ckpt_ipc_shm {
	struct ckpt_ipc_perm perm;
	__u64 size;
	__u64 atime, dtime, ctime; /* seconds */
	__u32 cpid, lpid;
	__u32 flags;
	__u32 object; /* CKPT_MEMORY_OBJECT with the contents */
};

/* nsems rows of struct ckpt_ipc_sem_value follow */
struct ckpt_ipc_sem {
	struct ckpt_ipc_perm perm;
	__u64 otime, ctime;
	__u32 nsems;
	__u32 reserved;
};

struct ckpt_ipc_sem_value {
	__u32 value;
	__u32 pid;
};

/* messages follow: struct ckpt_ipc_message, text padded to 8 */
struct ckpt_ipc_msg {
	struct ckpt_ipc_perm perm;
	__u64 stime, rtime, ctime;
	__u64 qbytes;
	__u32 lspid, lrpid;
	__u32 messages;
	__u32 reserved;
};

struct ckpt_ipc_message {
	__u64 type;
	__u64 len;
};

/* What is undone of semaphore operations at exit: nsems __s16 follow, one for each semaphore. */
struct ckpt_sem_undo {
	__u32 semid;
	__u32 nsems;
};

enum ckpt_lock_kind { CKPT_LOCK_POSIX, CKPT_LOCK_FLOCK, CKPT_LOCK_OFD };

/*
 * A file lock. Who takes it again: that descriptor of that process. The kernel writes it
 * for each process that has the description open, which it leaves at 0.
 */
struct ckpt_lock {
	__u32 description;
	__u32 task;
	__u32 fd;
	__u32 kind;  /* enum ckpt_lock_kind */
	__u32 write; /* else for reading, or shared */
	__u32 reserved;
	__u64 start, end; /* the last byte; all bits set: to the end of the file */
};

enum ckpt_lease_break { CKPT_LEASE_STAYS, CKPT_LEASE_NONE, CKPT_LEASE_READ };
#define CKPT_LEASE_FOREVER (~0ULL)

/* As a lock. What is left of a break only the kernel knows. */
struct ckpt_lease {
	__u32 description;
	__u32 task;
	__u32 fd;
	__u32 write;
	__u32 becomes; /* enum ckpt_lease_break: what it has to become, if it is being broken */
	__u32 reserved;
	__u64 left;	 /* relative to begin; 0: not known, so the whole time again */
	__u64 read_left; /* broken twice: as left, until it becomes one for reading; else 0 */
};

/* --- a process --- */

struct ckpt_mm {
	__u64 start_code, end_code, start_data, end_data;
	__u64 start_brk, brk, start_stack;
	__u64 arg_start, arg_end, env_start, env_end;
	__u32 exe; /* CKPT_FILE id */
	__u32 thp_disable;
	__u64 vdso, vdso_len; /* 0: none mapped */
	__u64 vvar, vvar_len; /* everything of the kernel's before the vdso */
	__u64 vdso_hash;      /* XXH3 of the vdso's bytes: another one is another program */
};

enum ckpt_vma_kind {
	CKPT_VMA_ANON,	  /* private anonymous */
	CKPT_VMA_FILE,	  /* file, private or shared */
	CKPT_VMA_OBJECT,  /* shared anonymous memory: source is an object */
	CKPT_VMA_SHM,	  /* SysV: source is a shm id */
	CKPT_VMA_SPECIAL, /* vvar, vdso, vsyscall: comes with the stub */
};

#define CKPT_VMA_SHARED	      1 /* MAP_SHARED */
#define CKPT_VMA_SHARED_WRITE 2 /* is or may become writable: the file was open for writing */

#define CKPT_VMA_GROWSDOWN  1
#define CKPT_VMA_LOCKED	    2
#define CKPT_VMA_NORESERVE  4
#define CKPT_VMA_HUGEPAGE   8
#define CKPT_VMA_NOHUGE	    16
#define CKPT_VMA_DONTFORK   32
#define CKPT_VMA_DONTDUMP   64
#define CKPT_VMA_WIPEONFORK 128
#define CKPT_VMA_MERGEABLE  256
#define CKPT_VMA_SEQ	    512
#define CKPT_VMA_RAND	    1024
#define CKPT_VMA_ONFAULT    2048 /* with CKPT_VMA_LOCKED: pages are locked when they come */

/* CKPT_VMAS is an array of these, by address */
struct ckpt_vma {
	__u64 start, end;
	__u64 offset; /* bytes */
	__u32 prot;   /* PROT_* */
	__u32 shared; /* 0 private, else CKPT_VMA_SHARED | perhaps CKPT_VMA_SHARED_WRITE */
	__u32 kind;   /* enum ckpt_vma_kind */
	__u32 source; /* CKPT_FILE id, object number or shm id */
	__u32 flags;  /* CKPT_VMA_* */
	__u32 reserved;
	char name[16]; /* of a special mapping, as in /proc/PID/maps */
};

enum ckpt_range_kind {
	CKPT_RANGE_GUARD,  /* MADV_GUARD_INSTALL */
	CKPT_RANGE_POLICY, /* value: mode and flags as for mbind(2); nodes */
	CKPT_RANGE_PKEY,   /* value: the protection key */
};

struct ckpt_range {
	__u64 start, end;
	__u32 kind; /* enum ckpt_range_kind */
	__u32 value;
	__u64 nodes[4]; /* bit n of the first: node n */
};

/* Rows of struct ckpt_range follow. */
struct ckpt_mm_policy {
	__u32 ranges;
	__u32 pkeys;	   /* bit k: key k is in use */
	__u32 lock_future; /* MCL_FUTURE, MCL_ONFAULT */
	__u32 merge;	   /* PR_SET_MEMORY_MERGE */
};

/* MEMBARRIER_CMD_REGISTER_* of the process */
struct ckpt_membarrier {
	__u32 registered;
	__u32 reserved;
};

/*
 * CKPT_PRCTLS, CKPT_THREAD_PRCTLS: an array of these, the calls of prctl(2) or arch_prctl(2) that
 * set what is not as in a program that has called none.
 */
struct ckpt_prctl {
	__u32 option;
	__u32 reserved;
	__u64 args[4];
};

/* CKPT_RLIMITS: RLIM_NLIMITS of these */
struct ckpt_rlimit {
	__u64 cur, max;
};

/* CKPT_SIGACTIONS: 64 of these, as the kernel's struct sigaction */
struct ckpt_sigaction {
	__u64 handler, flags, restorer, mask;
};

/* CKPT_SIGPENDING: an array of siginfo_t, 128 bytes each, in queue order */

/* CKPT_ITIMERS: real, virtual, prof */
struct ckpt_itimer {
	__u64 interval, value;
};

/* in notify: value is a date, nanoseconds since the epoch */
#define CKPT_TIMER_DATE 0x80000000u

/* CKPT_POSIX_TIMERS: an array, by id */
struct ckpt_posix_timer {
	__u32 id;
	__u32 clockid;
	__u32 signo;
	__u32 notify;
	__u32 notify_tid; /* SIGEV_THREAD_ID */
	__u32 overrun; /* of the last signal; from the kernel: of the one that is pending, if any */
	__u64 sigev_value;
	__u64 interval;
	__u64 value; /* time left, 0 disarmed */
};

struct ckpt_process {
	__u32 dumpable;
	__u32 subreaper; /* from the kernel; an image has it in CKPT_TASK */
	__u32 personality;
	__s32 oom_score_adj;
	__u32 no_new_privs;
	__u32 stopped; /* from the kernel: the signal that it is stopped by, or 0 */
};

/* --- a thread --- */

enum ckpt_sleep {
	CKPT_SLEEP_NONE,
	CKPT_SLEEP_RESTART, /* in restart_syscall's hands: nr and left say what to build again */
	CKPT_SLEEP_REWIND,  /* returned EINTR for no signal's sake: issue again */
};

struct ckpt_thread {
	__u32 tid;
	__u32 sleep;	/* enum ckpt_sleep */
	__u64 regs[27]; /* struct user_regs_struct of x86-64 */
	__u64 sigmask;
	__u64 clear_child_tid;
	__u64 robust_list, robust_list_len;
	__u64 rseq, rseq_abort_ip; /* abort_ip: reserved, 0 */
	__u32 rseq_len, rseq_sig;
	__u64 altstack, altstack_size;
	__u32 altstack_flags;
	__u32 pdeathsig;
	__u32 sleep_nr; /* the system call */
	__u32 sleep_clock;
	__u64 sleep_left; /* relative to begin */
	char comm[16];
};

/* CKPT_XSTATE: the bytes of NT_X86_XSTATE */

#define CKPT_CAP_SETS 5 /* inheritable, permitted, effective, bounding, ambient */

/* group ids follow, __u32 each */
struct ckpt_creds {
	__u32 uid[4]; /* real, effective, saved, fs; as the container sees them */
	__u32 gid[4];
	__u64 caps[CKPT_CAP_SETS];
	__u32 securebits;
	__u32 no_new_privs;
	__u32 groups;
	__u32 reserved;
};

/* One filter of a thread, oldest first: struct sock_filter rows follow. */
struct ckpt_seccomp {
	__u32 mode;
	__u32 flags;
	__u32 instructions;
	__u32 reserved;
};

#define CKPT_NO_AUTOGROUP 100

/*
 * cpus_len bytes of a mask of processors follow; none: it may run on all that there are.
 * The kernel writes of it what only the thread itself could ask for: slack and policy.
 */
struct ckpt_sched {
	__u32 policy;
	__s32 nice;
	__u32 priority;
	__u32 flags; /* SCHED_FLAG_* */
	__u64 timer_slack;
	__u64 runtime, deadline, period;
	__u32 util_min, util_max;
	__u32 ioprio;
	__u32 personality;
	__s32 autogroup; /* of a first thread: nice of its session; or CKPT_NO_AUTOGROUP */
	__u32 cpus_len;
	__u32 policy_mode; /* of memory, as for set_mempolicy(2) */
	__u32 reserved;
	__u64 policy_nodes[4];
};

#endif
