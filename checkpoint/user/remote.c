// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/remote.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "checkpoint/user/trace.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

extern const char remote_blob[], remote_blob_end[];

/* The window: code, calls, data, data of calls that are made later, and the frame that a task
 * returns by should we die. */
#define CALLS_OFFSET  4096
#define DATA_OFFSET   (CALLS_OFFSET + REMOTE_CALLS_MAX * sizeof(struct remote_call))
#define LATER_OFFSET  (DATA_OFFSET + REMOTE_DATA_SIZE)
#define RETURN_OFFSET (LATER_OFFSET + REMOTE_LATER_DATA)
#define RETURN_SIZE   (REMOTE_WINDOW - RETURN_OFFSET)

_Static_assert(RETURN_OFFSET + 32 * 1024 <= REMOTE_WINDOW, "no room for a signal frame");

struct remote_call *remote_calls(const struct remote *r)
{
	return (struct remote_call *)(r->window + CALLS_OFFSET);
}

void *remote_data(const struct remote *r)
{
	return r->window + DATA_OFFSET;
}

uint64_t remote_data_address(const struct remote *r)
{
	return r->address + DATA_OFFSET;
}

#define CODE_AT_ONCE 65536

uint64_t remote_find_syscall(pid_t tid, uint64_t start, uint64_t len)
{
	__cleanup_free uint8_t *code = malloc(CODE_AT_ONCE);
	ssize_t got;

	/* parts overlap by a byte: the instruction has two */
	for (uint64_t at = 0; code && at + 1 < len; at += got - 1) {
		struct iovec ours = {code, len - at < CODE_AT_ONCE ? len - at : CODE_AT_ONCE};
		struct iovec theirs = {(void *)(start + at), ours.iov_len};

		got = process_vm_readv(tid, &ours, 1, &theirs, 1, 0);
		if (got < 2)
			return 0;
		for (ssize_t i = 0; i + 1 < got; i++)
			if (code[i] == 0x0f && code[i + 1] == 0x05)
				return start + at + i;
	}
	return 0;
}

static int find_syscall_insn(struct remote *r, uint64_t code, uint64_t len, struct error **err)
{
	r->syscall_insn = remote_find_syscall(r->tid, code, len);
	return r->syscall_insn ? 0
			       : error_set(err, EOPNOTSUPP,
					   "task %d has no code to make system calls by", r->tid);
}

/* A signal that is dropped when nobody traces the task: ignored by default and not handled. */
int remote_choose_stop_signal(uint64_t caught)
{
	static const int candidates[] = {SIGURG, SIGWINCH, SIGCHLD};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++)
		if (!(caught & (1ull << (candidates[i] - 1))))
			return candidates[i];
	return 0;
}

/*
 * What rt_sigreturn reads: struct rt_sigframe, sigcontext_64 and _fpx_sw_bytes of
 * arch/x86/include/uapi/asm/sigcontext.h, which libc's headers do not agree with.
 */
struct return_frame {
	uint64_t flags;
	uint64_t link;
	struct {
		uint64_t sp;
		int32_t flags;
		int32_t pad;
		uint64_t size;
	} stack;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t mask;
};

struct xstate_trailer {
	uint32_t magic1;
	uint32_t extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size;
	uint32_t padding[7];
};

#define XSTATE_TRAILER_OFFSET 464
#define XSTATE_TILES_LEN      8192
#define XSTATE_MAGIC1	      0x46505853u
#define XSTATE_MAGIC2	      0x46505845u
#define UC_FLAGS	      7 /* FP_XSTATE | SIGCONTEXT_SS | STRICT_RESTORE_SS */
#define BAD_ALTSTACK_FLAGS                                                                         \
	0x55 /* refused, and the refusal is ignored: the alternate stack stays                     \
	      */

/* What the kernel would do on the way out of an interrupted call: a frame carries no orig_rax. */
static void rewind_call(struct user_regs_struct *regs)
{
	long ret = regs->rax;

	if ((long)regs->orig_rax < 0)
		return;
	if (ret != -512 && ret != -513 && ret != -514 && ret != -516)
		return;
	regs->rip -= 2;
	regs->rax = regs->orig_rax;
}

