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

bool provider_traces(const struct kernel *k)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		if (resource_classes[i]->ask && !provider_is_kernel(k, resource_classes[i]))
			return true;
	return false;
}

/* What the table of classes makes use of. */
static uint64_t used_classes(void)
{
	uint64_t used = 0;

	for (unsigned i = 0; resource_classes[i]; i++)
		used |= resource_classes[i]->kernel;
	return used;
}

static int refuse(const char *what, uint64_t classes, struct error **err)
{
	char names[128] = "";

	for (unsigned id = 0; kernel_class_name(id); id++)
		if (classes >> id & 1) {
			strncat(names, *names ? ", " : "", sizeof(names) - strlen(names) - 1);
			strncat(names, kernel_class_name(id), sizeof(names) - strlen(names) - 1);
		}
	error_set(err, EOPNOTSUPP, "%s: %s", what, names);
	return error_hint(err, "--provider auto takes the user provider for these");
}

/* Nothing may fall back: what the kernel lacks is refused. */
static int check_all(const struct kernel *k, struct error **err)
{
	uint64_t lacking = used_classes() & ~k->classes;

	return lacking ? refuse("this kernel's checkpoint(2) does not know", lacking, err) : 0;
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
	return !r && wanted == PROVIDER_KERNEL ? check_all(k, err) : 0;
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

int provider_leave(struct checkpoint *c, uint64_t classes, const struct dump_task *t,
		   uint64_t address, const char *object)
{
	if (c->request->provider == PROVIDER_KERNEL)
		return checkpoint_block(c, t->rec.pid, -1, address, "use --provider auto",
					"%s, which checkpoint(2) does not save,", object);
	c->kernel.classes &= ~classes;
	return 0;
}
