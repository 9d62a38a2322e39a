// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/machine.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/io.h"

static uint64_t vdso_len(void)
{
	__cleanup_free char *maps = NULL;
	unsigned long long start, end;
	char *line;

	if (proc_read(&maps, NULL, "self/maps"))
		return 0;
	line = strstr(maps, "[vdso]");
	if (!line)
		return 0;
	while (line > maps && line[-1] != '\n')
		line--;
	if (sscanf(line, "%llx-%llx", &start, &end) != 2)
		return 0;
	return end - start;
}

uint64_t machine_vdso_hash(void)
{
	const void *vdso = (const void *)getauxval(AT_SYSINFO_EHDR);

	return vdso ? XXH3_64bits(vdso, vdso_len()) : 0;
}

uint64_t machine_xstate_features(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
		return 3; /* x87 and SSE: FXSAVE */
	return (uint64_t)d << 32 | a;
}
