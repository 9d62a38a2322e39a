// SPDX-License-Identifier: GPL-2.0-only
#include "util/printable.h"

static char printable(unsigned char c)
{
	return c < 0x20 || c == 0x7f ? '?' : c;
}

void printable_put(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(printable(*text), out);
}

void printable_make(char *text)
{
	for (; *text; text++)
		*text = printable(*text);
}
