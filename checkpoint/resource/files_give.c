// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptions into a stub, at their numbers. With all wanted numbers free,
 * those received, which are the lowest free ones in ascending order, are never
 * above where they belong: moved from the last to the first, none is in the way.
 * Only the socket they come through could be, and is moved aside first.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/user/fdpass.h"
#include "util/error.h"

/* The socket and two directories have numbers for a while that nobody wants. */
#define ROOM 3

struct target {
	int ours;
	uint32_t number;
	bool cloexec;
};
typedef VEC(struct target) target_vec;

static int find_targets(struct restore *r, const struct restore_task *t, target_vec *targets,
			struct error **err)
{
	for (size_t i = 0; i < t->fd_count; i++) {
		const struct file_object *o = files_object(r, t->fds[i].description);
		struct target *target;

		/* a stream that the caller has closed stays closed */
		if (o->fd < 0 && o->lent)
			continue;
		if (o->fd < 0)
			return error_set(err, EBADMSG, "descriptor %u is only a mapping",
					 t->fds[i].fd);
		target = vec_add(targets);
		if (!target)
			return error_errno(err, ENOMEM, "giving descriptors");
		*target = (struct target){o->fd, t->fds[i].fd, t->fds[i].flags & CKPT_FD_CLOEXEC};
	}
	return 0;
}

/* The lowest number that nobody wants. */
static uint32_t spare_number(const target_vec *targets)
{
	uint32_t spare = 0;

	vec_for_each (target, targets) {
		if (target->number != spare)
			break;
		spare++;
	}
	return spare;
}

static const struct remote_note room_note = {.what = "closing the runtime's descriptors"},
				limit_note = {.what = "setting the limit of descriptors"},
				place_note = {.what = "placing descriptors"},
				fs_note = {.what = "setting the working directory"};

static int set_limit(struct restore_task *t, const struct rlimit *limit, struct error **err)
{
	uint64_t at;
	void *data = remote_later_data(&t->remote, sizeof(*limit), &at, err);

	if (!data)
		return -error_code(*err);
	memcpy(data, limit, sizeof(*limit));
	return remote_later(&t->remote, 0, &limit_note, err, SYS_prlimit64, 0, RLIMIT_NOFILE, at,
			    0);
}

/* The stub was born with the caller's hard limit: its own comes later, and may be above that. */
static int raise_hard_limit(struct restore_task *t, rlim_t wanted, struct error **err)
{
	const struct rlimit limit = {.rlim_cur = wanted, .rlim_max = wanted};

	if (!prlimit(t->pid, RLIMIT_NOFILE, &limit, NULL))
		return 0;
	error_errno(err, errno, "raising the limit of descriptors of process %u to %llu",
		    t->rec->pid, (unsigned long long)wanted);
	return error_hint(err, "a higher hard limit of the caller (RLIMIT_NOFILE, ulimit -Hn), or "
			       "CAP_SYS_RESOURCE, lets it have them");
}

/*
 * As many numbers as the hard limit has, if there are not enough, or just enough if that is too
 * low. old gets the limit to set back, or nothing. The process asks for itself: see rlimits.c.
 */
static int raise_limit(struct restore_task *t, const target_vec *targets, struct rlimit *old,
		       bool *raised, struct error **err)
{
	const uint32_t most = targets->count ? targets->items[targets->count - 1].number : 0;
	const rlim_t least = (rlim_t)most + 1 + ROOM;
	struct rlimit limit;
	int ret;

	*raised = false;
	if (!prlimit(t->pid, RLIMIT_NOFILE, NULL, &limit) &&
	    limit.rlim_cur > (rlim_t)most + targets->count + FDPASS_MAX)
		return 0;
	remote_set(remote_calls(&t->remote), SYS_prlimit64, 0, RLIMIT_NOFILE, 0,
		   remote_data_address(&t->remote));
	ret = remote_run(&t->remote, 0, 1, err);
	if (ret)
		return ret;
	memcpy(old, remote_data(&t->remote), sizeof(*old));
	*raised = true;
	if (old->rlim_max < least)
		return raise_hard_limit(t, least, err);
	limit = (struct rlimit){.rlim_cur = old->rlim_max, .rlim_max = old->rlim_max};
	return set_limit(t, &limit, err);
}

