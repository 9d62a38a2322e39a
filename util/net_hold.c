// SPDX-License-Identifier: GPL-2.0-only
#include "util/net_hold.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/thread.h"

#define PREFIX	     "firn-"
#define MESSAGE_SIZE 32768
#define ELEMENTS_MAX 300 /* in one message; an attribute has 64 KiB at most */
/* before connection tracking (-200), so that it does not see what is dropped */
#define PRIORITY (-450)

struct net_hold {
	struct mnl_socket *nl;
};

/* --- a batch of messages, which the kernel takes as a whole or not at all --- */

struct batch {
	struct buf data;
	unsigned messages;
	bool full; /* no memory */
	char message[MESSAGE_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
};

static struct nlmsghdr *begin(struct batch *b, int type, int flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(b->message);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	bool control = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;

	h->nlmsg_type = control ? type : NFNL_SUBSYS_NFTABLES << 8 | type;
	h->nlmsg_flags = NLM_F_REQUEST | (control ? 0 : NLM_F_ACK) | flags;
	h->nlmsg_seq = b->messages;
	g->nfgen_family = control ? AF_UNSPEC : NFPROTO_INET;
	g->version = NFNETLINK_V0;
	g->res_id = control ? htons(NFNL_SUBSYS_NFTABLES) : 0;
	return h;
}

static void end(struct batch *b, const struct nlmsghdr *h)
{
	if (!buf_add(&b->data, h, h->nlmsg_len))
		b->full = true;
	b->messages++;
}

static void control(struct batch *b, int type)
{
	end(b, begin(b, type, 0));
}

static void put_u32(struct nlmsghdr *h, int type, uint32_t value)
{
	mnl_attr_put_u32(h, type, htonl(value));
}

/* --- what is in the table --- */

static const struct {
	const char *name;
	uint32_t key_len;
} sets[] = {{"v4", 12}, {"v6", 36}, {"ports", 2}};
enum { SET_V4, SET_V6, SET_PORTS };

static const struct {
	const char *name;
	uint32_t hook;
} chains[] = {{"in", NF_INET_LOCAL_IN}, {"out", NF_INET_LOCAL_OUT}};

static void add_table(struct batch *b, const char *name, uint32_t flags)
{
	struct nlmsghdr *h = begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);

	mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
	put_u32(h, NFTA_TABLE_FLAGS, flags);
	end(b, h);
}

static void add_set(struct batch *b, const char *table, unsigned set)
{
	struct nlmsghdr *h = begin(b, NFT_MSG_NEWSET, NLM_F_CREATE);

	mnl_attr_put_strz(h, NFTA_SET_TABLE, table);
	mnl_attr_put_strz(h, NFTA_SET_NAME, sets[set].name);
	put_u32(h, NFTA_SET_FLAGS, 0);
	put_u32(h, NFTA_SET_KEY_TYPE, 0);
	put_u32(h, NFTA_SET_KEY_LEN, sets[set].key_len);
	put_u32(h, NFTA_SET_ID, set + 1);
	end(b, h);
}

static void add_chain(struct batch *b, const char *table, unsigned chain)
{
	struct nlmsghdr *h = begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
	struct nlattr *hook;

	mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chains[chain].name);
	hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
	put_u32(h, NFTA_HOOK_HOOKNUM, chains[chain].hook);
	put_u32(h, NFTA_HOOK_PRIORITY, PRIORITY);
	mnl_attr_nest_end(h, hook);
	mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, "filter");
	end(b, h);
}

/* --- expressions of a rule --- */

struct expression {
	struct nlattr *element, *data;
};

static struct expression open_expression(struct nlmsghdr *h, const char *name)
{
	struct expression e = {.element = mnl_attr_nest_start(h, NFTA_LIST_ELEM)};

	mnl_attr_put_strz(h, NFTA_EXPR_NAME, name);
	e.data = mnl_attr_nest_start(h, NFTA_EXPR_DATA);
	return e;
}

