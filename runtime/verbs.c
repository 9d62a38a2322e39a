// SPDX-License-Identifier: GPL-2.0-only
/* The one list of verbs. */
#include <string.h>

#include "runtime/verb.h"

/* One line each here and in the table below. */

const struct verb *const verbs[] = {
	NULL,
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *v = verbs; *v; v++)
		if (!strcmp((*v)->name, name))
			return *v;
	return NULL;
}
