#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Targets of the Makefile that have logic of their own, with scripts that stand in for the real ones.

load helpers

setup() {
	need_command make
	setup_firn
	mkdir "$T/tree" "$T/tree/tests"
	printf '#!/bin/sh\n' >"$T/tree/tests/install-deps"
	chmod +x "$T/tree/tests/install-deps"
}

# lint_says TEXT: `make lint` in a tree that was never built, where tests/lint prints that.
lint_says() {
	printf '#!/bin/sh\nprintf "%s\\n"\n' "$1" >"$T/tree/tests/lint"
	chmod +x "$T/tree/tests/lint"
	rm -rf "$T/tree/build"
	run make -s -C "$T/tree" -f "$REPO/Makefile" lint BUILD=build
}

@test "make lint fails when a lint does, also in a fresh clone" {
	lint_says "ok 1 - fine\\n# exit 0"
	equal "$status" 0 "exit status"
	lint_says "not ok 1 - licence lines\\n# exit 0"
	has "not ok 1"
	[ "$status" -ne 0 ] || fail "succeeded"
	# nor is a lint that does not come to its end a success
	lint_says "ok 1 - fine"
	[ "$status" -ne 0 ] || fail "succeeded halfway"
}
