// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/kernel/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/image/linux_checkpoint.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define SYSFS_MAX 4096
/* What is above belongs to x32. */
#define NUMBER_MAX 0x3fffffff

static const struct {
	const char *name;
	uint16_t version; /* of the records that Firn knows */
} known[] = {
	[CHECKPOINT_CLASS_MEMORY] = {"memory", 1},   [CHECKPOINT_CLASS_THREADS] = {"threads", 1},
	[CHECKPOINT_CLASS_SIGNALS] = {"signals", 1}, [CHECKPOINT_CLASS_TIMERS] = {"timers", 1},
	[CHECKPOINT_CLASS_CREDS] = {"creds", 1},     [CHECKPOINT_CLASS_LOCKS] = {"locks", 1},
	[CHECKPOINT_CLASS_LEASES] = {"leases", 1},   [CHECKPOINT_CLASS_SYSVIPC] = {"sysvipc", 1},
	[CHECKPOINT_CLASS_SEMUNDO] = {"semundo", 1}, [CHECKPOINT_CLASS_TIME] = {"time", 1},
};
#define KNOWN (sizeof(known) / sizeof(*known))

const char *kernel_class_name(unsigned id)
{
	return id < KNOWN ? known[id].name : NULL;
}

static int read_text(const char *directory, const char *name, char **text, struct error **err)
{
	__cleanup_free char *path = NULL;
	int r;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return error_errno(err, ENOMEM, "looking for checkpoint(2)");
	r = read_file(AT_FDCWD, path, SYSFS_MAX, text, NULL);
	return r ? error_errno(err, -r, "reading %s", path) : 0;
}

static int read_number(const char *directory, const char *name, long *number, struct error **err)
{
	__cleanup_free char *text = NULL;
	char *end;
	int r = read_text(directory, name, &text, err);

	if (r)
		return r;
	*number = strtol(text, &end, 10);
	if (end == text || *number < 1 || *number > NUMBER_MAX)
		return error_set(err, EPROTO, "%s/%s: no number", directory, name);
	return 0;
}

/* A line is number, name and version of a class. One of a later version is left alone. */
static int read_classes(const char *directory, uint64_t *classes, struct error **err)
{
	__cleanup_free char *text = NULL;
	char *rest, *line;
	int r = read_text(directory, "classes", &text, err);

	rest = text;
	while (!r && (line = strsep(&rest, "\n"))) {
		unsigned id, version;
		char name[32];

		if (sscanf(line, "%u %31s %u", &id, name, &version) != 3)
			continue;
		if (id < KNOWN && version == known[id].version)
			*classes |= 1ull << id;
	}
	return r;
}

int kernel_read(const char *directory, struct kernel *k, struct error **err)
{
	long abi;
	int r;

	*k = (struct kernel){0};
	if (access(directory, F_OK)) {
		error_set(err, ENOENT, "this kernel has no checkpoint(2): there is no %s",
			  directory);
		return error_hint(err, "boot one with Firn's patches, and not with checkpoint=0");
	}
	r = read_number(directory, "abi", &abi, err);
	if (!r && abi != CHECKPOINT_ABI)
		r = error_set(err, EPROTO, "this kernel's checkpoint(2) has ABI %ld, not %d", abi,
			      CHECKPOINT_ABI);
	if (!r)
		r = read_number(directory, "checkpoint", &k->checkpoint_nr, err);
	if (!r)
		r = read_number(directory, "restart", &k->restart_nr, err);
	return r ? r : read_classes(directory, &k->classes, err);
}

int kernel_find(struct kernel *k, struct error **err)
{
	struct checkpoint_args args = {.op = CHECKPOINT_QUERY};
	int r = kernel_read(KERNEL_SYSFS, k, err);

	if (r)
		return r;
	if (syscall(k->checkpoint_nr, -1, -1, &args, sizeof(args)))
		r = error_errno(err, errno, "asking checkpoint(2) what it can do");
	else if (args.magic != CHECKPOINT_MAGIC || args.abi != CHECKPOINT_ABI)
		r = error_set(err, EPROTO, "system call %ld is not checkpoint(2)",
			      k->checkpoint_nr);
	k->classes &= args.classes;
	if (r)
		*k = (struct kernel){0};
	return r;
}

/* What the kernel refused, in its words. They end within their arrays or with them. */
int kernel_error(const struct checkpoint_error *why, int errnum, const char *what,
		 struct error **err)
{
	const char *class = why->class_id < 64 ? kernel_class_name(why->class_id) : NULL;
	char where[96] = "";

	if (!why->reason[0])
		return error_errno(err, errnum, "%s", what);
	if (why->pid)
		snprintf(where, sizeof(where), "task %u: ", why->pid);
	return error_errno(err, errnum, "%s: %s%s%s%.*s%s%.*s", what, where, class ? class : "",
			   class ? ": " : "", (int)sizeof(why->object), why->object,
			   why->object[0] ? ": " : "", (int)sizeof(why->reason), why->reason);
}
