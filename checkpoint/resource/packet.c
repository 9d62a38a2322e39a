// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packet sockets: device, protocol, options, memberships, fanout groups, and rings that nobody
 * has used yet. A ring in use cannot be saved: the kernel goes on from a frame that it does not
 * tell. They are bound last of all, so that what a restore itself sends is not in their queues.
 */
#include "checkpoint/resource/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "util/error.h"

/* younger than the headers that this may be built with */
#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef PACKET_VNET_HDR_SZ
#define PACKET_VNET_HDR_SZ 24
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#define RING_MAX (1ull << 30) /* bytes */

/*
 * Options of SOL_PACKET that are an int, in an order in which they can be set. The index is
 * part of the image format: new ones go to the end.
 */
static const int options[] = {
	PACKET_VERSION,	 PACKET_RESERVE,     PACKET_LOSS,	  PACKET_TX_HAS_OFF,
	PACKET_VNET_HDR, PACKET_VNET_HDR_SZ, PACKET_COPY_THRESH,  PACKET_TIMESTAMP,
	PACKET_AUXDATA,	 PACKET_ORIGDEV,     PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING,
};
#define OPTION_COUNT (sizeof(options) / sizeof(*options))
_Static_assert(OPTION_COUNT <= 16, "as many values as a record has");

struct packet_state {
	struct buf items; /* first */
	struct ckpt_packet rec;
	struct packet_diag diag;
};

static bool matches(const struct description *d)
{
	return description_is_socket(d, AF_PACKET);
}

static void state_free(void *state)
{
	struct packet_state *s = state;

	buf_free(&s->diag.members);
	socket_state_free(s);
}

static bool has_ring(const struct ckpt_packet_ring *ring)
{
	return ring->block_nr;
}

static uint64_t ring_size(const struct ckpt_packet_ring *ring)
{
	return (uint64_t)ring->block_size * ring->block_nr;
}

/* --- a checkpoint --- */

/* Device names last; their numbers are only this namespace's. */
static int device_name(int fd, int index, char name[IFNAMSIZ])
{
	struct ifreq req = {.ifr_ifindex = index};

	memset(name, 0, IFNAMSIZ);
	if (!index)
		return 0;
	if (ioctl(fd, SIOCGIFNAME, &req))
		return -errno;
	memcpy(name, req.ifr_name, IFNAMSIZ);
	return 0;
}

static struct ckpt_packet_ring to_ring(const struct packet_diag_ring *r)
{
	return (struct ckpt_packet_ring){r->pdr_block_size, r->pdr_block_nr, r->pdr_frame_size,
					 r->pdr_frame_nr};
}

/*
 * A ring is made of zeros; whatever has been there leaves its lengths behind, unless the program
 * clears whole frames. Nothing tells such a ring from a new one.
 */
static int rings_are_unused(int fd, const struct ckpt_packet *rec, struct error **err)
{
	uint64_t size = ring_size(&rec->rx) + ring_size(&rec->tx);
	const uint64_t *words;
	int unused = 1;

	if (!size)
		return 1;
	words = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return error_errno(err, errno, "looking at the ring of a packet socket");
	for (uint64_t i = 0; unused && i < size / sizeof(*words); i++)
		unused = !words[i];
	munmap((void *)words, size);
	return unused;
}

static int admit_state(struct checkpoint *c, const struct description *d, struct packet_state *s,
		       struct error **err)
{
	struct pollfd p = {.fd = d->fd, .events = POLLIN};
	int fanout, unused;

