// SPDX-License-Identifier: GPL-2.0-only
/*
 * A core made of a live process: gdb must see the stacks and data that the
 * process has, and core_read() must give back what core_write() was given.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "checkpoint/image/image.h"
#include "checkpoint/user/pages.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

/* --- the process --- */

static volatile unsigned long long marker_value; /* set at run time: not in the file */
static char *volatile zero_pages;
static char *volatile heap_text;
static pthread_barrier_t ready;

static volatile int kept_depth;

__attribute__((noinline)) static void sleep_forever(int fd)
{
	pthread_barrier_wait(&ready);
	if (fd >= 0 && write(fd, "r", 1) != 1)
		exit(1);
	while (kept_depth < 100)
		pause();
}

__attribute__((noinline)) static void firn_worker_sleeps(int depth)
{
	if (depth)
		firn_worker_sleeps(depth - 1);
	else
		sleep_forever(-1);
	kept_depth = depth; /* no tail call: each depth is a frame, and known in it */
}

static void *worker(void *arg)
{
	firn_worker_sleeps((int)(intptr_t)arg);
	return NULL;
}

__attribute__((noinline)) static void firn_main_sleeps(int fd)
{
	sleep_forever(fd);
	kept_depth = fd;
}

static int victim(int fd)
{
	pthread_t threads[2];

	marker_value = 0x600d5eed;
	heap_text = strdup("kept on the heap");
	zero_pages =
		mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	zero_pages[8 * 4096] = 'x'; /* data with gaps on both sides */
	pthread_barrier_init(&ready, NULL, 3);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)(i + 1));
	firn_main_sleeps(fd);
	return 0;
}

/* --- making a core of it --- */

#define MAX_VMAS 256

struct capture {
	pid_t pid;
	struct core_thread threads[8];
	size_t thread_count;
	struct ckpt_vma vmas[MAX_VMAS];
	char *paths[MAX_VMAS];
	size_t vma_count;
	char args[64];
	char *auxv;
	size_t auxv_len;
	struct buf records;
	page_run_vec runs;
	struct page_area area;
};

static pid_t start_victim(void)
{
	char fd_text[16], c;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	snprintf(fd_text, sizeof(fd_text), "%d", fds[1]);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "test_core", "victim", fd_text, NULL);
		_exit(127);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

static void stop_thread(struct capture *c, pid_t tid)
{
	struct core_thread *t = &c->threads[c->thread_count++];
	struct iovec regs = {&t->regs, sizeof(t->regs)};
	struct iovec xstate = {malloc(65536), 65536};
	int status;

	t->tid = tid;
	assert_int_equal(ptrace(PTRACE_SEIZE, tid, 0, 0), 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, 0, 0), 0);
	assert_int_equal(waitpid(tid, &status, __WALL), tid);
	assert_int_equal(ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &regs), 0);
	assert_int_equal(ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &xstate), 0);
	t->xstate = xstate.iov_base;
	t->xstate_len = xstate.iov_len;
}

static void stop_all(struct capture *c)
{
	char path[64];
	DIR *dir;
	struct dirent *e;

	stop_thread(c, c->pid);
	snprintf(path, sizeof(path), "/proc/%d/task", c->pid);
	dir = opendir(path);
	assert_non_null(dir);
	while ((e = readdir(dir)))
		if (atoi(e->d_name) > 0 && atoi(e->d_name) != c->pid)
			stop_thread(c, atoi(e->d_name));
	closedir(dir);
	assert_int_equal(c->thread_count, 3);
}

static void read_maps(struct capture *c)
{
	char *text = NULL, *save = NULL;

	assert_int_equal(proc_read(&text, NULL, "%d/maps", c->pid), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct ckpt_vma *v = &c->vmas[c->vma_count];
		unsigned long long start, end, offset;
		char perms[5], *path = strchr(line, '/');

		assert_int_equal(sscanf(line, "%llx-%llx %4s %llx", &start, &end, perms, &offset),
				 4);
		v->start = start;
		v->end = end;
		v->offset = offset;
		v->prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
			  (perms[2] == 'x' ? PROT_EXEC : 0);
		v->kind = path		       ? CKPT_VMA_FILE
			  : strstr(line, "[v") ? CKPT_VMA_SPECIAL
					       : CKPT_VMA_ANON;
		c->paths[c->vma_count++] = path ? strdup(path) : NULL;
		assert_true(c->vma_count < MAX_VMAS);
	}
	free(text);
}

