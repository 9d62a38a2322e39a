// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contexts of asynchronous I/O (io_setup(2)). A context is known by the address of its ring,
 * which the process has mapped, and goes with it by mremap. The ring has what has ended and was
 * not read. What the kernel counts beside it can only be had by requests of the same number: so
 * that many are made at a restore, of a file that is empty.
 *
 * The kernel tells nobody which requests are in flight, or whether there are any: a context is
 * refused unless they may be lost (--allow aio). Even so few are: rings are read when no request
 * has ended for a while, before the memory that requests fill is, and looked at again behind it;
 * if one has ended meanwhile, the checkpoint is given up.
 */
#include <errno.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <time.h>

#include "checkpoint/resource/memory.h"
#include "checkpoint/resource/resource.h"
#include "util/cleanup.h"
#include "util/error.h"

#define PAGE	     4096ull
#define RING_MAGIC   0xa10a10a1u
#define STILL_MS     2 /* so long no request has ended */
#define PATIENCE_MS  200
#define NR_MAX	     (1u << 26)
#define CPU_MASK_LEN 1024
#define AT_ONCE	     256

/* struct aio_ring of fs/aio.c: events follow. */
struct ring {
	uint32_t id, nr, head, tail, magic, compat, incompat, header_length;
};

_Static_assert(sizeof(struct ckpt_aio_event) == sizeof(struct io_event), "as the kernel has it");
_Static_assert(sizeof(struct ring) == sizeof(struct io_event), "so many fit into pages");

static uint64_t ring_len(uint32_t nr)
{
	return (nr + 1ull) * sizeof(struct io_event);
}

static uint32_t unread(uint32_t nr, uint32_t head, uint32_t tail)
{
	return (tail + nr - head) % nr;
}

/* CPUs keep shares of the places in a ring: a quarter may be out of reach of one of them. */
static bool can_be_filled(uint32_t nr, uint32_t events)
{
	return events <= (nr - 1) / 4 * 3;
}

static uint64_t event_at(uint64_t ring, uint32_t index)
{
	return ring + sizeof(struct ring) + index * sizeof(struct io_event);
}

/* Copies count events from index on, which may go on at the ring's beginning. */
static int copy_events(pid_t pid, uint64_t ring, uint32_t nr, uint32_t index, void *ours,
		       uint32_t count, bool write, struct error **err)
{
	uint32_t first = count < nr - index ? count : nr - index;
	struct iovec local = {ours, count * sizeof(struct io_event)};
	struct iovec remote[] = {
		{(void *)event_at(ring, index), first * sizeof(struct io_event)},
		{(void *)event_at(ring, 0), (count - first) * sizeof(struct io_event)},
	};
	ssize_t n = write ? process_vm_writev(pid, &local, 1, remote, 2, 0)
			  : process_vm_readv(pid, &local, 1, remote, 2, 0);

	return n == (ssize_t)local.iov_len
		       ? 0
		       : error_errno(err, n < 0 ? errno : EIO, "copying events of an AIO ring");
}

static int read_ring(pid_t pid, uint64_t address, struct ring *ring, struct error **err)
{
	struct iovec ours = {ring, sizeof(*ring)}, theirs = {(void *)address, sizeof(*ring)};

	return process_vm_readv(pid, &ours, 1, &theirs, 1, 0) == sizeof(*ring)
		       ? 0
		       : error_errno(err, errno, "reading the AIO ring at 0x%llx",
				     (unsigned long long)address);
}

/* --- a checkpoint --- */

static bool is_ring(const struct vma *v)
{
	return v->rec.kind == CKPT_VMA_SPECIAL && !strcmp(v->rec.name, CKPT_AIO_NAME);
}

static int sum_of_tails(struct checkpoint *c, uint64_t *sum, bool *any, struct error **err)
{
	struct ring ring;

	*sum = 0;
	vec_for_each (t, &c->tasks)
		vec_for_each (v, &t->vmas) {
			int r = is_ring(v) ? read_ring(t->speaker, v->rec.start, &ring, err) : 0;

			if (r)
				return r;
			if (is_ring(v)) {
				*sum = *sum * 31 + ring.tail;
				*any = true;
			}
		}
	return 0;
}

