// SPDX-License-Identifier: GPL-2.0-only
#include <asm/ldt.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "checkpoint/resource/files.h"
#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/memory_cow.h"
#include "checkpoint/resource/resource.h"
#include "checkpoint/user/pages.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/parallel.h"

#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif

#define AUXV_ASK 1024 /* AT_VECTOR_SIZE of the kernel is 48 pairs at most */

#define LDT_READ  0
#define LDT_BYTES (LDT_ENTRIES * LDT_ENTRY_SIZE)

#define AIO_FILE_SYSTEM 0xa10a10a1 /* AIO_RING_MAGIC of fs/aio.c */

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static bool is_kernels(const char *path)
{
	return !strcmp(path, "[vdso]") || starts_with(path, "[vvar") || !strcmp(path, "[vsyscall]");
}

static int block_vma(struct checkpoint *c, struct dump_task *t, const struct vma *v,
		     const char *what)
{
	return checkpoint_block(c, t->rec.pid, -1, v->rec.start,
				"unmap it, or end the process before the checkpoint", "%s%s%s",
				what, v->path ? " " : "", v->path ? v->path : "");
}

static int open_mapped(struct dump_task *t, const struct vma *v, int flags, int *fd,
		       struct error **err)
{
	*fd = open_fmt(flags, "/proc/%d/map_files/%llx-%llx", t->speaker,
		       (unsigned long long)v->rec.start, (unsigned long long)v->rec.end);
	if (*fd < 0)
		return error_errno(err, -*fd, "opening what process %d has mapped at %#llx",
				   t->rec.pid, (unsigned long long)v->rec.start);
	return 0;
}

static int classify_shared(struct checkpoint *c, struct dump_task *t, struct vma *v,
			   struct error **err)
{
	__cleanup_fd int fd = -1;
	struct stat st;
	int r;

	if (starts_with(v->path, "/SYSV")) {
		v->rec.kind = CKPT_VMA_SHM;
		v->rec.source = v->ino;
		return 0;
	}
	v->rec.kind = CKPT_VMA_OBJECT;
	r = open_mapped(t, v, O_RDONLY, &fd, err);
	if (r)
		return r;
	if (fstat(fd, &st))
		return error_errno(err, errno, "looking at shared memory");
	return memory_object_register(c, fd, st.st_size, &v->rec.source, err);
}

static int classify_file(struct checkpoint *c, struct dump_task *t, struct vma *v,
			 const struct vma *before, struct error **err)
{
	__cleanup_fd int fd = -1;
	int r;

	v->rec.kind = CKPT_VMA_FILE;
	/* the segments of a library follow each other: register it once */
	if (before && before->rec.kind == CKPT_VMA_FILE && before->dev == v->dev &&
	    before->ino == v->ino && before->path && !strcmp(before->path, v->path)) {
		v->rec.source = before->rec.source;
		return 0;
	}
	/* its own name: smaps has one code for a newline and for four characters that look like it
	 */
	r = open_mapped(t, v, O_PATH, &fd, err);
	return r ? r : files_register(c, t, v->rec.start, fd, &v->rec.source, err);
}

/*
 * Files have names like that, too: a ring's is of the kernel's own file system. It cannot be
 * opened but by O_PATH.
 */
static int find_ring(struct dump_task *t, const struct vma *v, bool *found, struct error **err)
{
	__cleanup_fd int fd = -1;
	struct statfs fs;
	int r;

	*found = false;
	if (!v->rec.shared || !v->deleted || !v->path || strcmp(v->path, "/[aio]"))
		return 0;
	r = open_mapped(t, v, O_PATH, &fd, err);
	if (r)
		return r;
	if (fstatfs(fd, &fs))
		return error_errno(err, errno, "looking at the file system of \"%s\"", v->path);
	*found = fs.f_type == AIO_FILE_SYSTEM;
	return 0;
}

/* smaps cannot tell a deleted file from one that is called so: "zero (deleted)" in /dev. */
static int check_deleted(struct dump_task *t, struct vma *v, struct error **err)
{
	__cleanup_fd int fd = -1;
	struct stat st;
	int r = v->deleted ? open_mapped(t, v, O_PATH, &fd, err) : 0;

	if (r || !v->deleted)
		return r;
	if (fstat(fd, &st))
		return error_errno(err, errno, "looking at \"%s\"", v->path);
	v->deleted = !st.st_nlink;
	return 0;
}

