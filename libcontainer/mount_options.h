/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of a mount's options, sorted by what has to be done about them. */
#ifndef FIRN_LIBCONTAINER_MOUNT_OPTIONS_H
#define FIRN_LIBCONTAINER_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/buf.h"

struct error;
struct oci_strings;

struct mount_options {
	unsigned long flags; /* MS_* for mount(2) */
	uint64_t attr_set,
		attr_clear; /* MOUNT_ATTR_*: what flags say, as mount_setattr(2) wants it */
	uint64_t recursive_set, recursive_clear; /* of rro and its like */
	unsigned long propagation;		 /* MS_SHARED and so on, with MS_REC; 0: none */
	bool bind, recursive;			 /* bind, rbind */
	bool copy_up;		     /* tmpcopyup: contents of the destination go into the tmpfs */
	bool idmap, idmap_recursive; /* idmap, ridmap */
	struct buf data;	     /* what is the file system's, comma-separated and terminated */
};

/* The caller frees options->data with buf_free(). */
int mount_options_parse(const struct oci_strings *words, struct mount_options *options,
			struct error **err);

/* Calls fn with every word that has a meaning here, for `features`. */
void mount_options_each(void (*fn)(const char *word, void *ctx), void *ctx);

#endif