/* What fast disks are at ends soon: then it need not be given up, and is not lost. */
static int wait_until_still(struct checkpoint *c, struct error **err)
{
	const struct timespec pause = {.tv_nsec = STILL_MS * 1000000};
	uint64_t before, now;
	bool any = false;
	int r = sum_of_tails(c, &before, &any, err);

	for (unsigned ms = 0; !r && any && ms < PATIENCE_MS; ms += STILL_MS) {
		nanosleep(&pause, NULL);
		r = sum_of_tails(c, &now, &any, err);
		if (now == before)
			break;
		before = now;
	}
	return r;
}

/* A child gets the mapping, but not the context. */
static const struct dump_task *find_owner(const struct checkpoint *c, const struct dump_task *t,
					  const struct vma *v)
{
	vec_for_each (other, &c->tasks) {
		if (other == t)
			break;
		vec_for_each (its, &other->vmas)
			if (is_ring(its) && its->ino == v->ino && its->dev == v->dev)
				return other;
	}
	return NULL;
}

static const char *fault_of(const struct vma *v, const struct ring *ring)
{
	if (ring->magic != RING_MAGIC || ring->nr < 2 || ring->head >= ring->nr ||
	    ring->tail >= ring->nr)
		return "an AIO ring that the process has written to";
	if (v->rec.offset || v->rec.end - v->rec.start != ring_len(ring->nr))
		return "a part of an AIO ring";
	if (!can_be_filled(ring->nr, unread(ring->nr, ring->head, ring->tail)))
		return "an AIO ring that is nearly full";
	return NULL;
}

static int note_ring(struct dump_task *t, const struct vma *v, const struct ring *ring,
		     struct error **err)
{
	struct ckpt_aio rec = {
		.address = v->rec.start, .nr = ring->nr, .head = ring->head, .tail = ring->tail};
	uint32_t count = unread(rec.nr, rec.head, rec.tail);
	struct ckpt_aio *added =
		record_add(&t->aio, CKPT_AIO, NULL, sizeof(rec) + count * sizeof(struct io_event));

	if (!added)
		return error_errno(err, ENOMEM, "recording AIO");
	*added = rec;
	return copy_events(t->speaker, rec.address, rec.nr, rec.head, added + 1, count, false, err);
}

static int admit_ring(struct checkpoint *c, struct dump_task *t, const struct vma *v,
		      struct error **err)
{
	const struct dump_task *owner = find_owner(c, t, v);
	struct ring ring;
	const char *fault;
	int r;

	if (owner)
		return checkpoint_block(c, t->rec.pid, -1, v->rec.start,
					"unmap it after the fork, or end the process",
					"the AIO ring of process %u", owner->rec.pid);
	r = read_ring(t->speaker, v->rec.start, &ring, err);
	if (r)
		return r;
	fault = fault_of(v, &ring);
	if (fault)
		return checkpoint_block(c, t->rec.pid, -1, v->rec.start,
					"let the program read its events, or destroy the context",
					"%s", fault);
	if (!(c->request->allow & ALLOW_AIO))
		return checkpoint_block(c, t->rec.pid, -1, v->rec.start,
					"checkpoint with --allow aio if the program waits for none",
					"an AIO context, which may have requests in flight,");
	return note_ring(t, v, &ring, err);
}

static int aio_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = 0;

	if (!t)
		return c->request->allow & ALLOW_AIO ? wait_until_still(c, err) : 0;
	for (size_t i = 0; !r && i < t->vmas.count; i++)
		if (is_ring(&t->vmas.items[i]))
			r = admit_ring(c, t, &t->vmas.items[i], err);
	return r;
}