static void close_expression(struct nlmsghdr *h, struct expression e)
{
	mnl_attr_nest_end(h, e.data);
	mnl_attr_nest_end(h, e.element);
}

static void put_meta(struct nlmsghdr *h, uint32_t key, uint32_t op, const void *value, size_t len)
{
	struct expression e = open_expression(h, "meta");
	struct nlattr *data;

	put_u32(h, NFTA_META_KEY, key);
	put_u32(h, NFTA_META_DREG, NFT_REG_1);
	close_expression(h, e);
	e = open_expression(h, "cmp");
	put_u32(h, NFTA_CMP_SREG, NFT_REG_1);
	put_u32(h, NFTA_CMP_OP, op);
	data = mnl_attr_nest_start(h, NFTA_CMP_DATA);
	mnl_attr_put(h, NFTA_DATA_VALUE, len, value);
	mnl_attr_nest_end(h, data);
	close_expression(h, e);
}

static void put_payload(struct nlmsghdr *h, uint32_t base, uint32_t offset, uint32_t len,
			uint32_t reg)
{
	struct expression e = open_expression(h, "payload");

	put_u32(h, NFTA_PAYLOAD_DREG, reg);
	put_u32(h, NFTA_PAYLOAD_BASE, base);
	put_u32(h, NFTA_PAYLOAD_OFFSET, offset);
	put_u32(h, NFTA_PAYLOAD_LEN, len);
	close_expression(h, e);
}

static void put_lookup(struct nlmsghdr *h, unsigned set)
{
	struct expression e = open_expression(h, "lookup");

	mnl_attr_put_strz(h, NFTA_LOOKUP_SET, sets[set].name);
	put_u32(h, NFTA_LOOKUP_SREG, NFT_REG32_00);
	put_u32(h, NFTA_LOOKUP_SET_ID, set + 1);
	close_expression(h, e);
}

static void put_drop(struct nlmsghdr *h)
{
	struct expression e = open_expression(h, "immediate");
	struct nlattr *data, *verdict;

	put_u32(h, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = mnl_attr_nest_start(h, NFTA_IMMEDIATE_DATA);
	verdict = mnl_attr_nest_start(h, NFTA_DATA_VERDICT);
	put_u32(h, NFTA_VERDICT_CODE, NF_DROP);
	mnl_attr_nest_end(h, verdict);
	mnl_attr_nest_end(h, data);
	close_expression(h, e);
}

/* Where source and destination addresses are in the headers; both, then both ports, are the key. */
static void put_key(struct nlmsghdr *h, unsigned set)
{
	static const struct {
		uint32_t offset, len;
	} addresses[] = {{12, 8}, {8, 32}};

	if (set == SET_PORTS) {
		put_payload(h, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_REG32_00);
		return;
	}
	put_payload(h, NFT_PAYLOAD_NETWORK_HEADER, addresses[set].offset, addresses[set].len,
		    NFT_REG32_00);
	put_payload(h, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 4, NFT_REG32_00 + addresses[set].len / 4);
}

static void add_rule(struct batch *b, const char *table, unsigned chain, unsigned set)
{
	struct nlmsghdr *h = begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	uint8_t family = set == SET_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6, tcp = IPPROTO_TCP;
	uint32_t mark = NET_HOLD_MARK;
	struct nlattr *list;

	mnl_attr_put_strz(h, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(h, NFTA_RULE_CHAIN, chains[chain].name);
	list = mnl_attr_nest_start(h, NFTA_RULE_EXPRESSIONS);
	put_meta(h, NFT_META_MARK, NFT_CMP_NEQ, &mark, sizeof(mark));
	if (set != SET_PORTS)
		put_meta(h, NFT_META_NFPROTO, NFT_CMP_EQ, &family, sizeof(family));
	put_meta(h, NFT_META_L4PROTO, NFT_CMP_EQ, &tcp, sizeof(tcp));
	put_key(h, set);
	put_lookup(h, set);
	put_drop(h);
	mnl_attr_nest_end(h, list);
	end(b, h);
}

/* --- elements of the sets --- */

/* Keys of one set, as put_key() has them in the registers. */
static void add_elements(struct batch *b, const char *table, unsigned set, const struct buf *keys)
{
	size_t len = sets[set].key_len, count = keys->len / len;

	for (size_t at = 0; at < count;) {
		struct nlmsghdr *h = begin(b, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
		struct nlattr *list, *element, *key;

		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, table);
		mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, sets[set].name);
		put_u32(h, NFTA_SET_ELEM_LIST_SET_ID, set + 1);
		list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t n = 0; n < ELEMENTS_MAX && at < count; n++, at++) {
			element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
			key = mnl_attr_nest_start(h, NFTA_SET_ELEM_KEY);
			mnl_attr_put(h, NFTA_DATA_VALUE, len, keys->data + at * len);
			mnl_attr_nest_end(h, key);
			mnl_attr_nest_end(h, element);
		}
		mnl_attr_nest_end(h, list);
		end(b, h);
	}
}

