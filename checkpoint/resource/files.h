/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Open file descriptions and who refers to them. Each kind of description is
 * one file with a struct file_kind; files.c has their table.
 */
#ifndef FIRN_RESOURCE_FILES_H
#define FIRN_RESOURCE_FILES_H

#include <sys/stat.h>

#include "checkpoint/engine/engine.h"
#include "util/apart.h"

struct file_kind;

/* --- a checkpoint --- */

struct description {
	uint32_t id;
	const struct file_kind *kind;
	int fd; /* ours, of this very description; -1: only a mapping */
	int open_flags;
	struct stat st;
	char *link;   /* as /proc shows it */
	char *fdinfo; /* of where it was found first */
	const struct dump_task *task;
	int number; /* its descriptor there; -1: a mapping, an executable, a working directory */
	uint64_t address;
	int stdio;	/* from outside, by the init's descriptor; -1 */
	bool in_flight; /* found in the queue of the unix socket that task and number name */
	uint32_t gone;	/* the pid of the process that it told of, see file_gone.c; 0: none */

	enum ckpt_file_kind file_kind;
	uint32_t group; /* N of ghost-N, or the number of a pipe */
	void *state;	/* of the kind */
	void (*state_free)(void *state);
};

struct fd_use {
	const struct dump_task *task;
	uint32_t fd, description, flags;
};

/* A lock or lease, by a line of the fdinfo of this descriptor. */
struct file_lock_use {
	const struct dump_task *task;
	uint32_t fd, description;
	char *text; /* without its number */
};

struct fs_use {
	const struct dump_task *task;
	struct ckpt_fs rec;
};

/* --- a restore --- */

struct file_object {
	uint32_t id;
	const struct file_kind *kind;
	const void *rec;
	const char *tail; /* what follows the structure in the record */
	size_t tail_len;
	int fd;	   /* of the new description; -1: not opened (yet), or given as closed */
	bool lent; /* fd is the caller's */
	int other; /* unix.c's: what stands for a closed other end while the queue is filled */
};

/* One deleted file, or one pipe with its contents. */
struct file_group {
	uint32_t number;
	int fd;
	const struct ckpt_pipe *pipe;
	int ends[2]; /* as pipe2(2) made them, for reading and for writing; -1: given */
	const struct ckpt_ghost *ghost;
};

struct file_table {
	VEC(struct description *) descriptions; /* [i] has id i + 1 */
	void *by_identity, *by_inode;		/* tsearch(3) trees: descriptions; mappings */
	uint32_t groups;
	VEC(struct fd_use) uses;
	VEC(struct fs_use) fs;
	VEC(struct file_lock_use) locks; /* locks.c's */
	VEC(struct ckpt_owner) owners;	 /* owners.c's */
	bool gathered;
	void *mqueues;			 /* mqueue.c's, a struct mqueue_state */
	struct unix_table *unix_sockets; /* unix.c's */
	struct net_hold *hold;		 /* inet_hold.c's */
	struct apart_guard guard;	 /* who lets connections go if we are killed */

	VEC(struct file_object) objects; /* [i] has id i + 1 */
	VEC(struct file_group) ghosts, pipes;
	VEC(struct record) locks_wanted, owners_wanted;
	bool late_opened;
	struct {
		bool known, own_user_ns;
		uint64_t inheritable, permitted; /* of the init's stub */
	} inside;				 /* file_inside.c's */
};

/*
 * One kind of description. matches() looks at link, st and open_flags. admit
 * blocks; dump adds exactly one record, which begins with the id. load has the
 * record's length checked against size, and checks the rest.
 */
struct file_kind {
	enum ckpt_type type;
	size_t size;
	bool late; /* opened when the tasks are there, before any has its descriptors */
	bool (*matches)(const struct description *d);
	int (*admit)(struct checkpoint *c, struct description *d, struct error **err);
	int (*dump)(struct checkpoint *c, struct description *d, struct error **err);
	int (*load)(struct restore *r, struct file_object *o, struct error **err);
	int (*open)(struct restore *r, struct file_object *o, struct error **err);
	int (*cross)(struct restore *r, struct file_object *o, struct error **err);
	int (*arm)(struct restore *r, struct file_object *o, struct error **err);
};

extern const struct file_kind file_kind_inotify, file_kind_fanotify, file_kind_mqueue;
extern const struct file_kind file_kind_external, file_kind_file, file_kind_eventfd,
	file_kind_epoll, file_kind_timerfd, file_kind_signalfd, file_kind_unix, file_kind_inet,
	file_kind_tty, file_kind_pidfd, file_kind_netlink, file_kind_packet, file_kind_namespace;

/* The table, made at first use; NULL with an error for want of memory. */
struct file_table *files_table(struct checkpoint *c, struct error **err);