/*
 * How much of an XSAVE area of len bytes goes into a frame. All that a CPU has is what ptrace
 * shows; of a frame that has more than the kernel has room for in this thread, rt_sigreturn takes
 * nothing but FXSAVE (check_xstate_in_sigframe() in arch/x86/kernel/fpu/signal.c), and room for AMX
 * tiles have only those who use them.
 */
static size_t frame_xstate_len(const char *xstate, size_t len)
{
	unsigned size, tiles, c, d;
	uint64_t in_use;

	memcpy(&in_use, xstate + XSTATE_BV_OFFSET, sizeof(in_use));
	if (len <= XSTATE_TILES_LEN || in_use & 1ull << XSTATE_TILES)
		return len;
	/* they are behind all else */
	if (!__get_cpuid_count(0xd, XSTATE_TILES, &size, &tiles, &c, &d) || !size || tiles >= len)
		return len;
	return tiles;
}

/* FPSTATE bytes behind the frame, and aligned as XRSTOR wants it */
#define FPSTATE 1024

/* Writes to at, size bytes, what rt_sigreturn reads at address. *used gets their number. */
static int make_frame(pid_t tid, const struct user_regs_struct *stopped, uint64_t mask, char *at,
		      size_t size, uint64_t address, size_t *used, struct error **err)
{
	struct user_regs_struct regs = *stopped;
	struct return_frame *f = (void *)at;
	char *fp = at + FPSTATE;
	struct iovec iov = {fp, size - FPSTATE - 8};
	struct xstate_trailer trailer = {.magic1 = XSTATE_MAGIC1};
	uint32_t magic2 = XSTATE_MAGIC2;

	if (ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &iov))
		return error_errno(err, errno, "reading the FPU of task %d", tid);
	iov.iov_len = frame_xstate_len(fp, iov.iov_len);
	trailer.xstate_size = iov.iov_len;
	trailer.extended_size = iov.iov_len + sizeof(magic2);
	/* ptrace puts XCR0 where a frame has its trailer */
	memcpy(&trailer.xfeatures, fp + XSTATE_TRAILER_OFFSET, sizeof(trailer.xfeatures));
	memcpy(fp + XSTATE_TRAILER_OFFSET, &trailer, sizeof(trailer));
	memcpy(fp + iov.iov_len, &magic2, sizeof(magic2));
	*used = FPSTATE + iov.iov_len + sizeof(magic2);
	rewind_call(&regs);
	*f = (struct return_frame){
		.flags = UC_FLAGS,
		.stack.flags = BAD_ALTSTACK_FLAGS,
		.r8 = regs.r8,
		.r9 = regs.r9,
		.r10 = regs.r10,
		.r11 = regs.r11,
		.r12 = regs.r12,
		.r13 = regs.r13,
		.r14 = regs.r14,
		.r15 = regs.r15,
		.di = regs.rdi,
		.si = regs.rsi,
		.bp = regs.rbp,
		.bx = regs.rbx,
		.dx = regs.rdx,
		.ax = regs.rax,
		.cx = regs.rcx,
		.sp = regs.rsp,
		.ip = regs.rip,
		.eflags = regs.eflags,
		.cs = regs.cs,
		.ss = regs.ss,
		.fpstate = address + FPSTATE,
		.mask = mask,
	};
	return 0;
}

/* syscall; mov $15, %eax; syscall (rt_sigreturn) */
static const uint8_t spare_code[16] = {0x0f, 0x05, 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};

static int poke_code(pid_t tid, uint64_t address, const uint8_t code[16], struct error **err)
{
	for (int i = 0; i < 16; i += 8) {
		uint64_t word;

		memcpy(&word, code + i, sizeof(word));
		if (ptrace(PTRACE_POKETEXT, tid, address + i, word))
			return error_errno(err, errno, "writing to the vdso of task %d", tid);
	}
	return 0;
}

