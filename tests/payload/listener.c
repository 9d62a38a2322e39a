// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who decides a container's system calls (linux.seccomp.listenerPath): waits at a socket for a
 * listener, prints the message that comes with it, and answers every call with an errno; 0: lets
 * it go on.
 *
 *	listener SOCKET ERRNO
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0) {
		perror(path);
		exit(1);
	}
	return accept(fd, NULL, NULL);
}

/* The descriptor that comes with a text, which is printed. */
static int receive(int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char text[8192];
	struct iovec data = {.iov_base = text, .iov_len = sizeof(text) - 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int received;

	if (n < 0 || !c || c->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&received, CMSG_DATA(c), sizeof(received));
	text[n] = '\0';
	puts(text);
	fflush(stdout);
	return received;
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? receive(listen_at(argv[1])) : -1;
	struct seccomp_notif call;
	struct seccomp_notif_resp answer;

	if (fd < 0)
		return 1;
	for (;;) {
		memset(&call, 0, sizeof(call));
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) {
			if (errno == EINTR)
				continue;
			return 0;
		}
		answer = (struct seccomp_notif_resp){.id = call.id, .error = -atoi(argv[2])};
		if (!answer.error)
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}
