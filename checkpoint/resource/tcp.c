// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP connections, as repair mode shows them: sequence numbers, both queues, options,
 * windows. A connection is in repair mode only while it is looked at, and again when the container
 * is killed. See tcp_repair.txt of CRIU's documentation and net/ipv4/tcp.c.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/resource/tcp.h"
#include "util/cleanup.h"
#include "util/error.h"

static int get_info(int fd, struct tcp_info *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) ? -errno : 0;
}

/* --- admission --- */

static int admit_listener(struct checkpoint *c, struct description *d, struct inet_state *s,
			  const struct tcp_info *info)
{
	char address[INET_TEXT];

	s->rec.state = CKPT_SOCKET_LISTEN;
	/* of a listener the kernel shows its queue in these two, see tcp_get_info() */
	s->rec.backlog = info->tcpi_sacked;
	if (!info->tcpi_unacked || c->request->tcp == TCP_POLICY_RESET)
		return 0;
	inet_print(&s->local, address);
	return description_block(c, d,
				 c->request->tcp == TCP_POLICY_KEEP
					 ? "let the program accept them first, try again"
					 : "checkpoint with --tcp reset to have them reset",
				 "%u connections waiting to be accepted at TCP %s",
				 info->tcpi_unacked, address);
}

/* What of a connection nothing here can bring back. */
static int admit_kept(struct checkpoint *c, struct description *d, struct inet_state *s)
{
	struct pollfd urgent = {.fd = d->fd, .events = POLLPRI};
	char protocol[32] = "", address[INET_TEXT];
	socklen_t len = sizeof(protocol) - 1;
	const char *what = NULL;

	if (!getsockopt(d->fd, IPPROTO_TCP, TCP_ULP, protocol, &len) && *protocol)
		what = "whose data the kernel encrypts or forwards (TCP_ULP)";
	else if (poll(&urgent, 1, 0) == 1 && urgent.revents & POLLPRI)
		what = "with urgent data";
	if (!what)
		return 0;
	inet_print(&s->remote, address);
	return description_block(c, d, "close it for the checkpoint, or use --tcp reset",
				 "TCP connection %s %s", address, what);
}

static int admit_connection(struct checkpoint *c, struct description *d, struct inet_state *s,
			    unsigned state)
{
	char address[INET_TEXT];

	inet_print(s->remote.any.sa_family ? &s->remote : &s->local, address);
	s->rec.state = CKPT_SOCKET_RESET;
	if (c->request->tcp == TCP_POLICY_RESET)
		return 0;
	if (c->request->tcp == TCP_POLICY_REFUSE)
		return description_block(
			c, d, "checkpoint with --tcp keep to keep it, --tcp reset to have it reset",
			"%s TCP connection %s", s->remote.any.sa_family ? "established" : "ending",
			address);
	if (state == TCP_SYN_SENT)
		return description_block(c, d, "try again, or checkpoint with --tcp reset",
					 "TCP connection that has no answer yet, from %s", address);
	if (!s->remote.any.sa_family || !(1u << state & TCP_KEPT_STATES))
		return description_block(c, d, "checkpoint with --tcp reset to have it reset",
					 "TCP connection %s in state %u", address, state);
	s->rec.state = CKPT_SOCKET_KEPT;
	return admit_kept(c, d, s);
}

static int admit_closed(struct checkpoint *c, struct description *d, struct inet_state *s)
{
	struct pollfd p = {.fd = d->fd, .events = POLLRDHUP};
	int waiting = 0;

	s->rec.state = inet_has_port(&s->local) ? CKPT_SOCKET_BOUND : CKPT_SOCKET_NEW;
	if (poll(&p, 1, 0) != 1)
		return 0;
	if (p.revents & POLLERR)
		s->rec.state = CKPT_SOCKET_RESET;
	else if (p.revents & POLLRDHUP)
		s->rec.state = CKPT_SOCKET_CLOSED;
	if (ioctl(d->fd, SIOCINQ, &waiting) || !waiting || c->request->tcp == TCP_POLICY_RESET)
		return 0;
	return description_block(c, d, "let the program read it first, or use --tcp reset",
				 "closed TCP connection with %d bytes that were not read", waiting);
}

