// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/state_file.h"
#include "libcontainer/state_lock.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"

/* ROOT/,new-ID becomes ROOT/ID once it is complete; no id has a comma. */
#define NEW_PREFIX ",new-"
#define ID_MAX	   240

#define MAY(state) (1u << CONTAINER_##state)

/* design.md, "Container states". Which state may become which is decided here and nowhere else. */
static const struct {
	const char *name;
	const char *fault; /* in names of fault points, see write_fault() */
	unsigned int may_become;
	bool passes;
} states[CONTAINER_STATES] = {
	[CONTAINER_CREATING] = {"CREATING", "creating", MAY(CREATED) | MAY(RSTRTING) | MAY(DEAD),
				true},
	[CONTAINER_CREATED] = {"CREATED", "created", MAY(RUNNING) | MAY(DEAD), false},
	[CONTAINER_RUNNING] = {"RUNNING", "running", MAY(FREEZING) | MAY(DEAD), false},
	[CONTAINER_FREEZING] = {"FREEZING", "freezing", MAY(FROZEN) | MAY(THAWING) | MAY(DEAD),
				true},
	[CONTAINER_FROZEN] = {"FROZEN", "frozen",
			      MAY(THAWING) | MAY(CKPTING) | MAY(RSTRTING) | MAY(DEAD), false},
	[CONTAINER_THAWING] = {"THAWING", "thawing", MAY(RUNNING) | MAY(DEAD), true},
	[CONTAINER_CKPTING] = {"CKPTING", "ckpting", MAY(FROZEN) | MAY(DEAD), true},
	[CONTAINER_RSTRTING] = {"RSTRTING", "rstrting", MAY(FROZEN) | MAY(ABORTING), true},
	[CONTAINER_ABORTING] = {"ABORTING", "aborting", MAY(DEAD), true},
	[CONTAINER_DEAD] = {"DEAD", "dead", 0, false},
};

const char *container_state_name(enum container_state state)
{
	return state < CONTAINER_STATES ? states[state].name : "UNKNOWN";
}

bool container_state_passes(enum container_state state)
{
	return states[state].passes;
}

bool container_passes(const struct container *c)
{
	return c->state == CONTAINER_FROZEN ? !c->user_paused : states[c->state].passes;
}

bool container_may_become(enum container_state from, enum container_state to)
{
	return states[from].may_become & (1u << to);
}

const char *container_oci_status(const struct container *c)
{
	switch (c->state) {
	case CONTAINER_CREATING:
	case CONTAINER_RSTRTING:
		return "creating";
	case CONTAINER_CREATED:
		return "created";
	case CONTAINER_FROZEN:
	case CONTAINER_CKPTING:
		/* only who paused it is to see "paused": engines end a job that is not running */
		return c->user_paused ? "paused" : "running";
	case CONTAINER_THAWING:
		return "paused";
	case CONTAINER_ABORTING:
	case CONTAINER_DEAD:
		return "stopped";
	default:
		return "running";
	}
}

int container_check_id(const char *id, struct error **err)
{
	size_t len = strlen(id);

	if (len == 0 || len > ID_MAX || !strcmp(id, ".") || !strcmp(id, ".."))
		return error_set(err, EINVAL, "invalid container id \"%.64s\"", id);
	for (size_t i = 0; i < len; i++)
		if (!isascii(id[i]) || (!isalnum(id[i]) && !strchr("_+.-", id[i])))
			return error_set(err, EINVAL, "invalid container id \"%.64s\"", id);
	return 0;
}

void container_free(struct container *c)
{
	int saved = errno;

	if (!c)
		return;
	container_unlock(c);
	if (c->dir_fd >= 0)
		close(c->dir_fd);
	free(c->id);
	free(c->root);
	free(c->bundle);
	free(c->rootfs);
	free(c->created);
	free(c->cgroup_path);
	free(c);
	errno = saved;
}

static int container_alloc(const char *root, const char *id, const char *verb, struct container **c,
			   struct error **err)
{
	__cleanup_container struct container *new = NULL;
	int r = container_check_id(id, err);

