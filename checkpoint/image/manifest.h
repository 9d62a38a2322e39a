/* SPDX-License-Identifier: GPL-2.0-only */
/* manifest.json of an image: what writer.c writes last and reader.c reads first. */
#ifndef FIRN_IMAGE_MANIFEST_H
#define FIRN_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoint/image/image.h"
#include "util/buf.h"

struct error;
struct json;

#define MANIFEST_NAME	"manifest.json"
#define MANIFEST_TMP	"manifest.json.tmp"
#define MANIFEST_FORMAT "firn-checkpoint-image"
#define MANIFEST_MAX	(64 << 20)
#define IMAGE_NAME_MAX	32 /* of a file in an image, with its NUL */
#define IMAGE_ID_LEN	32 /* hexadecimal digits */

/* A file as the manifest names it. */
struct manifest_file {
	char name[IMAGE_NAME_MAX];
	uint64_t size;
	uint64_t checksum; /* XXH3_64bits of everything but the data area */
	uint64_t data_offset, data_len;
};

struct manifest {
	char id[IMAGE_ID_LEN + 1];
	struct image_info info; /* its strings point into strings below */
	char *strings;
	const char **waived, **kernel_classes;
	VEC(struct manifest_file) files; /* sorted by name once parsed */
};

void manifest_free(struct manifest *m);

/* Whether an image may have a file of this name: the patterns of docs/image-format.md. */
bool image_name_valid(const char *name);

/* The members of a manifest that describe the image as a whole: `image show --json` has them, too.
 */
void manifest_add_info(struct json *j, const char *id, const struct image_info *info);

/* The text of a manifest with its closing checksum, malloc'ed; NULL for want of memory. */
char *manifest_text(const struct manifest *m, size_t *len);

/*
 * Parses and checks a manifest. Version and architecture are looked at before
 * the checksum, so that an image from elsewhere is not called damaged.
 */
int manifest_parse(const char *text, size_t len, struct manifest *m, struct error **err);

/* As manifest_find() wants it; one that was parsed is. */
void manifest_sort(struct manifest *m);
/* The entry of this name in a sorted manifest, or NULL. */
struct manifest_file *manifest_find(const struct manifest *m, const char *name);

#endif
