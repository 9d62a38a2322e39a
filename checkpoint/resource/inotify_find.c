// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a watched inode to its path. fdinfo has its file handle, which most file systems
 * can open; the path is then the kernel's to tell. Overlayfs makes handles that it
 * cannot open: there the tree is searched for what has that handle. A path is
 * believed only if it leads to the same handle.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "checkpoint/resource/inotify.h"
#include "checkpoint/resource/mounts.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* Linux 6.5: a handle to compare, perhaps not to open */
#endif

#define ENTRIES_MAX 2000000
#define DEPTH_MAX   128

struct search {
	struct checkpoint *c;
	mount_vec mounts;
	VEC(struct watch *) wanted; /* without a path; sorted by handle */
	size_t found;
	unsigned long entries;
	dev_t dev; /* of the tree that is being searched */
};

void watches_free(watch_vec *watches)
{
	vec_for_each (w, watches)
		free(w->path);
	vec_free(watches);
}

/* --- handles --- */

struct handle {
	struct file_handle head;
	uint8_t bytes[WATCH_HANDLE_MAX];
};

static bool get_handle(int dirfd, const char *name, struct handle *h)
{
	int mount, flags = *name ? 0 : AT_EMPTY_PATH;

	h->head.handle_bytes = WATCH_HANDLE_MAX;
	if (!name_to_handle_at(dirfd, name, &h->head, &mount, flags | AT_HANDLE_FID))
		return true;
	h->head.handle_bytes = WATCH_HANDLE_MAX;
	return !name_to_handle_at(dirfd, name, &h->head, &mount, flags);
}

static int compare_handle(const struct watch *w, const struct handle *h)
{
	if (w->handle_len != h->head.handle_bytes)
		return w->handle_len < h->head.handle_bytes ? -1 : 1;
	if (w->handle_type != h->head.handle_type)
		return w->handle_type < h->head.handle_type ? -1 : 1;
	return memcmp(w->handle, h->head.f_handle, w->handle_len);
}

static int compare_watches(const void *pa, const void *pb)
{
	const struct watch *a = *(struct watch *const *)pa, *b = *(struct watch *const *)pb;

	if (a->handle_len != b->handle_len)
		return a->handle_len < b->handle_len ? -1 : 1;
	if (a->handle_type != b->handle_type)
		return a->handle_type < b->handle_type ? -1 : 1;
	return memcmp(a->handle, b->handle, a->handle_len);
}

