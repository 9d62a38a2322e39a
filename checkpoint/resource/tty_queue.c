// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a pseudo-terminal holds. Its queues cannot be looked into: they are read
 * out, with modes in which bytes come as they are and nothing is echoed, and typed
 * in again at once. The same filling makes those of a restore.
 *
 * TIOCSTI puts a byte through the line discipline before it returns; bytes that
 * are written to the master are processed some time later, with whatever modes are
 * set then. So what had been processed goes by TIOCSTI, and the rest by the master.
 */
#include <asm/termbits.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "checkpoint/resource/tty.h"
#include "util/error.h"

#define QUEUE_MAX    (1 << 20) /* the kernel's are less than 70 KiB */
#define WRITE_MS     1000
#define CHAR_EOF     0x04
#define CHAR_NEXT    0x16
#define CHAR_START   0x11
#define CHAR_STOP    0x13
#define PACKET_FLOW  (TIOCPKT_NOSTOP | TIOCPKT_DOSTOP)
#define PACKET_FLUSH (TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE)

_Static_assert(sizeof(struct ckpt_termios) == sizeof(struct termios2), "records.h has a copy");

static struct termios2 recorded(const struct pty *p)
{
	struct termios2 t;

	memcpy(&t, &p->rec.termios, sizeof(t));
	return t;
}

/* With EXTPROC the other end edits lines, and the kernel delivers every byte. */
static bool has_lines(const struct termios2 *t)
{
	return t->c_lflag & ICANON && !(t->c_lflag & EXTPROC);
}

/* Bytes as they are, read without waiting, without echo. */
static struct termios2 quiet(const struct pty *p)
{
	struct termios2 t = recorded(p);

	t.c_iflag = t.c_oflag = 0;
	t.c_lflag = t.c_lflag & EXTPROC ? t.c_lflag & (EXTPROC | ICANON) : 0;
	memset(t.c_cc, 0, sizeof(t.c_cc));
	return t;
}

static struct termios2 quiet_lines(const struct pty *p)
{
	struct termios2 t = quiet(p);

	t.c_lflag = ICANON | IEXTEN;
	t.c_cc[VEOF] = CHAR_EOF;
	t.c_cc[VLNEXT] = CHAR_NEXT;
	return t;
}

static int set_modes(const struct pty *p, const struct termios2 *t, struct error **err)
{
	if (ioctl(p->slave, TCSETS2, t))
		return error_errno(err, errno, "setting the modes of terminal %u", p->rec.index);
	return 0;
}

static bool is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, 0) > 0 && p.revents & events;
}

static bool flag_set(int fd, unsigned long request)
{
	int value = 0;

	return fd >= 0 && !ioctl(fd, request, &value) && value;
}

int tty_read_state(struct pty *p, struct error **err)
{
	int fd = p->slave >= 0 ? p->slave : p->master;
	struct termios2 t;
	struct winsize size;

	if (fd < 0)
		return 0;
	if (ioctl(fd, TCGETS2, &t) || ioctl(fd, TIOCGWINSZ, &size))
		return error_errno(err, errno, "asking for the modes of terminal %u", p->rec.index);
	memcpy(&p->rec.termios, &t, sizeof(t));
	p->rec.rows = size.ws_row;
	p->rec.columns = size.ws_col;
	p->rec.xpixel = size.ws_xpixel;
	p->rec.ypixel = size.ws_ypixel;
	p->rec.flags |= CKPT_PTY_STATE | (flag_set(p->master, TIOCGPTLCK) ? CKPT_PTY_LOCKED : 0) |
			(flag_set(p->master, TIOCGPKT) ? CKPT_PTY_PACKET : 0) |
			(flag_set(p->slave, TIOCGEXCL) ? CKPT_PTY_EXCLUSIVE : 0) |
			(flag_set(p->master, TIOCGEXCL) ? CKPT_PTY_EXCLUSIVE_MASTER : 0);
	return 0;
}

/* --- out --- */

/* One read. 1: something was there. */
static int take(int fd, struct buf *to, size_t max, struct error **err)
{
	char data[4096];
	ssize_t n = read(fd, data, max < sizeof(data) ? max : sizeof(data));

	if (n < 0 && errno != EAGAIN && errno != EIO)
		return error_errno(err, errno, "reading what waits in a terminal");
	if (n <= 0)
		return 0;
	if (to->len + n > QUEUE_MAX)
		return error_set(err, EFBIG, "more waits in a terminal than can be");
	return buf_add(to, data, n) ? 1 : error_errno(err, ENOMEM, "reading a terminal");
}

