// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/socket.h"

#define MASTER_NAME "/dev/ptmx"

int terminal_connect(const char *path, struct error **err)
{
	return socket_connect(path, "console socket", err);
}

union fd_message {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

int terminal_send(int socket_fd, int master_fd, struct error **err)
{
	int ret = socket_send_fd(socket_fd, MASTER_NAME, master_fd, err);

	return ret < 0 ? error_wrap(err, "the console socket") : 0;
}

int terminal_receive(int socket_fd, struct error **err)
{
	union fd_message control = {0};
	char name[64];
	struct iovec text = {.iov_base = name, .iov_len = sizeof(name)};
	struct msghdr message = {
		.msg_iov = &text,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	int fd;

	if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) < 0)
		return error_errno(err, errno, "receiving the terminal");
	c = CMSG_FIRSTHDR(&message);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return error_set(err, EPROTO, "the container's init sent no terminal");
	memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* A new terminal makes "\r\n" of "\n". */
static int leave_line_ends_alone(int fd)
{
	struct termios settings;

	if (tcgetattr(fd, &settings) < 0)
		return -errno;
	settings.c_oflag &= ~(tcflag_t)ONLCR;
	return tcsetattr(fd, TCSANOW, &settings) < 0 ? -errno : 0;
}

int terminal_open(int root_fd, const struct oci_process *process, bool relayed, int *master_fd,
		  int *slave_fd, struct error **err)
{
	__cleanup_fd int master = open_in_root(root_fd, MASTER_NAME, O_RDWR | O_NOCTTY, 0);
	__cleanup_fd int slave = -1;
	int unlock = 0;

	if (master < 0)
		return error_errno(err, -master, "opening a terminal at " MASTER_NAME);
	/* by ioctl: a name could lead elsewhere in an untrusted root */
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_errno(err, errno, "unlocking the terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_errno(err, errno, "opening the terminal's other end");
	if (relayed && !isatty(STDOUT_FILENO) && leave_line_ends_alone(slave) < 0)
		return error_errno(err, errno, "setting the terminal up");
	if (process->has_console_size) {
		struct winsize size = {
			.ws_row = process->console_height,
			.ws_col = process->console_width,
		};

		if (ioctl(master, TIOCSWINSZ, &size) < 0)
			return error_errno(err, errno, "sizing the terminal");
	}
	if (process->user.uid && fchown(slave, process->user.uid, -1) < 0)
		return error_errno(err, errno, "giving the terminal to user %u", process->user.uid);
	*master_fd = take_fd(&master);
	*slave_fd = take_fd(&slave);
	return 0;
}

int terminal_take(int slave_fd, bool control, struct error **err)
{
	if (control && ioctl(slave_fd, TIOCSCTTY, 0) < 0)
		return error_errno(err, errno, "making the terminal the controlling one");
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave_fd, fd) < 0)
			return error_errno(err, errno, "making the terminal descriptor %d", fd);
	return 0;
}

struct terminal_relay {
	int master_fd;
	bool raw;
	struct termios saved;
	bool input_ended;
};

void terminal_relay_resize(struct terminal_relay *relay)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		ioctl(relay->master_fd, TIOCSWINSZ, &size);
}

int terminal_relay_start(int master_fd, struct terminal_relay **relay, struct error **err)
{
	struct terminal_relay *r = calloc(1, sizeof(*r));
	struct termios raw;

	if (!r)
		return error_errno(err, ENOMEM, "relaying the terminal");
	r->master_fd = master_fd;
	if (tcgetattr(STDIN_FILENO, &r->saved) == 0) {
		raw = r->saved;
		cfmakeraw(&raw);
		r->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
		terminal_relay_resize(r);
	}
	*relay = r;
	return 0;
}

/* 1 when there is no more to copy. EIO is how a master says that nobody has the other end. */
static int copy_some(int from, int to)
{
	char data[16384];
	ssize_t n = read(from, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return 1;
	return write_full(to, data, n) < 0;
}

int terminal_relay_run(struct terminal_relay *relay, int signal_fd, struct error **err)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = relay ? relay->master_fd : -1, .events = POLLIN},
			{.fd = signal_fd, .events = POLLIN},
			{.fd = relay && !relay->input_ended ? STDIN_FILENO : -1, .events = POLLIN},
		};

		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			return error_errno(err, errno, "waiting for the terminal");
		}
		if (fds[0].revents && copy_some(relay->master_fd, STDOUT_FILENO))
			return 1;
		if (fds[2].revents)
			relay->input_ended = copy_some(STDIN_FILENO, relay->master_fd);
		if (fds[1].revents)
			return 0;
	}
}

void terminal_relay_end(struct terminal_relay *relay)
{
	struct pollfd fd;

	if (!relay)
		return;
	fd = (struct pollfd){.fd = relay->master_fd, .events = POLLIN};
	while (poll(&fd, 1, 0) > 0 && fd.revents & POLLIN)
		if (copy_some(relay->master_fd, STDOUT_FILENO))
			break;
	if (relay->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &relay->saved);
	close(relay->master_fd);
	free(relay);
}