static bool is_shared_memfd(const struct vma *v)
{
	return v->rec.shared && v->deleted && v->path && starts_with(v->path, "/memfd:");
}

/* MAP_HUGETLB without a file; the kernel has one behind it all the same */
static bool is_private_hugetlb(const struct vma *v)
{
	return v->flags & VMA_HUGETLB && !v->rec.shared && v->deleted && v->path &&
	       !strcmp(v->path, "/anon_hugepage");
}

static int classify(struct checkpoint *c, struct dump_task *t, struct vma *v,
		    const struct vma *before, struct error **err)
{
	bool ring;
	int ret = find_ring(t, v, &ring, err);

	if (!ret && !ring)
		ret = check_deleted(t, v, err);
	if (ret)
		return ret;
	v->rec.flags = v->flags & ~(VMA_MAYWRITE | VMA_REFUSED | VMA_HUGETLB);
	if (v->path && is_kernels(v->path)) {
		v->rec.kind = CKPT_VMA_SPECIAL;
		strncpy(v->rec.name, v->path, sizeof(v->rec.name) - 1);
		return 0;
	}
	if (ring) {
		v->rec.kind = CKPT_VMA_SPECIAL;
		strcpy(v->rec.name, CKPT_AIO_NAME);
		return provider_leave(c, KERNEL_CLASS(MEMORY), t, v->rec.start, "an AIO ring");
	}
	if (is_private_hugetlb(v) && (v->page_kb == 2 << 10 || v->page_kb == 1 << 20)) {
		int r = provider_leave(c, KERNEL_CLASS(MEMORY), t, v->rec.start,
				       "private memory of huge pages");

		if (r)
			return r;
		v->rec.kind = CKPT_VMA_ANON;
		v->rec.flags |= v->page_kb == 2 << 10 ? CKPT_VMA_HUGETLB : CKPT_VMA_HUGETLB_1G;
		return 0;
	}
	if (v->flags & VMA_REFUSED || (v->flags & VMA_HUGETLB && !is_shared_memfd(v)))
		return block_vma(c, t, v, "a mapping of a kind that cannot be saved");
	if (!v->path && !v->ino && !v->rec.shared) {
		v->rec.kind = CKPT_VMA_ANON;
		return 0;
	}
	if (v->path && v->path[0] == '[' && !v->rec.shared && !v->ino) {
		if (strcmp(v->path, "[heap]") && strcmp(v->path, "[stack]") &&
		    !starts_with(v->path, "[anon"))
			return block_vma(c, t, v, "the kernel's mapping");
		v->rec.kind = CKPT_VMA_ANON;
		return 0;
	}
	if (!v->path)
		return block_vma(c, t, v, "a mapping without a name");
	/* a private view of memory that others share: of the file, and pages of its own */
	if (v->deleted && !v->rec.shared && !strcmp(v->path, "/dev/zero"))
		return classify_shared(c, t, v, err);
	if (v->deleted && v->rec.shared &&
	    (!strcmp(v->path, "/dev/zero") || starts_with(v->path, "/SYSV") ||
	     starts_with(v->path, "/memfd:")))
		return classify_shared(c, t, v, err);
	/* files.c finds the socket, once all descriptors are known */
	if (starts_with(v->path, SOCKET_MAPPING)) {
		v->rec.kind = CKPT_VMA_FILE;
		return provider_leave(c, KERNEL_CLASS(MEMORY), t, v->rec.start, "a mapped socket");
	}
	if (v->path[0] != '/')
		return block_vma(c, t, v, "a mapping of");
	return classify_file(c, t, v, before, err);
}

/* Who has unmapped the vdso makes calls by an instruction of its own. */
static int admit_vdso(struct checkpoint *c, struct dump_task *t)
{
	vec_for_each (v, &t->vmas)
		if (v->path && !strcmp(v->path, "[vdso]") && v->rec.prot & PROT_READ)
			return 0;
	vec_for_each (v, &t->vmas)
		if (!t->syscall_insn && v->rec.kind == CKPT_VMA_FILE && v->rec.prot & PROT_EXEC)
			t->syscall_insn = remote_find_syscall(t->speaker, v->rec.start,
							      v->rec.end - v->rec.start);
	if (t->syscall_insn)
		return 0;
	return checkpoint_block(c, t->rec.pid, -1, 0, "end the process before the checkpoint",
				"a process without vdso and without a system call in its code");
}

