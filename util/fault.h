/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on purpose, for tests: the environment variable FIRN_FAULT=NAME:ACTION
 * makes the named point fail. ACTION is "kill" (SIGKILL to the calling process,
 * as kill -9 there would), "stop" (SIGSTOP, for a test to look at that moment) or an errno's
 * name such as ENOSPC. Several are separated by commas.
 */
#ifndef FIRN_UTIL_FAULT_H
#define FIRN_UTIL_FAULT_H

struct error;

/* 0, or the wanted negative errno with an error that names the point; err may be NULL. */
int fault_point(const char *name, struct error **err);

#endif
