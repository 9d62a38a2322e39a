// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h> /* the widest vectors that this CPU has */
#endif

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/parallel.h"
#include "util/thread.h"

#define PAGE_WORKERS_MAX 8
#define PAGE_IOVS	 1024 /* UIO_MAXIOV */
#define WORKER_STACK	 (256 * 1024)
#define PROGRESS_NSEC	 50000000

struct job {
	struct page_memory memory;
	const struct page_area *area;
	uint64_t *checksums; /* a dump: where they go; NULL: a load */
	bool written;	     /* a dump whose data is in the file already */
	int fd;
	const char *name;
	size_t run;   /* first one that reaches into the next chunk or lies behind it */
	size_t chunk; /* next one to be handed out */
};

struct page_pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* there is something to do, or the end has come */
	pthread_cond_t idle; /* nobody is at work any more */
	VEC(struct job) jobs;
	size_t job; /* first one with chunks left */
	uint64_t done, total, chunks;
	unsigned busy;
	bool quit;
	struct page_options options;
	struct error *error;
	int result;
	unsigned workers, started;
	pthread_t threads[PAGE_WORKERS_MAX];
};

/* What one thread needs for one chunk. */
struct chunk {
	struct job job; /* a copy: the pool's list may move */
	size_t index, run;
	uint64_t offset; /* in the file */
	size_t len;
	int mem;     /* /proc/PID/mem, opened when something needs it */
	bool shared; /* what was collected is */
	struct iovec iovs[PAGE_IOVS];
};

struct worker {
	struct page_pool *pool;
	uint8_t *buffer;
	struct chunk chunk;
};

/* --- one chunk --- */

static bool chunk_is_dump(const struct chunk *c)
{
	return c->job.checksums;
}

static int transfer_fd(int fd, bool out, void *data, size_t len, off_t offset)
{
	return out ? pread_full(fd, data, len, offset) : pwrite_full(fd, data, len, offset);
}

static int transfer_error(const struct chunk *c, uint64_t address, int errnum, struct error **err)
{
	const char *verb = chunk_is_dump(c) ? "reading" : "writing";

	if (!c->job.memory.pid)
		return error_errno(err, errnum, "%s shared memory at 0x%llx for \"%s\"", verb,
				   (unsigned long long)address, c->job.name);
	return error_errno(err, errnum, "%s memory of process %d at 0x%llx for \"%s\"", verb,
			   c->job.memory.pid, (unsigned long long)address, c->job.name);
}

/*
 * /proc/PID/mem minds no protection; process_vm_readv() and process_vm_writev() do. And those pin
 * what they read, for which a page that is shared copy-on-write is copied (gup_must_unshare()).
 */
static int transfer_mem(struct chunk *c, const struct iovec *iov, void *data, struct error **err)
{
	uint64_t address = (uintptr_t)iov->iov_base;
	int r;

	if (c->mem < 0)
		c->mem = open_fmt(O_RDWR, "/proc/%d/mem", c->job.memory.pid);
	if (c->mem < 0)
		return error_errno(err, -c->mem, "opening memory of process %d", c->job.memory.pid);
	r = transfer_fd(c->mem, chunk_is_dump(c), data, iov->iov_len, address);
	return r < 0 ? transfer_error(c, address, -r, err) : 0;
}

static size_t iovs_skip(struct iovec **iovs, size_t count, size_t len)
{
	while (count && len >= (*iovs)->iov_len) {
		len -= (*iovs)->iov_len;
		(*iovs)++;
		count--;
	}
	if (len) {
		(*iovs)->iov_base = (char *)(*iovs)->iov_base + len;
		(*iovs)->iov_len -= len;
	}
	return count;
}

static int transfer_process(struct chunk *c, size_t count, uint8_t *data, size_t len,
			    struct error **err)
{
	struct iovec *iovs = c->iovs;
	pid_t pid = c->job.memory.pid;

	while (count) {
		struct iovec local = {data, len};
		ssize_t n = c->shared	       ? 0
			    : chunk_is_dump(c) ? process_vm_readv(pid, &local, 1, iovs, count, 0)
					       : process_vm_writev(pid, &local, 1, iovs, count, 0);

		if (n < 0 && errno != EFAULT)
			return transfer_error(c, (uintptr_t)iovs->iov_base, errno, err);
		if (n <= 0) {
			int r = transfer_mem(c, iovs, data, err);

			if (r)
				return r;
			n = iovs->iov_len;
		}
		count = iovs_skip(&iovs, count, n);
		data += n;
		len -= n;
	}
	return 0;
}

/* The last page of an object may be more than the object has. */
static int read_object(int fd, uint8_t *data, size_t len, off_t offset)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, data + done, len - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n) {
			memset(data + done, 0, len - done);
			break;
		}
		done += n;
	}
	return 0;
}

