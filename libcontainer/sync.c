// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/sync.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "util/error.h"

#define TEXT_MAX 2048

/* One packet. Both ends are the same program, so its layout is nobody else's business. */
struct packet {
	int32_t message;
	int32_t errnum;
	int64_t value;
	char text[TEXT_MAX], hint[TEXT_MAX]; /* SYNC_ERROR only */
};

#define PLAIN_SIZE offsetof(struct packet, text)

int sync_pair(int fds[2], struct error **err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return error_errno(err, errno, "creating a socket pair");
	return 0;
}

static int send_packet(int fd, const struct packet *packet, size_t size)
{
	ssize_t n;

	do
		n = send(fd, packet, size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int sync_send(int fd, enum sync_message message, int64_t value, struct error **err)
{
	struct packet packet = {.message = message, .value = value};
	int ret = send_packet(fd, &packet, PLAIN_SIZE);

	if (ret < 0)
		return error_errno(err, -ret, "sending to the container's init");
	return 0;
}

static void copy_text(char *to, const char *from)
{
	snprintf(to, TEXT_MAX, "%s", from ? from : "");
}

int sync_send_text(int fd, enum sync_message message, const char *text, struct error **err)
{
	struct packet packet = {.message = message};
	int ret;

	copy_text(packet.text, text);
	ret = send_packet(fd, &packet, sizeof(packet));
	if (ret < 0)
		return error_errno(err, -ret, "sending to the runtime");
	return 0;
}

void sync_send_error(int fd, const struct error *error)
{
	struct packet packet = {.message = SYNC_ERROR};

	packet.errnum = error_code(error);
	copy_text(packet.text, error_message(error));
	copy_text(packet.hint, error_get_hint(error));
	send_packet(fd, &packet, sizeof(packet));
}

static int peer_error(struct packet *packet, struct error **err)
{
	packet->text[TEXT_MAX - 1] = '\0';
	packet->hint[TEXT_MAX - 1] = '\0';
	return error_restore(err, packet->errnum, packet->text,
			     packet->hint[0] ? packet->hint : NULL);
}

static ssize_t receive_packet(int fd, struct packet *packet)
{
	ssize_t n;

	do
		n = recv(fd, packet, sizeof(*packet), 0);
	while (n < 0 && errno == EINTR);
	/* a peer that died with something unread */
	return n < 0 && errno == ECONNRESET ? 0 : n;
}

int sync_receive(int fd, enum sync_message expected, int64_t *value, struct error **err)
{
	struct packet packet = {0};
	ssize_t n = receive_packet(fd, &packet);

	if (n < 0)
		return error_errno(err, errno, "receiving from the container's init");
	if (n == 0)
		return error_set(err, EPIPE, "the container's init died while it was set up");
	if (n == sizeof(packet) && packet.message == SYNC_ERROR)
		return peer_error(&packet, err);
	if (n < (ssize_t)PLAIN_SIZE || packet.message != (int32_t)expected)
		return error_set(err, EPROTO, "unexpected message from the container's init");
	if (value)
		*value = packet.value;
	return 0;
}

int sync_send_listener(int fd, int number, uint64_t flag, struct error **err)
{
	struct packet packet = {.message = SYNC_LISTENER, .errnum = number, .value = flag};
	int ret = send_packet(fd, &packet, PLAIN_SIZE);

	return ret < 0 ? error_errno(err, -ret, "sending to the runtime") : 0;
}

static int take_listener(const struct packet *packet, const struct sync_listener *listener,
			 struct error **err)
{
	if (!listener)
		return error_set(err, EPROTO, "a seccomp listener that nobody wants");
	return listener->take(listener->ctx, packet->errnum, packet->value, err);
}

/* Of a program that was found. What execve(2) says of the file may be true of another that it
 * names. */
static const struct {
	int errnum;
	const char *hint;
} execute_hints[] = {
	{ENOENT, "the interpreter or loader that it names is not there"},
	{ENOEXEC, "for another architecture, or a script without #!"},
	{EACCES, "it, or its interpreter, is not executable for the user, or mounted noexec"},
};

int sync_execute_error(int errnum, const char *program, struct error **err)
{
	error_errno(err, errnum, "executing \"%s\" in the container", program);
	for (size_t i = 0; i < sizeof(execute_hints) / sizeof(*execute_hints); i++)
		if (execute_hints[i].errnum == errnum)
			error_hint(err, "%s", execute_hints[i].hint);
	return -errnum;
}

int sync_receive_executed(int fd, const struct sync_listener *listener, struct error **err)
{
	struct packet packet = {0};
	char program[TEXT_MAX];
	int32_t errnum;
	ssize_t n = receive_packet(fd, &packet);

	if (n == sizeof(packet) && packet.message == SYNC_ERROR)
		return peer_error(&packet, err);
	if (n != sizeof(packet) || packet.message != SYNC_EXECUTING)
		return error_set(err, EPIPE, "the container's process died before its program ran");
	packet.text[TEXT_MAX - 1] = '\0';
	copy_text(program, packet.text);
	n = receive_packet(fd, &packet);
	if (n == (ssize_t)PLAIN_SIZE && packet.message == SYNC_LISTENER) {
		int ret = take_listener(&packet, listener, err);

		if (ret < 0)
			return ret;
		n = receive_packet(fd, &packet);
	}
	if (n == sizeof(packet) && packet.message == SYNC_ERROR)
		return peer_error(&packet, err);
	if (n != sizeof(errnum))
		return 0;
	memcpy(&errnum, &packet, sizeof(errnum));
	return sync_execute_error(errnum, program, err);
}
