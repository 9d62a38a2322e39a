// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/files.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/resource/inet.h"
#include "checkpoint/resource/resource.h"
#include "util/error.h"

/* many add to these */
/* clang-format off */
static const struct file_kind *const kinds[] = {
	&file_kind_inotify,
	&file_kind_fanotify,
	&file_kind_mqueue,
	&file_kind_external, &file_kind_file,	 &file_kind_eventfd,
	&file_kind_epoll,    &file_kind_timerfd, &file_kind_signalfd,
	&file_kind_unix,     &file_kind_inet,	 &file_kind_tty,
	&file_kind_pidfd,
	&file_kind_netlink,
	&file_kind_packet,
	&file_kind_namespace,
};

/* clang-format on */

/* --- a checkpoint --- */

static int block_unknown(struct checkpoint *c, const struct description *d)
{
	static const struct {
		const char *prefix, *remedy;
	} known[] = {
		{"anon_inode:[io_uring]", "let the program use epoll instead of io_uring"},
		{"anon_inode:[userfaultfd]", "let the program close its userfaultfd"},
		{"anon_inode:bpf", "let the program close its BPF objects"},
		{"anon_inode:[perf_event]", "let the program close its performance counter"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (!strncmp(d->link, known[i].prefix, strlen(known[i].prefix)))
			return description_block(c, d, known[i].remedy, "%s", d->link);
	return description_block(c, d, "close it for the checkpoint", "%s%s", d->link,
				 d->open_flags & O_PATH ? ", opened by O_PATH" : "");
}

static int files_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r;

	if (t)
		return 0;
	r = files_gather(c, err);
	if (!r)
		r = unix_gather(c, err);
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++) {
		struct description *d = c->files->descriptions.items[i];

		if (d->number < 0) /* admitted when it was registered */
			continue;
		if (!d->kind)
			r = block_unknown(c, d);
		else if (d->kind->admit)
			r = d->kind->admit(c, d, err);
	}
	if (!r)
		r = packet_admit_mappings(c, err);
	return r ? r : pipes_admit(c, err);
}

static int dump_descriptions(struct checkpoint *c, struct error **err)
{
	int r = files_dump_ghosts(c, err);

	if (!r)
		r = inet_hold_save(c, err);
	for (size_t i = 0; !r && i < c->files->descriptions.count; i++)
		r = c->files->descriptions.items[i]->kind->dump(c, c->files->descriptions.items[i],
								err);
	return r ? r : pipes_dump(c, err);
}

static int files_dump(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	VEC(struct ckpt_fd) fds = {0};
	const struct ckpt_fs *fs = NULL;
	bool full = false;

	if (!t)
		return dump_descriptions(c, err);
	vec_for_each (use, &c->files->uses) {
		struct ckpt_fd *slot = use->task == t && !full ? vec_add(&fds) : NULL;

		if (use->task != t)
			continue;
		if (slot)
			*slot = (struct ckpt_fd){use->fd, use->description, use->flags, 0};
		else
			full = true;
	}
	vec_for_each (use, &c->files->fs)
		if (use->task == t)
			fs = &use->rec;
	if (!full && !t->files_of &&
	    !record_add(&t->records, CKPT_FDS, fds.items, fds.count * sizeof(*fds.items)))
		full = true;
	vec_free(&fds);
	if (full || (!t->fs_of && (!fs || !record_add(&t->records, CKPT_FS, fs, sizeof(*fs)))))
		return error_errno(err, ENOMEM, "recording the descriptors of process %u",
				   t->rec.pid);
	return 0;
}

/* --- a restore --- */

struct file_object *files_object(struct restore *r, uint32_t id)
{
	if (!r->files || !id || id > r->files->objects.count)
		return NULL;
	return &r->files->objects.items[id - 1];
}

int files_set_flags(int fd, uint32_t open_flags, struct error **err)
{
	int flags = open_flags & (O_NONBLOCK | O_APPEND);

	if (fcntl(fd, F_SETFL, flags))
		return error_errno(err, errno, "setting the flags of a file");
	return 0;
}

