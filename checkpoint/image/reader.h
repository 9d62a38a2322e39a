/* SPDX-License-Identifier: GPL-2.0-only */
/* Files of an open image, for those who parse them. */
#ifndef FIRN_IMAGE_READER_H
#define FIRN_IMAGE_READER_H

#include "checkpoint/image/image.h"
#include "checkpoint/image/manifest.h"

struct error;

const struct manifest *image_reader_manifest(const struct image_reader *r);
const char *image_reader_path(const struct image_reader *r);

/* Puts image "PATH": NAME: in front of the error. Returns code, also where err is NULL. */
int image_reader_wrap(const struct image_reader *r, const char *name, int code, struct error **err);

/*
 * Everything of a file but its data area, malloc'ed, compared with its
 * checksum as it is in memory: nobody can change it afterwards. At most max bytes; only the
 * first keep of them are handed out.
 */
int image_reader_load(struct image_reader *r, const struct manifest_file *f, size_t max,
		      size_t keep, void **data, size_t *len, struct error **err);

/* Of files in dir that are as m says; it takes what is in m. See image_review(). */
int image_reader_unchecked(const char *path, int dir, struct manifest *m, struct image_reader **r,
			   struct error **err);

#endif