static int add_key(struct buf *keys, const struct net_tuple *t, bool coming)
{
	size_t len = t->family == AF_INET6 ? 16 : 4;
	const uint8_t *from = coming ? t->remote : t->local, *to = coming ? t->local : t->remote;
	uint16_t ports[2] = {coming ? t->remote_port : t->local_port,
			     coming ? t->local_port : t->remote_port};

	return buf_add(keys, from, len) && buf_add(keys, to, len) &&
			       buf_add(keys, ports, sizeof(ports))
		       ? 0
		       : -ENOMEM;
}

static int fill_sets(struct batch *b, const char *table, const struct net_tuple *tuples,
		     size_t count, const uint16_t *ports, size_t port_count)
{
	struct buf keys[2] = {{0}, {0}};
	struct buf port_keys = {.data = (uint8_t *)ports, .len = port_count * sizeof(*ports)};
	int r = 0;

	for (size_t i = 0; !r && i < count; i++) {
		struct buf *k = &keys[tuples[i].family == AF_INET6 ? SET_V6 : SET_V4];

		r = add_key(k, &tuples[i], true);
		if (!r)
			r = add_key(k, &tuples[i], false);
	}
	if (!r) {
		add_elements(b, table, SET_V4, &keys[SET_V4]);
		add_elements(b, table, SET_V6, &keys[SET_V6]);
		add_elements(b, table, SET_PORTS, &port_keys);
	}
	buf_free(&keys[0]);
	buf_free(&keys[1]);
	return r;
}

/* --- talking to the kernel --- */

static int receive_acks(struct mnl_socket *nl, unsigned wanted)
{
	char answer[MESSAGE_SIZE];

	while (wanted) {
		ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
		int left = n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (struct nlmsghdr *h = (void *)answer; wanted && mnl_nlmsg_ok(h, left);
		     h = mnl_nlmsg_next(h, &left)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

			if (h->nlmsg_type != NLMSG_ERROR)
				continue;
			if (e->error)
				return e->error;
			wanted--;
		}
	}
	return 0;
}

static int send_batch(struct mnl_socket *nl, struct batch *b)
{
	int size = b->data.len + 65536;

	if (b->full)
		return -ENOMEM;
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (mnl_socket_sendto(nl, b->data.data, b->data.len) < 0)
		return -errno;
	return receive_acks(nl, b->messages - 2);
}

static int remove_table(struct mnl_socket *nl, struct batch *b, const char *name)
{
	struct nlmsghdr *h;
	int r;

	b->data.len = b->messages = 0;
	control(b, NFNL_MSG_BATCH_BEGIN);
	h = begin(b, NFT_MSG_DELTABLE, 0);
	mnl_attr_put_strz(h, NFTA_TABLE_NAME, name);
	end(b, h);
	control(b, NFNL_MSG_BATCH_END);
	r = send_batch(nl, b);
	return r == -ENOENT ? 0 : r;
}

