// SPDX-License-Identifier: GPL-2.0-only
/*
 * reseal MANIFEST: writes its checksum anew. A test has changed what it says, and wants that
 * refused and not the change. reseal -s FILE: says the checksum of another file, without page data.
 */
#define XXH_INLINE_ALL
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define TAIL	   ",\n    \"checksum\": \""
#define TEXT_MAX   (1 << 20)
#define HEX_DIGITS 16

static int say_sum(const char *path)
{
	static char data[TEXT_MAX];
	FILE *f = fopen(path, "r");
	size_t len = f ? fread(data, 1, sizeof(data), f) : 0;

	printf("%016llx\n", (unsigned long long)XXH3_64bits(data, len));
	return !f || len == sizeof(data) || fclose(f);
}

int main(int argc, char **argv)
{
	static char text[TEXT_MAX];
	FILE *f = argc == 2 ? fopen(argv[1], "r+") : NULL;
	size_t len = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	char *tail = NULL;

	if (argc == 3 && !strcmp(argv[1], "-s"))
		return say_sum(argv[2]);
	/* files have checksums, too: the last one is the manifest's own */
	for (char *at = text; (at = strstr(at, TAIL)); at++)
		tail = at;
	if (!tail || tail + strlen(TAIL) + HEX_DIGITS > text + len) {
		fprintf(stderr, "reseal: no manifest\n");
		return 1;
	}
	fseek(f, tail + strlen(TAIL) - text, SEEK_SET);
	fprintf(f, "%016llx", (unsigned long long)XXH3_64bits(text, tail - text));
	return fclose(f) != 0;
}
