// SPDX-License-Identifier: GPL-2.0-only
#include "util/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

int fault_point(const char *name, struct error **err)
{
	/* not for a set-user-id run: whoever may set our environment may kill us too */
	const char *wanted = secure_getenv("FIRN_FAULT");
	size_t len = strlen(name);
	const char *action;

	if (!wanted || strncmp(wanted, name, len) || wanted[len] != ':')
		return 0;
	action = wanted + len + 1;
	if (!strcmp(action, "kill"))
		raise(SIGKILL);
	if (!strcmp(action, "stop")) {
		raise(SIGSTOP);
		return 0;
	}
	for (int e = 1; e < 134; e++) {
		const char *text = strerrorname_np(e);

		if (text && !strcmp(text, action))
			return error_errno(err, e, "fault injected at \"%s\"", name);
	}
	return error_set(err, EINVAL, "FIRN_FAULT=%s: unknown action \"%s\"", wanted, action);
}