/*
 * Numbers of descriptors are below this, the kernel's default of fs.nr_open. systemd sets that much
 * higher: who has a higher number is refused.
 */
#define FILES_MAX (1u << 20)

/* Finds all descriptions, descriptors, working directories. */
int files_gather(struct checkpoint *c, struct error **err);

/* Adds d (whose strings it takes) and gives it its id; d is freed on failure. */
int files_add(struct file_table *table, struct description *d, struct error **err);
void description_free(struct description *d);

/* A descriptor out of a unix socket's queue (which it takes): the id of its description. */
int files_in_flight(struct checkpoint *c, const struct description *carrier, int fd, uint32_t *id,
		    struct error **err);

/* checkpoint_block() with task, descriptor and address of d. */
int description_block(struct checkpoint *c, const struct description *d, const char *remedy,
		      const char *object_fmt, ...) __attribute__((format(printf, 4, 5)));

/* The value behind "key:" of an fdinfo, or NULL. */
const char *fdinfo_find(const char *fdinfo, const char *key);

/* The object with this id, or NULL. */
struct file_object *files_object(struct restore *r, uint32_t id);

/* Of flags in an image those that fcntl(F_SETFL) sets again on a new description. */
int files_set_flags(int fd, uint32_t open_flags, struct error **err);

/* The pipe or ghost with this number, or NULL; vec is a vector of struct file_group. */
struct file_group *files_group(void *vec, uint32_t number);

/* What could not be opened before the tasks were there; does it once. */
int files_open_late(struct restore *r, struct error **err);

/* Descriptors, working directory, root and umask of one task. */
int files_give(struct restore *r, struct restore_task *t, struct error **err);

/* What an image may ask for: nothing that creates or truncates. */
#define FILE_OPEN_FLAGS                                                                            \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME |             \
	 O_DIRECTORY | O_NOFOLLOW | O_PATH | O_LARGEFILE)

/* Of flags those with which it may be opened again. */
int files_open_flags(const struct ckpt_file *rec, int flags);

/* file_regular.c: of memfd_secret(2): no path, though it counts a link, and nobody else can read
 * it. */
bool file_is_secret(int fd);

/*
 * The name of fd as /proc shows it, malloc'ed; NULL with errno set. What has a path longer than the
 * page in which the kernel writes it is called LONG_NAME, as no file can be.
 */
char *files_name(int fd);
#define LONG_NAME "//"

/* file_deleted.c */
bool file_is_deleted(const struct description *d);
/* It is one of the files that have a group: all but FIFOs. */
bool file_has_ghost(const struct description *d);
/* What a restore makes anew when it has no name any more, besides FIFOs. */
bool file_can_be_made(mode_t mode, dev_t rdev);
/* Looks for another name of a file that has lost the one in d->link, and sets that. */
bool file_find_name(struct checkpoint *c, struct description *d);
int ghost_load(struct restore *r, struct file_object *o, struct error **err);
int ghost_open(struct restore *r, const struct file_object *o, int flags, int *fd,
	       struct error **err);
/* Makes what had no name any more; *fd is of O_PATH. */
int file_make_deleted(struct restore *r, const struct file_object *o, int *fd, struct error **err);

/* The root that paths are below, and the init: as it is known here, and its pid in there. */
struct own_root {
	int fd;
	pid_t init;
	uint32_t pid;
};

/*
 * file_proc.c: whether these len bytes of a path name the root of a proc, with device number dev,
 * that shows the container's own pids; whether fd, by this path, is of a proc that does not.
 */
bool file_proc_is_own(const struct own_root *own, const char *path, size_t len, dev_t dev);
bool file_proc_is_foreign(const struct own_root *own, const char *path, int fd);

/*
 * file_inside.c: 1 if what fd is of has to be opened by the container's own init; opens it so, by a
 * path as the init sees it; refuses a path of len bytes of what root of a user namespace may not
 * read, and so not watch. The init can do that as long as it is a stub: until STAGE_TASK.
 */
int file_wants_inside(struct restore *r, int fd, struct error **err);
int file_open_inside(struct restore *r, const char *path, int flags, int *fd, struct error **err);
int file_check_readable(struct restore *r, const char *text, size_t len, struct error **err);

/*
 * file_gone.c: files of /proc of a process that is gone; sets d->gone. visit runs fn, and what that
 * leaves t to do, while there is one with the pid of each that t's cwd and root are directories of;
 * is_visited: there is such a one.
 */
bool file_is_gone(struct checkpoint *c, struct description *d);
int file_gone_admit(struct checkpoint *c, struct description *d, struct error **err);
int file_gone_load(struct restore *r, struct file_object *o, struct error **err);
int file_gone_open(struct restore *r, const struct file_object *o, struct error **err);
bool file_gone_is_visited(struct restore *r, const struct restore_task *t);
int file_gone_visit(struct restore *r, struct restore_task *t,
		    int (*fn)(void *ctx, struct error **err), void *ctx, struct error **err);