struct work {
	int netns;
	const char *name;
	const struct net_tuple *tuples;
	size_t count;
	const uint16_t *ports;
	size_t port_count;
	bool owned, remove;
	struct mnl_socket *nl;
	int result;
};

static int make_table(struct work *w, struct batch *b)
{
	int r = w->owned ? 0 : remove_table(w->nl, b, w->name);

	if (r)
		return r;
	b->data.len = b->messages = 0;
	control(b, NFNL_MSG_BATCH_BEGIN);
	add_table(b, w->name, w->owned ? NFT_TABLE_F_OWNER : 0);
	for (unsigned i = 0; i < sizeof(sets) / sizeof(*sets); i++)
		add_set(b, w->name, i);
	for (unsigned i = 0; i < sizeof(chains) / sizeof(*chains); i++) {
		add_chain(b, w->name, i);
		add_rule(b, w->name, i, SET_V4);
		add_rule(b, w->name, i, SET_V6);
	}
	add_rule(b, w->name, 0, SET_PORTS);
	r = fill_sets(b, w->name, w->tuples, w->count, w->ports, w->port_count);
	control(b, NFNL_MSG_BATCH_END);
	return r ? r : send_batch(w->nl, b);
}

static void *work_main(void *ctx)
{
	__cleanup_free struct batch *b = calloc(1, sizeof(*b));
	struct work *w = ctx;

	w->result = !b ? -ENOMEM : setns(w->netns, CLONE_NEWNET) ? -errno : 0;
	if (w->result)
		return NULL;
	w->nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!w->nl || mnl_socket_bind(w->nl, 0, MNL_SOCKET_AUTOPID))
		w->result = -errno;
	else
		w->result = w->remove ? remove_table(w->nl, b, w->name) : make_table(w, b);
	buf_free(&b->data);
	return NULL;
}

/* In a thread of its own, for it changes its network namespace. */
static int do_work(struct work *w, const char *what, struct error **err)
{
	pthread_t thread;
	int r = thread_start(&thread, NULL, work_main, w);

	if (r)
		return error_errno(err, r, "starting a thread");
	pthread_join(thread, NULL);
	if (w->nl && (w->result || !w->owned)) {
		mnl_socket_close(w->nl);
		w->nl = NULL;
	}
	if (!w->result)
		return 0;
	error_errno(err, -w->result, "%s the nf_tables table \"%s\"", what, w->name);
	if (w->result == -EPROTONOSUPPORT || w->result == -EOPNOTSUPP)
		error_hint(err, "the kernel needs CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET");
	return w->result;
}

int net_hold_create(int netns, const char *name, const struct net_tuple *tuples, size_t count,
		    const uint16_t *ports, size_t port_count, struct net_hold **hold,
		    struct error **err)
{
	struct work w = {.netns = netns,
			 .name = name,
			 .tuples = tuples,
			 .count = count,
			 .ports = ports,
			 .port_count = port_count,
			 .owned = hold};
	struct net_hold *made = hold ? calloc(1, sizeof(*made)) : NULL;
	int r;

	if (hold && !made)
		return error_errno(err, ENOMEM, "holding back connections");
	r = do_work(&w, "making", err);
	if (r) {
		free(made);
		return r;
	}
	if (hold) {
		made->nl = w.nl;
		*hold = made;
	}
	return 0;
}

void net_hold_drop(struct net_hold *hold)
{
	if (!hold)
		return;
	mnl_socket_close(hold->nl);
	free(hold);
}

int net_hold_remove(int netns, const char *name, struct error **err)
{
	struct work w = {.netns = netns, .name = name, .remove = true};

	return do_work(&w, "removing", err);
}

void net_hold_name(const char *id, char *name)
{
	snprintf(name, NET_HOLD_NAME, PREFIX "%.200s", id);
}

bool net_hold_name_valid(const char *name)
{
	return !strncmp(name, PREFIX, strlen(PREFIX)) && strlen(name) < NET_HOLD_NAME;
}
