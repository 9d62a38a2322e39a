// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP connections made anew in repair mode, in which connect(2) asks nobody and
 * send(2) fills queues. What the other end's FIN, or its acknowledgement of ours, did is
 * done again by a packet of our own that comes as if from there.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/resource/tcp.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define QUEUE_MAX (1u << 30)
#define PIECE	  (32u << 10) /* what the kernel can allocate at once */

static struct inet_ends {
	union inet_address local, remote;
} ends_of(const struct file_object *o)
{
	const struct ckpt_inet *rec = o->rec;
	struct inet_ends e;

	memcpy(&e.local, rec->local, sizeof(rec->local));
	memcpy(&e.remote, rec->remote, sizeof(rec->remote));
	return e;
}

int tcp_load(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	struct inet_ends e = ends_of(o);
	size_t len, queues[3], name;
	const struct ckpt_tcp *t = items_find(o, CKPT_ITEM_TCP, NULL, &len);

	items_find(o, CKPT_ITEM_RECEIVED, NULL, &queues[0]);
	items_find(o, CKPT_ITEM_SENT, NULL, &queues[1]);
	items_find(o, CKPT_ITEM_UNSENT, NULL, &queues[2]);
	items_find(o, CKPT_ITEM_CONGESTION, NULL, &name);
	if (rec->state != CKPT_SOCKET_KEPT)
		return 0;
	if (!t || len != sizeof(*t) || t->state > 31 || !(1u << t->state & TCP_KEPT_STATES) ||
	    t->snd_wscale > 14 || t->rcv_wscale > 14 || queues[0] > QUEUE_MAX ||
	    queues[1] > QUEUE_MAX || queues[2] > QUEUE_MAX || name > 16 ||
	    e.remote.any.sa_family != rec->family || !inet_has_port(&e.remote) ||
	    !inet_has_port(&e.local))
		return error_set(err, EBADMSG, "TCP connection %u is malformed", o->id);
	return 0;
}

/* --- the connection --- */

static int set_int(int fd, int name, int value)
{
	return setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value)) ? -errno : 0;
}

static int set_sequence(int fd, int queue, uint32_t next, struct error **err)
{
	int r = set_int(fd, TCP_REPAIR_QUEUE, queue);

	if (!r)
		r = set_int(fd, TCP_QUEUE_SEQ, next);
	return r ? error_errno(err, -r, "setting TCP sequence numbers") : 0;
}

static int set_options(int fd, const struct file_object *o, const struct ckpt_tcp *t,
		       struct error **err)
{
	struct tcp_repair_opt options[4] = {{.opt_code = TCP_OPTION_MSS, .opt_val = t->mss}};
	size_t len, n = 1;
	const void *name = items_find(o, CKPT_ITEM_CONGESTION, NULL, &len);

	if (t->flags & CKPT_TCP_WSCALE)
		options[n++] = (struct tcp_repair_opt){TCP_OPTION_WINDOW,
						       t->snd_wscale | t->rcv_wscale << 16};
	if (t->flags & CKPT_TCP_SACK)
		options[n++] = (struct tcp_repair_opt){TCP_OPTION_SACK, 0};
	if (t->flags & CKPT_TCP_TIMESTAMPS)
		options[n++] = (struct tcp_repair_opt){TCP_OPTION_TIMESTAMP, 0};
	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, n * sizeof(*options)))
		return error_errno(err, errno, "setting what a TCP connection had agreed on");
	if (t->flags & CKPT_TCP_TIMESTAMPS && set_int(fd, TCP_TIMESTAMP, t->timestamp))
		return error_errno(err, errno, "setting the timestamps of a TCP connection");
	if (name && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, len)) {
		error_errno(err, errno, "setting the TCP congestion control \"%.*s\"", (int)len,
			    (const char *)name);
		return error_hint(err, "load its module, or allow it here");
	}
	return 0;
}

