// SPDX-License-Identifier: GPL-2.0-only
#include "oci/features.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcontainer/mount_options.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"

struct words {
	const char **items;
	size_t count, size;
};

static void add_word(const char *word, void *ctx)
{
	struct words *words = ctx;
	const char **item = vec_add(words);

	if (item)
		*item = word;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int run(struct runtime *rt, struct error **err)
{
	struct oci_features features = {.version = FIRN_VERSION};
	__cleanup_free char *text = NULL;
	struct words words = {0};

	mount_options_each(add_word, &words);
	qsort(words.items, words.count, sizeof(*words.items), compare);
	add_word(NULL, &words);
	features.mount_options = words.items;
	text = oci_features_json(&features);
	vec_free(&words);
	if (!text)
		return error_errno(err, ENOMEM, "listing the features");
	puts(text);
	return 0;
}

const struct verb verb_features = {
	.name = "features",
	.summary = "show what this runtime supports, as JSON",
	.usage = "",
	.run = run,
};
