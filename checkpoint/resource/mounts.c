// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts and cgroups that were made inside the container, or taken away. A
 * restore makes those of the bundle and no others, so that a difference to what
 * the runtime had set up is a blocker.
 */
#include "checkpoint/resource/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/resource/resource.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

void mounts_free(mount_vec *mounts)
{
	vec_for_each (m, mounts) {
		free(m->root);
		free(m->point);
		free(m->options);
		free(m->type);
		free(m->super);
	}
	vec_free(mounts);
}

/* mountinfo writes space, tab, newline and backslash as three octal digits. */
static void unescape(char *text)
{
	char *to = text;

	for (char *c = text; *c; c++) {
		unsigned code;

		if (*c == '\\' && sscanf(c + 1, "%3o", &code) == 1) {
			*to++ = code;
			c += 3;
		} else {
			*to++ = *c;
		}
	}
	*to = '\0';
}

static unsigned peer_group(const char *line, const char *type, const char *word)
{
	const char *found = strstr(line, word);

	return found && found < type ? strtoul(found + strlen(word), NULL, 10) : 0;
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELDS...] - TYPE SOURCE SUPER", see proc(5) */
static int parse_line(const char *line, mount_vec *mounts)
{
	const char *type = strstr(line, " - ");
	struct mount *m = vec_add(mounts);

	if (!m)
		return -ENOMEM;
	*m = (struct mount){0};
	if (!type ||
	    sscanf(line, "%u %*d %u:%u %ms %ms %ms", &m->id, &m->major, &m->minor, &m->root,
		   &m->point, &m->options) != 6 ||
	    sscanf(type, " - %ms %*s %ms", &m->type, &m->super) < 1)
		return -EPROTO;
	m->shared = peer_group(line, type, " shared:");
	m->master = peer_group(line, type, " master:");
	unescape(m->root);
	unescape(m->point);
	return 0;
}

int mounts_parse(char *text, mount_vec *mounts)
{
	int r = 0;

	for (char *line = text; !r && *line;) {
		char *end = strchrnul(line, '\n');

		if (*end)
			*end++ = '\0';
		r = parse_line(line, mounts);
		line = end;
	}
	return r;
}

int mounts_read(const char *pid, mount_vec *mounts, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = proc_read(&text, NULL, "%s/mountinfo", pid);

	if (!r)
		r = mounts_parse(text, mounts);
	return r ? error_errno(err, -r, "reading the mounts of process %s", pid) : 0;
}

/* Ids are used again. What a mount shows, and where, tells a later one from it. */
const struct mount *mount_find(const mount_vec *now, const struct mount *m)
{
	vec_for_each (o, now)
		if (o->id == m->id && o->major == m->major && o->minor == m->minor &&
		    !strcmp(o->root, m->root) && !strcmp(o->point, m->point))
			return o;
	return NULL;
}

/*
 * One that came from the host is a slave of a mount of the host's that shows the
 * same. A bind mount made inside, of something that is a slave, is its peer's
 * slave as well: but then that peer is there already.
 */
static bool is_propagated(const struct mount *m, const mount_vec *then, const mount_vec *host)
{
	bool has_master = false;

	if (!m->master)
		return false;
	vec_for_each (h, host)
		if (h->shared == m->master && h->major == m->major && h->minor == m->minor &&
		    !strcmp(h->root, m->root))
			has_master = true;
	vec_for_each (o, then)
		if (o->master == m->master && !strcmp(o->root, m->root))
			return false;
	return has_master;
}

bool mount_is_new(const struct mount *m, const mount_vec *then, const mount_vec *host)
{
	return !mount_find(then, m) && !is_propagated(m, then, host);
}

/*
 * A tmpfs shows these only where they differ from a default, and that follows from the memory
 * that the machine has at the moment, which balloons and hotplug change. The length of the key, or
 * 0.
 */
static size_t follows_memory(const char *word)
{
	static const char *const keys[] = {"size=", "nr_inodes="};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (!strncmp(word, keys[i], strlen(keys[i])))
			return strlen(keys[i]);
	return 0;
}

/* The first len bytes of word, up to the end of that word if whole. */
static bool has_word(const char *words, const char *word, size_t len, bool whole)
{
	for (;; words++) {
		if (!strncmp(words, word, len) && (!whole || !words[len] || words[len] == ','))
			return true;
		words = strchrnul(words, ',');
		if (!*words)
			return false;
	}
}