/* Closes everything but the socket, which moves to a number that is not wanted. */
static int make_room(const struct restore *r, struct restore_task *t, int spare, struct error **err)
{
	int sock = r->request->stub_fd, ret = 0;

	if (sock != spare)
		ret = remote_later(&t->remote, 0, &room_note, err, SYS_dup3, sock, spare,
				   O_CLOEXEC);
	if (!ret && spare)
		ret = remote_later(&t->remote, 0, &room_note, err, SYS_close_range, 0, spare - 1,
				   0);
	return ret ? ret
		   : remote_later(&t->remote, 0, &room_note, err, SYS_close_range, spare + 1,
				  UINT_MAX, 0);
}

static int place_one(struct restore_task *t, const struct target *target, int from,
		     struct error **err)
{
	int to = target->number, ret;

	if (from == to && target->cloexec)
		return 0;
	if (from == to)
		return remote_later(&t->remote, 0, &place_note, err, SYS_fcntl, from, F_SETFD, 0);
	ret = remote_later(&t->remote, 0, &place_note, err, SYS_dup3, from, to,
			   target->cloexec ? O_CLOEXEC : 0);
	return ret ? ret : remote_later(&t->remote, 0, &place_note, err, SYS_close, from);
}

static int place(struct restore_task *t, const struct target *targets, const int *numbers,
		 unsigned count, struct error **err)
{
	int ret = 0;

	for (unsigned i = count; !ret && i-- > 0;)
		ret = place_one(t, &targets[i], numbers[i], err);
	return ret;
}

static void close_all(const int *fds, unsigned count)
{
	while (count-- > 0)
		close(fds[count]);
}

static int give_fds(const struct restore *r, struct restore_task *t, int sock,
		    const target_vec *targets, struct error **err)
{
	int fds[FDPASS_MAX], numbers[FDPASS_MAX], ret = 0;

	for (size_t at = 0; !ret && at < targets->count; at += FDPASS_MAX) {
		const struct target *part = targets->items + at;
		unsigned n = targets->count - at;

		if (n > FDPASS_MAX)
			n = FDPASS_MAX;
		for (unsigned i = 0; i < n; i++)
			fds[i] = part[i].ours;
		ret = fdpass_send_to(r, t, sock, fds, n, numbers, err);
		if (!ret)
			ret = place(t, part, numbers, n, err);
	}
	return ret;
}

static int change_root(struct restore_task *t, int number, struct error **err)
{
	uint64_t at;
	char *dot = remote_later_data(&t->remote, 2, &at, err);
	int ret;

	if (!dot)
		return -error_code(*err);
	*dot = '.';
	ret = remote_later(&t->remote, 0, &fs_note, err, SYS_fchdir, number);
	if (!ret)
		ret = remote_later(&t->remote, 0, &fs_note, err, SYS_chroot, at);
	return ret ? ret : remote_later(&t->remote, 0, &fs_note, err, SYS_close, number);
}

struct fs_gift {
	struct restore *r;
	struct restore_task *t;
	int sock;
};

/* Its working directory and, if it has another one than the container, its root. */
static int open_directories(struct restore *r, const struct restore_task *t, int fds[2],
			    unsigned *count, struct error **err)
{
	const uint32_t ids[2] = {t->fs->cwd, t->fs->root};
	int ret = 0;

	for (*count = 0; !ret && *count < 2 && ids[*count]; ++*count)
		ret = files_open(r, ids[*count], O_PATH | O_DIRECTORY, &fds[*count], err);
	if (ret)
		close_all(fds, --*count);
	return ret;
}

static int enter(struct restore_task *t, const int *numbers, unsigned count, struct error **err)
{
	int ret = count == 2 ? change_root(t, numbers[1], err) : 0;

	if (!ret)
		ret = remote_later(&t->remote, 0, &fs_note, err, SYS_fchdir, numbers[0]);
	return ret ? ret : remote_later(&t->remote, 0, &fs_note, err, SYS_close, numbers[0]);
}

static int enter_directories(void *ctx, struct error **err)
{
	const struct fs_gift *gift = ctx;
	int fds[2], numbers[2];
	unsigned count;
	int ret = open_directories(gift->r, gift->t, fds, &count, err);

	if (ret)
		return ret;
	ret = fdpass_send_to(gift->r, gift->t, gift->sock, fds, count, numbers, err);
	close_all(fds, count);
	return ret ? ret : enter(gift->t, numbers, count, err);
}