static int load_object(struct restore *r, const struct file_kind *kind, const struct record *rec,
		       struct error **err)
{
	const uint32_t *id = record_head(rec, kind->size, err);
	struct file_object *o;

	if (!id)
		return -EBADMSG;
	/* ids count up: so each exists once and finding one is an index */
	if (*id != r->files->objects.count + 1)
		return error_set(err, EBADMSG, "description %u is out of order", *id);
	o = vec_add(&r->files->objects);
	if (!o)
		return error_errno(err, ENOMEM, "loading");
	*o = (struct file_object){
		.id = *id,
		.kind = kind,
		.rec = rec->data,
		.tail = (const char *)rec->data + kind->size,
		.tail_len = rec->len - kind->size,
		.fd = -1,
		.other = -1,
	};
	return kind->load(r, o, err);
}

static int load_fds(struct restore *r, struct restore_task *t, const struct record *rec,
		    struct error **err)
{
	const struct ckpt_fd *fds = rec->data;
	size_t n = rec->len / sizeof(*fds);

	if (rec->len % sizeof(*fds) || t->fds || n > FILES_MAX)
		return error_set(err, EBADMSG, "malformed");
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= FILES_MAX || (i && fds[i].fd <= fds[i - 1].fd) ||
		    !files_object(r, fds[i].description) || fds[i].flags & ~CKPT_FD_CLOEXEC)
			return error_set(err, EBADMSG, "descriptor %u is malformed", fds[i].fd);
	t->fds = fds;
	t->fd_count = n;
	return 0;
}

static bool is_directory(struct restore *r, uint32_t id)
{
	const struct file_object *o = files_object(r, id);
	const struct ckpt_file *file = o && o->kind == &file_kind_file ? o->rec : NULL;

	return file && file->kind == CKPT_FILE_DIRECTORY;
}

static int load_fs(struct restore *r, struct restore_task *t, const struct record *rec,
		   struct error **err)
{
	const struct ckpt_fs *fs = record_head(rec, sizeof(*fs), err);

	if (!fs)
		return -EBADMSG;
	if (!is_directory(r, fs->cwd) || (fs->root && !is_directory(r, fs->root)) ||
	    fs->umask & ~0777u || t->fs)
		return error_set(err, EBADMSG, "malformed");
	t->fs = fs;
	return 0;
}

static int files_load(struct restore *r, struct restore_task *t, const struct record *rec,
		      struct error **err)
{
	if (!r->files)
		r->files = calloc(1, sizeof(*r->files));
	if (!r->files)
		return error_errno(err, ENOMEM, "loading");
	if (rec->type == CKPT_FDS || rec->type == CKPT_FS) {
		if (!t)
			return error_set(err, EBADMSG, "is not in a core");
		return rec->type == CKPT_FDS ? load_fds(r, t, rec, err) : load_fs(r, t, rec, err);
	}
	if (t)
		return error_set(err, EBADMSG, "is in a core");
	if (rec->type == CKPT_PIPE)
		return pipe_load(r, rec, err);
	if (rec->type == CKPT_GHOST)
		return ghost_load_contents(r, rec, err);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i]->type == rec->type)
			return load_object(r, kinds[i], rec, err);
	return error_set(err, EBADMSG, "is of no known kind");
}

static int files_objects(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	if (!r->files)
		return 0;
	ret = inet_hold_load(r, err);
	vec_for_each (o, &r->files->objects)
		if (!ret && o->fd < 0 && !o->kind->late)
			ret = o->kind->open(r, o, err);
	return ret;
}

static int files_cross(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	if (!r->files)
		return 0;
	vec_for_each (o, &r->files->objects)
		if (!ret && o->kind->cross)
			ret = o->kind->cross(r, o, err);
	if (!ret)
		ret = unix_cross(r, err);
	return ret ? ret : pipes_fill(r, err);
}

