#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016 # jq has its own $
# A process with very many mappings, descriptors or strewn pages comes back with all of them, and
# the runtime needs little memory for each.

load helpers
load payloads
load res

# limit_descriptors N: of the container's process.
limit_descriptors() {
	edit_config "$T/b" --argjson n "$1" \
		'.process.rlimits = [{type: "RLIMIT_NOFILE", soft: $n, hard: $n}]'
}

# start_many KIND N
start_many() {
	make_bundle "$T/b" res_many /tmp/go "$@"
	add_payload "$T/b" res_many
	[ "$1" != descriptors ] || limit_descriptors $(($2 + 100))
	new_id
	run_detached "$ID" "$T/b"
	wait_for 60 says ready
}

# peak_of CMD...: the peak of its memory, in KiB; fails if CMD does.
peak_of() {
	local tool=${BATS_RUN_TMPDIR:-/tmp}/measure line
	[ -x "$tool" ] || cc -O2 -std=gnu17 -D_GNU_SOURCE -o "$tool" "$REPO/tests/bench/measure.c"
	line=$("$tool" "$@" </dev/null 2>>"$T/$ID.log") || return
	echo "${line##* }"
}

# within_memory N FIRN --root DIR VERB...: 32 MiB, and 1 KiB for each of N. Memory checkers take as
# much again.
within_memory() {
	local limit=$((32 * 1024 + $1)) peak
	shift
	peak=$(peak_of "$@") || fail "failed: $* ($(tail -n 1 "$T/$ID.log"))"
	[ -n "${ASAN_OPTIONS:-}${FIRN_MEMCHECK:-}" ] || [ "$peak" -le "$limit" ] ||
		fail "$4 took $peak KiB of memory, and may take $limit"
}

# many KIND N: a checkpoint and a restore, each within its memory.
many() {
	start_many "$@"
	within_memory "$2" "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$T/image" "$ID"
	within_memory "$2" "$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$T/image" \
		--bundle "$T/b" "$ID"
	passes
}

# allowed N: or as many as may be, where nobody can raise the hard limit; whole turns of res_many.
allowed() {
	local hard
	hard=$(ulimit -Hn)
	[ "$hard" = unlimited ] || [ "$hard" -ge $(($1 + 100)) ] || set -- $(((hard - 100) / 10 * 10))
	echo "$1"
}

# 50,000 mappings, and in the test VM as many descriptors, under check-full
some() {
	[ -n "$FIRN_FULL" ] && echo "$1" || echo "$2"
}

@test "very many mappings, some of a file" {
	many mappings "$(some 50000 10000)"
}

@test "very many descriptors: files, pipes, sockets, eventfds" {
	many descriptors "$([ -z "${FIRN_VM:-}" ] && allowed 8000 || some 50000 1000)"
}

@test "single pages that are strewn over 1 TiB" {
	many sparse "$(some 64 8)"
}

@test "very many processes, and when they have been restored" {
	local n=1000 each=15 round # mappings and descriptors of a shell without libraries
	[ -z "${ASAN_OPTIONS:-}${FIRN_MEMCHECK:-}" ] || n=100
	make_bundle "$T/b" sh -c 'i=0; while [ $((i += 1)) -lt '$n' ]; do sleep 10000 & done; echo ready; wait'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 60 says ready
	for round in 1 2; do
		within_memory $((n * each)) "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$T/image$round" "$ID"
		within_memory $((n * each)) "$FIRN" --root "$FIRN_ROOT" restore --detach --no-new-keyring \
			--image-path "$T/image$round" --bundle "$T/b" "$ID"
	done
	equal "$(firn ps --format json "$ID" | tr -cd , | wc -c)" $((n - 1))
}

@test "more processes than the caller's soft limit has descriptors, and hooks have that limit" {
	need_native # which does not raise the limit of the kernel's
	make_bundle "$T/b" sh -c 'i=0; while [ $((i += 1)) -le 100 ]; do sleep 1000 & done; echo ready; wait'
	edit_config "$T/b" --arg c "{ ulimit -Sn; ulimit -Hn; } >$T/limit" \
		'.hooks.poststart = [{path: "/bin/sh", args: ["sh", "-c", $c]}]'
	new_id
	run_detached "$ID" "$T/b"
	wait_for 20 says ready
	(ulimit -Sn 80 && firn checkpoint --image-path "$T/image" "$ID" >"$T/checkpoint.log" 2>&1) ||
		fail "$(cat "$T/checkpoint.log")"
	equal "$(cat "$T/checkpoint.log")" "" "what it says"
	(ulimit -Sn 80 && restore_detached "$ID" "$T/b" "$T/image")
	equal "$(paste -sd ' ' "$T/limit")" "80 $(ulimit -Hn)"
}