/* Does this path of the container lead to it? Nothing is opened that a watch would notice. */
static bool leads_to(struct search *s, const char *path, const struct watch *w)
{
	__cleanup_fd int fd = open_in_root(s->c->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	struct handle h;
	struct stat st;

	if (fd < 0)
		return false;
	if (w->handle_len)
		return get_handle(fd, "", &h) && !compare_handle(w, &h);
	return !fstat(fd, &st) && st.st_ino == w->ino &&
	       st.st_dev == makedev(w->dev >> 20, w->dev & 0xfffff);
}

/* --- the short ways --- */

/* As in fdinfo. */
static uint32_t device_of(const struct mount *m)
{
	return m->major << 20 | m->minor;
}

/* open_by_handle_at(2) wants something open on the file system: its root, if no watch sees that. */
static int open_anchor(struct search *s, const struct mount *m)
{
	__cleanup_fd int handle = open_in_root(s->c->rootfd, m->point, O_PATH, 0);
	struct stat st;

	if (handle < 0 || fstat(handle, &st) || !watches_blind(s->c, device_of(m), st.st_ino) ||
	    !(S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
		return -1;
	return reopen_fd(handle, O_RDONLY | O_NONBLOCK);
}

/* What the kernel says the path of the handle is. */
static char *path_by_handle(int anchor, const struct watch *w)
{
	struct handle h = {.head = {.handle_bytes = w->handle_len, .handle_type = w->handle_type}};
	__cleanup_fd int fd = -1;
	char self[64];

	memcpy(h.head.f_handle, w->handle, w->handle_len);
	fd = open_by_handle_at(anchor, &h.head, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return read_link(AT_FDCWD, self);
}

static void find_by_handles(struct search *s, watch_vec *watches)
{
	vec_for_each (m, &s->mounts) {
		__cleanup_fd int anchor = -1;

		vec_for_each (w, watches) {
			__cleanup_free char *path = NULL;

			if (w->path || w->dev != device_of(m) || !w->handle_len)
				continue;
			if (anchor < 0)
				anchor = open_anchor(s, m);
			if (anchor < 0)
				break;
			path = path_by_handle(anchor, w);
			if (path && leads_to(s, path, w))
				w->path = take_ptr(path);
		}
	}
}

static void try_path(struct search *s, watch_vec *watches, const char *path)
{
	vec_for_each (w, watches)
		if (!w->path && leads_to(s, path, w))
			w->path = strdup(path);
}

/* What somebody has mounted, or open, or works in, is watched more often than other things. */
static void find_by_guesses(struct search *s, watch_vec *watches)
{
	vec_for_each (m, &s->mounts) {
		bool some = false;

		vec_for_each (w, watches)
			some |= !w->path && w->dev == device_of(m);
		if (some)
			try_path(s, watches, m->point);
	}
}

/* --- the long way --- */

static void note_found(struct search *s, const struct handle *h, const char *path)
{
	size_t low = 0, high = s->wanted.count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (compare_handle(s->wanted.items[mid], h) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < s->wanted.count && !compare_handle(s->wanted.items[low], h); low++) {
		struct watch *w = s->wanted.items[low];

		if (w->path)
			continue;
		w->path = strdup(path);
		s->found++;
	}
}

static int search_tree(struct search *s, int fd, const char *path, int depth, struct error **err)
{
	__cleanup_dir DIR *dir = fdopendir(fd);
	int r = 0;

	if (!dir) {
		close(fd);
		return 0;
	}
	for (struct dirent *e; !r && s->found < s->wanted.count && (e = readdir(dir));) {
		__cleanup_free char *name = NULL;
		struct handle h;
		struct stat st;
		int below;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (++s->entries > ENTRIES_MAX)
			return 0;
		if (asprintf(&name, "%s/%s", path, e->d_name) < 0)
			return error_errno(err, ENOMEM, "looking for watched files");
		if (get_handle(dirfd(dir), e->d_name, &h))
			note_found(s, &h, name);
		if ((e->d_type != DT_DIR && e->d_type != DT_UNKNOWN) || depth >= DEPTH_MAX)
			continue;
		below = openat(dirfd(dir), e->d_name,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (below >= 0 && !fstat(below, &st) && st.st_dev == s->dev)
			r = search_tree(s, below, name, depth + 1, err);
		else if (below >= 0)
			close(below);
	}
	return r ? r : checkpoint_cancelled(s->c->request->cancel, err);
}

static int find_by_search(struct search *s, watch_vec *watches, struct error **err)
{
	int r = 0;

	vec_for_each (w, watches) {
		struct watch **slot = !w->path && w->handle_len ? vec_add(&s->wanted) : NULL;

		if (slot)
			*slot = w;
		else if (!w->path && w->handle_len)
			return error_errno(err, ENOMEM, "looking for watched files");
	}
	if (s->wanted.count)
		qsort(s->wanted.items, s->wanted.count, sizeof(*s->wanted.items), compare_watches);
	vec_for_each (m, &s->mounts) {
		bool some = false;
		struct stat st;
		int fd;

		vec_for_each (w, &s->wanted)
			some |= !(*w)->path && (*w)->dev == device_of(m);
		if (r || !some)
			continue;
		fd = open_in_root(s->c->rootfd, m->point, O_RDONLY | O_DIRECTORY, 0);
		if (fd < 0 || fstat(fd, &st)) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		s->dev = st.st_dev;
		r = search_tree(s, fd, strcmp(m->point, "/") ? m->point : "", 0, err);
	}
	return r;
}

int watches_find(struct checkpoint *c, watch_vec *watches, struct error **err)
{
	struct search s = {.c = c};
	char pid[16];
	int r;

	snprintf(pid, sizeof(pid), "%d", c->init);
	r = mounts_read(pid, &s.mounts, err);
	if (!r) {
		find_by_guesses(&s, watches);
		find_by_handles(&s, watches);
	}
	if (!r && watches_blind(c, 0, 0))
		r = find_by_search(&s, watches, err);
	mounts_free(&s.mounts);
	vec_free(&s.wanted);
	return r;
}