/* A program goes on without what the restore needs to set it (PR_SET_MM_MAP). */
static int admit_exe(struct checkpoint *c, const struct dump_task *t, int fd, struct error **err)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) || fstatfs(fd, &fs))
		return error_errno(err, errno, "looking at the program of process %d", t->rec.pid);
	if (!(st.st_mode & 0111))
		return checkpoint_block(c, t->rec.pid, -1, 0, "make it executable again",
					"its program \"%s\", which nobody may execute any more,",
					t->exe);
	if (fs.f_flags & ST_NOEXEC)
		return checkpoint_block(c, t->rec.pid, -1, 0, "remount that without noexec",
					"its program \"%s\" on a mount that is noexec now", t->exe);
	return 0;
}

static int register_exe(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	__cleanup_fd int fd = open_fmt(O_PATH, "/proc/%d/exe", t->speaker);
	char link[64];
	int r;

	if (fd < 0)
		return error_errno(err, -fd, "opening the program of process %d", t->rec.pid);
	snprintf(link, sizeof(link), "/proc/%d/exe", t->speaker);
	t->exe = read_link(AT_FDCWD, link);
	if (!t->exe)
		return error_errno(err, errno, "reading %s", link);
	r = admit_exe(c, t, fd, err);
	return r ? r : files_register(c, t, 0, fd, &t->exe_file, err);
}

static int read_vmas(void *ctx, size_t i, struct error **err)
{
	struct checkpoint *c = ctx;
	struct dump_task *t = &c->tasks.items[i];

	return t->rec.state == CKPT_TASK_ZOMBIE ? 0 : proc_vmas(t->speaker, &t->vmas, err);
}

static int memory_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	/* smaps counts pages: what takes longest of all that is read of a process */
	if (!t)
		return parallel_each(c->tasks.count, read_vmas, c, err);
	for (size_t i = 0; !r && i < t->vmas.count; i++)
		r = classify(c, t, &t->vmas.items[i], i ? &t->vmas.items[i - 1] : NULL, err);
	if (!r)
		r = register_exe(c, t, err);
	return r ? r : admit_vdso(c, t);
}

static bool is_vsyscall(const struct vma *v)
{
	return v->path && !strcmp(v->path, "[vsyscall]");
}

/* The kernel's mappings: the vdso last, data pages in front of it. */
static void find_vdso(struct dump_task *t, struct ckpt_mm *mm)
{
	uint64_t first = 0, end = 0;

	vec_for_each (v, &t->vmas) {
		if (v->rec.kind != CKPT_VMA_SPECIAL || is_vsyscall(v) || !is_kernels(v->path))
			continue;
		if (!strcmp(v->path, "[vdso]")) {
			mm->vdso = v->rec.start;
			mm->vdso_len = v->rec.end - v->rec.start;
		} else {
			if (!first)
				first = v->rec.start;
			end = v->rec.end;
		}
	}
	mm->vvar = first;
	mm->vvar_len = end - first;
}

static int hash_vdso(struct checkpoint *c, struct dump_task *t, struct ckpt_mm *mm,
		     struct error **err)
{
	__cleanup_free void *code = malloc(mm->vdso_len ? mm->vdso_len : 1);
	struct iovec ours = {code, mm->vdso_len}, theirs = {(void *)mm->vdso, mm->vdso_len};

	if (!mm->vdso_len)
		return 0;
	if (!code)
		return error_errno(err, ENOMEM, "hashing the vdso");
	if (process_vm_readv(t->speaker, &ours, 1, &theirs, 1, 0) != (ssize_t)mm->vdso_len)
		return error_errno(err, errno, "reading the vdso of process %d", t->rec.pid);
	remote_clean_vdso(code, mm->vdso_len);
	mm->vdso_hash = XXH3_64bits(code, mm->vdso_len);
	c->vdso_hash = mm->vdso_hash;
	return 0;
}