int tcp_admit(struct checkpoint *c, struct description *d, struct inet_state *s, struct error **err)
{
	struct tcp_info info;
	int r = get_info(d->fd, &info);

	if (r)
		return error_errno(err, -r, "asking for the state of a TCP socket");
	if (info.tcpi_state == TCP_LISTEN)
		return admit_listener(c, d, s, &info);
	if (info.tcpi_state == TCP_CLOSE)
		return admit_closed(c, d, s);
	return admit_connection(c, d, s, info.tcpi_state);
}

/* --- capture --- */

int tcp_repair(int fd, int mode, struct error **err)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &mode, sizeof(mode)))
		return error_errno(err, errno, "%s TCP repair mode",
				   mode == TCP_REPAIR_ON ? "entering" : "leaving");
	return 0;
}

static int get_sequence(int fd, int queue, uint32_t *next, struct error **err)
{
	socklen_t len = sizeof(*next);

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, next, &len))
		return error_errno(err, errno, "reading TCP sequence numbers");
	return 0;
}

/* The queue that was chosen last; len bytes are in it. */
static int read_queue(int fd, char *data, size_t len, struct error **err)
{
	ssize_t n = len ? recv(fd, data, len, MSG_PEEK | MSG_DONTWAIT) : 0;

	if (n < 0 || (size_t)n != len)
		return error_errno(err, n < 0 ? errno : EIO, "reading a TCP queue of %zu bytes",
				   len);
	return 0;
}

static int add_queue(struct inet_state *s, enum ckpt_item_kind kind, const char *data, size_t len,
		     struct error **err)
{
	if (len && items_add(&s->items, kind, data, len))
		return error_errno(err, ENOMEM, "saving a TCP queue");
	return 0;
}

static int save_received(int fd, struct inet_state *s, struct ckpt_tcp *t, struct error **err)
{
	__cleanup_free char *data = NULL;
	uint32_t next;
	int len = 0, r = get_sequence(fd, TCP_RECV_QUEUE, &next, err);

	if (r)
		return r;
	if (ioctl(fd, SIOCINQ, &len) || len < 0)
		return error_errno(err, errno, "asking for the length of a TCP queue");
	if (1u << t->state & TCP_GOT_FIN)
		next--;
	t->received = next - len;
	data = malloc(len + 1);
	if (!data)
		return error_errno(err, ENOMEM, "saving a TCP queue");
	r = read_queue(fd, data, len, err);
	return r ? r : add_queue(s, CKPT_ITEM_RECEIVED, data, len, err);
}

static int save_sent(int fd, struct inet_state *s, struct ckpt_tcp *t, struct error **err)
{
	__cleanup_free char *data = NULL;
	bool fin = 1u << t->state & TCP_SENT_FIN;
	int queued = 0, unsent = 0, r;
	uint32_t next;

	r = get_sequence(fd, TCP_SEND_QUEUE, &next, err);
	if (r)
		return r;
	if (ioctl(fd, SIOCOUTQ, &queued) || ioctl(fd, SIOCOUTQNSD, &unsent) || queued < 0 ||
	    unsent < 0 || unsent > queued)
		return error_errno(err, errno, "asking for the length of a TCP queue");
	/* a FIN is counted, and is the last */
	queued -= fin && queued;
	unsent -= fin && unsent;
	t->sent = next - fin - queued;
	data = malloc(queued + 1);
	if (!data)
		return error_errno(err, ENOMEM, "saving a TCP queue");
	r = read_queue(fd, data, queued, err);
	if (!r)
		r = add_queue(s, CKPT_ITEM_SENT, data, queued - unsent, err);
	return r ? r : add_queue(s, CKPT_ITEM_UNSENT, data + queued - unsent, unsent, err);
}