static int files_arm(struct restore *r, struct restore_task *t, struct error **err)
{
	int ret = 0;

	if (!r->files)
		return 0;
	vec_for_each (o, &r->files->objects)
		if (!ret && o->kind->arm)
			ret = o->kind->arm(r, o, err);
	return ret;
}

static void no_free(void *node)
{
}

static void table_free(struct file_table *table)
{
	if (!table)
		return;
	tdestroy(table->by_identity, no_free);
	tdestroy(table->by_inode, no_free);
	for (size_t i = 0; i < table->descriptions.count; i++)
		description_free(table->descriptions.items[i]);
	vec_for_each (o, &table->objects) {
		if (o->fd >= 0 && !o->lent)
			close(o->fd);
		if (o->other >= 0)
			close(o->other);
	}
	vec_for_each (g, &table->ghosts)
		if (g->fd >= 0)
			close(g->fd);
	vec_for_each (p, &table->pipes)
		pipe_forget(p);
	unix_table_free(table->unix_sockets);
	apart_dismiss(&table->guard);
	net_hold_drop(table->hold);
	vec_free(&table->descriptions);
	vec_free(&table->uses);
	vec_free(&table->fs);
	vec_free(&table->objects);
	vec_for_each (lock, &table->locks)
		free(lock->text);
	vec_free(&table->locks);
	vec_free(&table->owners);
	vec_free(&table->locks_wanted);
	vec_free(&table->owners_wanted);
	vec_free(&table->ghosts);
	vec_free(&table->pipes);
	free(table);
}

static void files_release(struct checkpoint *c, struct restore *r)
{
	if (c) {
		table_free(c->files);
		c->files = NULL;
	}
	if (r) {
		table_free(r->files);
		r->files = NULL;
	}
}

/* clang-format off */
static const enum ckpt_type types[] = {
	CKPT_INOTIFY,
	CKPT_FANOTIFY,
	CKPT_MQUEUE_FD,
	CKPT_FILE, CKPT_PIPE, CKPT_EVENTFD,  CKPT_EPOLL, CKPT_TIMERFD, CKPT_SIGNALFD,
	CKPT_UNIX, CKPT_INET, CKPT_EXTERNAL, CKPT_FDS,	 CKPT_FS,      CKPT_TTY,
	CKPT_PIDFD,
	CKPT_NETLINK,
	CKPT_PACKET,
	CKPT_NAMESPACE,
	CKPT_GHOST,
	0,
};

/* clang-format on */

static const char *const not_captured[] = {
	"of the peers of unix sockets (SO_PEERCRED) the pid, if that process has ended, and groups",
	"empty datagrams behind others, if they were looked at before",
	"the access times of deleted files, all times of deleted directories and FIFOs",
	"of deleted regular files the name that /proc/PID/fd, maps and exe show, and whether they "
	"were made without a name (O_TMPFILE) and can still get one (linkat): they cannot any more",
	"the number that inotify gives to the next watch, if the last ones were removed",
	"of TCP connections the congestion window and what was measured of the path; connections "
	"in "
	"TIME_WAIT",
	"device, time to live and type of service of datagrams that were not read; programs that "
	"choose among sockets that share a port (SO_ATTACH_REUSEPORT_CBPF and EBPF)",
	"what packet sockets have counted (PACKET_STATISTICS), and the order of those in a fanout "
	"group",
	"where the kernel goes on in a ring of a packet socket, if the program clears whole frames "
	"when it is done with them: such a ring counts as unused, and begins at the first frame "
	"again",
	NULL,
};

const struct resource_class resource_files = {
	.name = "files",
	.version = 1,
	.types = types,
	.admit = files_admit,
	.dump = files_dump,
	.load = files_load,
	.restore = {[STAGE_OBJECTS] = files_objects,
		    [STAGE_TASK] = files_give,
		    [STAGE_CROSS] = files_cross,
		    [STAGE_ARM] = files_arm},
	.spare = files_spare,
	.seal = files_seal,
	.let_go = files_let_go,
	.release = files_release,
	.not_captured = not_captured,
};
