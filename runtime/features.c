// SPDX-License-Identifier: GPL-2.0-only
#include "oci/features.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
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

/* org.firn.checkpoint.provider.CLASS: who saves a resource class on this kernel */
static void add_provider(void *ctx, const char *class_name, const char *provider)
{
	struct oci_pairs *pairs = ctx;
	struct oci_pair *pair = vec_add(pairs);

	if (!pair)
		return;
	if (asprintf(&pair->key, "org.firn.checkpoint.provider.%s", class_name) < 0)
		pair->key = NULL;
	for (char *c = pair->key; c && *c; c++)
		*c = *c == ' ' ? '-' : *c;
	pair->value = strdup(provider);
	if (!pair->key || !pair->value) {
		free(pair->key);
		free(pair->value);
		pairs->count--;
	}
}

static void free_pairs(struct oci_pairs *pairs)
{
	vec_for_each (pair, pairs) {
		free(pair->key);
		free(pair->value);
	}
	vec_free(pairs);
}

/* All that a configuration may ask for; an older kernel refuses those that it does not know. */
static const char *const seccomp_flags[] = {
	"SECCOMP_FILTER_FLAG_TSYNC",
	"SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
	NULL,
};

static int run(struct runtime *rt, struct error **err)
{
	struct oci_features features = {
		.version = FIRN_VERSION,
		.seccomp_flags = seccomp_flags,
		.rdma = true,
		.systemd_cgroup = true,
		.apparmor = true,
		.selinux = true,
		.idmap_mounts = true,
	};
	__cleanup_free char *text = NULL;
	struct oci_pairs providers = {0};
	struct words words = {0};

	mount_options_each(add_word, &words);
	qsort(words.items, words.count, sizeof(*words.items), compare);
	add_word(NULL, &words);
	features.mount_options = words.items;
	checkpoint_providers(add_provider, &providers);
	features.annotations = &providers;
	text = oci_features_json(&features);
	vec_free(&words);
	free_pairs(&providers);
	if (!text)
		return error_errno(err, ENOMEM, "listing the features");
	puts(text);
	return 0;
}

const struct verb verb_features = {
	.name = "features",
	.summary = "show what this runtime supports, as JSON",
	.usage = "",
	.stateless = true,
	.run = run,
};