int memory_complete_mm(struct checkpoint *c, struct dump_task *t, struct ckpt_mm *mm,
		       struct error **err)
{
	mm->exe = t->exe_file;
	return hash_vdso(c, t, mm, err);
}

static void memory_ask(struct dump_task *t, struct questions *q)
{
	ask_call(q, SYS_brk, 0);
	ask_call(q, SYS_prctl, PR_GET_THP_DISABLE, 0, 0, 0, 0);
	ask_call(q, SYS_prctl, PR_GET_AUXV, ask_room(q, AUXV_ASK), AUXV_ASK, 0, 0);
	ask_call(q, SYS_modify_ldt, LDT_READ, ask_room(q, LDT_ENTRY_SIZE), LDT_ENTRY_SIZE);
}

/*
 * Entries of an LDT are not saved. It is there as soon as one has been set, and never shrinks:
 * what was cleared is zero. Errors of the call come as numbers that are too large.
 */
static int check_ldt(struct dump_task *t, long some, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	const char *ldt = remote_data(&t->remote);
	int r;

	_Static_assert(LDT_BYTES <= REMOTE_DATA_SIZE, "all entries are read at once");
	if (some != LDT_ENTRY_SIZE)
		return 0;
	remote_set(call, SYS_modify_ldt, LDT_READ, remote_data_address(&t->remote), LDT_BYTES);
	r = remote_run(&t->remote, t->speaker, 1, err);
	if (r)
		return r;
	if (call->ret != LDT_BYTES || (!*ldt && !memcmp(ldt, ldt + 1, LDT_BYTES - 1)))
		return 0;
	error_set(err, EBUSY, "process %u has segments in an LDT (modify_ldt)", t->rec.pid);
	return error_hint(err, "end it, or let it remove them");
}

static int dump_mm(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	const struct remote_call *call = answers_of(t, &resource_memory);
	const struct proc_stat s = t->stat;
	struct ckpt_mm mm = {0};
	int r;

	mm = (struct ckpt_mm){
		.start_code = s.start_code,
		.end_code = s.end_code,
		.start_data = s.start_data,
		.end_data = s.end_data,
		.start_brk = s.start_brk,
		.brk = call[0].ret,
		.start_stack = s.start_stack,
		.arg_start = s.arg_start,
		.arg_end = s.arg_end,
		.env_start = s.env_start,
		.env_end = s.env_end,
		.thp_disable = call[1].ret > 0 ? call[1].ret : 0,
	};
	r = check_ldt(t, call[3].ret, err);
	if (r)
		return r;
	find_vdso(t, &mm);
	r = memory_complete_mm(c, t, &mm, err);
	if (r)
		return r;
	if (!record_add(&t->records, CKPT_MM, &mm, sizeof(mm)))
		return error_errno(err, ENOMEM, "recording memory");
	return 0;
}

/* The vsyscall page is the kernel's, above every process. It comes last. */
static int dump_vmas(struct dump_task *t, struct error **err)
{
	struct ckpt_vma *rec;

	if (t->vmas.count && is_vsyscall(&t->vmas.items[t->vmas.count - 1]))
		free(t->vmas.items[--t->vmas.count].path);
	rec = record_add(&t->records, CKPT_VMAS, NULL, t->vmas.count * sizeof(struct ckpt_vma));

	if (!rec)
		return error_errno(err, ENOMEM, "recording mappings");
	vec_for_each (v, &t->vmas) {
		*rec = v->rec;
		if (v->rec.shared && (v->flags & VMA_MAYWRITE))
			rec->shared |= CKPT_VMA_SHARED_WRITE;
		rec++;
	}
	return 0;
}

int memory_note_auxv(struct dump_task *t, void *auxv, size_t len, struct error **err)
{
	t->auxv = auxv;
	t->auxv_len = len;
	if (!record_add(&t->records, CKPT_AUXV, t->auxv, t->auxv_len))
		return error_errno(err, ENOMEM, "recording the auxiliary vector");
	proc_read(&t->args, NULL, "%d/cmdline", t->speaker);
	return 0;
}

