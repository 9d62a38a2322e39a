#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# One container is checkpointed and restored many times in a row: 3, or 50 under check-full.
# It finds all it has after every round, its image does not grow, and nothing is left behind.

rounds=${FIRN_ROUNDS:-$([ -n "${FIRN_FULL:-}" ] && echo 50 || echo 3)}

load helpers
load payloads
load res

# bytes_of IMAGE: of all its files.
bytes_of() {
	find "$1" -type f -printf '%s\n' | awk '{ n += $1 } END { print n }'
}

# holdings: what the container's tasks hold, and what there is because of it, a line each. Of
# process ids only how many, since they are others on the host each time.
holdings() {
	local pid
	for pid in $(pids_in "$ID"); do
		echo "$(cat "/proc/$pid/comm"): $(open_fds "$pid") descriptors," \
			"$(wc -l <"/proc/$pid/maps") mappings, $(wc -l <"/proc/$pid/mountinfo") mounts," \
			"threads: $(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)"
	done | sort
	echo "mounts: $(grep -c "$T" /proc/self/mountinfo)"
	echo "processes of the runtime: $(runtimes | wc -l)"
	cgroups_of "$ID" | sort
	# names, also of hidden files, in the state directory and where deleted files were
	(cd "$T" && find state b/rootfs -not -path '*/tmp/go*' | sort)
}

# runtimes: processes that were given this test's state directory.
runtimes() {
	local dir
	for dir in /proc/[0-9]*; do
		! grep -qsF -e "$FIRN_ROOT" "$dir/cmdline" || echo "$dir"
	done
}

# plays ROUND: the program finds everything, and uses it.
plays() {
	touch "$T/b/rootfs/tmp/go.$1"
	wait_for 20 says "round $1" || {
		cat "$T/$ID.log"
		fail "the program found something amiss in round $1"
	}
}

@test "rounds of checkpoint and restore: the image does not grow, and nothing is left behind" {
	local round first last
	start_payload res_rounds
	plays 1
	holdings >"$T/before"
	for ((round = 1; round <= rounds; round++)); do
		rm -rf "$T/image"
		ok firn checkpoint --tcp keep --image-path "$T/image" "$ID"
		last=$(bytes_of "$T/image")
		: "${first:=$last}"
		restore_detached "$ID" "$T/b" "$T/image"
		plays $((round + 1))
		holdings >"$T/after"
		diff "$T/before" "$T/after" || fail "round $round changed what the container holds"
		[ $((last * 100)) -le $((first * 101)) ] ||
			fail "the image has $last bytes in round $round, and had $first in the first"
	done
	echo "# $rounds rounds: $first bytes in the first, $last in the last" >&3
	passes
	wait_for 10 has_status "$ID" stopped
	ok firn delete "$ID"
	[ -z "$(cgroups_of "$ID")" ] || fail "cgroups are left: $(cgroups_of "$ID")"
	equal "$(ls -A "$FIRN_ROOT")" "" "the state directory"
	equal "$(runtimes)" "" "processes of the runtime"
}
