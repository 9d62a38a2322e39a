// SPDX-License-Identifier: GPL-2.0-only
/*
 * While a connection is only half there its packets are held back: from before the
 * first is looked at until the container is killed or goes on, and from before the
 * first is made until all are. That table is this process's, and goes with it. One that
 * stays is made when the image is durable, if the network namespace outlives the
 * container: where nobody has the connection the kernel would answer with a reset.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

typedef VEC(struct net_tuple) tuple_vec;
typedef VEC(uint16_t) port_vec;

struct held {
	tuple_vec tuples;
	port_vec ports;
};

static void held_free(struct held *h)
{
	vec_free(&h->tuples);
	vec_free(&h->ports);
}

static bool is_mapped(const union inet_address *a)
{
	return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr);
}

static void copy_host(const union inet_address *a, bool v4, uint8_t host[16])
{
	if (a->any.sa_family == AF_INET)
		memcpy(host, &a->in.sin_addr, 4);
	else if (v4)
		memcpy(host, (const uint8_t *)&a->in6.sin6_addr + 12, 4);
	else
		memcpy(host, &a->in6.sin6_addr, 16);
}

static uint16_t port_of(const union inet_address *a)
{
	return a->any.sa_family == AF_INET6 ? a->in6.sin6_port : a->in.sin_port;
}

/* Connections by both ends, of listeners the port. */
static int add(struct held *h, const struct ckpt_inet *rec, const union inet_address *local,
	       const union inet_address *remote)
{
	if (rec->state == CKPT_SOCKET_LISTEN) {
		uint16_t *port = vec_add(&h->ports);

		if (!port)
			return -ENOMEM;
		*port = port_of(local);
	} else if (rec->state == CKPT_SOCKET_KEPT) {
		bool v4 = local->any.sa_family == AF_INET || is_mapped(local);
		struct net_tuple *t = vec_add(&h->tuples);

		if (!t)
			return -ENOMEM;
		t->family = v4 ? AF_INET : AF_INET6;
		copy_host(local, v4, t->local);
		copy_host(remote, v4, t->remote);
		t->local_port = port_of(local);
		t->remote_port = port_of(remote);
	}
	return 0;
}

static int open_netns(pid_t init, struct error **err)
{
	int fd = open_fmt(O_RDONLY, "/proc/%d/ns/net", init);

	return fd < 0 ? error_errno(err, -fd, "opening the container's network namespace") : fd;
}

static int make(pid_t init, const char *name, const struct held *h, bool listeners,
		struct net_hold **hold, struct error **err)
{
	__cleanup_fd int netns = open_netns(init, err);

	if (netns < 0)
		return netns;
	return net_hold_create(netns, name, h->tuples.items, h->tuples.count, h->ports.items,
			       listeners ? h->ports.count : 0, hold, err);
}

static void working_name(const char *id, char name[NET_HOLD_NAME])
{
	size_t len;

	net_hold_name(id, name);
	len = strlen(name);
	snprintf(name + len, NET_HOLD_NAME - len, ".%d", getpid());
}

/* --- a checkpoint --- */

static struct inet_state *state_of(const struct checkpoint *c, size_t i)
{
	const struct description *d = c->files->descriptions.items[i];

	return d->kind == &file_kind_inet ? d->state : NULL;
}

static int collect_saved(struct checkpoint *c, struct held *h, struct error **err)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct inet_state *s = state_of(c, i);

		if (s && add(h, &s->rec, &s->local, &s->remote))
			return error_errno(err, ENOMEM, "holding back connections");
	}
	return 0;
}

static int leave_repair(const struct description *d, const struct inet_state *s, struct error **err)
{
	int r = tcp_repair(d->fd, TCP_REPAIR_OFF, err);

	if (!r)
		setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &s->reuse, sizeof(s->reuse));
	return r;
}

/* The runtime was killed behind its kill of the tasks: they do not go on. */
static bool are_doomed(const struct checkpoint *c)
{
	vec_for_each (t, &c->tasks) {
		struct proc_status status;

		if (t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		if (proc_status(t->speaker, 0, &status, NULL) || status.state == 'Z' ||
		    status.state == 'X' ||
		    (status.sig_pending | status.shared_pending) & 1ull << (SIGKILL - 1))
			return true;
	}
	return false;
}

/* The guard's work. In whose copy of our memory nothing is known of what we did since. */
static void let_go(void *ctx)
{
	struct checkpoint *c = ctx;
	int netns;

	if (are_doomed(c))
		return;
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];
		const struct inet_state *s = state_of(c, i);

		if (s && s->rec.state == CKPT_SOCKET_KEPT &&
		    socket_get_int(d->fd, IPPROTO_TCP, TCP_REPAIR) > 0)
			leave_repair(d, s, NULL);
	}
	netns = c->net_hold ? open_netns(c->init, NULL) : -1;
	if (netns >= 0)
		net_hold_remove(netns, c->net_hold, NULL);
}

