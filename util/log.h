/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The debug log: the only mutable global. Errors are not logged where they
 * happen, they are returned; the verb prints them once.
 */
#ifndef FIRN_UTIL_LOG_H
#define FIRN_UTIL_LOG_H

#include <stdbool.h>

enum log_format { LOG_TEXT, LOG_JSON };
enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/*
 * Sends log lines to the open descriptor fd (not owned; -1 for none).
 * Debug lines are dropped unless debug is set.
 */
void log_setup(int fd, enum log_format format, bool debug);

/* The descriptor lines go to, or -1. */
int log_fd(void);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...)	 log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)	 log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)	 log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