static int write_spare_frame(const struct remote *r, struct error **err)
{
	__cleanup_free char *frame = calloc(1, REMOTE_SPARE_STACK);
	struct iovec ours, theirs = {(void *)r->spare_stack, 0};
	struct user_regs_struct regs;
	uint64_t mask;
	int ret;

	if (!frame)
		return error_errno(err, ENOMEM, "protecting task %d", r->tid);
	ret = trace_get_regs(r->tid, &regs, err);
	if (!ret)
		ret = trace_get_sigmask(r->tid, &mask, err);
	if (!ret)
		ret = make_frame(r->tid, &regs, mask, frame, REMOTE_SPARE_STACK, r->spare_stack,
				 &theirs.iov_len, err);
	if (ret)
		return ret;
	ours = (struct iovec){frame, theirs.iov_len};
	if (process_vm_writev(r->tid, &ours, 1, &theirs, 1, 0) != (ssize_t)theirs.iov_len)
		return error_errno(err, errno, "writing to the stack of task %d", r->tid);
	return 0;
}

/*
 * Begins to map, protect or unmap (a part of) the window. The task would go on with the registers
 * of this call if we died in it: so the call is made where rt_sigreturn comes next, in the unused
 * end of the vdso, with its own registers on a part of its stack that it does not use.
 */
static int start_window_call(struct remote *r, enum remote_move move, struct error **err, long nr,
			     unsigned long address, unsigned long len, unsigned long prot,
			     unsigned long flags)
{
	struct trace_spot spot = {.insn = r->syscall_insn};
	int e = 0;

	if (r->spare_stack) {
		spot = (struct trace_spot){.insn = r->spare_code, .stack = r->spare_stack};
		e = write_spare_frame(r, err);
		if (!e)
			e = poke_code(r->tid, r->spare_code, spare_code, err);
	}
	if (!e)
		e = trace_call_start(&r->window_call, r->tid, &spot, err, nr, address, len, prot,
				     flags, -1, 0);
	if (!e)
		r->moving = move;
	return e;
}

static int start_map(struct remote *r, enum remote_move move, int prot, struct error **err)
{
	unsigned long flags = MAP_SHARED | MAP_ANONYMOUS | (r->wanted ? MAP_FIXED : 0);

	return start_window_call(r, move, err, SYS_mmap, r->wanted, REMOTE_WINDOW, prot, flags);
}

static int start_attach(struct remote *r, uint64_t address, struct error **err)
{
	r->wanted = address;
	return start_map(r, REMOTE_ATTACHING, PROT_READ | PROT_WRITE | PROT_EXEC, err);
}

/* All but the code's page can be written to then, and not executed. */
static int start_split(struct remote *r, struct error **err)
{
	int e = start_window_call(r, REMOTE_SPLITTING, err, SYS_mprotect, r->address + CALLS_OFFSET,
				  REMOTE_WINDOW - CALLS_OFFSET, PROT_READ | PROT_WRITE, 0);

	return e ? e : fault_point("window-split", err);
}

static int map_ours(struct remote *r, struct error **err)
{
	__cleanup_fd int fd = -1;

	/* shared memory without a descriptor in the task, whose table may be full */
	fd = open_fmt(O_RDWR, "/proc/%d/map_files/%llx-%llx", r->tid,
		      (unsigned long long)r->address,
		      (unsigned long long)r->address + REMOTE_WINDOW);
	if (fd < 0)
		return error_errno(err, -fd, "opening the scratch memory of task %d", r->tid);
	r->window = mmap(NULL, REMOTE_WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->window == MAP_FAILED) {
		r->window = NULL;
		return error_errno(err, errno, "mapping the scratch memory of task %d", r->tid);
	}
	memcpy(r->window, remote_blob, remote_blob_end - remote_blob);
	return 0;
}

static int start_unmap(struct remote *r, struct error **err)
{
	return start_window_call(r, REMOTE_DETACHING, err, SYS_munmap, r->address, REMOTE_WINDOW, 0,
				 0);
}

static int map_error(const struct remote *r, long ret, struct error **err)
{
	error_errno(err, -ret, "mapping scratch memory in task %d", r->tid);
	if (ret == -EACCES)
		error_hint(err, "a security module does not let it have memory with code of ours");
	return ret;
}

