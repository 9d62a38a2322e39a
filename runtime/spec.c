// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "oci/spec.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

static const struct option_spec options[] = {
	{"bundle", 'b', "DIR", "where to write it (default: the current directory)"},
	{"rootless", 0, NULL, "for a user who is not root"},
	{NULL, 0, NULL, NULL},
};

static int run(struct runtime *rt, struct error **err)
{
	const char *bundle = option_string(rt, "bundle");
	__cleanup_free char *text =
		oci_spec_default(option_flag(rt, "rootless"), geteuid(), getegid());
	__cleanup_fd int dir = -1, fd = -1;
	int ret;

	if (!text)
		return error_errno(err, ENOMEM, "writing config.json");
	dir = open(bundle && bundle[0] ? bundle : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, errno, "opening the bundle \"%s\"", bundle ? bundle : ".");
	fd = openat(dir, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return error_set(err, EEXIST, "config.json exists, remove it first");
	ret = fd < 0 ? -errno : write_full(fd, text, strlen(text));
	if (ret < 0)
		return error_errno(err, -ret, "writing config.json");
	return 0;
}

const struct verb verb_spec = {
	.name = "spec",
	.summary = "write a config.json to start from",
	.usage = "",
	.options = options,
	.stateless = true,
	.run = run,
};
