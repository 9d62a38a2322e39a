/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names come out of configurations and containers: nothing in them shall steer a terminal or
 * look like a further line. Control characters (ASCII's) are shown as '?'.
 */
#ifndef FIRN_UTIL_PRINTABLE_H
#define FIRN_UTIL_PRINTABLE_H

#include <stdio.h>

void printable_put(FILE *out, const char *text);

/* In place. */
void printable_make(char *text);

#endif
