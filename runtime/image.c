// SPDX-License-Identifier: GPL-2.0-only
/* firn image show IMAGE: what is in a checkpoint image. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/image/image.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"

static void cleanup_reader(struct image_reader **r)
{
	image_reader_free(*r);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup(cleanup_reader) struct image_reader *r = NULL;
	struct image_show_options show = {.json = option_flag(rt, "json")};
	__cleanup_free char *text = NULL;
	int ret;

	if (strcmp(rt->argv[0], "show"))
		return error_set(err, EINVAL, "unknown command \"%s\", there is \"show\"",
				 rt->argv[0]);
	ret = image_open(rt->argv[1], &r, err);
	if (!ret)
		ret = image_show(r, &show, &text, err);
	if (ret)
		return ret;
	fputs(text, stdout);
	return 0;
}

static const struct option_spec options[] = {
	{"json", 0, NULL, "for programs: one JSON document"},
	{0},
};

const struct verb verb_image = {
	.name = "image",
	.summary = "show what is in a checkpoint image",
	.usage = "show IMAGE",
	.options = options,
	.min_args = 2,
	.max_args = 2,
	.stateless = true,
	.run = run,
	.notes = "Every file of the image is compared with its checksum first; page data is not\n"
		 "read. Shown are the process tree, and of each process its threads, memory and\n"
		 "open files; what the image needs of the machine; and what was waived.",
};