/* What the engine does for a task, a page at a time. */
static void dump_pages(struct capture *c, int fd)
{
	__cleanup_fd int pagemap = open_fmt(O_RDONLY, "/proc/%d/pagemap", c->pid);
	uint64_t offset = CORE_DATA_OFFSET;
	char page[4096];

	for (size_t i = 0; i < c->vma_count; i++) {
		const struct ckpt_vma *v = &c->vmas[i];
		unsigned flags = v->kind == CKPT_VMA_FILE ? PAGES_SCAN_FILE : 0;

		if (v->kind != CKPT_VMA_SPECIAL && v->prot & PROT_READ)
			assert_int_equal(
				pages_scan(pagemap, v->start, v->end, flags, &c->runs, NULL, NULL),
				0);
	}
	vec_for_each (run, &c->runs) {
		run->offset = offset;
		run->flags = 0;
		for (uint64_t at = 0; at < run->len; at += 4096, offset += 4096) {
			struct iovec local = {page, 4096};
			struct iovec remote = {(void *)(run->address + at), 4096};

			assert_int_equal(process_vm_readv(c->pid, &local, 1, &remote, 1, 0), 4096);
			assert_int_equal(pwrite_full(fd, page, 4096, offset), 0);
		}
	}
	c->area.runs = c->runs.items;
	c->area.run_count = c->runs.count;
	c->area.data_offset = CORE_DATA_OFFSET;
	c->area.data_len = offset - CORE_DATA_OFFSET;
}

static void hash_chunks(struct capture *c, int fd)
{
	char *chunk = malloc(CKPT_CHUNK);

	c->area.checksum_count = (c->area.data_len + CKPT_CHUNK - 1) / CKPT_CHUNK;
	c->area.checksums = calloc(c->area.checksum_count, 8);
	for (size_t i = 0; i < c->area.checksum_count; i++) {
		uint64_t from = i * (uint64_t)CKPT_CHUNK;
		size_t len =
			c->area.data_len - from < CKPT_CHUNK ? c->area.data_len - from : CKPT_CHUNK;

		assert_int_equal(pread_full(fd, chunk, len, CORE_DATA_OFFSET + from), 0);
		c->area.checksums[i] = XXH3_64bits(chunk, len);
	}
	free(chunk);
}

static void add_records(struct image_writer *w, pid_t pid)
{
	struct ckpt_begin begin = {.magic = CKPT_MAGIC, .format = CKPT_FORMAT_VERSION, .tasks = 1};
	struct ckpt_task task = {.pid = pid, .threads = 3, .comm = "test_core"};
	struct ckpt_end end = {.records = 2};
	__cleanup_buf struct buf stream = {0};
	struct image_file *f;

	record_add(&stream, CKPT_BEGIN, &begin, sizeof(begin));
	record_add(&stream, CKPT_TASK, &task, sizeof(task));
	record_add(&stream, CKPT_END, &end, sizeof(end));
	assert_int_equal(image_add_file(w, "container.rec", &f, NULL), 0);
	assert_int_equal(image_file_write(f, stream.data, stream.len, NULL), 0);
	assert_int_equal(image_add_file(w, "config.json", &f, NULL), 0);
	assert_int_equal(image_file_write(f, "{}", 2, NULL), 0);
}

