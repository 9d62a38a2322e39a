#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# A parallel build in the middle of which the container is moved.

load apps

objects() {
	find "$B/rootfs/data" -name '*.o' -size +0 | wc -l
}

objects_beyond() {
	[ "$(objects)" -gt "$1" ]
}

@test "make -j: a build that is checkpointed in its middle ends as it should" {
	local round i
	need_command gcc make
	make_app_bundle sh -c 'make -j3 && ./program && echo RESULT 0 || echo RESULT 1'
	for i in $(seq 60); do
		printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n' \
			>"$B/rootfs/data/f$i.c"
		printf 'int f%d(int x) { return x + %d; }\n' "$i" "$i" >>"$B/rootfs/data/f$i.c"
	done
	{
		for i in $(seq 60); do
			printf 'int f%d(int);\n' "$i"
		done
		printf 'int main(void) { int x = 0;\n'
		for i in $(seq 60); do
			printf 'x = f%d(x);\n' "$i"
		done
		printf 'return x != 60 * 61 / 2; }\n'
	} >"$B/rootfs/data/main.c"
	{
		printf 'OBJECTS := main.o %s\n' "$(printf 'f%d.o ' $(seq 60))"
		printf 'program: $(OBJECTS)\n\tgcc -o $@ $^\n'
		printf '%%.o: %%.c\n\t@echo $< >>started\n\tgcc -O2 -c -o $@ $<\n'
	} >"$B/rootfs/data/Makefile"
	start_app
	for ((round = 0; round < 3; round++)); do
		wait_for 60 objects_beyond $((round * 10 + 3))
		one_round
	done
	[ "$(objects)" -lt 61 ] || fail "the build had ended before"
	wait_for 120 grep -q RESULT "$T/$ID.log"
	grep -qx "RESULT 0" "$T/$ID.log" || fail "$(tail -n 20 "$T/$ID.log")"
	# nothing was compiled twice
	equal "$(sort "$B/rootfs/data/started" | uniq -d)" "" "compiled twice"
	equal "$(wc -l <"$B/rootfs/data/started")" 61 "compiled in all"
}