/* ghost.c: the contents of the deleted file d, as ghost-N with N = d->group; and back into it */
int ghost_save(struct checkpoint *c, const struct description *d, struct error **err);
int ghost_load_contents(struct restore *r, const struct record *rec, struct error **err);
int ghost_fill(struct restore *r, const struct file_group *g, int to, struct error **err);
/* The target of a symbolic link, PATH_MAX bytes at most. */
int ghost_read_link(struct restore *r, const struct file_group *g, char *target,
		    struct error **err);

/* file_regular.c and pipe.c */
/* null, zero, full, random or urandom: whoever may have one may have the others */
bool file_is_memory_device(mode_t mode, dev_t rdev);
/* Of a path as /proc shows it the length without " (deleted)". */
size_t file_bare_len(const char *link);
/* Opens what the object is of, and seeks. */
int file_open_now(struct restore *r, struct file_object *o, struct error **err);
int file_open_object(struct restore *r, const struct file_object *o, int flags, int *fd,
		     struct error **err);
int files_dump_ghosts(struct checkpoint *c, struct error **err);
int pipes_admit(struct checkpoint *c, struct error **err);
int pipes_dump(struct checkpoint *c, struct error **err);
int pipe_load(struct restore *r, const struct record *rec, struct error **err);
int pipe_open(struct restore *r, const struct file_object *o, int *fd, struct error **err);
void pipe_forget(struct file_group *g);
int pipes_fill(struct restore *r, struct error **err);
bool description_is_pipe(const struct description *d);
/* Somebody reads from this FIFO, and no writer has been there yet. */
bool fifo_is_alone(struct checkpoint *c, struct description *d);

/* socket.c */

/* "socket:[...]" of this family */
bool description_is_socket(const struct description *d, int domain);

/* 1: a socket of the container's network namespace; 0: of another one. */
int socket_is_inside(struct checkpoint *c, const struct description *d, struct error **err);

/*
 * Blocks a socket of another network namespace, and what is not captured; extras: it has items for
 * a device and a filter. 1: blocked.
 */
int socket_admit(struct checkpoint *c, const struct description *d, bool extras,
		 struct error **err);

/*
 * The same with extras, for a kind that has state of its own: size bytes, zeroed, are d->state.
 * They begin with the items, a struct buf.
 */
int socket_admit_state(struct checkpoint *c, struct description *d, size_t size,
		       struct error **err);
void socket_state_free(void *state);

/* An option that is a number; 0 if there is none. ask: a negative errno then. */
int socket_get_int(int fd, int level, int name);
int socket_ask_int(int fd, int level, int name, int *value);

/* The items CKPT_ITEM_DEVICE and CKPT_ITEM_FILTER; the latter is set last, with SO_LOCK_FILTER. */
int socket_save_extras(int fd, struct buf *items, struct error **err);
int socket_load_device(const struct file_object *o, struct error **err);
int socket_load_filter(const struct file_object *o, struct error **err);

/* Items behind a record, see struct ckpt_item. */
int items_add(struct buf *items, enum ckpt_item_kind kind, const void *data, size_t len);
bool items_valid(const struct file_object *o);
/* The first one of this kind behind `after` (NULL: of all), or NULL. */
const void *items_find(const struct file_object *o, enum ckpt_item_kind kind, const void *after,
		       size_t *len);
int socket_save_options(int fd, struct ckpt_socket_options *options, struct error **err);
int socket_load_options(int fd, const struct ckpt_socket_options *options, struct error **err);

/* -EPERM for what the programs in the container may not do themselves. */
int socket_check_allowed(const struct restore *r, uint32_t type,
			 const struct ckpt_socket_options *saved, struct error **err);

/* A socket in the container's network namespace. */
int socket_make(pid_t init, int domain, int type, int protocol, int *fd, struct error **err);

/* packet.c: finds the sockets whose rings are mapped, and blocks what is no whole ring of one. */
#define SOCKET_MAPPING "socket:["
int packet_admit_mappings(struct checkpoint *c, struct error **err);

/* inet_hold.c: struct resource_class's, for connections */
int files_seal(struct checkpoint *c, struct error **err);
void files_spare(struct checkpoint *c);
int files_let_go(struct restore *r, struct error **err);

/* unix.c: reads the queues of all unix sockets, which may hold descriptors that nobody has open. */
int unix_gather(struct checkpoint *c, struct error **err);
void unix_table_free(struct unix_table *table);

/* unix_restore.c: connections that wait to be accepted; queues, connections of datagram sockets. */
int unix_opened(struct restore *r, struct error **err);
int unix_cross(struct restore *r, struct error **err);

#endif
