// SPDX-License-Identifier: GPL-2.0-only
#include "util/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

/* ACTION, up to a comma or the end. */
static bool is_action(const char *action, const char *word)
{
	size_t len = strlen(word);

	return !strncmp(action, word, len) && (!action[len] || action[len] == ',');
}

static int act(const char *name, const char *action, struct error **err)
{
	if (is_action(action, "kill"))
		raise(SIGKILL);
	if (is_action(action, "stop")) {
		raise(SIGSTOP);
		return 0;
	}
	for (int e = 1; e < 134; e++) {
		const char *text = strerrorname_np(e);

		if (text && is_action(action, text))
			return error_errno(err, e, "fault injected at \"%s\"", name);
	}
	return error_set(err, EINVAL, "FIRN_FAULT: unknown action \"%s\"", action);
}

int fault_point(const char *name, struct error **err)
{
	/* not for a set-user-id run: whoever may set our environment may kill us too */
	const char *wanted = secure_getenv("FIRN_FAULT");
	size_t len = strlen(name);

	while (wanted) {
		if (!strncmp(wanted, name, len) && wanted[len] == ':')
			return act(name, wanted + len + 1, err);
		wanted = strchr(wanted, ',');
		wanted += !!wanted;
	}
	return 0;
}
