// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that writes over all of its memory all the time, each page with the number of the
 * round, and looks before whether the round before is there: an image with pages of different
 * moments would not pass. After "go" it does a few rounds more.
 */
#include <stdint.h>
#include <sys/mman.h>

#include "res.h"

#define WORDS 512 /* of a page */
#define PAGES (256 << 8)

static uint64_t *words;
static uint64_t number;

static int round_is_whole(void)
{
	for (size_t i = 0; i < PAGES; i++) {
		if (words[i * WORDS] != number)
			return 0;
		words[i * WORDS] = number + 1;
	}
	number++;
	return 1;
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	words = mmap(NULL, PAGES * WORDS * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	CHECK(words != MAP_FAILED);
	CHECK(round_is_whole());
	puts("ready");
	fflush(stdout);
	while (access(argv[1], F_OK))
		if (!round_is_whole())
			break;
	for (int i = 0; i < 3; i++)
		CHECK(round_is_whole());
	return passed();
}