	if (device_name(d->fd, s->diag.info.pdi_index, s->rec.device))
		return description_block(c, d, "close it for the checkpoint",
					 "packet socket of a device that is gone");
	if (poll(&p, 1, 0) == 1 && p.revents & (POLLIN | POLLERR))
		return description_block(c, d, "let the program read them first",
					 "packet socket with packets that were not read");
	s->rec.rx = to_ring(&s->diag.rx);
	s->rec.tx = to_ring(&s->diag.tx);
	if ((has_ring(&s->rec.rx) || has_ring(&s->rec.tx)) && s->diag.info.pdi_version > TPACKET_V2)
		return description_block(c, d, "close it for the checkpoint",
					 "packet socket with a ring of TPACKET_V3");
	unused = rings_are_unused(d->fd, &s->rec, err);
	if (unused < 0)
		return unused;
	if (!unused)
		return description_block(c, d, "close it for the checkpoint",
					 "packet socket with a ring in use");
	if (s->diag.fanout && !socket_ask_int(d->fd, SOL_PACKET, PACKET_FANOUT, &fanout)) {
		s->rec.flags |= CKPT_PACKET_FANOUT;
		s->rec.fanout = fanout;
		/* the program that chooses cannot be read back */
		if ((fanout >> 16 & 0xff) >= PACKET_FANOUT_CBPF)
			return description_block(c, d, "close it for the checkpoint",
						 "packet socket of a fanout group with a program");
	}
	return 0;
}

static int packet_admit(struct checkpoint *c, struct description *d, struct error **err)
{
	struct packet_state *s;
	socklen_t len = sizeof(s->diag.cookie);
	int r = socket_admit_state(c, d, sizeof(*s), err);

	d->state_free = state_free;
	if (r)
		return r < 0 ? r : 0;
	s = d->state;
	if (getsockopt(d->fd, SOL_SOCKET, SO_COOKIE, &s->diag.cookie, &len))
		return error_errno(err, errno, "asking for a socket's cookie");
	r = packet_diag_read(c->init, &s->diag, err);
	if (r == -EOPNOTSUPP) {
		error_free(*err);
		*err = NULL;
		return description_block(c, d, "close it for the checkpoint",
					 "packet socket, of which this kernel tells nothing");
	}
	return r ? r : admit_state(c, d, s, err);
}

static const struct description *find_mapped(const struct checkpoint *c, const struct vma *v)
{
	vec_for_each (item, &c->files->descriptions) {
		const struct description *d = *item;
		const struct packet_state *s = d->kind == &file_kind_packet ? d->state : NULL;

		if (s && d->st.st_ino == v->ino && !v->rec.offset &&
		    v->rec.end - v->rec.start == ring_size(&s->rec.rx) + ring_size(&s->rec.tx))
			return d;
	}
	return NULL;
}

int packet_admit_mappings(struct checkpoint *c, struct error **err)
{
	vec_for_each (t, &c->tasks)
		vec_for_each (v, &t->vmas) {
			const struct description *d;

			if (!v->path || strncmp(v->path, SOCKET_MAPPING, strlen(SOCKET_MAPPING)))
				continue;
			d = find_mapped(c, v);
			if (d)
				v->rec.source = d->id;
			else if (checkpoint_block(
					 c, t->rec.pid, -1, v->rec.start,
					 "unmap it, or keep the socket open",
					 "a mapping of %s, which is no open packet socket's ring",
					 v->path))
				return error_errno(err, ENOMEM, "looking at mappings");
		}
	return 0;
}

static int save_members(const struct description *d, struct packet_state *s, struct error **err)
{
	const struct packet_diag_mclist *m = (const void *)s->diag.members.data;

	for (size_t i = 0; i < s->diag.members.len / sizeof(*m); i++) {
		struct ckpt_packet_member member = {.count = m[i].pdmc_count,
						    .type = m[i].pdmc_type,
						    .address_len = m[i].pdmc_alen};

		_Static_assert(sizeof(member.address) == sizeof(m->pdmc_addr), "MAX_ADDR_LEN");
		memcpy(member.address, m[i].pdmc_addr, sizeof(member.address));
		/* that of a device which is gone goes with it */
		if (device_name(d->fd, m[i].pdmc_index, member.device))
			continue;
		if (items_add(&s->items, CKPT_ITEM_PACKET_MEMBER, &member, sizeof(member)))
			return error_errno(err, ENOMEM, "recording a socket");
	}
	return 0;
}