static int take_lines(struct pty *p, struct buf *lines, struct error **err)
{
	int r = 0;

	while (r >= 0 && is_ready(p->slave, POLLIN)) {
		struct ckpt_pty_line line = {0};
		__cleanup_buf struct buf bytes = {0};

		r = take(p->slave, &bytes, QUEUE_MAX, err);
		if (r < 0)
			break;
		line.len = bytes.len;
		if (!bytes.len || bytes.data[bytes.len - 1] != '\n')
			line.flags = CKPT_PTY_LINE_EOF;
		if (lines->len > QUEUE_MAX)
			r = error_set(err, EFBIG, "more waits in a terminal than can be");
		else if (!buf_add(lines, &line, sizeof(line)) ||
			 (bytes.len && !buf_add(lines, bytes.data, bytes.len)) ||
			 buf_align(lines, 8))
			r = error_errno(err, ENOMEM, "reading a terminal");
	}
	return r < 0 ? r : 0;
}

/* What is not a line yet, and what is behind that because the line discipline was full. */
static int take_rest(struct pty *p, struct pty_queues *q, struct error **err)
{
	int waiting = 0, r = 1;

	if (ioctl(p->slave, FIONREAD, &waiting))
		return error_errno(err, errno, "asking what waits in terminal %u", p->rec.index);
	while (r > 0 && q->input.len < (size_t)waiting)
		r = take(p->slave, &q->input, waiting - q->input.len, err);
	do
		r = r < 0 ? r : take(p->slave, &q->rest, QUEUE_MAX, err);
	while (r > 0);
	return r;
}

static int take_output(struct pty *p, struct pty_queues *q, struct error **err)
{
	int r = 1;

	while (r > 0 && p->master >= 0 && is_ready(p->master, POLLIN))
		r = take(p->master, &q->output, QUEUE_MAX, err);
	return r < 0 ? r : 0;
}

static int type(const struct pty *p, char byte, struct error **err)
{
	if (ioctl(p->slave, TIOCSTI, &byte))
		return error_errno(err, errno, "typing into terminal %u", p->rec.index);
	return 0;
}

/* Leaving IXON starts again what the stop character has stopped, and nothing else. */
static void find_stop(struct pty *p)
{
	if (is_ready(p->slave, POLLOUT))
		p->rec.flags |= CKPT_PTY_STOPPED;
	else if (!ioctl(p->slave, TCXONC, TCOON) && is_ready(p->slave, POLLOUT))
		p->rec.flags |= CKPT_PTY_STOPPED_CALL;
}

static int leave_packets(struct pty *p, struct error **err)
{
	uint8_t status = 0;
	int off = 0;

	if (!(p->rec.flags & CKPT_PTY_PACKET))
		return 0;
	if (is_ready(p->master, POLLPRI) && read(p->master, &status, 1) == 1)
		p->rec.packet_status = status;
	if (ioctl(p->master, TIOCPKT, &off))
		return error_errno(err, errno, "leaving packet mode");
	return 0;
}

int tty_drain(struct pty *p, struct pty_queues *q, struct error **err)
{
	struct termios2 was = recorded(p), t = quiet(p);
	bool stopped;
	int r = 0;

	/* whoever opens the slave first finds what was written before; it is not seen from here */
	if (p->slave < 0)
		return 0;
	r = leave_packets(p, err);
	if (!r && has_lines(&was))
		r = take_lines(p, &q->lines, err);
	if (!r)
		r = take_output(p, q, err);
	stopped = !r && !is_ready(p->slave, POLLOUT);
	if (!r)
		r = set_modes(p, &t, err);
	if (stopped && !r)
		find_stop(p);
	if (!r)
		r = take_rest(p, q, err);
	/* what was echoed meanwhile */
	return r ? r : take_output(p, q, err);
}

/* --- in --- */

static int write_out(int fd, const struct buf *bytes, struct error **err)
{
	size_t done = 0;

	while (done < bytes->len) {
		struct pollfd wait = {.fd = fd, .events = POLLOUT};
		ssize_t n;

		if (poll(&wait, 1, WRITE_MS) < 0 && errno != EINTR)
			return error_errno(err, errno, "waiting for a terminal");
		if (!(wait.revents & POLLOUT))
			return error_set(err, EIO, "a terminal does not take what it held");
		n = write(fd, bytes->data + done, bytes->len - done);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return error_errno(err, errno, "writing into a terminal");
		done += n > 0 ? n : 0;
	}
	return 0;
}

/* Bytes that would mean something are taken literally. */
static int type_bytes(const struct pty *p, const uint8_t *bytes, size_t len, bool escape,
		      struct error **err)
{
	int r = 0;

