// SPDX-License-Identifier: GPL-2.0-only
#include <stdbool.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/limit.h"

static struct rlimit given;
static bool raised;

/* fs.nr_open; 0: not known */
static rlim_t most_allowed(void)
{
	__cleanup_free char *text = NULL;

	return proc_read(&text, NULL, "sys/fs/nr_open") ? 0 : strtoul(text, NULL, 10);
}

void limit_raise_descriptors(rlim_t most)
{
	const rlim_t allowed = most_allowed();
	struct rlimit more;

	if (raised || getrlimit(RLIMIT_NOFILE, &given))
		return;
	raised = true;
	more.rlim_cur = more.rlim_max = allowed < most ? allowed : most;
	if (more.rlim_max > given.rlim_max && !setrlimit(RLIMIT_NOFILE, &more))
		return;
	more.rlim_cur = more.rlim_max = given.rlim_max;
	setrlimit(RLIMIT_NOFILE, &more);
}

void limit_put_back(void)
{
	if (raised)
		setrlimit(RLIMIT_NOFILE, &given);
}