static int set_umask(struct restore_task *t, struct error **err)
{
	return remote_later(&t->remote, 0, &fs_note, err, SYS_umask, t->fs->umask);
}

static int give_fs(struct restore *r, struct restore_task *t, int sock, struct error **err)
{
	struct fs_gift gift = {r, t, sock};
	int ret;

	if (t->fs_of)
		return 0;
	if (!t->fs)
		return error_set(err, EBADMSG, "process %u has no working directory", t->rec->pid);
	ret = file_gone_visit(r, t, enter_directories, &gift, err);
	return ret ? ret : set_umask(t, err);
}

/* Most processes have few descriptors, and directories that nobody stands in for. */
static bool fits_one_message(struct restore *r, const struct restore_task *t,
			     const target_vec *targets)
{
	return !restore_shares_files(r, t) && t->fs && !t->fs_of && !file_gone_is_visited(r, t) &&
	       targets->count + 2 <= FDPASS_MAX;
}

/* All of it, for one round trip. */
static int give_together(struct restore *r, struct restore_task *t, int sock,
			 const target_vec *targets, struct error **err)
{
	int fds[FDPASS_MAX], numbers[FDPASS_MAX], ret;
	unsigned n = targets->count, directories;

	for (unsigned i = 0; i < n; i++)
		fds[i] = targets->items[i].ours;
	ret = open_directories(r, t, fds + n, &directories, err);
	if (ret)
		return ret;
	ret = fdpass_send_to(r, t, sock, fds, n + directories, numbers, err);
	close_all(fds + n, directories);
	/* first: descriptors may be wanted under the numbers that these have */
	if (!ret)
		ret = enter(t, numbers + n, directories, err);
	if (!ret)
		ret = set_umask(t, err);
	return ret ? ret : place(t, targets->items, numbers, n, err);
}

/* Files of /proc, /dev/tty, and unix sockets, whose peers see who made them. */
int files_open_late(struct restore *r, struct error **err)
{
	int ret = 0;

	if (r->files->late_opened)
		return 0;
	r->files->late_opened = true;
	vec_for_each (o, &r->files->objects)
		if (!ret && o->fd < 0 &&
		    (o->kind == &file_kind_file || o->kind == &file_kind_tty || o->kind->late))
			ret = o->kind->open(r, o, err);
	return ret ? ret : unix_opened(r, err);
}

/* Of all that have the table, as long as the socket is in it. */
static int give_all_fs(struct restore *r, struct restore_task *t, int sock, struct error **err)
{
	int ret = give_fs(r, t, sock, err);

	vec_for_each (other, &r->tasks) {
		if (ret || other->files_of != t->rec->pid)
			continue;
		/* t has to have put the socket there, and what other does is to the same numbers */
		ret = remote_flush(&t->remote, err);
		if (!ret)
			ret = give_fs(r, other, sock, err);
		if (!ret)
			ret = remote_flush(&other->remote, err);
	}
	return ret;
}

int files_give(struct restore *r, struct restore_task *t, struct error **err)
{
	target_vec targets = {0};
	struct rlimit limit;
	bool raised = false;
	int spare, ret;

	if (t->files_of)
		return 0;
	if (!r->files)
		return error_set(err, EBADMSG, "there are no files");
	ret = files_open_late(r, err);
	if (!ret)
		ret = find_targets(r, t, &targets, err);
	spare = spare_number(&targets);
	if (!ret)
		ret = raise_limit(t, &targets, &limit, &raised, err);
	if (!ret)
		ret = make_room(r, t, spare, err);
	if (!ret && !raised && fits_one_message(r, t, &targets)) {
		ret = give_together(r, t, spare, &targets, err);
	} else {
		if (!ret)
			ret = give_all_fs(r, t, spare, err);
		if (!ret)
			ret = give_fds(r, t, spare, &targets, err);
	}
	vec_free(&targets);
	if (!ret)
		ret = remote_later(&t->remote, 0, &room_note, err, SYS_close, spare);
	if (!ret && raised)
		ret = set_limit(t, &limit, err);
	return ret || !restore_shares_files(r, t) ? ret : remote_flush(&t->remote, err);
}