/* What the kernel gives has a fixed length: the vector ends with AT_NULL. */
static int dump_auxv(struct dump_task *t, struct error **err)
{
	const struct remote_call *call = answers_of(t, &resource_memory) + 2;
	const Elf64_auxv_t *found = answer_data(&t->answers, call->args[1]);
	size_t n = 0;
	void *auxv;

	if (call->ret < 0 || call->ret > AUXV_ASK)
		return error_errno(err, call->ret < 0 ? -call->ret : E2BIG,
				   "reading the auxiliary vector of process %d", t->rec.pid);
	while (n < call->ret / sizeof(*found) && found[n].a_type != AT_NULL)
		n++;
	n = (n + 1) * sizeof(*found);
	auxv = malloc(n);
	if (!auxv)
		return error_errno(err, ENOMEM, "recording the auxiliary vector");
	memcpy(auxv, found, n);
	return memory_note_auxv(t, auxv, n, err);
}

bool memory_has_own_pages(const struct ckpt_vma *v)
{
	return (v->kind == CKPT_VMA_ANON && !(v->flags & CKPT_VMA_DROPPABLE)) ||
	       ((v->kind == CKPT_VMA_FILE || v->kind == CKPT_VMA_OBJECT) && !v->shared);
}

/* Mappings that adjoin each other are looked at in one go, but no run reaches out of one. */
static int cut_runs(const struct dump_task *t, size_t first, const page_run_vec *found,
		    page_run_vec *runs, struct error **err)
{
	const struct vma *v = &t->vmas.items[first];

	vec_for_each (run, found)
		for (uint64_t at = run->address, end = at + run->len; at < end;) {
			struct ckpt_page_run *cut = vec_add(runs);

			if (!cut)
				return error_errno(err, ENOMEM, "listing pages");
			while (v->rec.end <= at)
				v++;
			*cut = *run;
			cut->address = at;
			cut->len = (v->rec.end < end ? v->rec.end : end) - at;
			at += cut->len;
		}
	return 0;
}

/* Which pages have contents, and where they go. */
static int scan_pages(struct checkpoint *c, struct dump_task *t, struct cow_parent *parent,
		      struct error **err)
{
	__cleanup_fd int pagemap = open_fmt(O_RDONLY, "/proc/%d/pagemap", t->speaker);
	page_run_vec runs = {0}, found = {0};
	int r = 0;

	if (pagemap < 0)
		return error_errno(err, -pagemap, "opening /proc/%d/pagemap", t->speaker);
	for (size_t i = 0, next; !r && i < t->vmas.count; i = next) {
		const struct vma *v = t->vmas.items;

		next = i + 1;
		if (!memory_has_own_pages(&v[i].rec))
			continue;
		while (next < t->vmas.count && memory_has_own_pages(&v[next].rec) &&
		       v[next].rec.start == v[next - 1].rec.end)
			next++;
		found.count = 0;
		r = pages_scan(pagemap, v[i].rec.start, v[next - 1].rec.end, PAGES_SCAN_FILE,
			       &found, &t->guards, err);
		if (!r)
			r = cut_runs(t, i, &found, &runs, err);
	}
	vec_free(&found);
	t->guards_found = true;
	if (!r)
		r = cow_mark(c, t, pagemap, parent, &runs, &t->pages.shared, err);
	t->pages.runs = runs.items;
	t->pages.run_count = runs.count;
	return r ? r : pages_layout(&t->pages, CORE_DATA_OFFSET, err);
}

static int memory_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (!t)
		return 0;
	r = dump_mm(c, t, err);
	if (!r)
		r = dump_vmas(t, err);
	return r ? r : dump_auxv(t, err);
}

static int write_core(struct checkpoint *c, struct dump_task *t, struct image_file *f,
		      struct error **err)
{
	__cleanup_free struct core_thread *threads = calloc(t->threads.count, sizeof(*threads));
	__cleanup_free struct ckpt_vma *vmas = calloc(t->vmas.count, sizeof(*vmas));
	__cleanup_free const char **paths = calloc(t->vmas.count, sizeof(*paths));
	const struct core_info info = {
		.pid = t->rec.pid,
		.ppid = t->rec.ppid,
		.pgid = t->rec.pgid,
		.sid = t->rec.sid,
		.state = t->rec.state == CKPT_TASK_STOPPED ? 'T' : 'S',
		.comm = t->rec.comm,
		.args = t->args ? t->args : "",
		.threads = threads,
		.thread_count = t->threads.count,
		.auxv = t->auxv,
		.auxv_len = t->auxv_len,
		.vmas = vmas,
		.vma_count = t->vmas.count,
		.vma_paths = paths,
		.records = &t->records,
		.pages = &t->pages,
	};