static int transfer_object(struct chunk *c, size_t count, uint8_t *data, struct error **err)
{
	int fd = c->job.memory.object;

	for (size_t i = 0; i < count; i++) {
		uint64_t address = (uintptr_t)c->iovs[i].iov_base;
		size_t len = c->iovs[i].iov_len;
		int r = chunk_is_dump(c) ? read_object(fd, data, len, address)
					 : pwrite_full(fd, data, len, address);

		if (r)
			return transfer_error(c, address, -r, err);
		data += len;
	}
	return 0;
}

static bool run_is_shared(const struct page_area *area, size_t run)
{
	return area->shared && area->shared[run];
}

static bool run_has_data(const struct ckpt_page_run *run)
{
	return run->kind == CKPT_PAGES_DATA;
}

/*
 * Collects the pieces of memory that lie in [offset, offset + len) of the file,
 * as far as they follow each other there, fit into the array and are shared alike. Returns how
 * many; *at becomes where the first one starts, *bytes how long they are together.
 */
static size_t collect(struct chunk *c, uint64_t offset, size_t len, uint64_t *at, size_t *bytes)
{
	const struct page_area *area = c->job.area;
	uint64_t end = offset + len;
	size_t count = 0;

	*bytes = 0;
	for (; c->run < area->run_count && count < PAGE_IOVS; c->run++) {
		const struct ckpt_page_run *run = &area->runs[c->run];
		uint64_t from, to;

		if (!run_has_data(run) || run->offset + run->len <= offset)
			continue;
		from = run->offset > offset ? run->offset : offset;
		to = run->offset + run->len < end ? run->offset + run->len : end;
		if (from >= end ||
		    (count && (from != *at + *bytes || run_is_shared(area, c->run) != c->shared)))
			break;
		if (!count) {
			*at = from;
			c->shared = run_is_shared(area, c->run);
		}
		c->iovs[count++] = (struct iovec){
			.iov_base = (void *)(uintptr_t)(run->address + (from - run->offset)),
			.iov_len = to - from,
		};
		*bytes += to - from;
		/* the rest of this run is the next block's */
		if (to == end)
			break;
	}
	return count;
}

/* Moves what lies in [offset, offset + len) of the file between memory and data. */
static int transfer(struct chunk *c, uint64_t offset, size_t len, uint8_t *data, struct error **err)
{
	uint64_t end = offset + len, at = offset;
	size_t count, bytes;

	while (at < end && (count = collect(c, at, end - at, &at, &bytes))) {
		uint8_t *part = data + (at - offset);
		int r = c->job.memory.pid ? transfer_process(c, count, part, bytes, err)
					  : transfer_object(c, count, part, err);

		if (r)
			return r;
		at += bytes;
	}
	return 0;
}

static int hash_chunk(struct chunk *c, uint8_t *buffer, struct error **err)
{
	int r = pread_full(c->job.fd, buffer, c->len, c->offset);

	if (r)
		return error_errno(err, -r, "reading \"%s\"", c->job.name);
	c->job.checksums[c->index] = XXH3_64bits(buffer, c->len);
	return 0;
}

/*
 * A chunk at a time, although parts of it would stay in the second-level cache: writers of
 * one file wait for each other, and few long writes cost less than that cache gains.
 */
static int dump_chunk(struct chunk *c, uint8_t *buffer, struct error **err)
{
	int r;

	if (c->job.written)
		return hash_chunk(c, buffer, err);
	r = transfer(c, c->offset, c->len, buffer, err);
	if (r)
		return r;
	c->job.checksums[c->index] = XXH3_64bits(buffer, c->len);
	r = pwrite_full(c->job.fd, buffer, c->len, c->offset);
	return r ? error_errno(err, -r, "writing \"%s\"", c->job.name) : 0;
}

static int load_chunk(struct chunk *c, uint8_t *buffer, struct error **err)
{
	int r = pread_full(c->job.fd, buffer, c->len, c->offset);

	if (r == -ENODATA)
		return error_set(err, EBADMSG, "\"%s\" is truncated", c->job.name);
	if (r)
		return error_errno(err, -r, "reading \"%s\"", c->job.name);
	if (XXH3_64bits(buffer, c->len) != c->job.area->checksums[c->index])
		return error_set(err, EBADMSG,
				 "\"%s\" is damaged: wrong checksum of the %zu bytes at %llu",
				 c->job.name, c->len, (unsigned long long)c->offset);
	return transfer(c, c->offset, c->len, buffer, err);
}

/* --- the pool --- */

