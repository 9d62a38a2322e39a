/* SPDX-License-Identifier: GPL-2.0-only */
/* A file of an image while it is written: what core_write.c needs of it. */
#ifndef FIRN_IMAGE_WRITER_H
#define FIRN_IMAGE_WRITER_H

#include "checkpoint/image/image.h"

/* image "PATH": NAME: WHAT: reason */
int image_file_error(const struct image_file *f, int errnum, const char *what, struct error **err);

#endif