static bool lacks_some(const char *there, const char *here)
{
	for (const char *word = here;; word++) {
		const char *end = strchrnul(word, ',');
		size_t key = follows_memory(word);

		if (!has_word(there, word, end - word, true) &&
		    (!key || has_word(there, word, key, false)))
			return true;
		if (!*end)
			return false;
		word = end;
	}
}

bool tmpfs_options_differ(const char *then, const char *now)
{
	return lacks_some(then, now) || lacks_some(now, then);
}

/* Its size, for one that the start makes with another one. */
static bool was_changed(const struct mount *then, const struct mount *now, const mount_vec *host)
{
	if (strcmp(then->type, "tmpfs") || !then->super || !now->super ||
	    !tmpfs_options_differ(then->super, now->super))
		return false;
	vec_for_each (h, host)
		if (h->major == now->major && h->minor == now->minor)
			return false;
	return true;
}

static int compare(struct checkpoint *c, const mount_vec *then, const mount_vec *now,
		   const mount_vec *host)
{
	int r = 0;

	vec_for_each (m, now)
		if (!r && mount_is_new(m, then, host))
			r = checkpoint_block(c, 0, -1, 0, "unmount it, or mount it by config.json",
					     "\"%s\" (%s), mounted inside the container,", m->point,
					     m->type);
	vec_for_each (m, then) {
		const struct mount *o = mount_find(now, m);

		if (r || (!o && m->master))
			continue;
		if (!o)
			r = checkpoint_block(c, 0, -1, 0, "leave it out of config.json",
					     "that \"%s\" (%s) was unmounted", m->point, m->type);
		else if (strcmp(o->options, m->options))
			r = checkpoint_block(
				c, 0, -1, 0, "mount it like that by config.json",
				"that \"%s\" was mounted with \"%s\" and is now \"%s\"", m->point,
				m->options, o->options);
		else if (was_changed(m, o, host))
			r = checkpoint_block(
				c, 0, -1, 0, "mount it like that by config.json",
				"that the tmpfs \"%s\" was made with \"%s\" and is now \"%s\"",
				m->point, m->super, o->super);
	}
	return r;
}

static int admit_mounts(struct checkpoint *c, struct error **err)
{
	__cleanup(mounts_free) mount_vec then = {0};
	__cleanup(mounts_free) mount_vec now = {0};
	__cleanup(mounts_free) mount_vec host = {0};
	__cleanup_free char *text = NULL;
	char pid[16];
	int r;

	if (!c->request->mounts)
		return 0;
	text = strdup(c->request->mounts);
	if (!text)
		return error_errno(err, ENOMEM, "comparing mounts");
	r = mounts_parse(text, &then);
	if (r)
		return error_errno(err, -r, "reading the mounts that the container began with");
	snprintf(pid, sizeof(pid), "%d", c->init);
	r = mounts_read(pid, &now, err);
	if (!r)
		r = mounts_read("self", &host, err);
	return r ? r : compare(c, &then, &now, &host);
}

static int admit_cgroups(struct checkpoint *c, struct error **err)
{
	const struct checkpoint_request *q = c->request;
	__cleanup_buf struct buf paths = {0};
	int r = q->ops->nested_cgroups ? q->ops->nested_cgroups(q->ctx, &paths, err) : 0;

	for (size_t at = 0; !r && at < paths.len; at += strlen((char *)paths.data + at) + 1)
		r = checkpoint_block(c, 0, -1, 0, "remove it", "the cgroup \"%s\", made inside,",
				     (char *)paths.data + at);
	return r;
}

/* Its mounts are others' too, and its root is that of the container already: nothing to restore in.
 */
static int admit_namespace(struct checkpoint *c)
{
	if (!c->request->foreign_mnt)
		return 0;
	return checkpoint_block(c, 0, -1, 0, "leave its path out of config.json",
				"a mount namespace that was joined by path");
}

static int mounts_admit(struct checkpoint *c, struct dump_task *t, struct error **err)
{
	int r = t ? 0 : admit_namespace(c);

	if (r == 0 && !t)
		r = admit_mounts(c, err);
	return r || t ? r : admit_cgroups(c, err);
}

static const enum ckpt_type mounts_types[] = {0};

static const char *const mounts_not_captured[] = {
	"mounts and cgroups made inside, and mounts taken away: refused",
	"a mount namespace that was joined by path: refused",
	"what hooks have mounted before the container started: hooks do not run again",
	"limits of the container's cgroup that were changed after create",
	NULL,
};

const struct resource_class resource_mounts = {
	.name = "mounts",
	.version = 1,
	.types = mounts_types,
	.admit = mounts_admit,
	.not_captured = mounts_not_captured,
};
