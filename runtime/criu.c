// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/criu.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

/* The version whose answers these are. */
#define CRIU_MAJOR 4
#define CRIU_MINOR 2

#define REQUEST_MAX (64 << 10)

/* criu_req and criu_resp */
enum { REQ_TYPE = 1 };
enum {
	RESP_TYPE = 1,
	RESP_SUCCESS = 2,
	RESP_ERRNO = 7,
	RESP_FEATURES = 8,
	RESP_MESSAGE = 9,
	RESP_VERSION = 10
};
enum { TYPE_FEATURE_CHECK = 9, TYPE_VERSION = 10 };

/* --- protobuf: what these messages need of it --- */

enum { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

static bool add_varint(struct buf *b, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n] = (value & 0x7f) | (value > 0x7f ? 0x80 : 0);
		value >>= 7;
		n++;
	} while (value);
	return buf_add(b, bytes, n);
}

static bool add_number(struct buf *b, unsigned field, uint64_t value)
{
	return add_varint(b, field << 3 | WIRE_VARINT) && add_varint(b, value);
}

static bool add_bytes(struct buf *b, unsigned field, const void *data, size_t len)
{
	return add_varint(b, field << 3 | WIRE_BYTES) && add_varint(b, len) &&
	       (!len || buf_add(b, data, len));
}

/* Fields are numbered from 1 in the order of the values. */
static bool add_message(struct buf *b, unsigned field, const uint64_t *values, size_t count)
{
	__cleanup_buf struct buf message = {0};
	bool good = true;

	for (size_t i = 0; i < count && good; i++)
		good = add_number(&message, i + 1, values[i]);
	return good && add_bytes(b, field, message.data, message.len);
}

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
	*value = 0;
	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		*value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Steps over a field's value, which is number if it is a varint. */
static bool read_field(const uint8_t **at, const uint8_t *end, uint64_t *tag, uint64_t *number)
{
	uint64_t skip = 0;

	if (!read_varint(at, end, tag))
		return false;
	switch (*tag & 7) {
	case WIRE_VARINT:
		return read_varint(at, end, number);
	case WIRE_BYTES:
		if (!read_varint(at, end, &skip))
			return false;
		break;
	case WIRE_64:
		skip = 8;
		break;
	case WIRE_32:
		skip = 4;
		break;
	default:
		return false;
	}
	if (skip > (uint64_t)(end - *at))
		return false;
	*at += skip;
	return true;
}

/* --- the service --- */

bool criu_is_meant(char *const *argv)
{
	const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;

	return argv[0] && !strcmp(slash ? slash + 1 : argv[0], "criu");
}

static bool request_type(const uint8_t *data, size_t len, uint64_t *type)
{
	const uint8_t *end = data + len;
	uint64_t tag, number = 0;
	bool found = false;

	while (data < end) {
		if (!read_field(&data, end, &tag, &number))
			return false;
		if (tag == (REQ_TYPE << 3 | WIRE_VARINT)) {
			*type = number;
			found = true;
		}
	}
	return found;
}

static bool answer(struct buf *b, uint64_t type)
{
	static const uint64_t version[] = {CRIU_MAJOR, CRIU_MINOR};
	/* mem_track, lazy_pages: increments are not there yet */
	static const uint64_t features[] = {0, 0};
	static const char message[] = "this is Firn, which checkpoints by its own verbs";

	if (!add_number(b, RESP_TYPE, type))
		return false;
	switch (type) {
	case TYPE_VERSION:
		return add_number(b, RESP_SUCCESS, 1) && add_message(b, RESP_VERSION, version, 2);
	case TYPE_FEATURE_CHECK:
		return add_number(b, RESP_SUCCESS, 1) && add_message(b, RESP_FEATURES, features, 2);
	default:
		return add_number(b, RESP_SUCCESS, 0) && add_number(b, RESP_ERRNO, EOPNOTSUPP) &&
		       add_bytes(b, RESP_MESSAGE, message, strlen(message));
	}
}

