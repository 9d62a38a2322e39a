// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/engine/provider.h"

#include <errno.h>
#include <string.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/kernel/kernel.h"
#include "util/error.h"
#include "util/log.h"

bool provider_is_kernel(const struct kernel *k, const struct resource_class *class)
{
	return class->kernel && !(class->kernel & ~k->classes);
}

static uint64_t missing_classes(const struct kernel *k)
{
	uint64_t wanted = 0;

	for (unsigned i = 0; resource_classes[i]; i++)
		wanted |= resource_classes[i]->kernel;
	return wanted & ~k->classes;
}

static int refuse_missing(uint64_t missing, struct error **err)
{
	char names[128] = "";

	for (unsigned id = 0; id < 64; id++)
		if (missing >> id & 1 && kernel_class_name(id)) {
			strncat(names, *names ? ", " : "", sizeof(names) - strlen(names) - 1);
			strncat(names, kernel_class_name(id), sizeof(names) - strlen(names) - 1);
		}
	error_set(err, EOPNOTSUPP, "this kernel's checkpoint(2) does not know: %s", names);
	return error_hint(err, "--provider auto takes what it knows");
}

int provider_choose(enum checkpoint_provider wanted, struct kernel *k, struct error **err)
{
	struct error *why = NULL;
	int r;

	*k = (struct kernel){0};
	if (wanted == PROVIDER_USER)
		return 0;
	r = kernel_find(k, &why);
	if (r && wanted == PROVIDER_KERNEL) {
		*err = why;
		return r;
	}
	if (r)
		log_debug("provider user: %s", error_message(why));
	error_free(why);
	if (!r && wanted == PROVIDER_KERNEL && missing_classes(k))
		return refuse_missing(missing_classes(k), err);
	return 0;
}

void checkpoint_providers(void (*fn)(void *ctx, const char *class_name, const char *provider),
			  void *ctx)
{
	struct kernel k;

	provider_choose(PROVIDER_AUTO, &k, NULL);
	for (unsigned i = 0; resource_classes[i]; i++)
		fn(ctx, resource_classes[i]->name,
		   provider_is_kernel(&k, resource_classes[i]) ? "kernel" : "user");
}

unsigned provider_names(const struct kernel *k, const char *names[KERNEL_NAMES_MAX])
{
	unsigned n = 0;

	for (unsigned i = 0; resource_classes[i] && n < KERNEL_NAMES_MAX - 1; i++)
		if (provider_is_kernel(k, resource_classes[i]))
			names[n++] = resource_classes[i]->name;
	names[n] = NULL;
	return n;
}
