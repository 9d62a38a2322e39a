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

static int call_checked(struct restore_task *t, unsigned n, const char *what, struct error **err)
{
	const struct remote_call *call = remote_calls(&t->remote);
	int ret = remote_run(&t->remote, 0, n, err);

	for (unsigned i = 0; !ret && i < n; i++)
		if (call[i].ret < 0 && call[i].ret > -4096)
			ret = error_errno(err, -call[i].ret, "process %u: %s (call %ld)",
					  t->rec->pid, what, call[i].nr);
	return ret;
}

/* As many numbers as the hard limit has; old gets the limit to set back. */
static int raise_limit(struct restore_task *t, struct rlimit *old, struct error **err)
{
	struct rlimit *limit = remote_data(&t->remote);
	uint64_t at = remote_data_address(&t->remote);
	int ret;

	remote_set(remote_calls(&t->remote), SYS_prlimit64, 0, RLIMIT_NOFILE, 0, at);
	ret = call_checked(t, 1, "asking for the limit of descriptors", err);
	if (ret)
		return ret;
	*old = *limit;
	limit->rlim_cur = limit->rlim_max;
	remote_set(remote_calls(&t->remote), SYS_prlimit64, 0, RLIMIT_NOFILE, at, 0);
	return call_checked(t, 1, "raising the limit of descriptors", err);
}

static int lower_limit(struct restore_task *t, const struct rlimit *old, struct error **err)
{
	memcpy(remote_data(&t->remote), old, sizeof(*old));
	remote_set(remote_calls(&t->remote), SYS_prlimit64, 0, RLIMIT_NOFILE,
		   remote_data_address(&t->remote), 0);
	return call_checked(t, 1, "setting the limit of descriptors", err);
}

/* Closes everything but the socket, which moves to a number that is not wanted. */
static int make_room(const struct restore *r, struct restore_task *t, int spare, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	int sock = r->request->stub_fd;
	unsigned n = 0;

	if (sock != spare)
		remote_set(&call[n++], SYS_dup3, sock, spare, O_CLOEXEC);
	if (spare)
		remote_set(&call[n++], SYS_close_range, 0, spare - 1, 0);
	remote_set(&call[n++], SYS_close_range, spare + 1, UINT_MAX, 0);
	return call_checked(t, n, "closing the runtime's descriptors", err);
}

static int place(struct restore_task *t, const struct target *targets, const int *numbers,
		 unsigned count, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	unsigned n = 0;
	int ret = 0;

	for (unsigned i = count; !ret && i-- > 0;) {
		int from = numbers[i], to = targets[i].number;

		if (from != to) {
			remote_set(&call[n++], SYS_dup3, from, to,
				   targets[i].cloexec ? O_CLOEXEC : 0);
			remote_set(&call[n++], SYS_close, from);
		} else if (!targets[i].cloexec) {
			remote_set(&call[n++], SYS_fcntl, from, F_SETFD, 0);
		}
		if (n + 2 > REMOTE_CALLS_MAX || !i) {
			ret = call_checked(t, n, "placing descriptors", err);
			n = 0;
		}
	}
	return ret;
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

static int give_fs(struct restore *r, struct restore_task *t, int sock, struct error **err)
{
	struct remote_call *call = remote_calls(&t->remote);
	int fds[2] = {-1, -1}, numbers[2], ret;
	char *dot = remote_data(&t->remote);
	unsigned count = 1, n = 0;

	if (!t->fs)
		return error_set(err, EBADMSG, "process %u has no working directory", t->rec->pid);
	ret = files_open(r, t->fs->cwd, O_PATH | O_DIRECTORY, &fds[0], err);
	if (!ret && t->fs->root) {
		ret = files_open(r, t->fs->root, O_PATH | O_DIRECTORY, &fds[1], err);
		count = 2;
	}
	if (!ret)
		ret = fdpass_send_to(r, t, sock, fds, count, numbers, err);
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (ret)
		return ret;
	strcpy(dot, ".");
	if (count == 2) {
		remote_set(&call[n++], SYS_fchdir, numbers[1]);
		remote_set(&call[n++], SYS_chroot, remote_data_address(&t->remote));
		remote_set(&call[n++], SYS_close, numbers[1]);
	}
	remote_set(&call[n++], SYS_fchdir, numbers[0]);
	remote_set(&call[n++], SYS_close, numbers[0]);
	remote_set(&call[n++], SYS_umask, t->fs->umask);
	return call_checked(t, n, "setting the working directory", err);
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

int files_give(struct restore *r, struct restore_task *t, struct error **err)
{
	target_vec targets = {0};
	struct rlimit limit;
	int spare, ret;

	if (!r->files)
		return error_set(err, EBADMSG, "there are no files");
	ret = files_open_late(r, err);
	if (!ret)
		ret = find_targets(r, t, &targets, err);
	spare = spare_number(&targets);
	if (!ret)
		ret = raise_limit(t, &limit, err);
	if (!ret)
		ret = make_room(r, t, spare, err);
	if (!ret)
		ret = give_fs(r, t, spare, err);
	if (!ret)
		ret = give_fds(r, t, spare, &targets, err);
	vec_free(&targets);
	if (!ret) {
		remote_set(remote_calls(&t->remote), SYS_close, spare);
		ret = call_checked(t, 1, "closing the runtime's socket", err);
	}
	return ret ? ret : lower_limit(t, &limit, err);
}
