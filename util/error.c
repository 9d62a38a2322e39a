// SPDX-License-Identifier: GPL-2.0-only
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/printable.h"

struct error {
	int errnum;
	char *message;
	char *hint;
};

/* Reporting must not fail for want of memory: what cannot be stored is left out. */
static char *format(const char *fmt, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, args) < 0)
		return NULL;
	return text;
}

static int error_new(struct error **err, int errnum, char *message)
{
	if (errnum <= 0)
		errnum = EINVAL;
	if (!err || *err) {
		free(message);
		return -errnum;
	}
	*err = calloc(1, sizeof(**err));
	if (!*err) {
		free(message);
		return -errnum;
	}
	(*err)->errnum = errnum;
	(*err)->message = message;
	return -errnum;
}

int error_errno(struct error **err, int errnum, const char *fmt, ...)
{
	__cleanup_free char *what = NULL;
	char *message = NULL;
	va_list args;

	va_start(args, fmt);
	what = format(fmt, args);
	va_end(args);
	if (what && asprintf(&message, "%s: %s", what, strerror(errnum)) < 0)
		message = NULL;
	return error_new(err, errnum, message);
}

int error_set(struct error **err, int errnum, const char *fmt, ...)
{
	char *message;
	va_list args;

	va_start(args, fmt);
	message = format(fmt, args);
	va_end(args);
	return error_new(err, errnum, message);
}

int error_wrap(struct error **err, const char *fmt, ...)
{
	__cleanup_free char *what = NULL;
	char *message = NULL;
	va_list args;

	if (!err || !*err)
		return -EINVAL;
	va_start(args, fmt);
	what = format(fmt, args);
	va_end(args);
	if (what && asprintf(&message, "%s: %s", what, error_message(*err)) >= 0) {
		free((*err)->message);
		(*err)->message = message;
	}
	return -(*err)->errnum;
}

int error_hint(struct error **err, const char *fmt, ...)
{
	va_list args;

	if (!err || !*err)
		return -EINVAL;
	if (!(*err)->hint) {
		va_start(args, fmt);
		(*err)->hint = format(fmt, args);
		va_end(args);
	}
	return -(*err)->errnum;
}

int error_code(const struct error *err)
{
	return err ? err->errnum : EINVAL;
}

const char *error_message(const struct error *err)
{
	return err && err->message ? err->message : "out of memory";
}

const char *error_get_hint(const struct error *err)
{
	return err ? err->hint : NULL;
}

char *error_line(const struct error *err)
{
	const char *hint = error_get_hint(err);
	char *line = NULL;

	if (asprintf(&line, "%s%s%s%s", error_message(err), hint ? " (" : "", hint ? hint : "",
		     hint ? ")" : "") < 0)
		return NULL;
	printable_make(line);
	return line;
}

int error_restore(struct error **err, int errnum, const char *message, const char *hint)
{
	int r = error_set(err, errnum, "%s", message);

	if (hint && *hint)
		error_hint(err, "%s", hint);
	return r;
}

void error_free(struct error *err)
{
	if (!err)
		return;
	free(err->message);
	free(err->hint);
	free(err);
}