/* One that is to be unmapped again is not mapped here: what made that fail may make this, too. */
static int leave_again(struct remote *r, struct error **err)
{
	int e = start_unmap(r, err);

	return e ? e : 1;
}

/*
 * Whose memory may not be writable and executable (PR_SET_MDWE) is asked for a window in two
 * steps: mapped so that it can be executed, which we write to through our own mapping, and then
 * made writable but for the code. Only they pay for that.
 */
static int finish_attach(struct remote *r, enum remote_move move, struct error **err)
{
	long where = r->window_call.ret;
	int e;

	if (where == -EACCES && move == REMOTE_ATTACHING && !r->leaves) {
		e = start_map(r, REMOTE_ATTACHING_CODE, PROT_READ | PROT_EXEC, err);
		return e ? e : 1;
	}
	if (where < 0 && where > -4096)
		return map_error(r, where, err);
	r->address = where;
	if (r->leaves)
		return leave_again(r, err);
	/* by its file's place, which is one until it is split */
	e = map_ours(r, err);
	if (e || move == REMOTE_ATTACHING)
		return e;
	e = start_split(r, err);
	return e ? e : 1;
}

static int finish_split(struct remote *r, struct error **err)
{
	if (r->window_call.ret < 0)
		return map_error(r, r->window_call.ret, err);
	return r->leaves ? leave_again(r, err) : 0;
}

static int finish_detach(struct remote *r, struct error **err)
{
	long ret = r->window_call.ret;
	int e = ret < 0 ? error_errno(err, -ret, "unmapping the scratch memory of task %d", r->tid)
			: 0;

	remote_forget(r);
	return e;
}

int remote_proceed(struct remote *r, struct error **err)
{
	static const uint8_t none[16];
	enum remote_move move = r->moving;
	int e;

	if (!move)
		return 0;
	e = trace_call_proceed(&r->window_call, err);
	if (e > 0)
		return e;
	r->moving = REMOTE_STILL;
	if (!e && r->spare_stack)
		e = poke_code(r->tid, r->spare_code, none, err);
	if (e)
		return e;
	if (move == REMOTE_DETACHING)
		return finish_detach(r, err);
	return move == REMOTE_SPLITTING ? finish_split(r, err) : finish_attach(r, move, err);
}

int remotes_add(remote_vec *remotes, struct remote *r, struct error **err)
{
	struct remote **slot = vec_add(remotes);

	if (!slot)
		return error_errno(err, ENOMEM, "working on tasks together");
	*slot = r;
	return 0;
}

int remotes_proceed(const remote_vec *remotes, struct error **err)
{
	bool busy = true;
	int e = 0;

	while (e >= 0 && busy) {
		busy = false;
		for (size_t i = 0; e >= 0 && i < remotes->count; i++) {
			e = remote_proceed(remotes->items[i], err);
			busy |= e > 0;
		}
	}
	return e < 0 ? e : 0;
}

int remote_arrive(struct remote *r, struct error **err)
{
	int e;

	do
		e = remote_proceed(r, err);
	while (e > 0);
	return e;
}

int remote_start_attach(struct remote *r, pid_t tid, uint64_t address, uint64_t vdso,
			uint64_t vdso_len, uint64_t caught, struct error **err)
{
	int ret;

	*r = (struct remote){.tid = tid, .stop_signal = remote_choose_stop_signal(caught)};
	ret = find_syscall_insn(r, vdso, vdso_len, err);
	return ret ? ret : start_attach(r, address, err);
}

int remote_attach(struct remote *r, pid_t tid, uint64_t address, uint64_t vdso, uint64_t vdso_len,
		  uint64_t caught, struct error **err)
{
	int ret = remote_start_attach(r, tid, address, vdso, vdso_len, caught, err);

	return ret ? ret : remote_arrive(r, err);
}

/*
 * The file of the vdso does not fill its last page: what is behind it is zero, or
 * in part ours, from a call that was cut short.
 */
static bool is_spare(const uint8_t code[sizeof(spare_code)])
{
	for (size_t i = 0; i < sizeof(spare_code); i++)
		if (code[i] && code[i] != spare_code[i])
			return false;
	return true;
}

