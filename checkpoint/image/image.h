/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checkpoint image: a flat directory, manifest last. docs/image-format.md
 * describes it byte by byte. An image is hostile input: readers hand out
 * nothing that has not been checked against the file's size and checksum.
 */
#ifndef FIRN_CHECKPOINT_IMAGE_H
#define FIRN_CHECKPOINT_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "checkpoint/image/records.h"
#include "util/buf.h"

struct error;

/* --- record streams --- */

/* Appends a record: header, len bytes of payload, padding. Returns where the payload is, or NULL.
 */
void *record_add(struct buf *stream, enum ckpt_type type, const void *payload, size_t len);

/* The same with a second part behind the first (a structure and what follows it). */
void *record_add2(struct buf *stream, enum ckpt_type type, const void *head, size_t head_len,
		  const void *tail, size_t tail_len);

struct record {
	uint32_t type; /* enum ckpt_type, or one of linux_checkpoint.h */
	uint16_t version;
	const void *data; /* 8-byte aligned */
	size_t len;
};

/* Walks a stream. 1: *r is the next; 0: the end; -EBADMSG: malformed. *pos starts as 0. */
int record_next(const void *stream, size_t len, size_t *pos, struct record *r);

/* The payload as a structure of at least size bytes, or NULL with an error naming the record. */
const void *record_head(const struct record *r, size_t size, struct error **err);

/* "task", "vmas"...; "unknown" for a number that has no name */
const char *record_name(enum ckpt_type type);

/* Of the architecture and of the format: data areas consist of these. */
#define IMAGE_PAGE_SIZE 4096

/* --- page areas: the data part of a core or of a memory object --- */

struct page_area {
	struct ckpt_page_run *runs; /* sorted by address, disjoint, page aligned, inside the file */
	size_t run_count;
	uint64_t *checksums; /* one per CKPT_CHUNK of [data_offset, data_offset + data_len) */
	size_t checksum_count;
	uint64_t data_offset, data_len;
	/*
	 * Of a dump: which runs others may have too (copy-on-write). NULL: none. They are read in a
	 * way that leaves it so; the image does not say it.
	 */
	bool *shared;
};

void page_area_free(struct page_area *area);

/* Checks everything that the comments above promise. file_size bounds the data. */
int page_area_validate(const struct page_area *area, uint64_t file_size, struct error **err);

/* --- writing --- */

struct image_writer;
struct image_file;

/*
 * Opens a new image at path (made, 0700, if it is not there). A directory with a
 * Firn image is replaced only at commit; one with foreign files is refused with
 * their name (-ENOTEMPTY), except the links and logs that engines put there
 * ("parent", *.log, stats-*, descriptors.json).
 */
int image_create(const char *path, struct image_writer **w, struct error **err);

/* A new file of the image, 0600. Owned by the writer until commit or abort. */
int image_add_file(struct image_writer *w, const char *name, struct image_file **f,
		   struct error **err);
int image_file_fd(const struct image_file *f);

/*
 * Writes behind what was written, into the file's running XXH3 checksum.
 *
 * A file with a data area, whose chunks have checksums of their own (a page_area),
 * is written to by fd; then image_file_checked() names that area, and the
 * XXH3_64bits of the rest of the file, in file order. Where there is no rest
 * (object-N.mem: offset 0, len the file's size) checksum is ignored.
 * core_write() calls it for a core.
 */
int image_file_write(struct image_file *f, const void *data, size_t len, struct error **err);
int image_file_checked(struct image_file *f, uint64_t data_offset, uint64_t data_len,
		       uint64_t checksum, struct error **err);