	if (r < 0)
		return r;
	new = calloc(1, sizeof(*new));
	if (new) {
		new->lock_fd = new->dir_fd = -1;
		new->id = strdup(id);
		new->root = strdup(root);
	}
	if (!new || !new->id || !new->root)
		return error_errno(err, ENOMEM, "container \"%s\"", id);
	snprintf(new->verb, sizeof(new->verb), "%s", verb);
	*c = take_ptr(new);
	return 0;
}

/* The fields that come out of the file, emptied before it is read again. */
static void forget_file(struct container *c)
{
	free(c->bundle);
	free(c->rootfs);
	free(c->created);
	free(c->cgroup_path);
	c->bundle = c->rootfs = c->created = c->cgroup_path = NULL;
	c->worker = (struct process_id){0};
	c->worker_verb[0] = '\0';
	c->worker_since = 0;
}

int state_read(struct container *c, struct error **err)
{
	__cleanup_free char *text = NULL;
	size_t len = 0;
	int r = read_file(c->dir_fd, STATE_FILE, STATE_FILE_MAX, &text, &len);

	if (r == -ENOENT)
		return error_set(err, ENOENT, "container \"%s\" does not exist", c->id);
	if (r < 0)
		return error_errno(err, -r, "reading %s/%s/" STATE_FILE, c->root, c->id);
	forget_file(c);
	/* written just before the machine crashed, and its tasks went with it: only to be deleted
	 */
	if (len == 0) {
		c->state = CONTAINER_DEAD;
		c->created = strdup("1970-01-01T00:00:00Z");
		container_kept(c, KEPT_CGROUP, PATH_MAX, &c->cgroup_path, NULL, NULL);
		return c->created ? 0 : error_errno(err, ENOMEM, "container \"%s\"", c->id);
	}
	r = state_file_decode(c, text, err);
	if (r < 0) {
		error_wrap(err, "reading %s/%s/" STATE_FILE, c->root, c->id);
		return error_hint(err, "the file is damaged; delete --force kills the container by "
				       "its cgroup");
	}
	return 0;
}

static int open_dir(struct container *c, struct error **err)
{
	c->dir_fd = open_fmt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW, "%s/%s", c->root, c->id);
	if (c->dir_fd == -ENOENT)
		return error_set(err, ENOENT, "container \"%s\" does not exist", c->id);
	if (c->dir_fd < 0)
		return error_errno(err, -c->dir_fd, "opening %s/%s", c->root, c->id);
	return 0;
}

/* Whether the init that the state speaks of has died without anybody writing it down. */
static bool init_died(const struct container *c)
{
	switch (c->state) {
	case CONTAINER_CREATED:
	case CONTAINER_RUNNING:
	case CONTAINER_FREEZING:
	case CONTAINER_FROZEN:
	case CONTAINER_THAWING:
	case CONTAINER_CKPTING:
		return !process_alive(&c->init);
	default:
		return false;
	}
}

int container_read(const char *root, const char *id, struct container **c, struct error **err)
{
	__cleanup_container struct container *new = NULL;
	int r = container_alloc(root, id, "", &new, err);

	if (r < 0)
		return r;
	r = open_dir(new, err);
	if (r < 0)
		return r;
	r = state_read(new, err);
	if (r < 0)
		return r;
	if (init_died(new))
		new->state = CONTAINER_DEAD;
	*c = take_ptr(new);
	return 0;
}

/*
 * Writes to ROOT/ID, or to ROOT/,new-ID while that is being made. The rename
 * makes it atomic for every reader and for a killed writer. No fsync: it would
 * only help after a crash of the whole machine, which no container outlives,
 * and where ROOT is on a disk four of them take longer than all of `run`. What a
 * crash may leave is an empty file: see state_read().
 */