static bool is_unused(pid_t tid, uint64_t address)
{
	uint8_t code[sizeof(spare_code)];
	struct iovec ours = {code, sizeof(code)}, theirs = {(void *)address, sizeof(code)};

	return process_vm_readv(tid, &ours, 1, &theirs, 1, 0) == sizeof(code) && is_spare(code);
}

void remote_clean_vdso(void *vdso, size_t len)
{
	uint8_t *end = (uint8_t *)vdso + len - sizeof(spare_code);

	if (len >= sizeof(spare_code) && is_spare(end))
		memset(end, 0, sizeof(spare_code));
}

int remote_start_protected(struct remote *r, pid_t tid, uint64_t vdso, uint64_t vdso_len,
			   uint64_t caught, uint64_t stack, struct error **err)
{
	int ret;

	*r = (struct remote){.tid = tid,
			     .stop_signal = remote_choose_stop_signal(caught),
			     .protect = true,
			     .spare_code = vdso + vdso_len - sizeof(spare_code),
			     .spare_stack = stack};
	ret = find_syscall_insn(r, vdso, vdso_len, err);
	if (ret)
		return ret;
	if (!is_unused(tid, r->spare_code))
		r->spare_stack = 0;
	return start_attach(r, 0, err);
}

void remote_forget(struct remote *r)
{
	if (r->window)
		munmap(r->window, REMOTE_WINDOW);
	free(r->later);
	*r = (struct remote){0};
}

void remote_rest(const struct remote *r)
{
	if (r->window)
		madvise(r->window, REMOTE_WINDOW, MADV_DONTNEED);
}

int remote_start_detach(struct remote *r, struct error **err)
{
	int e;

	if (r->moving) {
		r->leaves = true;
		return 0;
	}
	if (!r->address) {
		remote_forget(r);
		return 0;
	}
	e = remote_settle(r, err);
	if (!e)
		e = start_unmap(r, err);
	if (e)
		remote_forget(r);
	return e;
}

/* Points the task, whose registers were regs, at the calls; it does not run yet. */
static int aim(const struct remote *r, pid_t tid, const struct user_regs_struct *was,
	       unsigned count, struct error **err)
{
	struct user_regs_struct regs = *was;

	regs.rip = r->address;
	regs.rbx = r->address + CALLS_OFFSET;
	regs.r12 = count;
	regs.r13 = r->stop_signal;
	regs.rsp = r->address + RETURN_OFFSET;
	regs.rax = 0;
	regs.orig_rax = -1;
	regs.eflags &= ~0x500ul;
	return trace_set_regs(tid, &regs, err);
}

static int go(pid_t tid, struct error **err)
{
	if (ptrace(PTRACE_CONT, tid, NULL, NULL))
		return error_errno(err, errno, "running calls in task %d", tid);
	return 0;
}

int remote_start(struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	struct user_regs_struct regs;
	int ret = remote_settle(r, err);

	if (!tid)
		tid = r->tid;
	if (!ret)
		ret = trace_get_regs(tid, &regs, err);
	if (!ret)
		ret = aim(r, tid, &regs, count, err);
	return ret ? ret : go(tid, err);
}

/*
 * Another signal of the same number, from outside, is one that the task ignores: it is dropped. A
 * SIGSTOP is not, though it may come when the calls are done, just before the signal that ends
 * them.
 */
static int wait_end(const struct remote *r, pid_t tid, struct error **err)
{
	struct user_regs_struct regs;

	if (!tid)
		tid = r->tid;
	for (;;) {
		int status;
		int ret = trace_wait(tid, &status, err);

		if (ret)
			return ret;
		ret = trace_get_regs(tid, &regs, err);
		if (ret)
			return ret;
		/* what is left of seizing a task in a job-control stop, see wait_syscall_stop() */
		if (status >> 16 != PTRACE_EVENT_STOP && status >> 8 != r->stop_signal &&
		    !trace_pass_on(status))
			return error_set(
				err, EPROTO,
				"task %d stopped with status %#x at %#llx in a remote call", tid,
				status, regs.rip);
		if (status >> 16 == 0 && !trace_pass_on(status) && regs.r12 == 0 &&
		    regs.rip > r->address && regs.rip < r->address + CALLS_OFFSET)
			return 0;
		if (ptrace(PTRACE_CONT, tid, NULL, (unsigned long)trace_pass_on(status)))
			return error_errno(err, errno, "running calls in task %d", tid);
	}
}

