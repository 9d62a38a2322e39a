// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waits at a unix socket for a descriptor, and prints the text that comes with it and what
 * /proc/self/fdinfo says of it:
 *
 *	fdsocket SOCKET
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void print_info(int fd)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		fputs(line, stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char text[256];
	struct iovec data = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), received;
	struct cmsghdr *c;
	ssize_t n;

	if (argc != 2)
		return 2;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return 1;
	fd = accept(fd, NULL, NULL);
	n = recvmsg(fd, &message, 0);
	c = CMSG_FIRSTHDR(&message);
	if (n < 0 || !c || c->cmsg_type != SCM_RIGHTS)
		return 1;
	memcpy(&received, CMSG_DATA(c), sizeof(received));
	text[n] = '\0';
	puts(text);
	print_info(received);
	return 0;
}
