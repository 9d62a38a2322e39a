#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# How threads are scheduled, and what else each has of its own, comes back with a restore;
# the program checks its own.

load helpers
load payloads
load res

RES_EDIT='.process.capabilities[] += ["CAP_SYS_NICE", "CAP_SYS_ADMIN"] |
	.process.noNewPrivileges = false'

@test "without a checkpoint it passes" {
	res_control res_sched
}

@test "policies, priorities, deadlines, processors, personality of each thread" {
	start_payload res_sched
	save
	# what the runtime itself has must not show
	renice -n 3 $$ >/dev/null
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}

@test "they survive two checkpoints in a row" {
	res_twice res_sched
}

@test "a checkpoint leaves them as they were in a program that goes on" {
	res_goes_on res_sched
}

@test "keys, filters that ask a listener, and segments in an LDT are refused by name" {
	local what
	declare -A name=([keys]="keys in its process keyring" [listener]="seccomp filter that asks a listener"
		[ldt]="process 1 has segments in an LDT (modify_ldt)")
	for what in keys listener ldt; do
		start_payload res_sched "$what"
		! says "no LDT" || continue
		fails firn checkpoint --image-path "$T/image" "$ID"
		one_line
		has "${name[$what]}"
		[ ! -e "$T/image/manifest.json" ] || fail "there is an image"
		equal "$(container_status "$ID")" running
		rm -rf "$T/b" "$T/image"
	done
}

# with_key COMMAND...: in a session of which there is a key.
with_key() {
	# shellcheck disable=SC2016 # perl has its own $
	perl -e 'my ($type, $name, $key) = ("user", "firn-test", "secret");
		syscall(250, 1, 0) >= 0 or die "no session keyring: $!";
		syscall(248, $type, $name, $key, 6, -3) >= 0 or die "no key: $!";
		exec @ARGV or die' -- "$@"
}

@test "the keys of who restores a container are not the container's" {
	grep -q . /proc/keys || skip "wants kernel keyrings"
	start_payload res_sched
	save
	with_key "$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$T/image" --bundle "$T/b" "$ID" \
		</dev/null >>"$T/$ID.log" 2>&1 3>&-
	# who has them is not saved; it is not the caller's session now
	save
	with_key "$FIRN" --root "$FIRN_ROOT" restore --detach --no-new-keyring --image-path "$T/image" \
		--bundle "$T/b" "$ID" </dev/null >>"$T/$ID.log" 2>&1 3>&-
	fails firn checkpoint --image-path "$T/image2" "$ID"
	has "has keys in its session keyring"
}

@test "timers that are set to dates keep them, others what they have left" {
	res_control res_dates 0
	start_payload res_dates 3
	save
	# not a wait: this time must be missing for the one and not for the other
	sleep 3
	restore_detached "$ID" "$T/b" "$T/image"
	save
	restore_detached "$ID" "$T/b" "$T/image"
	passes
}