/* Whether there is a context at all: one that reads nothing says so. */
static int check_context(struct dump_task *t, const struct ckpt_aio *a, struct error **err)
{
	long ret;
	int r = remote_syscall(&t->remote, err, "asking for an AIO context", &ret, SYS_io_getevents,
			       a->address, 0, 0, 0, 0, 0);

	if (r || !ret)
		return r;
	error_set(err, EOPNOTSUPP, "process %u has an AIO ring at 0x%llx without a context",
		  t->rec.pid, (unsigned long long)a->address);
	return error_hint(err, "let it unmap what it has of its parent's");
}

static int aio_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	struct record rec;
	size_t pos = 0;
	int r = 0;

	if (!t || !t->aio.len)
		return 0;
	while (!r && record_next(t->aio.data, t->aio.len, &pos, &rec) == 1)
		r = check_context(t, rec.data, err);
	if (!r && !buf_add(&t->records, t->aio.data, t->aio.len))
		r = error_errno(err, ENOMEM, "recording AIO");
	return r;
}

int aio_check_still(struct checkpoint *c, struct error **err)
{
	vec_for_each (t, &c->tasks) {
		struct record rec;
		size_t pos = 0;

		while (record_next(t->aio.data, t->aio.len, &pos, &rec) == 1) {
			const struct ckpt_aio *a = rec.data;
			struct ring ring;
			int r = read_ring(t->speaker, a->address, &ring, err);

			if (r)
				return r;
			if (ring.tail == a->tail)
				continue;
			error_set(err, EBUSY, "AIO requests of process %u ended meanwhile",
				  t->rec.pid);
			return error_hint(err, "try again when it has less to read and write");
		}
	}
	return 0;
}

/* --- a restore --- */

/*
 * The least that the kernel makes: for four requests per possible CPU, doubled, and two more. libc
 * takes the number from sysfs, or counts fewer; setup() sees what is made.
 */
static uint64_t smallest_ring(void)
{
	return 8ull * get_nprocs_conf() + 2;
}

static int too_small(const struct ckpt_aio *a, uint64_t here, struct error **err)
{
	error_set(err, EOPNOTSUPP,
		  "an AIO ring of %u events has at least %llu on this machine, which has more CPUs",
		  a->nr, (unsigned long long)here);
	return error_hint(err, "restore on a machine with as few possible CPUs");
}

static int aio_load(struct restore *r, struct restore_task *t, const struct record *rec,
		    struct error **err)
{
	const struct ckpt_aio *a = record_head(rec, sizeof(*a), err);
	struct record *more;
	uint32_t count;

	if (!a)
		return -EBADMSG;
	if (!t || a->address % PAGE || a->nr < 2 || a->nr > NR_MAX || ring_len(a->nr) % PAGE ||
	    a->head >= a->nr || a->tail >= a->nr)
		return error_set(err, EBADMSG, "an AIO ring that cannot be");
	count = unread(a->nr, a->head, a->tail);
	if (!can_be_filled(a->nr, count) ||
	    rec->len != sizeof(*a) + count * sizeof(struct ckpt_aio_event))
		return error_set(err, EBADMSG, "an AIO ring has not the %u events it says", count);
	if (a->nr < smallest_ring())
		return too_small(a, smallest_ring(), err);
	more = vec_add(&t->more);
	if (!more)
		return error_errno(err, ENOMEM, "loading AIO");
	*more = *rec;
	return 0;
}

/* The mapping that says the same, or NULL. */
static const struct ckpt_vma *find_mapping(const struct restore_task *t, const struct ckpt_aio *a)
{
	for (size_t i = 0; i < t->vma_count; i++) {
		const struct ckpt_vma *v = &t->vmas[i];

		if (v->kind == CKPT_VMA_SPECIAL && !strcmp(v->name, CKPT_AIO_NAME) &&
		    v->start == a->address && v->end - v->start == ring_len(a->nr))
			return v;
	}
	return NULL;
}