static int fill(int fd, int queue, const char *data, size_t len, struct error **err)
{
	int r = set_int(fd, TCP_REPAIR_QUEUE, queue);

	if (r)
		return error_errno(err, -r, "filling a TCP queue");
	for (size_t at = 0; at < len;) {
		ssize_t n = send(fd, data + at, len - at > PIECE ? PIECE : len - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(err, n ? errno : EIO, "filling a TCP queue of %zu bytes",
					   len);
		at += n;
	}
	return 0;
}

/* Queues may be longer than the buffers that will bound them. */
static int fill_queues(int fd, const struct file_object *o, struct error **err)
{
	int large = 1 << 29, r;
	size_t received_len, sent_len;
	const char *received = items_find(o, CKPT_ITEM_RECEIVED, NULL, &received_len);
	const char *sent = items_find(o, CKPT_ITEM_SENT, NULL, &sent_len);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	r = fill(fd, TCP_RECV_QUEUE, received, received_len, err);
	if (!r)
		r = fill(fd, TCP_SEND_QUEUE, sent, sent_len, err);
	return r;
}

static int set_window(int fd, const struct ckpt_tcp *t, struct error **err)
{
	struct tcp_repair_window w = {t->snd_wl1, t->snd_wnd, t->max_window, t->rcv_wnd,
				      t->rcv_wup};

	if (t->flags & CKPT_TCP_WINDOW &&
	    setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof(w)))
		return error_errno(err, errno, "setting the windows of a TCP connection");
	return 0;
}

/* --- what the other end has sent besides data --- */

/* Sends from the other end to ours, past the hold. */
static int inject(struct restore *r, const struct inet_ends *e, struct tcphdr *tcp,
		  struct error **err)
{
	/* the ports are at the same place in both kinds of addresses */
	tcp->source = e->remote.in.sin_port;
	tcp->dest = e->local.in.sin_port;
	return inet_inject(r, &e->remote, &e->local, IPPROTO_TCP, tcp, sizeof(*tcp),
			   offsetof(struct tcphdr, check), err);
}

static unsigned state_of(int fd)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ? 0 : info.tcpi_state;
}

static int send_segment(struct restore *r, struct file_object *o, const struct ckpt_tcp *t,
			bool fin, uint32_t acked, struct error **err)
{
	struct inet_ends e = ends_of(o);
	size_t received_len;
	struct tcphdr tcp = {.doff = sizeof(tcp) / 4, .ack = 1, .fin = fin};

	items_find(o, CKPT_ITEM_RECEIVED, NULL, &received_len);
	tcp.seq = htonl(t->received + received_len);
	tcp.ack_seq = htonl(acked);
	/* it is taken as news of the window */
	tcp.window = htons(t->snd_wnd >> t->snd_wscale);
	return inject(r, &e, &tcp, err);
}

/* The order of the two FINs is that in which the state can be reached. */
static int close_halves(struct restore *r, struct file_object *o, const struct ckpt_tcp *t,
			struct error **err)
{
	uint32_t mask = 1u << t->state;
	size_t sent_len, unsent_len;
	bool got = mask & TCP_GOT_FIN, sent = mask & TCP_SENT_FIN;
	int ret = 0;

	items_find(o, CKPT_ITEM_SENT, NULL, &sent_len);
	items_find(o, CKPT_ITEM_UNSENT, NULL, &unsent_len);
	/*
	 * The queue that was chosen last is that of sending: a FIN of ours counts as sent. One
	 * behind unsent data comes when that has been sent, see tcp_go_on().
	 */
	sent = sent && !unsent_len;
	/* one that closes with data unsent gets the other's FIN first: it ends without TIME_WAIT */
	if (got && (t->state != TCP_CLOSING || !sent))
		ret = send_segment(r, o, t, true, t->sent, err);
	if (!ret && sent && shutdown(o->fd, SHUT_WR))
		ret = error_errno(err, errno, "closing one half of a TCP connection");
	if (!ret && t->state == TCP_CLOSING && sent)
		ret = send_segment(r, o, t, true, t->sent, err);
	if (!ret && t->state == TCP_FIN_WAIT2)
		ret = send_segment(r, o, t, false, t->sent + sent_len + 1, err);
	if (!ret && !unsent_len && state_of(o->fd) != t->state)
		ret = error_set(err, EIO, "a TCP connection is in state %u instead of %u",
				state_of(o->fd), t->state);
	return ret;
}

static int open_kept(struct restore *r, struct file_object *o, struct error **err)
{
	size_t len;
	const struct ckpt_tcp *t = items_find(o, CKPT_ITEM_TCP, NULL, &len);
	const struct ckpt_inet *rec = o->rec;
	struct inet_ends e = ends_of(o);
	int ret = tcp_repair(o->fd, TCP_REPAIR_ON, err);

	if (!ret)
		ret = set_sequence(o->fd, TCP_RECV_QUEUE, t->received, err);
	if (!ret)
		ret = set_sequence(o->fd, TCP_SEND_QUEUE, t->sent, err);
	if (!ret)
		ret = inet_bind(o, err);
	if (!ret && connect(o->fd, &e.remote.any, inet_size(&e.remote))) {
		error_errno(err, errno, "connecting it again");
		ret = error_hint(err, "the container's network must be up, with a route there");
	}
	if (!ret)
		ret = set_options(o->fd, o, t, err);
	if (!ret)
		ret = fill_queues(o->fd, o, err);
	if (!ret)
		ret = set_window(o->fd, t, err);
	if (!ret)
		ret = close_halves(r, o, t, err);
	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	/* which has set SO_REUSEADDR: in repair mode no other socket is kept from the port */
	return ret ? ret : tcp_repair(o->fd, TCP_REPAIR_ON, err);
}

