# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# Descriptors that a verb of firn leaves open when it ends. Wants payloads.bash.

# watch_fds: from now on $FIRN runs observed by tests/payload/fdwatch.c, which writes $T/fds.
# Fails under LeakSanitizer, which wants to trace the process itself, and under Valgrind, which has
# descriptors of its own there.
watch_fds() {
	[ -z "${ASAN_OPTIONS:-}${FIRN_MEMCHECK:-}" ] || return 1
	printf '#!/bin/sh\nexec %q %q %q "$@"\n' "$(payload fdwatch)" "$T/fds" "$FIRN" >"$T/firn"
	chmod 755 "$T/firn"
	FIRN=$T/firn
}

# fds_clean: every verb since watch_fds closed what it opened, whatever became of it.
fds_clean() {
	[ "$FIRN" = "$T/firn" ] || return 0
	[ -s "$T/fds" ] || fail "nothing was observed"
	! grep -v '^clean: ' "$T/fds" || fail "descriptors are left open, or it could not be seen"
}

# verbs_seen: which verbs have run since watch_fds, each once.
verbs_seen() {
	awk '{
		for (i = 3; $i ~ /^--(root|log)$/; i += 2)
			;
		print $i
	}' "$T/fds" | sort -u
}

# fds_of PID: the numbers of its open descriptors in a line.
fds_of() {
	local list
	list=$(find "/proc/$1/fd" -mindepth 1 -printf '%f\n' | sort -n)
	echo "${list//$'\n'/ }"
}

# fds_are PID NUMBER...: for wait_for.
fds_are() {
	local pid=$1
	shift
	[ "$(fds_of "$pid")" = "$*" ]
}