static int save_options(int fd, struct inet_state *s, struct ckpt_tcp *t,
			const struct tcp_info *info, struct error **err)
{
	char name[32] = "";
	socklen_t len = sizeof(t->mss);

	/* in repair mode what was negotiated */
	if (getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &t->mss, &len))
		return error_errno(err, errno, "asking for TCP_MAXSEG");
	len = sizeof(t->timestamp);
	if (getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &t->timestamp, &len))
		return error_errno(err, errno, "asking for TCP_TIMESTAMP");
	if (info->tcpi_options & TCPI_OPT_SACK)
		t->flags |= CKPT_TCP_SACK;
	if (info->tcpi_options & TCPI_OPT_TIMESTAMPS)
		t->flags |= CKPT_TCP_TIMESTAMPS;
	if (info->tcpi_options & TCPI_OPT_WSCALE) {
		t->flags |= CKPT_TCP_WSCALE;
		t->snd_wscale = info->tcpi_snd_wscale;
		t->rcv_wscale = info->tcpi_rcv_wscale;
	}
	len = sizeof(name) - 1;
	if (!getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) &&
	    items_add(&s->items, CKPT_ITEM_CONGESTION, name, strlen(name)))
		return error_errno(err, ENOMEM, "saving a TCP connection");
	return 0;
}

static int save_window(int fd, struct ckpt_tcp *t, uint32_t received, struct error **err)
{
	struct tcp_repair_window w;
	socklen_t len = sizeof(w);

	if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, &len))
		return error_errno(err, errno, "asking for the windows of a TCP connection");
	t->flags |= CKPT_TCP_WINDOW;
	t->snd_wl1 = w.snd_wl1;
	t->snd_wnd = w.snd_wnd;
	t->max_window = w.max_window;
	t->rcv_wnd = w.rcv_wnd;
	t->rcv_wup = w.rcv_wup;
	/* a FIN that was acknowledged is in them, too */
	if (1u << t->state & TCP_GOT_FIN && (int32_t)(t->rcv_wup - received) > 0) {
		t->rcv_wup--;
		t->rcv_wnd++;
	}
	return 0;
}

static int save_connection(int fd, struct inet_state *s, struct ckpt_tcp *t, struct error **err)
{
	struct tcp_info info;
	int none = TCP_NO_QUEUE, waiting = 0, r = get_info(fd, &info);

	if (r)
		return error_errno(err, -r, "asking for the state of a TCP socket");
	t->state = info.tcpi_state;
	/* the other end was faster: there is nothing to keep any more */
	if (!(1u << t->state & TCP_KEPT_STATES)) {
		s->rec.state = CKPT_SOCKET_RESET;
		return 0;
	}
	r = save_received(fd, s, t, err);
	if (!r)
		r = save_sent(fd, s, t, err);
	if (!r)
		r = save_options(fd, s, t, &info, err);
	ioctl(fd, SIOCINQ, &waiting);
	if (!r)
		r = save_window(fd, t, t->received + waiting, err);
	setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &none, sizeof(none));
	if (!r && items_add(&s->items, CKPT_ITEM_TCP, t, sizeof(*t)))
		r = error_errno(err, ENOMEM, "saving a TCP connection");
	return r;
}

int tcp_dump(struct description *d, struct inet_state *s, struct error **err)
{
	int reuse = socket_get_int(d->fd, SOL_SOCKET, SO_REUSEADDR);
	int peek = socket_get_int(d->fd, SOL_SOCKET, SO_PEEK_OFF), off = -1, back, r;
	struct ckpt_tcp t = {0};
	char address[INET_TEXT];

	if (peek >= 0)
		setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
	r = tcp_repair(d->fd, TCP_REPAIR_ON, err);
	if (!r)
		r = save_connection(d->fd, s, &t, err);
	/* without the window probe of the other way to leave it: nothing may be sent now */
	back = TCP_REPAIR_OFF_NO_WP;
	setsockopt(d->fd, IPPROTO_TCP, TCP_REPAIR, &back, sizeof(back));
	setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	if (peek >= 0)
		setsockopt(d->fd, SOL_SOCKET, SO_PEEK_OFF, &peek, sizeof(peek));
	if (!r)
		return 0;
	inet_print(&s->remote, address);
	return error_wrap(err, "TCP connection %s", address);
}
