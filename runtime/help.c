// SPDX-License-Identifier: GPL-2.0-only
/* Help texts, made from the verb table. */
#include <stdio.h>
#include <string.h>

#include "runtime/verb.h"

static void print_options(const struct option_spec *specs)
{
	for (const struct option_spec *s = specs; s && s->name; s++) {
		char left[64];

		if (!s->help)
			continue;
		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", s->letter ? "-" : " ",
			 s->letter ? s->letter : ' ', s->letter ? ", " : "  ", s->name,
			 s->argument ? " " : "", s->argument ? s->argument : "");
		printf("  %-32s %s\n", left, s->help);
	}
	printf("  %-32s %s\n", "-h, --help", "show this help");
}

void help_program(void)
{
	printf("Usage: firn [global options] VERB [options] [arguments]\n\n"
	       "Runs OCI containers; freezes, checkpoints and restores them.\n\nVerbs:\n");
	for (const struct verb *const *v = verbs; *v; v++)
		printf("  %-12s %s\n", (*v)->name, (*v)->summary);
	printf("\nGlobal options:\n");
	print_options(global_options);
	printf("  %-32s %s\n\n\"firn VERB --help\" tells more about a verb.\n", "-v, --version",
	       "show the version");
}

void help_verb(const struct verb *verb)
{
	printf("Usage: firn %s [options]%s%s\n\n%s\n\nOptions:\n", verb->name,
	       verb->usage[0] ? " " : "", verb->usage, verb->summary);
	print_options(verb->options);
	if (verb->notes)
		printf("\n%s\n", verb->notes);
}