/* With the lock held. */
static void pool_fail(struct page_pool *pool, int result, struct error *error)
{
	if (pool->result) {
		error_free(error);
		return;
	}
	pool->result = result;
	pool->error = error;
}

static bool pool_has_work(const struct page_pool *pool)
{
	return !pool->quit && !pool->result && pool->job < pool->jobs.count;
}

/* With the lock held: the next chunk, or false if there is nothing left to start. */
static bool pool_take(struct page_pool *pool, struct chunk *c)
{
	const struct page_area *area;
	struct job *job;

	if (!pool_has_work(pool))
		return false;
	if (pool->options.cancel && *pool->options.cancel) {
		struct error *error = NULL;

		error_set(&error, ECANCELED, "cancelled by a signal");
		pool_fail(pool, -ECANCELED, error);
		return false;
	}
	job = &pool->jobs.items[pool->job];
	area = job->area;
	c->index = job->chunk++;
	c->offset = area->data_offset + c->index * CKPT_CHUNK;
	c->len = area->data_len - c->index * CKPT_CHUNK;
	if (c->len > CKPT_CHUNK)
		c->len = CKPT_CHUNK;
	else
		pool->job++;
	while (job->run < area->run_count &&
	       (!run_has_data(&area->runs[job->run]) ||
		area->runs[job->run].offset + area->runs[job->run].len <= c->offset))
		job->run++;
	c->job = *job;
	c->run = job->run;
	c->mem = -1;
	return true;
}

/* Takes chunks until there are none left. With the lock held, which it drops meanwhile. */
static void pool_work(struct page_pool *pool, struct worker *w)
{
	while (pool_take(pool, &w->chunk)) {
		struct error *error = NULL;
		int r;

		pool->busy++;
		pthread_mutex_unlock(&pool->lock);
		r = chunk_is_dump(&w->chunk) ? dump_chunk(&w->chunk, w->buffer, &error)
					     : load_chunk(&w->chunk, w->buffer, &error);
		if (w->chunk.mem >= 0)
			close(w->chunk.mem);
		pthread_mutex_lock(&pool->lock);
		pool->busy--;
		pool->done += w->chunk.len;
		if (r)
			pool_fail(pool, r, error);
	}
}