/* What the manifest says besides the files. Strings are borrowed. */
struct image_info {
	const char *id;						  /* container */
	uint64_t begin_realtime, begin_monotonic, begin_boottime; /* as in CKPT_BEGIN */
	uint64_t frozen_ns, total_ns, page_bytes;
	unsigned tasks, threads;
	uint64_t xstate_features; /* XCR0 in use: a CPU without one is refused */
	uint32_t xstate_size;
	uint64_t vdso_hash;	   /* as in CKPT_MM; 0: no task had one */
	const char *const *waived; /* what --allow let be lost; NULL-terminated, may be NULL */
	const char *provider;	   /* "user"; "kernel" if that has saved some classes */
	/* which, by their names; NULL-terminated, NULL: none */
	const char *const *kernel_classes;
	const char *net_hold; /* the nf_tables table that a restore removes, NULL: none */
	const char *kernel;   /* release it was taken on; NULL for the writer: the running one */
};

/* fsyncs every file and the directory, then renames manifest.json into place. */
int image_commit(struct image_writer *w, const struct image_info *info, struct error **err);

struct image_reader;

/*
 * What a reader would see if the image were committed as it is: names and sizes of its files.
 * Nothing is compared with checksums, and there are no records and no config.json.
 */
int image_review(const struct image_writer *w, struct image_reader **r, struct error **err);

/*
 * After a commit: what it is for has failed, and image_close() removes it as if it had not been.
 * One that has taken another's place stays: that one is gone, and there would be none at all.
 */
void image_withdraw(struct image_writer *w);

/* Removes what was written and frees the writer. After a commit it only frees. NULL is fine. */
void image_close(struct image_writer *w);

/* --- cores: writing --- */

struct core_thread {
	uint32_t tid;
	int signo; /* what gdb shows as the reason of the stop; 0 fine */
	struct user_regs_struct regs;
	const void *xstate; /* NT_X86_XSTATE bytes; the first 512 are the FXSAVE area */
	size_t xstate_len;
};

struct core_info {
	uint32_t pid, ppid, pgid, sid;
	char state; /* 'S' */
	const char *comm, *args;
	const struct core_thread *threads;
	size_t thread_count;
	const void *auxv;
	size_t auxv_len;
	const struct ckpt_vma *vmas;
	size_t vma_count;
	/* path per vma for NT_FILE, NULL entries for anonymous ones */
	const char *const *vma_paths;
	const struct buf *records;     /* the FIRN notes, in order */
	const struct page_area *pages; /* data_offset must be CORE_DATA_OFFSET */
};

#define CORE_DATA_OFFSET 4096
#define CORE_MAX	 (1U << 30) /* of all but the page data: more is neither written nor read */
#define CONTAINER_MAX	 (1U << 30) /* container.rec: the same */

/*
 * Finishes task-N.core, whose page data is already at CORE_DATA_OFFSET of f's
 * fd: notes, page index and program headers go behind the data, the ELF header
 * in front. Sets the file's checked part.
 */
int core_write(struct image_file *f, const struct core_info *info, struct error **err);

/* --- reading --- */

/*
 * Opens an image and checks manifest, format version, architecture, sizes of all
 * files and the checksums of everything but page data. Errors name the file.
 */
int image_open(const char *path, struct image_reader **r, struct error **err);
void image_reader_free(struct image_reader *r);

/* From the manifest. */
const struct image_info *image_reader_info(const struct image_reader *r);

/* A file's descriptor (owned by the reader, O_RDONLY) and size. -ENOENT: not in the manifest. */
int image_reader_file(struct image_reader *r, const char *name, int *fd, uint64_t *size,
		      struct error **err);

/* container.rec's records, config.json's bytes: owned by the reader. */
int image_reader_records(struct image_reader *r, const void **stream, size_t *len,
			 struct error **err);
int image_reader_config(struct image_reader *r, const char **json, size_t *len, struct error **err);

struct core {
	int fd;	       /* owned by the reader */
	void *records; /* the FIRN notes as one record stream */
	size_t records_len;
	struct page_area pages;
};

/* Reads and validates task-N.core. */
int core_read(struct image_reader *r, uint32_t pid, struct core *core, struct error **err);
void core_free(struct core *core);

/* `firn image show`: a text or JSON rendering to out. */
struct image_show_options {
	bool json;
};
int image_show(struct image_reader *r, const struct image_show_options *o, char **text,
	       struct error **err);

#endif