static int write_state(struct container *c, struct error **err)
{
	__cleanup_buf struct buf text = {0};
	__cleanup_fd int fd = -1;
	char temp[64];
	int r = state_file_encode(c, &text);

	if (r < 0)
		return error_errno(err, -r, "container \"%s\"", c->id);
	/* the name tells watchers the state, however late they get to read (runtime/events.c) */
	snprintf(temp, sizeof(temp), STATE_FILE ".%s.%s", container_state_name(c->state),
		 container_oci_status(c));
	fd = openat(c->dir_fd, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	r = fd < 0 ? -errno : write_full(fd, text.data, text.len);
	if (r == 0 && renameat(c->dir_fd, temp, c->dir_fd, STATE_FILE) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(c->dir_fd, temp, 0);
		return error_errno(err, -r, "writing %s/%s/" STATE_FILE, c->root, c->id);
	}
	return 0;
}

int container_save(struct container *c, struct error **err)
{
	bool locked = c->lock_fd >= 0;
	int r = container_lock(c, err);

	if (r == 0)
		r = write_state(c, err);
	if (!locked)
		container_unlock(c);
	return r;
}

static int set_worker(struct container *c, struct error **err)
{
	int r;

	if (!container_passes(c)) {
		c->worker = (struct process_id){0};
		c->worker_verb[0] = '\0';
		return 0;
	}
	r = process_identify(getpid(), &c->worker);
	if (r < 0)
		return error_errno(err, -r, "reading /proc/self/stat");
	snprintf(c->worker_verb, sizeof(c->worker_verb), "%s", c->verb);
	c->worker_since = time(NULL);
	return 0;
}

/* Faults "write-STATE" come instead of writing the file, "STATE" when it is written. */
static int write_fault(const struct container *c, struct error **err)
{
	char point[32];

	snprintf(point, sizeof(point), "write-%s", states[c->state].fault);
	return fault_point(point, err);
}

int container_set_state(struct container *c, enum container_state state, struct error **err)
{
	struct container before = *c;
	int r;

	if (!container_may_become(c->state, state))
		return error_set(err, EPERM, "container \"%s\" is %s and cannot become %s", c->id,
				 container_state_name(c->state), container_state_name(state));
	c->state = state;
	r = set_worker(c, err);
	if (r == 0)
		r = write_fault(c, err);
	if (r == 0)
		r = container_save(c, err);
	if (r == 0)
		return fault_point(states[state].fault, err);
	/* what the file says still holds */
	c->state = before.state;
	c->worker = before.worker;
	memcpy(c->worker_verb, before.worker_verb, sizeof(c->worker_verb));
	c->worker_since = before.worker_since;
	return r;
}

/* mkdir -p for the root; only the last directory is ours to keep private. */
static int make_root(const char *root, struct error **err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", root) >= (int)sizeof(path))
		return error_errno(err, ENAMETOOLONG, "making \"%s\"", root);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return error_errno(err, errno, "making \"%s\"", path);
		*slash = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making \"%s\"", path);
	return 0;
}

static int exists(const char *id, struct error **err)
{
	return error_set(err, EEXIST, "container \"%s\" already exists", id);
}

/*
 * Opens ROOT/,new-ID locked. One that a killed runtime left is used again: if
 * it still has its name once we hold its lock, nobody else will rename it.
 */
static int open_new(struct container *c, const char *path, struct error **err)
{
	struct stat named, opened;
	int fd, r;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_errno(err, errno, "making \"%s\"", path);
	c->dir_fd = open_fmt(O_RDONLY | O_DIRECTORY | O_NOFOLLOW, "%s", path);
	if (c->dir_fd < 0)
		return error_errno(err, -c->dir_fd, "opening \"%s\"", path);
	fd = state_lock_open(c);
	if (fd < 0)
		return error_errno(err, -fd, "opening \"%s/lock\"", path);
	c->lock_fd = fd;
	r = state_lock_try(fd, false);
	if (r == -EAGAIN)
		return exists(c->id, err);
	if (r < 0)
		return error_errno(err, -r, "locking \"%s\"", path);
	if (stat(path, &named) < 0 || fstat(c->dir_fd, &opened) < 0 ||
	    named.st_ino != opened.st_ino || named.st_dev != opened.st_dev)
		return exists(c->id, err);
	return 0;
}