/* From before the first socket is in repair mode until the last one is out of it, or gone. */
static int guard_connections(struct checkpoint *c, struct error **err)
{
	for (size_t i = 0; i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];
		struct inet_state *s = state_of(c, i);

		if (s && s->rec.state == CKPT_SOCKET_KEPT)
			s->reuse = socket_get_int(d->fd, SOL_SOCKET, SO_REUSEADDR);
	}
	return apart_guard(let_go, c, &c->files->guard, err);
}

int inet_hold_save(struct checkpoint *c, struct error **err)
{
	char name[NET_HOLD_NAME];
	struct held h = {0};
	int r = collect_saved(c, &h, err);

	if (!r && h.tuples.count && c->request->netns_stays && !c->request->leave_running) {
		net_hold_name(c->request->id, name);
		c->net_hold = strdup(name);
		if (!c->net_hold)
			r = error_errno(err, ENOMEM, "holding back connections");
	}
	/* before there is a hold, whose socket the guard would keep open */
	if (!r && h.tuples.count)
		r = guard_connections(c, err);
	working_name(c->request->id, name);
	/* new connections to a container that goes on may come as before */
	if (!r && h.tuples.count)
		r = make(c->init, name, &h, false, &c->files->hold, err);
	if (r && c->files)
		apart_dismiss(&c->files->guard);
	held_free(&h);
	return r;
}

static int set_repair(struct checkpoint *c, bool on, struct error **err)
{
	int r = 0;

	for (size_t i = 0; !r && c->files && i < c->files->descriptions.count; i++) {
		const struct description *d = c->files->descriptions.items[i];
		struct inet_state *s = state_of(c, i);

		if (!s || s->rec.state != CKPT_SOCKET_KEPT || s->repaired == on)
			continue;
		r = on ? tcp_repair(d->fd, TCP_REPAIR_ON, err) : leave_repair(d, s, err);
		s->repaired = on;
	}
	return r;
}

/* From now on the ends of connections go without a word. */
int files_seal(struct checkpoint *c, struct error **err)
{
	struct held h = {0};
	int r = 0;

	if (c->net_hold) {
		r = collect_saved(c, &h, err);
		if (!r)
			r = make(c->init, c->net_hold, &h, true, NULL, err);
		held_free(&h);
	}
	return r ? r : set_repair(c, true, err);
}

void files_spare(struct checkpoint *c)
{
	struct error *err = NULL;
	int netns;

	if (!c->files || !c->files->hold)
		return;
	net_hold_drop(c->files->hold);
	c->files->hold = NULL;
	if (set_repair(c, false, &err))
		log_warning("%s", error_message(err));
	error_free(err);
	err = NULL;
	netns = c->net_hold ? open_netns(c->init, &err) : -1;
	if (netns >= 0) {
		net_hold_remove(netns, c->net_hold, &err);
		close(netns);
	}
	error_free(err);
	apart_dismiss(&c->files->guard);
}

/* --- a restore --- */

int inet_hold_load(struct restore *r, struct error **err)
{
	char name[NET_HOLD_NAME];
	struct held h = {0};
	int ret = 0;

	vec_for_each (o, &r->files->objects) {
		const struct ckpt_inet *rec = o->rec;
		union inet_address local, remote;

		if (ret || o->kind != &file_kind_inet)
			continue;
		memcpy(&local, rec->local, sizeof(rec->local));
		memcpy(&remote, rec->remote, sizeof(rec->remote));
		if (add(&h, rec, &local, &remote))
			ret = error_errno(err, ENOMEM, "holding back connections");
	}
	working_name(r->request->id, name);
	if (!ret && h.tuples.count && !r->request->reset_tcp)
		ret = make(r->init, name, &h, true, &r->files->hold, err);
	held_free(&h);
	return ret;
}

static int remove_left(struct restore *r, struct error **err)
{
	const char *name = image_reader_info(r->image)->net_hold;
	__cleanup_fd int netns = -1;

	if (!name)
		return 0;
	/* the image names it: it may be no other's */
	if (!net_hold_name_valid(name))
		return error_set(err, EBADMSG, "manifest.json: networkHold is no table of ours");
	netns = open_netns(r->init, err);
	return netns < 0 ? netns : net_hold_remove(netns, name, err);
}

int files_let_go(struct restore *r, struct error **err)
{
	int ret;

	if (!r->files)
		return 0;
	ret = remove_left(r, err);
	net_hold_drop(r->files->hold);
	r->files->hold = NULL;
	vec_for_each (o, &r->files->objects)
		if (!ret && o->kind == &file_kind_inet)
			ret = tcp_go_on(o, err);
	return ret;
}