static void capture(struct capture *c, const char *dir)
{
	struct image_info info = {.id = "core", .tasks = 1, .threads = 3};
	struct error *err = NULL;
	struct image_writer *w;
	struct image_file *f;
	struct core_info core;
	char name[32];

	c->pid = start_victim();
	stop_all(c);
	read_maps(c);
	assert_int_equal(proc_read(&c->auxv, &c->auxv_len, "%d/auxv", c->pid), 0);
	snprintf(c->args, sizeof(c->args), "%s victim", program_invocation_short_name);
	record_add(&c->records, CKPT_VMAS, c->vmas, c->vma_count * sizeof(*c->vmas));
	record_add(&c->records, CKPT_SIGPENDING, NULL, 0);
	assert_int_equal(image_create(dir, &w, &err), 0);
	add_records(w, c->pid);
	snprintf(name, sizeof(name), "task-%d.core", c->pid);
	assert_int_equal(image_add_file(w, name, &f, &err), 0);
	dump_pages(c, image_file_fd(f));
	hash_chunks(c, image_file_fd(f));
	core = (struct core_info){
		.pid = c->pid,
		.ppid = 1,
		.pgid = c->pid,
		.sid = c->pid,
		.state = 'S',
		.comm = program_invocation_short_name,
		.args = c->args,
		.threads = c->threads,
		.thread_count = c->thread_count,
		.auxv = c->auxv,
		.auxv_len = c->auxv_len,
		.vmas = c->vmas,
		.vma_count = c->vma_count,
		.vma_paths = (const char *const *)c->paths,
		.records = &c->records,
		.pages = &c->area,
	};
	assert_int_equal(core_write(f, &core, &err), 0);
	assert_int_equal(image_commit(w, &info, &err), 0);
	image_close(w);
	kill(c->pid, SIGKILL);
	for (size_t i = c->thread_count; i-- > 0;)
		waitpid(c->threads[i].tid, NULL, __WALL);
}

static void capture_free(struct capture *c)
{
	for (size_t i = 0; i < c->thread_count; i++)
		free((void *)c->threads[i].xstate);
	for (size_t i = 0; i < c->vma_count; i++)
		free(c->paths[i]);
	free(c->auxv);
	buf_free(&c->records);
	free(c->area.checksums);
	vec_free(&c->runs);
}

/* --- tests --- */

static int make_dir(void **state)
{
	char *dir = strdup("/tmp/test_core.XXXXXX");

	*state = mkdtemp(dir);
	return !*state;
}

static int remove_dir(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	free(*state);
	return system(command);
}

static char *run_gdb(const char *dir, pid_t pid, const char *commands)
{
	char line[1024], self[512] = "", *out = calloc(1, 65536);
	size_t n;
	FILE *p;

	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	snprintf(line, sizeof(line),
		 "gdb -nx -batch -iex 'set debuginfod enabled off' "
		 "-iex 'set print entry-values no' %s %s %s/image/task-%d.core 2>&1",
		 commands, self, dir, pid);
	p = popen(line, "r");
	assert_non_null(p);
	n = fread(out, 1, 65535, p);
	out[n] = '\0';
	pclose(p);
	return out;
}

static void expect(const char *out, const char *wanted)
{
	if (!strstr(out, wanted))
		fail_msg("gdb does not say \"%s\":\n%s", wanted, out);
}