#define BLOB_TAIL 11 /* syscall; mov $15, %eax; syscall; ud2 */

/* For a process that handles every signal that could stop it unseen. */
static int run_one_by_one(const struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	struct remote_call *call = remote_calls(r);
	/* the blob ends with a call, and rt_sigreturn behind it */
	const struct trace_spot protect = {.insn = r->address + (remote_blob_end - remote_blob) -
						   BLOB_TAIL,
					   .stack = r->address + RETURN_OFFSET};
	const struct trace_spot plain = {.insn = r->syscall_insn};

	for (unsigned i = 0; i < count; i++, call++) {
		int ret = trace_syscall(tid, r->protect ? &protect : &plain, &call->ret, err,
					call->nr, call->args[0], call->args[1], call->args[2],
					call->args[3], call->args[4], call->args[5]);
		if (ret)
			return ret;
	}
	return 0;
}

static int unpark(struct remote *r, struct error **err)
{
	pid_t tid = r->parked;
	int ret;

	if (!tid)
		return 0;
	r->parked = 0;
	ret = trace_set_sigmask(tid, r->parked_mask, err);
	return ret ? ret : trace_set_regs(tid, &r->parked_regs, err);
}

/* The return frame, should we die, is made once for all calls up to the next settle. */
static int park(struct remote *r, pid_t tid, struct error **err)
{
	size_t used;
	int ret = unpark(r, err);

	if (!ret)
		ret = trace_get_regs(tid, &r->parked_regs, err);
	if (!ret)
		ret = trace_get_sigmask(tid, &r->parked_mask, err);
	if (!ret && r->protect)
		ret = make_frame(tid, &r->parked_regs, r->parked_mask, r->window + RETURN_OFFSET,
				 RETURN_SIZE, r->address + RETURN_OFFSET, &used, err);
	if (ret)
		return ret;
	r->parked = tid;
	r->parked_signal = r->stop_signal;
	return 0;
}

static int start_run(struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	bool fresh = r->parked != tid || r->parked_signal != r->stop_signal;
	int ret = fresh ? park(r, tid, err) : 0;

	if (ret)
		return ret;
	if (!r->stop_signal) {
		r->parked = 0; /* each call puts back what it has changed */
		return run_one_by_one(r, tid, count, err);
	}
	/* the mask is another one only while the registers are, see put_back() in trace.c */
	ret = aim(r, tid, &r->parked_regs, count, err);
	if (!ret && fresh)
		ret = trace_set_sigmask(tid, ~(1ull << (r->stop_signal - 1)), err);
	if (!ret)
		ret = go(tid, err);
	r->runs = !ret;
	return ret;
}

/* --- calls that are made later --- */

#define LATER_ROOM 24

struct remote_later {
	struct remote_call call;
	struct remote_note note;
};

static int check_later(const struct remote *r, unsigned count, struct error **err)
{
	const struct remote_call *call = remote_calls(r);

	for (unsigned i = 0; i < count; i++, call++) {
		const struct remote_note *note = &r->later[i].note;
		const char *object = note->object ? note->object : "";

		if (call->ret >= 0 || call->ret < -4095 || note->any ||
		    (note->forgiven && call->ret == -note->forgiven))
			continue;
		error_errno(err, -call->ret, "%s%s%s in task %d (call %ld, %#lx)", note->what,
			    *object ? " " : "", object, r->later_tid, call->nr, call->args[0]);
		if (note->hint && call->ret == -EPERM)
			error_hint(err, "%s", note->hint);
		return call->ret;
	}
	return 0;
}

/* Starts what is queued, and count calls of the caller's, which stand at the array's beginning. */
static int start_queue(struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	struct remote_call *calls = remote_calls(r);
	int ret;

	r->run_queued = r->later_count;
	r->run_count = count;
	r->later_count = 0;
	memmove(calls + r->run_queued, calls, count * sizeof(*calls));
	for (unsigned i = 0; i < r->run_queued; i++)
		calls[i] = r->later[i].call;
	ret = start_run(r, tid, r->run_queued + count, err);
	if (ret)
		r->run_queued = 0;
	return ret;
}