	for (size_t i = 0; !r && i < len; i++) {
		uint8_t c = bytes[i];

		if (escape && (c == '\n' || c == CHAR_EOF || c == CHAR_NEXT))
			r = type(p, CHAR_NEXT, err);
		if (!r)
			r = type(p, c, err);
	}
	return r;
}

static int type_lines(const struct pty *p, const struct buf *lines, struct error **err)
{
	int r = 0;

	for (size_t at = 0; !r && at < lines->len;) {
		const struct ckpt_pty_line *line = (const void *)(lines->data + at);
		size_t len = line->len;
		bool eof = line->flags & CKPT_PTY_LINE_EOF;

		r = type_bytes(p, (const uint8_t *)(line + 1), eof ? len : len - 1, true, err);
		if (!r)
			r = type(p, eof ? CHAR_EOF : '\n', err);
		at += (sizeof(*line) + len + 7) & ~7ul;
	}
	return r;
}

static int fill_input(const struct pty *p, const struct pty_queues *q, struct error **err)
{
	struct termios2 was = recorded(p), t = quiet_lines(p);
	bool lines = has_lines(&was);
	int r = lines ? set_modes(p, &t, err) : 0;

	if (!r)
		r = type_lines(p, &q->lines, err);
	return r ? r : type_bytes(p, q->input.data, q->input.len, lines, err);
}

static int stop_output(const struct pty *p, struct error **err)
{
	struct termios2 t = recorded(p);
	int r = 0;

	if (p->rec.flags & CKPT_PTY_STOPPED && t.c_iflag & IXON && t.c_cc[VSTOP])
		r = type(p, t.c_cc[VSTOP], err);
	if (!r && p->rec.flags & CKPT_PTY_STOPPED_CALL && ioctl(p->slave, TCXONC, TCOOFF))
		r = error_errno(err, errno, "stopping the output of terminal %u", p->rec.index);
	return r;
}

/* The master is to be told again what it has not read, by doing that once more. */
static int tell_again(const struct pty *p, const struct pty_queues *q, struct error **err)
{
	struct termios2 t = recorded(p), other = t;
	unsigned status = p->rec.packet_status;
	int r = 0;

	if (status & PACKET_FLOW) {
		other.c_iflag ^= IXON;
		if (other.c_iflag & IXON) {
			other.c_cc[VSTART] = CHAR_START;
			other.c_cc[VSTOP] = CHAR_STOP;
		}
		r = set_modes(p, &other, err);
	}
	if (!r && status & (PACKET_FLOW | TIOCPKT_IOCTL))
		r = set_modes(p, &t, err);
	if (!r && status & TIOCPKT_START) {
		ioctl(p->slave, TCXONC, TCOOFF);
		ioctl(p->slave, TCXONC, TCOON);
	}
	/* where something is queued it came after the flush, and must not go with it */
	if (!r && status & TIOCPKT_FLUSHREAD && !q->lines.len && !q->input.len && !q->rest.len)
		ioctl(p->slave, TCFLSH, TCIFLUSH);
	if (!r && status & TIOCPKT_FLUSHWRITE && !q->output.len)
		ioctl(p->slave, TCFLSH, TCOFLUSH);
	return r;
}

static int enter_packets(const struct pty *p, struct error **err)
{
	int on = 1;

	if (p->master >= 0 && p->rec.flags & CKPT_PTY_PACKET && ioctl(p->master, TIOCPKT, &on))
		return error_errno(err, errno, "entering packet mode");
	return 0;
}

static int fill_rest(const struct pty *p, const struct pty_queues *q, struct error **err)
{
	if (p->master >= 0)
		return write_out(p->master, &q->rest, err);
	return type_bytes(p, q->rest.data, q->rest.len, false, err);
}

int tty_fill(const struct pty *p, const struct pty_queues *q, struct error **err)
{
	struct termios2 was = recorded(p), t = quiet(p);
	bool told_stop = !(p->rec.packet_status & TIOCPKT_STOP);
	int r = 0;

	if (p->slave < 0)
		return enter_packets(p, err);
	r = set_modes(p, &t, err);
	if (!r)
		r = write_out(p->slave, &q->output, err);
	if (!r)
		r = fill_input(p, q, err);
	if (!r)
		r = set_modes(p, &was, err);
	if (!r && told_stop)
		r = stop_output(p, err);
	if (!r)
		r = enter_packets(p, err);
	if (!r && p->rec.packet_status && p->rec.flags & CKPT_PTY_PACKET)
		r = tell_again(p, q, err);
	if (!r && !told_stop)
		r = stop_output(p, err);
	return r ? r : fill_rest(p, q, err);
}

void tty_queues_free(struct pty_queues *q)
{
	buf_free(&q->lines);
	buf_free(&q->input);
	buf_free(&q->rest);
	buf_free(&q->output);
}