/* A new ring must not come to lie where another one belongs. */
static int reserve(struct restore_task *t, const struct ckpt_aio *a, struct error **err)
{
	static const struct remote_note note = {.what = "reserving the place of an AIO ring"};

	if (!find_mapping(t, a))
		return error_set(err, EBADMSG, "process %u: an AIO ring at 0x%llx without mapping",
				 t->rec->pid, (unsigned long long)a->address);
	return remote_later(
		&t->remote, 0, &note, err, SYS_mmap, a->address, ring_len(a->nr), PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

/*
 * How many requests to ask for: the kernel doubles them, adds two and fills up pages. It asks for
 * more by itself if there are many CPUs; the fewest that come to as many pages count least
 * against fs.aio-max-nr.
 */
static uint32_t requests_for(uint32_t nr)
{
	uint32_t fewer = nr + 1 - PAGE / sizeof(struct io_event); /* with a page less */

	return nr < PAGE / sizeof(struct io_event) ? 1 : (fewer - 1) / 2 + 1;
}

static int setup(struct restore_task *t, const struct ckpt_aio *a, struct error **err)
{
	uint64_t *context = remote_data(&t->remote);
	struct ring ring;
	long ret;
	int r;

	*context = 0;
	r = remote_syscall(&t->remote, err, "", &ret, SYS_io_setup, requests_for(a->nr),
			   remote_data_address(&t->remote), 0, 0, 0, 0);
	if (r)
		return r;
	if (ret < 0) {
		error_errno(err, -ret, "making an AIO context for process %u", t->rec->pid);
		return ret == -EAGAIN ? error_hint(err, "fs.aio-max-nr may be too low") : ret;
	}
	r = read_ring(t->pid, *context, &ring, err);
	if (r)
		return r;
	if (ring.nr != a->nr)
		return too_small(a, ring.nr, err);
	return remote_syscall(&t->remote, err, "moving an AIO ring", NULL, SYS_mremap, *context,
			      ring_len(a->nr), ring_len(a->nr), MREMAP_MAYMOVE | MREMAP_FIXED,
			      a->address, 0);
}

/* In the data area, while requests are made. */
struct requests {
	struct iocb iocb;
	uint64_t pointers[AT_ONCE];
	struct io_event events[AT_ONCE];
	char byte;
};

/* Requests that end at once; what they leave in the ring is read again, or stays there. */
static int run_requests(struct restore_task *t, const struct ckpt_aio *a, uint32_t count,
			bool and_read, struct error **err)
{
	uint64_t at = remote_data_address(&t->remote);
	uint32_t most = (a->nr - 1) / 2 < AT_ONCE ? (a->nr - 1) / 2 : AT_ONCE;
	struct remote_call *call = remote_calls(&t->remote);

	for (uint32_t n; count; count -= n) {
		int r;

		n = count < most ? count : most;
		remote_set(&call[0], SYS_io_submit, a->address, n,
			   at + offsetof(struct requests, pointers));
		remote_set(&call[1], SYS_io_getevents, a->address, 0, n,
			   at + offsetof(struct requests, events), 0);
		r = remote_run(&t->remote, 0, and_read ? 2 : 1, err);
		if (r)
			return r;
		if (call[0].ret != n || (and_read && call[1].ret != n))
			return error_set(err, EIO, "process %u: %ld of %u AIO requests were made",
					 t->rec->pid, call[0].ret, n);
	}
	return 0;
}

static int fill(struct restore_task *t, const struct ckpt_aio *a, int fd, struct error **err)
{
	struct requests *q = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	uint32_t count = unread(a->nr, a->head, a->tail);
	int r;

	_Static_assert(sizeof(*q) <= REMOTE_DATA_SIZE, "requests fit into the data area");
	memset(q, 0, sizeof(*q));
	q->iocb.aio_lio_opcode = IOCB_CMD_PREAD;
	q->iocb.aio_fildes = fd;
	q->iocb.aio_buf = at + offsetof(struct requests, byte);
	q->iocb.aio_nbytes = 1;
	for (unsigned i = 0; i < AT_ONCE; i++)
		q->pointers[i] = at + offsetof(struct requests, iocb);
	r = run_requests(t, a, a->head, true, err);
	if (!r)
		r = run_requests(t, a, count, false, err);
	return r ? r
		 : copy_events(t->pid, a->address, a->nr, a->head, (void *)(a + 1), count, true,
			       err);
}

static int fill_all(struct restore_task *t, struct error **err)
{
	char *name = remote_data(&t->remote);
	long fd;
	int r;

	strcpy(name, "aio");
	r = remote_syscall(&t->remote, err, "", &fd, SYS_memfd_create,
			   remote_data_address(&t->remote), 0, 0, 0, 0, 0);
	if (!r && fd < 0)
		r = error_errno(err, -fd, "making a file for AIO requests");
	vec_for_each (rec, &t->more)
		if (!r && rec->type == CKPT_AIO)
			r = fill(t, rec->data, fd, err);
	return r ? r
		 : remote_syscall(&t->remote, err, "closing a file", NULL, SYS_close, fd, 0, 0, 0,
				  0, 0);
}

/* On one CPU, which then has all places that are not the ring's own. */
static int fill_on_one_cpu(struct restore_task *t, struct error **err)
{
	uint8_t *mask = remote_data(&t->remote), saved[CPU_MASK_LEN];
	uint64_t at = remote_data_address(&t->remote);
	unsigned cpu = 0;
	long len;
	int r = remote_syscall(&t->remote, err, "", &len, SYS_sched_getaffinity, 0, CPU_MASK_LEN,
			       at, 0, 0, 0);

	if (!r && len < 0)
		r = error_errno(err, -len, "reading the CPUs of process %u", t->rec->pid);
	if (r)
		return r;
	memcpy(saved, mask, len);
	while (cpu < len * 8 - 1 && !(saved[cpu / 8] >> cpu % 8 & 1))
		cpu++;
	memset(mask, 0, len);
	mask[cpu / 8] = 1u << cpu % 8;
	r = remote_syscall(&t->remote, err, "choosing a CPU", NULL, SYS_sched_setaffinity, 0, len,
			   at, 0, 0, 0);
	if (!r)
		r = fill_all(t, err);
	memcpy(mask, saved, len);
	return r ? r
		 : remote_syscall(&t->remote, err, "choosing CPUs", NULL, SYS_sched_setaffinity, 0,
				  len, at, 0, 0, 0);
}

static int protect(struct restore_task *t, const struct ckpt_aio *a, struct error **err)
{
	static const struct remote_note note = {.what = "protecting an AIO ring"};
	const struct ckpt_vma *v = find_mapping(t, a);

	if (v->prot == (PROT_READ | PROT_WRITE))
		return 0;
	return remote_later(&t->remote, 0, &note, err, SYS_mprotect, v->start, v->end - v->start,
			    v->prot);
}

static int aio_restore(struct restore *r, struct restore_task *t, struct error **err)
{
	bool any = false, used = false;
	int ret = 0;

	vec_for_each (rec, &t->more) {
		const struct ckpt_aio *a = rec->data;

		if (rec->type != CKPT_AIO || ret)
			continue;
		any = true;
		used = used || a->head || a->tail;
		ret = reserve(t, a, err);
	}
	if (!any)
		return 0;
	vec_for_each (rec, &t->more)
		if (!ret && rec->type == CKPT_AIO)
			ret = setup(t, rec->data, err);
	if (!ret && used)
		ret = fill_on_one_cpu(t, err);
	vec_for_each (rec, &t->more)
		if (!ret && rec->type == CKPT_AIO)
			ret = protect(t, rec->data, err);
	return ret;
}

static const enum ckpt_type types[] = {CKPT_AIO, 0};

static const char *const not_captured[] = {
	"with `--allow aio`, AIO requests in flight that end neither before nor during the "
	"checkpoint: nobody can tell that there are any; what they write is in the files, but the "
	"restored program waits for them in vain",
	NULL,
};

const struct resource_class resource_aio = {
	.name = "aio",
	.version = 1,
	.types = types,
	.admit = aio_admit,
	.dump = aio_dump,
	.load = aio_load,
	.restore = {[STAGE_TASK] = aio_restore},
	.not_captured = not_captured,
};
