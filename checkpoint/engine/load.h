/* SPDX-License-Identifier: GPL-2.0-only */
/* Records into what a restore is made of: restore.c's first phase, and a checkpoint's last look. */
#ifndef FIRN_CHECKPOINT_LOAD_H
#define FIRN_CHECKPOINT_LOAD_H

struct checkpoint;
struct error;
struct restore;

/* Loads r->image: r->tasks and what classes keep in r. load_free() frees it, also after a failure.
 */
int load_image(struct restore *r, struct error **err);
void load_free(struct restore *r);

/*
 * Loads what has been captured as a restore of the image will, before there is one: 0, or the error
 * that it would end with, always. Records are looked at in memory, all but pages and contents of
 * files.
 */
int load_review(const struct checkpoint *c, struct error **err);

#endif
