// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_aio GO [fork|poll|file]: contexts of io_setup(2): one never used; one that is small, with
 * events that were not read around its ring's end; a large one, with many. Events come in their
 * order and with what they had, requests can be made as before. "fork": a child has the rings
 * mapped, too. "poll": a request has not ended: it waits until somebody writes to /tmp/fifo.
 * "file": no context, but files with the name of a ring, one of them deleted, are mapped.
 */
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "res.h"

struct ring {
	unsigned id, nr, head, tail, magic, compat, incompat, header_length;
	struct io_event events[];
};

static int file;

static aio_context_t make(unsigned requests)
{
	aio_context_t context = 0;

	CHECK(!syscall(SYS_io_setup, requests, &context));
	return context;
}

/* One that has ended when it returns: a write of so many bytes. */
static void request(aio_context_t context, uint64_t number)
{
	static char bytes[64];
	struct iocb iocb = {.aio_data = number,
			    .aio_lio_opcode = IOCB_CMD_PWRITE,
			    .aio_fildes = file,
			    .aio_buf = (uint64_t)bytes,
			    .aio_nbytes = number % 64};
	struct iocb *list = &iocb;

	CHECK(syscall(SYS_io_submit, context, 1, &list) == 1);
}

static void expect(aio_context_t context, uint64_t number)
{
	struct timespec second = {.tv_sec = 1};
	struct io_event event;

	CHECK(syscall(SYS_io_getevents, context, 1, 1, &event, &second) == 1);
	CHECK(event.data == number && event.res == (int64_t)(number % 64));
}

static void expect_none(aio_context_t context)
{
	struct timespec none = {0};
	struct io_event event;

	CHECK(syscall(SYS_io_getevents, context, 0, 1, &event, &none) == 0);
}

/* Makes `made` requests and reads events of the first `read` of them. */
static void use(aio_context_t context, unsigned made, unsigned read)
{
	unsigned next = 0;

	for (unsigned i = 0; i < made; i++) {
		request(context, i);
		if (next < read && i >= 10)
			expect(context, next++);
	}
	while (next < read)
		expect(context, next++);
}

static void check_use(aio_context_t context, unsigned made, unsigned read)
{
	for (unsigned i = read; i < made; i++)
		expect(context, i);
	expect_none(context);
	use(context, 3 * made, 3 * made);
	expect_none(context);
	CHECK(!syscall(SYS_io_destroy, context));
}

static void wait_for_fifo(aio_context_t context)
{
	struct iocb iocb = {.aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN}, *list = &iocb;

	CHECK(!mkfifo("/tmp/fifo", 0600));
	iocb.aio_fildes = open("/tmp/fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	CHECK(open("/tmp/fifo", O_WRONLY | O_CLOEXEC) >= 0);
	CHECK(syscall(SYS_io_submit, context, 1, &list) == 1);
}

/* Maps one page of a new file that has just this byte. */
static char *map_file(const char *path, char byte)
{
	int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED && !ftruncate(fd, 4096));
	*p = byte;
	close(fd);
	return p;
}

static int look_like_rings(const char *go)
{
	char *deleted = map_file("/[aio]", 'a'), *there = map_file("/[aio]x", 'b'), byte;
	int fd;

	CHECK(!unlink("/[aio]"));
	ready_and_wait(go);

	CHECK(*deleted == 'a' && *there == 'b');
	*there = 'c';
	fd = open("/[aio]x", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, &byte, 1) == 1 && byte == 'c');
	return passed();
}

static int use_contexts(const char *go, const char *how)
{
	aio_context_t unused = make(1), small = make(8), large = make(2000);
	volatile struct ring *ring = (void *)small;
	unsigned nr = ring->nr, made = nr + nr / 4, left = nr / 2, tail;

	file = open("/tmp/written", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(file >= 0);
	use(small, made, made - left);
	CHECK(ring->head > ring->tail); /* around the end */
	tail = ring->tail;
	use(large, 1500, 300);
	if (!strcmp(how, "fork") && !fork())
		for (;;)
			pause();
	if (!strcmp(how, "poll"))
		wait_for_fifo(unused);
	ready_and_wait(go);

	if (!strcmp(how, "poll")) {
		struct io_event event;

		CHECK(syscall(SYS_io_getevents, unused, 1, 1, &event, NULL) == 1);
		CHECK(event.res & POLLIN);
	}
	expect_none(unused);
	check_use(unused, 4, 4);
	CHECK(ring->nr == nr && ring->tail == tail && ring->head == (made - left) % nr);
	check_use(small, made, made - left);
	check_use(large, 1500, 300);
	return passed();
}

int main(int argc, char **argv)
{
	const char *how = argc > 2 ? argv[2] : "";

	CHECK(argc > 1);
	return strcmp(how, "file") ? use_contexts(argv[1], how) : look_like_rings(argv[1]);
}