static void test_gdb(void **state)
{
	struct capture c = {0};
	char path[256], *out;

	if (system("command -v gdb >/dev/null")) {
		print_message("wants gdb\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/image", (char *)*state);
	capture(&c, path);
	out = run_gdb(*state, c.pid,
		      "-ex 'thread apply all bt' -ex 'p/x marker_value' -ex 'p heap_text' "
		      "-ex 'x/dw zero_pages' -ex 'x/c zero_pages+32768' "
		      "-ex 'x/dw zero_pages+200000' -ex 'info threads'");
	expect(out, "firn_main_sleeps (fd=");
	expect(out, "firn_worker_sleeps (depth=0)");
	expect(out, "firn_worker_sleeps (depth=2)");
	expect(out, "in victim (fd=");
	expect(out, "0x600d5eed");
	expect(out, "\"kept on the heap\"");
	expect(out, "120 'x'");
	if (strstr(out, "Cannot access memory"))
		fail_msg("gdb cannot read all memory:\n%s", out);
	free(out);
	capture_free(&c);
}

static void test_roundtrip(void **state)
{
	__cleanup_error struct error *err = NULL;
	struct image_reader *r;
	struct capture c = {0};
	struct core core;
	char path[256];

	snprintf(path, sizeof(path), "%s/image", (char *)*state);
	capture(&c, path);
	if (image_open(path, &r, &err))
		fail_msg("%s", error_message(err));
	assert_int_equal(core_read(r, c.pid, &core, &err), 0);
	assert_int_equal(core.records_len, c.records.len);
	assert_memory_equal(core.records, c.records.data, c.records.len);
	assert_int_equal(core.pages.run_count, c.area.run_count);
	assert_memory_equal(core.pages.runs, c.area.runs, c.area.run_count * sizeof(*c.area.runs));
	assert_int_equal(core.pages.checksum_count, c.area.checksum_count);
	assert_memory_equal(core.pages.checksums, c.area.checksums, 8 * c.area.checksum_count);
	assert_int_equal(core.pages.data_len, c.area.data_len);
	assert_true(core.fd >= 0);
	core_free(&core);
	assert_int_equal(core_read(r, 4000000, &core, &err), -ENOENT);
	image_reader_free(r);
	capture_free(&c);
}

/* More segments than e_phnum can say. */
static void test_many_segments(void **state)
{
	struct buf records = {0};
	struct page_area area = {.data_offset = CORE_DATA_OFFSET};
	struct ckpt_vma vma = {.start = 0x100000000, .prot = PROT_READ, .kind = CKPT_VMA_ANON};
	struct core_info core = {.pid = 1,
				 .state = 'S',
				 .vmas = &vma,
				 .vma_count = 1,
				 .records = &records,
				 .pages = &area};
	struct image_info info = {.id = "many"};
	struct error *err = NULL;
	struct image_writer *w;
	struct image_reader *r;
	struct image_file *f;
	struct core back;
	char path[256];

	area.run_count = 40000;
	area.runs = calloc(area.run_count, sizeof(*area.runs));
	area.data_len = area.run_count * 4096;
	area.checksum_count = (area.data_len + CKPT_CHUNK - 1) / CKPT_CHUNK;
	area.checksums = calloc(area.checksum_count, 8);
	for (size_t i = 0; i < area.run_count; i++)
		area.runs[i] = (struct ckpt_page_run){.address = vma.start + i * 8192,
						      .len = 4096,
						      .offset = CORE_DATA_OFFSET + i * 4096,
						      .kind = CKPT_PAGES_DATA};
	vma.end = vma.start + area.run_count * 8192;
	snprintf(path, sizeof(path), "%s/image", (char *)*state);
	assert_int_equal(image_create(path, &w, &err), 0);
	add_records(w, 1);
	assert_int_equal(image_add_file(w, "task-1.core", &f, &err), 0);
	assert_int_equal(ftruncate(image_file_fd(f), CORE_DATA_OFFSET + area.data_len), 0);
	assert_int_equal(core_write(f, &core, &err), 0);
	assert_int_equal(image_commit(w, &info, &err), 0);
	image_close(w);
	assert_int_equal(image_open(path, &r, &err), 0);
	assert_int_equal(core_read(r, 1, &back, &err), 0);
	assert_int_equal(back.pages.run_count, area.run_count);
	core_free(&back);
	image_reader_free(r);
	page_area_free(&area);
	snprintf(path, sizeof(path),
		 "readelf -lW %s/image/task-1.core | grep -c LOAD | grep -qx 80000",
		 (char *)*state);
	if (system("command -v readelf >/dev/null") == 0)
		assert_int_equal(system(path), 0);
}

/* Records as long as what the reader takes of a whole core; of zeros that take no memory. */
static void test_too_long(void **state)
{
	struct buf records = {.len = CORE_MAX};
	struct page_area area = {.data_offset = CORE_DATA_OFFSET};
	struct core_info core = {.pid = 1, .state = 'S', .records = &records, .pages = &area};
	struct ckpt_header *header;
	struct error *err = NULL;
	struct image_writer *w;
	struct image_file *f;
	char path[256];

	records.data = mmap(NULL, records.len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(records.data, MAP_FAILED);
	header = (struct ckpt_header *)records.data;
	*header = (struct ckpt_header){
		.type = CKPT_VMAS, .version = 1, .len = records.len - sizeof(*header)};
	snprintf(path, sizeof(path), "%s/image", (char *)*state);
	assert_int_equal(image_create(path, &w, &err), 0);
	assert_int_equal(image_add_file(w, "task-1.core", &f, &err), 0);
	assert_int_equal(core_write(f, &core, &err), -EFBIG);
	assert_non_null(strstr(error_message(err), "task-1.core"));
	error_free(err);
	image_close(w);
	munmap(records.data, records.len);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roundtrip, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_many_segments, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_too_long, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_gdb, make_dir, remove_dir),
	};

	if (argc == 3 && !strcmp(argv[1], "victim"))
		return victim(atoi(argv[2]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
