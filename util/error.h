/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors as objects. A function that can fail takes `struct error **err` last and
 * returns 0 or a negative errno; on failure *err says what was being done, to
 * what, and why. Whoever knows something more wraps it. Nothing below runtime/
 * prints an error or exits because of one.
 *
 * To the user an error is one line:
 *
 *     firn: VERB ID: doing X with "Y": reason (hint)
 */
#ifndef FIRN_UTIL_ERROR_H
#define FIRN_UTIL_ERROR_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/*
 * Makes an error out of an errno value (positive) and what was being done.
 * The errno's own text is appended as the reason. Returns -errnum.
 * err may be NULL; *err must be NULL.
 */
int error_errno(struct error **err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with a complete message; the errno's text is not appended. */
int error_set(struct error **err, int errnum, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Puts "fmt: " in front of the error's message. Returns the error's negative
 * errno, so that it can end a function: return error_wrap(err, "mounting ...").
 */
int error_wrap(struct error **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds what the user can do about it; an earlier (closer) hint is kept. Returns as error_wrap(). */
int error_hint(struct error **err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The positive errno of the error. */
int error_code(const struct error *err);

/* The message without hint, and the hint or NULL. Owned by the error. */
const char *error_message(const struct error *err);
const char *error_get_hint(const struct error *err);

/* "message (hint)" on one line, control characters replaced; the caller frees. */
char *error_line(const struct error *err);

/* An error with the same content as one received from another process. */
int error_restore(struct error **err, int errnum, const char *message, const char *hint);

void error_free(struct error *err);

static inline void cleanup_error(struct error **err)
{
	error_free(*err);
}

#define __cleanup_error __attribute__((cleanup(cleanup_error)))

#endif
