// SPDX-License-Identifier: GPL-2.0-only
/* Record streams and the index of a data area. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/image/image.h"
#include "util/error.h"

#define RECORD_VERSION 1

static const struct {
	enum ckpt_type type;
	const char *name;
} record_names[] = {
	{CKPT_BEGIN, "begin"},
	{CKPT_END, "end"},
	{CKPT_TASK, "task"},
	{CKPT_UTS, "uts"},
	{CKPT_SHARING, "sharing"},
	{CKPT_STOPS, "stops"},
	{CKPT_FILE, "file"},
	{CKPT_GHOST, "ghost"},
	{CKPT_TMPFS, "tmpfs"},
	{CKPT_PIPE, "pipe"},
	{CKPT_EVENTFD, "eventfd"},
	{CKPT_EPOLL, "epoll"},
	{CKPT_TIMERFD, "timerfd"},
	{CKPT_SIGNALFD, "signalfd"},
	{CKPT_UNIX, "unix"},
	{CKPT_INET, "inet"},
	{CKPT_EXTERNAL, "external"},
	{CKPT_DESCRIPTION, "description"},
	{CKPT_LOCK, "lock"},
	{CKPT_LEASE, "lease"},
	{CKPT_OWNER, "owner"},
	{CKPT_INOTIFY, "inotify"},
	{CKPT_FANOTIFY, "fanotify"},
	{CKPT_MQUEUE_LIMITS, "mqueue limits"},
	{CKPT_MQUEUE, "mqueue"},
	{CKPT_MQUEUE_FD, "mqueue descriptor"},
	{CKPT_TTY, "tty"},
	{CKPT_PTY, "pty"},
	{CKPT_CTTY, "controlling terminals"},
	{CKPT_MEMFD, "memfd"},
	{CKPT_PIDFD, "pidfd"},
	{CKPT_NETLINK, "netlink"},
	{CKPT_PACKET, "packet"},
	{CKPT_NAMESPACE, "namespace"},
	{CKPT_MEMORY_OBJECT, "memory object"},
	{CKPT_IPC_LIMITS, "ipc limits"},
	{CKPT_IPC_SHM, "ipc shm"},
	{CKPT_IPC_SEM, "ipc sem"},
	{CKPT_IPC_MSG, "ipc msg"},
	{CKPT_IPC_NEXT, "ipc next ids"},
	{CKPT_MM, "mm"},
	{CKPT_VMAS, "vmas"},
	{CKPT_AUXV, "auxv"},
	{CKPT_FDS, "fds"},
	{CKPT_FS, "fs"},
	{CKPT_SIGACTIONS, "sigactions"},
	{CKPT_SIGPENDING, "sigpending"},
	{CKPT_SEM_UNDO, "sem undo"},
	{CKPT_RLIMITS, "rlimits"},
	{CKPT_MM_POLICY, "memory policy"},
	{CKPT_MEMBARRIER, "memory barriers"},
	{CKPT_AIO, "aio"},
	{CKPT_PRCTLS, "prctls"},
	{CKPT_ITIMERS, "itimers"},
	{CKPT_POSIX_TIMERS, "posix timers"},
	{CKPT_PROCESS, "process"},
	{CKPT_PAGES, "pages"},
	{CKPT_SEM_UNDO, "semaphore undo"},
	{CKPT_EXITED, "exited thread"},
	{CKPT_THREAD, "thread"},
	{CKPT_XSTATE, "xstate"},
	{CKPT_CREDS, "creds"},
	{CKPT_SECCOMP, "seccomp"},
	{CKPT_SCHED, "sched"},
	{CKPT_THREAD_PRCTLS, "thread prctls"},
};

const char *record_name(enum ckpt_type type)
{
	for (size_t i = 0; i < sizeof(record_names) / sizeof(*record_names); i++)
		if (record_names[i].type == type)
			return record_names[i].name;
	return "unknown";
}

void *record_add2(struct buf *stream, enum ckpt_type type, const void *head, size_t head_len,
		  const void *tail, size_t tail_len)
{
	struct ckpt_header header = {
		.type = type,
		.version = RECORD_VERSION,
		.len = head_len + tail_len,
	};
	size_t start = stream->len + sizeof(header);

	if (!buf_add(stream, &header, sizeof(header)))
		return NULL;
	if (head_len && !buf_add(stream, head, head_len))
		return NULL;
	if (tail_len && !buf_add(stream, tail, tail_len))
		return NULL;
	if (buf_align(stream, 8))
		return NULL;
	return stream->data + start;
}

void *record_add(struct buf *stream, enum ckpt_type type, const void *payload, size_t len)
{
	return record_add2(stream, type, payload, len, NULL, 0);
}

int record_next(const void *stream, size_t len, size_t *pos, struct record *r)
{
	struct ckpt_header header;
	size_t left;

	if (*pos > len)
		return -EBADMSG;
	left = len - *pos;
	if (!left)
		return 0;
	if (left < sizeof(header))
		return -EBADMSG;
	memcpy(&header, (const char *)stream + *pos, sizeof(header));
	left -= sizeof(header);
	/* left is a multiple of 8 or the padding is cut off: rounding up cannot wrap then */
	if (header.len > left || ((header.len + 7) & ~7ULL) > left)
		return -EBADMSG;
	if (!header.version || header.reserved)
		return -EBADMSG;
	r->type = header.type;
	r->version = header.version;
	r->data = (const char *)stream + *pos + sizeof(header);
	r->len = header.len;
	*pos += sizeof(header) + ((header.len + 7) & ~7ULL);
	return 1;
}