static int serve(int fd, struct error **err)
{
	__cleanup_free uint8_t *request = malloc(REQUEST_MAX);
	ssize_t n;

	if (!request)
		return error_errno(err, ENOMEM, "criu swrk");
	while ((n = recv(fd, request, REQUEST_MAX, 0)) > 0) {
		__cleanup_buf struct buf response = {0};
		uint64_t type;

		if (!request_type(request, n, &type))
			return error_set(err, EBADMSG, "criu swrk: not a request");
		if (!answer(&response, type))
			return error_errno(err, ENOMEM, "criu swrk");
		if (send(fd, response.data, response.len, MSG_NOSIGNAL) < 0)
			return error_errno(err, errno, "criu swrk: answering");
	}
	return n < 0 ? error_errno(err, errno, "criu swrk: reading from descriptor %d", fd) : 0;
}

int criu_main(int argc, char **argv, struct error **err)
{
	char *end;
	unsigned long fd;

	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
		printf("Version: %d.%d (answered by firn " FIRN_VERSION ")\n", CRIU_MAJOR,
		       CRIU_MINOR);
		return 0;
	}
	if (argc != 3 || strcmp(argv[1], "swrk"))
		return error_set(err, EINVAL,
				 "by the name of criu it only answers container engines "
				 "(usage: criu swrk FD)");
	errno = 0;
	fd = strtoul(argv[2], &end, 10);
	if (errno || *end || end == argv[2] || fd > INT32_MAX)
		return error_set(err, EINVAL, "criu swrk: \"%s\" is no descriptor", argv[2]);
	return serve(fd, err);
}

/* --- files --- */

static void put_file(const char *dir, const char *name, const void *data, size_t len)
{
	__cleanup_fd int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	__cleanup_fd int fd = -1;
	int ret = dirfd < 0 ? -errno : 0;

	if (!ret) {
		fd = openat(dirfd, name,
			    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
			    0600);
		ret = fd < 0 ? -errno : write_full(fd, data, len);
	}
	if (ret)
		log_warning("\"%s/%s\", for the container engine, cannot be written: %s", dir, name,
			    strerror(-ret));
}

/* A stats_entry whose message of that field has these values. */
static void put_stats(const char *work, const char *name, unsigned field, const uint64_t *values,
		      size_t count)
{
	const uint32_t head[] = {htole32(0x55105940), htole32(0x57093306), 0};
	__cleanup_buf struct buf file = {0};
	uint32_t len;

	if (!buf_add(&file, head, sizeof(head)) || !add_message(&file, field, values, count)) {
		log_warning("no memory for \"%s/%s\"", work, name);
		return;
	}
	len = htole32(file.len - sizeof(head));
	memcpy(file.data + sizeof(head) - sizeof(len), &len, sizeof(len));
	put_file(work, name, file.data, file.len);
}

static uint64_t us(uint64_t ns)
{
	return ns / 1000;
}

static uint64_t pages(uint64_t bytes)
{
	return bytes / sysconf(_SC_PAGESIZE);
}

void criu_saved(const char *image, const char *work, const struct criu_figures *figures)
{
	static const char inventory[] = "An image of Firn, see manifest.json.\n";
	/* freezing and frozen time, memory dumped and written, pages scanned, skipped, written;
	   unused here, and pages left for later */
	const uint64_t values[] = {0,
				   us(figures->frozen_ns),
				   us(figures->total_ns),
				   us(figures->total_ns),
				   pages(figures->page_bytes),
				   0,
				   pages(figures->page_bytes),
				   0,
				   0};

	if (!work)
		return;
	put_stats(work, "stats-dump", 1, values, sizeof(values) / sizeof(*values));
	put_file(image, "inventory.img", inventory, strlen(inventory));
}

void criu_restored(const char *work, const struct criu_figures *figures)
{
	/* pages compared and skipped, forking and whole time, pages */
	const uint64_t values[] = {0, 0, 0, us(figures->total_ns), pages(figures->page_bytes)};

	if (work)
		put_stats(work, "stats-restore", 2, values, sizeof(values) / sizeof(*values));
}