static int packet_dump(struct checkpoint *c, struct description *d, struct error **err)
{
	struct packet_state *s = d->state;
	int type, r = socket_save_options(d->fd, &s->rec.options, err);

	if (!r)
		r = socket_save_extras(d->fd, &s->items, err);
	if (!r)
		r = save_members(d, s, err);
	if (r)
		return r;
	socket_ask_int(d->fd, SOL_SOCKET, SO_TYPE, &type);
	s->rec.id = d->id;
	s->rec.open_flags = d->open_flags;
	s->rec.type = type;
	s->rec.protocol = s->diag.protocol;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (!socket_ask_int(d->fd, SOL_PACKET, options[i], &s->rec.values[i]))
			s->rec.known |= 1u << i;
	if (!record_add2(&c->records, CKPT_PACKET, &s->rec, sizeof(s->rec), s->items.data,
			 s->items.len))
		return error_errno(err, ENOMEM, "recording a socket");
	return 0;
}

/* --- a restore --- */

static bool is_terminated(const char name[IFNAMSIZ])
{
	return memchr(name, 0, IFNAMSIZ);
}

static bool members_valid(const struct file_object *o)
{
	const struct ckpt_packet_member *m = NULL;
	size_t len;

	while ((m = items_find(o, CKPT_ITEM_PACKET_MEMBER, m, &len)))
		if (len != sizeof(*m) || !is_terminated(m->device) || !m->count ||
		    m->count > 65536 || m->type > UINT16_MAX || m->address_len > sizeof(m->address))
			return false;
	return true;
}

static int packet_load(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_packet *rec = o->rec;

	if (!items_valid(o) || !members_valid(o) ||
	    (rec->type != SOCK_RAW && rec->type != SOCK_DGRAM && rec->type != SOCK_PACKET) ||
	    rec->protocol > UINT16_MAX || rec->flags & ~(uint32_t)CKPT_PACKET_FANOUT ||
	    !is_terminated(rec->device) || ring_size(&rec->rx) > RING_MAX ||
	    ring_size(&rec->tx) > RING_MAX || rec->values[0] < 0 || rec->values[0] > TPACKET_V3 ||
	    (rec->values[0] == TPACKET_V3 && (has_ring(&rec->rx) || has_ring(&rec->tx))))
		return error_set(err, EBADMSG, "packet socket %u is malformed", o->id);
	/* of whatever type, they want what raw sockets do */
	return socket_check_allowed(r, SOCK_RAW, &rec->options, err);
}

static int load_options(const struct file_object *o, struct error **err)
{
	const struct ckpt_packet *rec = o->rec;

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		int now;

		if (!(rec->known >> i & 1) || socket_ask_int(o->fd, SOL_PACKET, options[i], &now) ||
		    now == rec->values[i])
			continue;
		if (setsockopt(o->fd, SOL_PACKET, options[i], &rec->values[i],
			       sizeof(rec->values[i])))
			return error_errno(err, errno, "setting option %d of a packet socket to %d",
					   options[i], rec->values[i]);
	}
	return 0;
}

static int load_ring(int fd, int name, const struct ckpt_packet_ring *ring, struct error **err)
{
	struct tpacket_req req = {.tp_block_size = ring->block_size,
				  .tp_block_nr = ring->block_nr,
				  .tp_frame_size = ring->frame_size,
				  .tp_frame_nr = ring->frame_nr};

	if (has_ring(ring) && setsockopt(fd, SOL_PACKET, name, &req, sizeof(req)))
		return error_errno(err, errno, "making a ring of %u blocks for a packet socket",
				   ring->block_nr);
	return 0;
}