int remote_flush(struct remote *r, struct error **err)
{
	int ret = remote_start_queued(r, err);

	return ret ? ret : remote_finish(r, err);
}

/* Of a thousand processes each has one: no more room than there are calls, by steps. */
static int later_grow(struct remote *r)
{
	unsigned room = r->later_room + LATER_ROOM;
	struct remote_later *later;

	later = reallocarray(r->later, room, sizeof(*later));
	if (!later)
		return -ENOMEM;
	r->later = later;
	r->later_room = room;
	return 0;
}

int remote_queue(struct remote *r, pid_t tid, const struct remote_note *note,
		 const struct remote_call *call, struct error **err)
{
	int ret = 0;

	if (!tid)
		tid = r->tid;
	if (r->runs)
		ret = remote_finish(r, err);
	if (ret)
		return ret;
	if (r->later_count == REMOTE_CALLS_MAX || (r->later_count && r->later_tid != tid))
		ret = remote_flush(r, err);
	if (ret)
		return ret;
	if (r->later_count == r->later_room && later_grow(r))
		return error_errno(err, ENOMEM, "%s", note->what);
	r->later_tid = tid;
	r->later[r->later_count++] = (struct remote_later){*call, *note};
	return 0;
}

void *remote_later_data(struct remote *r, size_t len, uint64_t *address, struct error **err)
{
	char *data;

	len = (len + 15) & ~15ul;
	if (len > REMOTE_LATER_DATA) {
		error_set(err, E2BIG, "%zu bytes of data for a remote call", len);
		return NULL;
	}
	if ((r->runs || r->later_data + len > REMOTE_LATER_DATA) && remote_flush(r, err))
		return NULL;
	if (!r->later_count)
		r->later_data = 0;
	data = r->window + LATER_OFFSET + r->later_data;
	*address = r->address + LATER_OFFSET + r->later_data;
	r->later_data += len;
	return memset(data, 0, len);
}

int remote_settle(struct remote *r, struct error **err)
{
	int ret = remote_flush(r, err);

	return ret ? ret : unpark(r, err);
}

/* What does not fit into one run behind the queue, or is another thread's, has one of its own. */
int remote_start_run(struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	__cleanup_free struct remote_call *saved = NULL;
	int ret;

	if (!tid)
		tid = r->tid;
	if (r->runs)
		return error_set(err, EBUSY, "calls in task %d while others are made", tid);
	if (!count)
		return 0;
	if (count > REMOTE_CALLS_MAX)
		return error_set(err, E2BIG, "%u remote calls at once", count);
	if (!r->later_count || (r->later_tid == tid && r->later_count + count <= REMOTE_CALLS_MAX))
		return start_queue(r, tid, count, err);
	saved = malloc(count * sizeof(*saved));
	if (!saved)
		return error_errno(err, ENOMEM, "running calls in task %d", tid);
	memcpy(saved, remote_calls(r), count * sizeof(*saved));
	ret = remote_flush(r, err);
	memcpy(remote_calls(r), saved, count * sizeof(*saved));
	return ret ? ret : start_queue(r, tid, count, err);
}

int remote_start_queued(struct remote *r, struct error **err)
{
	int ret = r->runs ? remote_finish(r, err) : 0;

	return ret || !r->later_count ? ret : start_queue(r, r->later_tid, 0, err);
}

int remote_finish(struct remote *r, struct error **err)
{
	struct remote_call *calls = remote_calls(r);
	unsigned queued = r->run_queued;
	int ret = r->runs ? wait_end(r, r->parked, err) : 0;

	r->runs = false;
	r->run_queued = 0;
	if (!ret)
		ret = check_later(r, queued, err);
	if (queued)
		memmove(calls, calls + queued, r->run_count * sizeof(*calls));
	return ret;
}

int remote_run(struct remote *r, pid_t tid, unsigned count, struct error **err)
{
	int ret = remote_start_run(r, tid, count, err);

	return ret || !count ? ret : remote_finish(r, err);
}

