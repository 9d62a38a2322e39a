// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/mount_options.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#include "oci/config.h"
#include "util/error.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

enum kind {
	FLAG,	   /* sets an MS_ flag and an attribute */
	FLAG_OFF,  /* clears them */
	RECURSIVE, /* an attribute for the whole tree */
	RECURSIVE_OFF,
	PROPAGATION,
	BIND,
	COPY_UP,
	IDMAP,
};

/* runtime-spec config-linux.md "Mounts"; flags without an attribute belong to the super block. */
static const struct word {
	const char *name;
	enum kind kind;
	unsigned long flag;
	uint64_t attr;
} table[] = {
	{"bind", BIND, 0, 0},
	{"rbind", BIND, MS_REC, 0},
	{"defaults", FLAG, 0, 0},
	{"ro", FLAG, MS_RDONLY, MOUNT_ATTR_RDONLY},
	{"rw", FLAG_OFF, MS_RDONLY, MOUNT_ATTR_RDONLY},
	{"nosuid", FLAG, MS_NOSUID, MOUNT_ATTR_NOSUID},
	{"suid", FLAG_OFF, MS_NOSUID, MOUNT_ATTR_NOSUID},
	{"nodev", FLAG, MS_NODEV, MOUNT_ATTR_NODEV},
	{"dev", FLAG_OFF, MS_NODEV, MOUNT_ATTR_NODEV},
	{"noexec", FLAG, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
	{"exec", FLAG_OFF, MS_NOEXEC, MOUNT_ATTR_NOEXEC},
	{"nosymfollow", FLAG, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
	{"symfollow", FLAG_OFF, MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
	{"nodiratime", FLAG, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
	{"diratime", FLAG_OFF, MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
	{"noatime", FLAG, MS_NOATIME, MOUNT_ATTR_NOATIME},
	{"atime", FLAG_OFF, MS_NOATIME, MOUNT_ATTR_NOATIME},
	{"relatime", FLAG, MS_RELATIME, MOUNT_ATTR_RELATIME},
	{"norelatime", FLAG_OFF, MS_RELATIME, MOUNT_ATTR_RELATIME},
	{"strictatime", FLAG, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
	{"nostrictatime", FLAG_OFF, MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
	{"sync", FLAG, MS_SYNCHRONOUS, 0},
	{"async", FLAG_OFF, MS_SYNCHRONOUS, 0},
	{"dirsync", FLAG, MS_DIRSYNC, 0},
	{"mand", FLAG, MS_MANDLOCK, 0},
	{"nomand", FLAG_OFF, MS_MANDLOCK, 0},
	{"iversion", FLAG, MS_I_VERSION, 0},
	{"noiversion", FLAG_OFF, MS_I_VERSION, 0},
	{"lazytime", FLAG, MS_LAZYTIME, 0},
	{"nolazytime", FLAG_OFF, MS_LAZYTIME, 0},
	{"silent", FLAG, MS_SILENT, 0},
	{"loud", FLAG_OFF, MS_SILENT, 0},
	{"remount", FLAG, MS_REMOUNT, 0},
	{"rro", RECURSIVE, 0, MOUNT_ATTR_RDONLY},
	{"rrw", RECURSIVE_OFF, 0, MOUNT_ATTR_RDONLY},
	{"rnosuid", RECURSIVE, 0, MOUNT_ATTR_NOSUID},
	{"rsuid", RECURSIVE_OFF, 0, MOUNT_ATTR_NOSUID},
	{"rnodev", RECURSIVE, 0, MOUNT_ATTR_NODEV},
	{"rdev", RECURSIVE_OFF, 0, MOUNT_ATTR_NODEV},
	{"rnoexec", RECURSIVE, 0, MOUNT_ATTR_NOEXEC},
	{"rexec", RECURSIVE_OFF, 0, MOUNT_ATTR_NOEXEC},
	{"rnosymfollow", RECURSIVE, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"rsymfollow", RECURSIVE_OFF, 0, MOUNT_ATTR_NOSYMFOLLOW},
	{"rnodiratime", RECURSIVE, 0, MOUNT_ATTR_NODIRATIME},
	{"rdiratime", RECURSIVE_OFF, 0, MOUNT_ATTR_NODIRATIME},
	{"rnoatime", RECURSIVE, 0, MOUNT_ATTR_NOATIME},
	{"ratime", RECURSIVE_OFF, 0, MOUNT_ATTR_NOATIME},
	{"rrelatime", RECURSIVE, 0, MOUNT_ATTR_RELATIME},
	{"rnorelatime", RECURSIVE_OFF, 0, MOUNT_ATTR_RELATIME},
	{"rstrictatime", RECURSIVE, 0, MOUNT_ATTR_STRICTATIME},
	{"rnostrictatime", RECURSIVE_OFF, 0, MOUNT_ATTR_STRICTATIME},
	{"private", PROPAGATION, MS_PRIVATE, 0},
	{"rprivate", PROPAGATION, MS_PRIVATE | MS_REC, 0},
	{"shared", PROPAGATION, MS_SHARED, 0},
	{"rshared", PROPAGATION, MS_SHARED | MS_REC, 0},
	{"slave", PROPAGATION, MS_SLAVE, 0},
	{"rslave", PROPAGATION, MS_SLAVE | MS_REC, 0},
	{"unbindable", PROPAGATION, MS_UNBINDABLE, 0},
	{"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC, 0},
	{"tmpcopyup", COPY_UP, 0, 0},
	{"idmap", IDMAP, 0, 0},
	{"ridmap", IDMAP, MS_REC, 0},
};

/*
 * The access time modes are one field of which relatime is value 0:
 * mount_setattr(2) wants the whole field cleared for a new value.
 */
static void change_attr(uint64_t attr, bool on, uint64_t *set, uint64_t *clear)
{
	const uint64_t atime = MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME;
	bool mode = (attr & atime) || attr == MOUNT_ATTR_RELATIME;

	if (mode) {
		*clear |= MOUNT_ATTR__ATIME;
		*set &= ~(uint64_t)MOUNT_ATTR__ATIME;
	}
	if (on)
		*set |= attr;
	else if (!mode)
		*set &= ~attr;
	if (!on && !mode)
		*clear |= attr;
	else if (!mode)
		*clear &= ~attr;
}

static void apply_flag(const struct word *w, struct mount_options *o)
{
	if (w->kind == FLAG)
		o->flags |= w->flag;
	else
		o->flags &= ~w->flag;
	/* "defaults" and flags of the super block come without an attribute; relatime is 0 */
	if (w->attr || w->flag == MS_RELATIME)
		change_attr(w->attr, w->kind == FLAG, &o->attr_set, &o->attr_clear);
}

static void apply(const struct word *w, struct mount_options *o)
{
	switch (w->kind) {
	case FLAG:
	case FLAG_OFF:
		apply_flag(w, o);
		break;
	case RECURSIVE:
	case RECURSIVE_OFF:
		change_attr(w->attr, w->kind == RECURSIVE, &o->recursive_set, &o->recursive_clear);
		break;
	case PROPAGATION:
		o->propagation = w->flag;
		break;
	case BIND:
		o->bind = true;
		o->recursive |= w->flag == MS_REC;
		break;
	case COPY_UP:
		o->copy_up = true;
		break;
	case IDMAP:
		o->idmap = true;
		o->idmap_recursive |= w->flag == MS_REC;
		break;
	}
}

static const struct word *find_word(const char *name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

int mount_options_parse(const struct oci_strings *words, struct mount_options *options,
			struct error **err)
{
	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < words->count; i++) {
		const struct word *w = find_word(words->items[i]);

		if (w) {
			apply(w, options);
			continue;
		}
		if ((options->data.len && !buf_add(&options->data, ",", 1)) ||
		    !buf_add(&options->data, words->items[i], strlen(words->items[i])))
			return error_errno(err, ENOMEM, "reading mount options");
	}
	if (!buf_add(&options->data, "", 1))
		return error_errno(err, ENOMEM, "reading mount options");
	return 0;
}

void mount_options_each(void (*fn)(const char *word, void *ctx), void *ctx)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		fn(table[i].name, ctx);
}