	if (!threads || !vmas || !paths)
		return error_errno(err, ENOMEM, "writing a core");
	for (size_t i = 0; i < t->threads.count; i++) {
		const struct dump_thread *th = &t->threads.items[i];

		threads[i] = (struct core_thread){
			.tid = th->rec.tid, .xstate = th->xstate, .xstate_len = th->xstate_len};
		memcpy(&threads[i].regs, th->rec.regs, sizeof(threads[i].regs));
	}
	for (size_t i = 0; i < t->vmas.count; i++) {
		vmas[i] = t->vmas.items[i].rec;
		paths[i] = vmas[i].kind == CKPT_VMA_FILE ? t->vmas.items[i].path : NULL;
	}
	return core_write(f, &info, err);
}

static void report_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct checkpoint *c = ctx;

	if (c->request->ops->progress)
		c->request->ops->progress(c->request->ctx, done, total);
}

/* A window is not in the list of mappings, so what remote calls do meanwhile is not seen. */
int memory_begin_pages(struct checkpoint *c, struct error **err)
{
	struct page_options options = {
		.progress = report_progress, .ctx = c, .cancel = c->request->cancel};
	struct cow_parent parent = {.pagemap = -1};
	int r = page_pool_create(&c->pages, &options, err);

	if (!r)
		r = cow_find_kin(c, err);
	for (size_t i = 0; !r && i < c->tasks.count; i++) {
		struct dump_task *t = &c->tasks.items[i];
		struct page_memory from = {.pid = t->speaker, .object = -1};

		if (t->rec.state == CKPT_TASK_ZOMBIE || t->pages_written)
			continue;
		r = scan_pages(c, t, &parent, err);
		if (!r)
			r = task_add_core(c, t, err);
		if (!r)
			r = page_pool_dump(c->pages, &from, &t->pages, image_file_fd(t->core),
					   t->core_name, err);
	}
	if (parent.pagemap >= 0)
		close(parent.pagemap);
	return r;
}

int memory_end_pages(struct checkpoint *c, struct error **err)
{
	int r = page_pool_finish(c->pages, err);

	return r ? r : cow_verify(c, err);
}

/*
 * What the kernel has written has no checksums yet. They are made of what reads back
 * from the file: by then it stands in the page cache, and nobody waits for it.
 */
int memory_write_cores(struct checkpoint *c, struct error **err)
{
	__cleanup(cleanup_page_pool) struct page_pool *pool = NULL;
	struct page_options options = {.cancel = c->request->cancel};
	int r = page_pool_create(&pool, &options, err);

	vec_for_each (t, &c->tasks) {
		if (!r && t->snapshot >= 0)
			r = memory_adopt_snapshot(c, t, err);
		if (!r && t->pages_written)
			r = page_pool_hash(pool, &t->pages, image_file_fd(t->core), t->core_name,
					   err);
		c->page_bytes += t->pages.data_len;
	}
	if (!r)
		r = page_pool_finish(pool, err);
	vec_for_each (t, &c->tasks)
		if (!r && t->core)
			r = write_core(c, t, t->core, err);
	return r;
}

static const enum ckpt_type memory_types[] = {CKPT_MM, CKPT_VMAS, CKPT_AUXV, 0};

static const char *const memory_not_captured[] = {
	"pages that a process shares copy-on-write with others than its parent, or at another "
	"address than that (mremap), are saved once for each",
	"segments in an LDT (modify_ldt): refused when the tasks have stopped, but on the patched "
	"kernel, which does not see them",
	NULL,
};

const struct resource_class resource_memory = {
	.name = "memory",
	.version = 1,
	.types = memory_types,
	.admit = memory_admit,
	.dump = memory_dump,
	.ask = memory_ask,
	.kernel = KERNEL_CLASS(MEMORY),
	.adopt = memory_adopt,
	.load = memory_load,
	.not_captured = memory_not_captured,
};
