// SPDX-License-Identifier: GPL-2.0-only
/* The one list of verbs. */
#include <string.h>

#include "runtime/verb.h"

/* One line each here and in the table below. */
extern const struct verb verb_checkpoint;
extern const struct verb verb_create;
extern const struct verb verb_delete;
extern const struct verb verb_events;
extern const struct verb verb_exec;
extern const struct verb verb_features;
extern const struct verb verb_image;
extern const struct verb verb_kill;
extern const struct verb verb_list;
extern const struct verb verb_pause;
extern const struct verb verb_ps;
extern const struct verb verb_restore;
extern const struct verb verb_resume;
extern const struct verb verb_run;
extern const struct verb verb_spec;
extern const struct verb verb_start;
extern const struct verb verb_state;
extern const struct verb verb_update;

// clang-format off
const struct verb *const verbs[] = {
	&verb_checkpoint,
	&verb_create,
	&verb_delete,
	&verb_events,
	&verb_exec,
	&verb_features,
	&verb_image,
	&verb_kill,
	&verb_list,
	&verb_pause,
	&verb_ps,
	&verb_restore,
	&verb_resume,
	&verb_run,
	&verb_spec,
	&verb_start,
	&verb_state,
	&verb_update,
	NULL,
};
// clang-format on

const struct verb *verb_find(const char *name)
{
	for (const struct verb *const *v = verbs; *v; v++)
		if (!strcmp((*v)->name, name))
			return *v;
	return NULL;
}
