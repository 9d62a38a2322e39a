/* SPDX-License-Identifier: GPL-2.0-only */
/* What `firn image show` shows, out of the records and independent of how it is printed. */
#ifndef FIRN_IMAGE_SHOW_H
#define FIRN_IMAGE_SHOW_H

#include "checkpoint/image/image.h"
#include "checkpoint/image/manifest.h"
#include "util/buf.h"

struct error;

/* An open file description. */
struct shown_file {
	uint32_t id;
	const char *kind; /* "regular", "pipe", "unix"... */
	char *name;	  /* path, address; owned; NULL: none */
	uint64_t pos;
	bool deleted;
	bool generic; /* from a CKPT_FILE, which records of other kinds may accompany */
};

struct shown_fd {
	uint32_t fd, description;
	bool cloexec;
	const struct shown_file *file; /* NULL: the image does not say */
};

struct shown_thread {
	uint32_t tid;
	char comm[17];
	bool exited; /* while others run */
	uint32_t exit_code;
};

#define SHOWN_VMA_KINDS 5 /* enum ckpt_vma_kind */

struct shown_task {
	struct ckpt_task rec;
	char comm[17];
	unsigned depth; /* in the tree */
	const struct shown_file *exe, *cwd;
	VEC(struct shown_thread) threads;
	VEC(struct shown_fd) fds;
	uint64_t mappings;
	uint64_t bytes[SHOWN_VMA_KINDS];
	uint64_t saved; /* bytes of data in the core */
};

/* A file system in memory, by its archive in the image. */
struct shown_tmpfs {
	char *point, name[IMAGE_NAME_MAX];
	uint64_t size;
};

struct shown_image {
	VEC(struct shown_file) files; /* sorted by id */
	VEC(struct shown_task) tasks; /* as a tree: children behind their parent */
	VEC(struct shown_tmpfs) tmpfs;
	uint64_t objects, object_bytes, object_saved;
};

int shown_image_read(struct image_reader *r, struct shown_image *s, struct error **err);
void shown_image_free(struct shown_image *s);

/* "anonymous" of CKPT_VMA_ANON and so on; "alive" of enum ckpt_task_state. */
const char *shown_vma_kind(unsigned kind);
const char *shown_task_state(unsigned state);

/* The two renderings: malloc'ed, or NULL for want of memory. */
char *show_text(struct image_reader *r, const struct shown_image *s);
char *show_json(struct image_reader *r, const struct shown_image *s);

#endif