int tcp_open(struct restore *r, struct file_object *o, struct error **err)
{
	struct inet_ends e = ends_of(o);
	char address[INET_TEXT];
	int ret = open_kept(r, o, err);

	if (!ret)
		return 0;
	inet_print(&e.remote, address);
	return error_wrap(err, "TCP connection %s", address);
}

/* Only a connection that ends keeps its addresses: one that is made in repair mode gets a reset. */
static int end_connection(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	struct inet_ends e = ends_of(o);
	struct tcphdr tcp = {.doff = sizeof(tcp) / 4, .rst = 1};
	int pending, ret;
	socklen_t len = sizeof(pending);

	if (e.remote.any.sa_family != rec->family || !inet_has_port(&e.remote) ||
	    !inet_has_port(&e.local))
		return error_set(err, ENOTCONN, "its addresses are not known");
	ret = tcp_repair(o->fd, TCP_REPAIR_ON, err);
	if (!ret)
		ret = set_sequence(o->fd, TCP_RECV_QUEUE, 0, err);
	if (!ret)
		ret = inet_bind(o, err);
	if (!ret && connect(o->fd, &e.remote.any, inet_size(&e.remote)))
		ret = error_errno(err, errno, "connecting it again");
	if (!ret)
		ret = inject(r, &e, &tcp, err);
	/* which is an error that the program has not had */
	getsockopt(o->fd, SOL_SOCKET, SO_ERROR, &pending, &len);
	if (!ret && state_of(o->fd) != TCP_CLOSE)
		ret = error_set(err, EIO, "it does not end");
	return ret;
}

void tcp_open_closed(struct restore *r, struct file_object *o)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	int off = TCP_REPAIR_OFF_NO_WP;
	struct error *err = NULL;

	/* what is lost without it is SO_PEERNAME alone */
	if (end_connection(r, o, &err))
		log_debug("a closed TCP connection without its other end: %s", error_message(err));
	error_free(err);
	/* in repair mode nobody hears of it; out of it, the other end would get a FIN */
	if (state_of(o->fd) != TCP_CLOSE)
		connect(o->fd, &nobody, sizeof(nobody));
	setsockopt(o->fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off));
	/* fails, but is remembered */
	shutdown(o->fd, SHUT_RDWR);
}

/* However the pieces that it comes in fit into the buffer, which had room for it all. */
static int send_unsent(int fd, const char *data, size_t len, struct error **err)
{
	int size = socket_get_int(fd, SOL_SOCKET, SO_SNDBUF) / 2, large = 1 << 29, ret = 0;
	int locked = socket_get_int(fd, SOL_SOCKET, SO_BUF_LOCK);

	if (!len)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	for (size_t at = 0; !ret && at < len;) {
		ssize_t n = send(fd, data + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			ret = error_errno(err, errno, "sending what a TCP connection had queued");
		at += n > 0 ? n : 0;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locked, sizeof(locked));
	return ret;
}

/* What was not sent before is sent now; a FIN may be behind it. */
int tcp_go_on(const struct file_object *o, struct error **err)
{
	const struct ckpt_inet *rec = o->rec;
	size_t len, unsent_len;
	const struct ckpt_tcp *t = items_find(o, CKPT_ITEM_TCP, NULL, &len);
	const char *unsent = items_find(o, CKPT_ITEM_UNSENT, NULL, &unsent_len);
	int reuse = rec->options.values[0], ret;
	socklen_t size = sizeof(int);
	int repair = 0;

	/* one that came back reset, as was asked for, is not in repair mode */
	if (rec->state != CKPT_SOCKET_KEPT || !t ||
	    getsockopt(o->fd, IPPROTO_TCP, TCP_REPAIR, &repair, &size) || !repair)
		return 0;
	ret = tcp_repair(o->fd, TCP_REPAIR_OFF, err);
	setsockopt(o->fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	if (!ret)
		ret = send_unsent(o->fd, unsent, unsent_len, err);
	if (!ret && unsent_len && 1u << t->state & TCP_SENT_FIN)
		shutdown(o->fd, SHUT_WR);
	return ret;
}