static void *worker_main(void *ctx)
{
	struct worker *w = ctx;
	struct page_pool *pool = w->pool;

	pthread_mutex_lock(&pool->lock);
	while (!pool->quit) {
		pool_work(pool, w);
		if (!pool->busy)
			pthread_cond_signal(&pool->idle);
		if (!pool->quit)
			pthread_cond_wait(&pool->work, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	free(w->buffer);
	free(w);
	return NULL;
}

static struct worker *worker_new(struct page_pool *pool)
{
	struct worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->pool = pool;
	w->buffer = aligned_alloc(4096, CKPT_CHUNK);
	if (w->buffer)
		return w;
	free(w);
	return NULL;
}

static int pool_start_worker(struct page_pool *pool)
{
	struct worker *w = worker_new(pool);
	pthread_attr_t attr;
	int r;

	if (!w)
		return -ENOMEM;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK);
	r = thread_start(&pool->threads[pool->started], &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	if (r) {
		free(w->buffer);
		free(w);
		return -r;
	}
	pool->started++;
	return 0;
}

int page_pool_create(struct page_pool **pool, const struct page_options *o, struct error **err)
{
	unsigned cpus = parallel_cpus();

	*pool = calloc(1, sizeof(**pool));
	if (!*pool)
		return error_errno(err, ENOMEM, "allocating page buffers");
	pthread_mutex_init(&(*pool)->lock, NULL);
	pthread_cond_init(&(*pool)->work, NULL);
	pthread_cond_init(&(*pool)->idle, NULL);
	(*pool)->workers = cpus < PAGE_WORKERS_MAX ? cpus : PAGE_WORKERS_MAX;
	if (o)
		(*pool)->options = *o;
	return 0;
}

void page_pool_free(struct page_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->started; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->idle);
	pthread_mutex_destroy(&pool->lock);
	error_free(pool->error);
	vec_free(&pool->jobs);
	free(pool);
}

/* Chunks are looked up by walking the runs once: they have to be in the file's order. */
static int check_order(const struct page_area *area, const char *name, struct error **err)
{
	uint64_t floor = area->data_offset;

	for (size_t i = 0; i < area->run_count; i++) {
		if (!run_has_data(&area->runs[i]))
			continue;
		if (area->runs[i].offset < floor)
			return error_set(err, EBADMSG,
					 "\"%s\": runs of pages share data or are out of order",
					 name);
		floor = area->runs[i].offset + area->runs[i].len;
	}
	return 0;
}

static int pool_add(struct page_pool *pool, const struct job *job, struct error **err)
{
	int r = check_order(job->area, job->name, err);
	struct job *added;

	if (r || !job->area->data_len)
		return r;
	pthread_mutex_lock(&pool->lock);
	added = vec_add(&pool->jobs);
	if (added) {
		*added = *job;
		pool->total += job->area->data_len;
		pool->chunks += (job->area->data_len + CKPT_CHUNK - 1) / CKPT_CHUNK;
		pthread_cond_broadcast(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!added)
		return error_errno(err, ENOMEM, "queueing pages of \"%s\"", job->name);
	/* fewer workers than wished for do the same work */
	while (pool->started < pool->workers && pool->started < pool->chunks) {
		r = pool_start_worker(pool);
		if (r)
			return pool->started ? 0 : error_errno(err, -r, "starting a thread");
	}
	return 0;
}

int page_pool_dump(struct page_pool *pool, const struct page_memory *from, struct page_area *area,
		   int fd, const char *name, struct error **err)
{
	struct job job = {
		.memory = *from,
		.area = area,
		.checksums = area->checksums,
		.fd = fd,
		.name = name,
	};

	return pool_add(pool, &job, err);
}

int page_pool_hash(struct page_pool *pool, struct page_area *area, int fd, const char *name,
		   struct error **err)
{
	struct job job = {
		.area = area,
		.checksums = area->checksums,
		.written = true,
		.fd = fd,
		.name = name,
	};

	return pool_add(pool, &job, err);
}

int page_pool_load(struct page_pool *pool, const struct page_memory *to,
		   const struct page_area *area, int fd, const char *name, struct error **err)
{
	struct job job = {.memory = *to, .area = area, .fd = fd, .name = name};

	return pool_add(pool, &job, err);
}

static void pool_reset(struct page_pool *pool)
{
	pool->jobs.count = 0;
	pool->job = 0;
	pool->done = pool->total = pool->chunks = 0;
	pool->error = NULL;
	pool->result = 0;
}

/* With the lock held: until nobody works, or it is time to tell how far they are. */
static void pool_wait(struct page_pool *pool)
{
	struct timespec until;
	uint64_t done, total;

	if (!pool->options.progress) {
		pthread_cond_wait(&pool->idle, &pool->lock);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PROGRESS_NSEC;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&pool->idle, &pool->lock, &until);
	done = pool->done;
	total = pool->total;
	pthread_mutex_unlock(&pool->lock);
	pool->options.progress(pool->options.ctx, done, total);
	pthread_mutex_lock(&pool->lock);
}

int page_pool_finish(struct page_pool *pool, struct error **err)
{
	struct error *error;
	int r;

	pthread_mutex_lock(&pool->lock);
	while (pool->busy || pool_has_work(pool))
		pool_wait(pool);
	r = pool->result;
	error = pool->error;
	if (!r && pool->options.progress)
		pool->options.progress(pool->options.ctx, pool->done, pool->total);
	pool_reset(pool);
	pthread_mutex_unlock(&pool->lock);
	if (!r)
		return 0;
	if (err && !*err)
		*err = error;
	else
		error_free(error);
	return r;
}

int pages_dump(const struct page_memory *from, struct page_area *area, int fd, const char *name,
	       const struct page_options *o, struct error **err)
{
	__cleanup(cleanup_page_pool) struct page_pool *pool = NULL;
	int r = page_pool_create(&pool, o, err);

	if (!r)
		r = page_pool_dump(pool, from, area, fd, name, err);
	return r ? r : page_pool_finish(pool, err);
}

int pages_load(const struct page_memory *to, const struct page_area *area, int fd, const char *name,
	       const struct page_options *o, struct error **err)
{
	__cleanup(cleanup_page_pool) struct page_pool *pool = NULL;
	int r = page_pool_create(&pool, o, err);

	if (!r)
		r = page_pool_load(pool, to, area, fd, name, err);
	return r ? r : page_pool_finish(pool, err);
}

int pages_layout(struct page_area *area, uint64_t data_offset, struct error **err)
{
	uint64_t offset = data_offset;
	size_t chunks;

	for (size_t i = 0; i < area->run_count; i++) {
		if (!run_has_data(&area->runs[i]))
			continue;
		area->runs[i].offset = offset;
		offset += area->runs[i].len;
	}
	area->data_offset = data_offset;
	area->data_len = offset - data_offset;
	chunks = (area->data_len + CKPT_CHUNK - 1) / CKPT_CHUNK;
	free(area->checksums);
	area->checksums = calloc(chunks ? chunks : 1, sizeof(*area->checksums));
	area->checksum_count = chunks;
	if (!area->checksums)
		return error_errno(err, ENOMEM, "allocating checksums");
	return 0;
}