static int first_state(struct container *c, struct error **err)
{
	char now[32];
	struct tm tm;
	struct timespec ts;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(now + len, sizeof(now) - len, ".%06ldZ", ts.tv_nsec / 1000);
	c->created = strdup(now);
	if (!c->created)
		return error_errno(err, ENOMEM, "container \"%s\"", c->id);
	c->owner_uid = geteuid();
	c->state = CONTAINER_CREATING;
	return set_worker(c, err);
}

int container_new(const char *root, const char *id, const char *verb, struct container **c,
		  struct error **err)
{
	__cleanup_container struct container *new = NULL;
	char path[PATH_MAX], final[PATH_MAX];
	int r = container_alloc(root, id, verb, &new, err);

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/" NEW_PREFIX "%s", root, id) >= (int)sizeof(path) ||
	    snprintf(final, sizeof(final), "%s/%s", root, id) >= (int)sizeof(final))
		return error_errno(err, ENAMETOOLONG, "making \"%s/%s\"", root, id);
	r = make_root(root, err);
	if (r < 0)
		return r;
	if (access(final, F_OK) == 0)
		return exists(id, err);
	r = open_new(new, path, err);
	if (r < 0)
		return r;
	r = first_state(new, err);
	if (r == 0)
		r = write_fault(new, err);
	if (r == 0)
		r = write_state(new, err);
	if (r == 0 && renameat2(AT_FDCWD, path, AT_FDCWD, final, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST ? exists(id, err)
				    : error_errno(err, errno, "making \"%s\"", final);
	if (r < 0) {
		container_remove_directory(new->dir_fd, path);
		return r;
	}
	r = fault_point(states[CONTAINER_CREATING].fault, err);
	if (r < 0) {
		container_remove_directory(new->dir_fd, final);
		return r;
	}
	*c = take_ptr(new);
	return 0;
}

int container_open(const char *root, const char *id, const char *verb, bool wait,
		   struct container **c, struct error **err)
{
	__cleanup_container struct container *new = NULL;
	int r = container_alloc(root, id, verb, &new, err);

	if (r < 0)
		return r;
	r = open_dir(new, err);
	if (r < 0)
		return r;
	r = state_lock_idle(new, wait, err);
	if (r < 0)
		return r;
	if (init_died(new))
		r = container_set_state(new, CONTAINER_DEAD, err);
	else if (container_passes(new))
		r = container_recover(new, err);
	if (r < 0)
		return r;
	*c = take_ptr(new);
	return 0;
}

int container_open_damaged(const char *root, const char *id, const char *verb, struct container **c,
			   struct error **err)
{
	__cleanup_container struct container *new = NULL;
	int r = container_alloc(root, id, verb, &new, err);

	if (r == 0)
		r = open_dir(new, err);
	if (r == 0)
		r = state_lock_take(new, false, err);
	if (r == 0)
		r = container_kept(new, KEPT_CGROUP, PATH_MAX, &new->cgroup_path, NULL, err);
	if (r < 0)
		return r;
	new->state = CONTAINER_DEAD;
	*c = take_ptr(new);
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void container_ids_free(struct container_ids *ids)
{
	for (size_t i = 0; i < ids->count; i++)
		free(ids->items[i]);
	vec_free(ids);
}

int container_ids(const char *root, struct container_ids *ids, struct error **err)
{
	__cleanup_dir DIR *dir = opendir(root);
	struct dirent *entry;

	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return error_errno(err, errno, "reading \"%s\"", root);
	while ((entry = readdir(dir))) {
		char **item;

		/* other things may lie there; they are no containers */
		if (entry->d_type != DT_DIR || container_check_id(entry->d_name, NULL) < 0)
			continue;
		item = vec_add(ids);
		if (!item)
			return error_errno(err, ENOMEM, "reading \"%s\"", root);
		*item = strdup(entry->d_name);
		if (!*item) {
			ids->count--;
			return error_errno(err, ENOMEM, "reading \"%s\"", root);
		}
	}
	if (ids->count)
		qsort(ids->items, ids->count, sizeof(*ids->items), compare_ids);
	return 0;
}
