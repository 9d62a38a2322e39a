// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "checkpoint/engine/engine.h"
#include "util/error.h"

#define CONTROL_SIZE CMSG_SPACE(FDPASS_MAX * sizeof(int))

/* recvmsg's argument as it lies in the stub's data area */
struct receive_data {
	struct msghdr msg;
	struct iovec iov;
	char byte;
	char control[CONTROL_SIZE] __attribute__((aligned(8)));
};

static int send_fds(int sock, const int *fds, unsigned n, struct error **err)
{
	char control[CONTROL_SIZE] __attribute__((aligned(8))) = {0};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	while (sendmsg(sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "sending descriptors to a stub");
	return 0;
}

int fdpass_send(const struct restore *r, struct restore_task *t, const int *fds, unsigned n,
		int *numbers, struct error **err)
{
	return fdpass_send_to(r, t, r->request->stub_fd, fds, n, numbers, err);
}

int fdpass_send_to(const struct restore *r, struct restore_task *t, int sock, const int *fds,
		   unsigned n, int *numbers, struct error **err)
{
	struct receive_data *d = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	const struct cmsghdr *c = (const struct cmsghdr *)d->control;
	int ret;

	if (!n)
		return 0;
	if (n > FDPASS_MAX)
		return error_set(err, E2BIG, "%u descriptors in one message", n);
	ret = send_fds(r->request->stub_sync, fds, n, err);
	if (ret)
		return ret;
	memset(d, 0, sizeof(*d));
	d->iov.iov_base = (void *)(at + offsetof(struct receive_data, byte));
	d->iov.iov_len = 1;
	d->msg.msg_iov = (void *)(at + offsetof(struct receive_data, iov));
	d->msg.msg_iovlen = 1;
	d->msg.msg_control = (void *)(at + offsetof(struct receive_data, control));
	d->msg.msg_controllen = sizeof(d->control);
	ret = remote_syscall(&t->remote, err, "receiving descriptors", NULL, SYS_recvmsg, sock, at,
			     MSG_CMSG_CLOEXEC, 0, 0, 0);
	if (ret)
		return ret;
	if (c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(n * sizeof(int)) ||
	    (d->msg.msg_flags & MSG_CTRUNC)) {
		error_set(err, EMFILE, "process %u cannot take %u descriptors", t->rec->pid, n);
		return error_hint(err, "the limit of open files may be too low here");
	}
	memcpy(numbers, CMSG_DATA(c), n * sizeof(int));
	return 0;
}