const void *record_head(const struct record *r, size_t size, struct error **err)
{
	if (r->len >= size)
		return r->data;
	error_set(err, EBADMSG, "record \"%s\" is too short: %zu bytes instead of %zu",
		  record_name(r->type), r->len, size);
	return NULL;
}

void page_area_free(struct page_area *area)
{
	free(area->runs);
	free(area->checksums);
	free(area->shared);
	*area = (struct page_area){0};
}

static bool page_aligned(uint64_t n)
{
	return !(n & (IMAGE_PAGE_SIZE - 1));
}

static const char *run_fault(const struct page_area *area, const struct ckpt_page_run *run,
			     uint64_t floor)
{
	if (!run->len || !page_aligned(run->len) || !page_aligned(run->address))
		return "is not made of pages";
	if (run->address < floor)
		return "overlaps the one before or is out of order";
	if (run->len > UINT64_MAX - run->address)
		return "wraps around the address space";
	if (run->flags & ~CKPT_PAGES_HUGE)
		return "has unknown flags";
	if (run->source)
		return "lies in another file";
	if (run->kind == CKPT_PAGES_ZERO || run->kind == CKPT_PAGES_INHERITED)
		return NULL;
	/* parents come with increments, which this format version does not have */
	if (run->kind != CKPT_PAGES_DATA)
		return "is of an unknown kind";
	if (!page_aligned(run->offset))
		return "is not page aligned in the file";
	if (run->offset < area->data_offset || run->offset - area->data_offset > area->data_len ||
	    run->len > area->data_len - (run->offset - area->data_offset))
		return "lies outside of the data area";
	return NULL;
}

int page_area_validate(const struct page_area *area, uint64_t file_size, struct error **err)
{
	uint64_t chunks = area->data_len / CKPT_CHUNK + !!(area->data_len % CKPT_CHUNK);
	uint64_t floor = 0;

	if (!page_aligned(area->data_offset) || !page_aligned(area->data_len))
		return error_set(err, EBADMSG, "the data area is not page aligned");
	if (area->data_offset > file_size || area->data_len > file_size - area->data_offset)
		return error_set(err, EBADMSG, "the data area lies outside of the file");
	if (area->checksum_count != chunks)
		return error_set(err, EBADMSG, "the page index has %zu checksums instead of %llu",
				 area->checksum_count, (unsigned long long)chunks);
	for (size_t i = 0; i < area->run_count; i++) {
		const struct ckpt_page_run *run = &area->runs[i];
		const char *fault = run_fault(area, run, floor);

		if (fault)
			return error_set(err, EBADMSG, "run %zu of the page index (at 0x%llx) %s",
					 i, (unsigned long long)run->address, fault);
		floor = run->address + run->len;
	}
	return 0;
}
