// SPDX-License-Identifier: GPL-2.0-only
/* A system call of another architecture: getppid(2) as 32-bit programs make it. Says so if it came
 * back. */
#include <stdio.h>

int main(void)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(64L) : "memory");
	puts(result >= 0 ? "came back" : "refused");
	return 0;
}