int remote_syscall(struct remote *r, struct error **err, const char *what, long *ret, long nr,
		   unsigned long a0, unsigned long a1, unsigned long a2, unsigned long a3,
		   unsigned long a4, unsigned long a5)
{
	struct remote_call *call = remote_calls(r);
	int e;

	remote_set(call, nr, a0, a1, a2, a3, a4, a5);
	e = remote_run(r, 0, 1, err);
	if (e)
		return e;
	if (ret)
		*ret = call->ret;
	else if (call->ret < 0 && call->ret > -4096)
		return error_errno(err, -call->ret, "%s in task %d", what, r->tid);
	return 0;
}

/* What a clone3 reads, as it lies in the data area. */
struct clone_data {
	struct clone_args args;
	pid_t set_tid;
};

int remote_start_clones(struct remote *r, const struct remote_child *children, unsigned count,
			struct error **err)
{
	struct clone_data *data = remote_data(r);
	uint64_t at = remote_data_address(r);
	int ret = remote_settle(r, err);

	if (ret)
		return ret;
	if (count > REMOTE_CLONES_MAX)
		return error_set(err, E2BIG, "%u clones at once", count);
	if (!r->stop_signal)
		return error_set(err, EPROTO, "task %d cannot be stopped after a clone", r->tid);
	for (unsigned i = 0; i < count; i++, data++, at += sizeof(*data)) {
		*data = (struct clone_data){
			.args = {.flags = children[i].flags,
				 .exit_signal = children[i].exit_signal,
				 .set_tid = at + offsetof(struct clone_data, set_tid),
				 .set_tid_size = 1},
			.set_tid = children[i].tid,
		};
		remote_set(&remote_calls(r)[i], SYS_clone3, at, sizeof(data->args));
	}
	ret = trace_set_sigmask(r->tid, ~(1ull << (r->stop_signal - 1)), err);
	return ret ? ret : remote_start(r, 0, count, err);
}

int remote_next_clone(struct remote *r, pid_t *child, struct error **err)
{
	unsigned long message;
	int status, event;
	int ret = trace_wait(r->tid, &status, err);

	if (ret)
		return ret;
	event = status >> 16;
	if (event != PTRACE_EVENT_CLONE && event != PTRACE_EVENT_FORK &&
	    event != PTRACE_EVENT_VFORK)
		return 0;
	if (ptrace(PTRACE_GETEVENTMSG, r->tid, NULL, &message) ||
	    ptrace(PTRACE_CONT, r->tid, NULL, NULL))
		return error_errno(err, errno, "making a task");
	*child = message;
	return 1;
}

/* If there are fewer than were to be made, it has come to the end of its calls already. */
int remote_end_clones(struct remote *r, unsigned count, unsigned made, struct error **err)
{
	const struct clone_data *data = remote_data(r);
	const struct remote_call *call = remote_calls(r);
	int ret = made == count ? wait_end(r, r->tid, err) : 0;

	if (!ret)
		ret = trace_set_sigmask(r->tid, ~0ull, err);
	for (unsigned i = 0; !ret && i < count; i++) {
		pid_t tid = data[i].set_tid;

		if (call[i].ret >= 0)
			continue;
		if (call[i].ret != -EEXIST)
			return error_errno(err, -call[i].ret, "making the task with pid %d", tid);
		error_set(err, EEXIST, "pid %d is taken in the pid namespace that it shares", tid);
		return error_hint(err, "end the process that has it, or wait until it has ended");
	}
	return ret;
}

int remote_clone(struct remote *r, uint64_t flags, int exit_signal, pid_t tid, pid_t *child,
		 struct error **err)
{
	const struct remote_child one = {.flags = flags, .exit_signal = exit_signal, .tid = tid};
	int ret = remote_start_clones(r, &one, 1, err);
	int made = ret ? ret : remote_next_clone(r, child, err);

	if (made > 0)
		ret = trace_wait_stop(*child, NULL, err);
	if (ret || made < 0)
		return ret ? ret : made;
	return remote_end_clones(r, 1, made, err);
}