/* -ENODEV with an error if there is no such device. */
static int find_device(int fd, const char name[IFNAMSIZ], int *index, struct error **err)
{
	struct ifreq req = {0};

	*index = 0;
	if (!*name)
		return 0;
	memcpy(req.ifr_name, name, IFNAMSIZ);
	if (ioctl(fd, SIOCGIFINDEX, &req))
		return error_errno(err, errno, "looking for the device \"%s\" of a packet socket",
				   name);
	*index = req.ifr_ifindex;
	return 0;
}

/* struct packet_mreq has room for eight bytes of address; the kernel takes MAX_ADDR_LEN. */
struct long_mreq {
	int index;
	uint16_t type, address_len;
	uint8_t address[32];
};

static int load_members(const struct file_object *o, struct error **err)
{
	const struct ckpt_packet_member *m = NULL;
	size_t len;
	int ret = 0;

	while (!ret && (m = items_find(o, CKPT_ITEM_PACKET_MEMBER, m, &len))) {
		struct long_mreq mreq = {.type = m->type, .address_len = m->address_len};

		memcpy(mreq.address, m->address, sizeof(mreq.address));
		ret = find_device(o->fd, m->device, &mreq.index, err);
		for (uint32_t i = 0; !ret && i < m->count; i++)
			if (setsockopt(o->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq,
				       sizeof(mreq)))
				ret = error_errno(err, errno,
						  "setting what a packet socket receives of \"%s\"",
						  m->device);
	}
	return ret;
}

/* One of the obsolete kind has its protocol from the beginning: it is bound to a device only. */
static int packet_open(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_packet *rec = o->rec;
	int protocol = rec->type == SOCK_PACKET ? htons(rec->protocol) : 0;
	int ret = socket_make(r->init, AF_PACKET, rec->type, protocol, &o->fd, err);

	if (!ret)
		ret = socket_load_options(o->fd, &rec->options, err);
	if (!ret)
		ret = socket_load_filter(o, err);
	if (!ret)
		ret = socket_load_device(o, err);
	if (!ret)
		ret = load_options(o, err);
	if (!ret)
		ret = load_ring(o->fd, PACKET_RX_RING, &rec->rx, err);
	if (!ret)
		ret = load_ring(o->fd, PACKET_TX_RING, &rec->tx, err);
	if (!ret)
		ret = load_members(o, err);
	return ret ? ret : files_set_flags(o->fd, rec->open_flags, err);
}

static int bind_obsolete(int fd, const char device[IFNAMSIZ])
{
	struct sockaddr to = {.sa_family = AF_PACKET};

	if (!*device)
		return 0;
	/* sa_data is as long as names were */
	memcpy(to.sa_data, device, sizeof(to.sa_data) - 1);
	return bind(fd, &to, sizeof(to));
}

static int bind_to(const struct file_object *o, struct error **err)
{
	const struct ckpt_packet *rec = o->rec;
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(rec->protocol)};
	int index, ret = find_device(o->fd, rec->device, &index, err);

	if (ret || (!index && !rec->protocol))
		return ret;
	to.sll_ifindex = index;
	ret = rec->type == SOCK_PACKET ? bind_obsolete(o->fd, rec->device)
				       : bind(o->fd, (struct sockaddr *)&to, sizeof(to));
	return ret ? error_errno(err, errno, "binding a packet socket to \"%s\"", rec->device) : 0;
}

static int packet_arm(struct restore *r, struct file_object *o, struct error **err)
{
	const struct ckpt_packet *rec = o->rec;
	int fanout = rec->fanout, ret = bind_to(o, err);

	/* who is in a group cannot be bound any more */
	if (!ret && rec->flags & CKPT_PACKET_FANOUT &&
	    setsockopt(o->fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)))
		ret = error_errno(err, errno, "adding a packet socket to group %d",
				  fanout & 0xffff);
	return ret;
}

const struct file_kind file_kind_packet = {
	.type = CKPT_PACKET,
	.size = sizeof(struct ckpt_packet),
	.matches = matches,
	.admit = packet_admit,
	.dump = packet_dump,
	.load = packet_load,
	.open = packet_open,
	.arm = packet_arm,
};
