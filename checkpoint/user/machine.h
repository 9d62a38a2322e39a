/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What restored tasks find of the kernel and the CPU that they cannot do without. In a file of its
 * own, with nothing else in it: what `make valgrind` builds has another one, since Valgrind hides
 * both from the program (tests/valgrind/native.c).
 */
#ifndef FIRN_CHECKPOINT_MACHINE_H
#define FIRN_CHECKPOINT_MACHINE_H

#include <stdint.h>

/* XXH3 of the vdso that this kernel maps, as long as its mapping; 0 if there is none. */
uint64_t machine_vdso_hash(void);

/* What XCR0 can have: the components of the XSAVE area, see the CPUID leaf 0xd. */
uint64_t machine_xstate_features(void);

#endif
