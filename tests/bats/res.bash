# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# Containers around the payloads res_* of tests/payload, which say "ready", then PASS.

says() {
	grep -qx "$1" "$T/$ID.log"
}

ended() {
	says PASS || grep -q ^FAIL "$T/$ID.log" || [ "$(container_status "$ID")" = stopped ]
}

# start_payload NAME [ARG...]: runs it until it says that it is ready.
start_payload() {
	local name=$1
	shift
	make_bundle "$T/b" "$name" /tmp/go "$@"
	add_payload "$T/b" "$name"
	[ -z "${RES_EDIT:-}" ] || edit_config "$T/b" "$RES_EDIT"
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready || {
		cat "$T/$ID.log"
		return 1
	}
}

# passes: lets it go on, and it finds everything in order.
passes() {
	touch "$T/b/rootfs/tmp/go"
	wait_for 20 ended
	says PASS || {
		cat "$T/$ID.log"
		fail "the program found something amiss"
	}
}

# around: a checkpoint and a restore.
around() {
	rm -rf "$T/image"
	ok firn checkpoint --image-path "$T/image" "$ID"
	restore_detached "$ID" "$T/b" "$T/image"
}

# again: removes what the last payload has left, for the next one.
again() {
	rm -rf "$T/b" "$T/image"
}

# res_control NAME [ARG...], res_once, res_twice, res_goes_on: whole tests.
res_control() {
	start_payload "$@"
	passes
	again
}

res_once() {
	start_payload "$@"
	around
	passes
	again
}

res_twice() {
	start_payload "$@"
	around
	around
	passes
	again
}

res_goes_on() {
	start_payload "$@"
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	passes
	again
}
