# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# Containers that are checkpointed and restored around the payloads ck_* of tests/payload.

# ck_start NAME [ARG...]: a container B with the payload as its init, ready for a checkpoint.
# CK_EDIT is a jq filter for its config.json.
ck_start() {
	local name=$1
	shift
	B=$T/b$RANDOM
	make_bundle "$B" "$name" "$@"
	add_payload "$B" "$name"
	[ -z "${CK_EDIT:-}" ] || edit_config "$B" "$CK_EDIT"
	new_id
	run_detached "$ID" "$B"
	wait_for 20 exists "$B/rootfs/tmp/ready"
}

# shellcheck disable=SC2119,SC2120 # the arguments are optional
# ck_checkpoint [OPTION...]: into a fresh $IMAGE; the container is gone afterwards.
ck_checkpoint() {
	IMAGE=$T/image-$RANDOM$RANDOM
	ok timeout -k 1 60 "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$IMAGE" "$@" "$ID"
	[ -e "$IMAGE/manifest.json" ] || fail "no manifest"
	case " $* " in
	*" --leave-running "*) equal "$(container_status "$ID")" running ;;
	*) is_gone "$ID" || fail "still there after the checkpoint" ;;
	esac
}

# shellcheck disable=SC2120
ck_restore() {
	restore_detached "$ID" "$B" "$IMAGE" "$@" || fail "restore failed: $(cat "$T/$ID.log")"
	equal "$(container_status "$ID")" running
}

# ck_result: lets the payload go on and waits for what it says.
ck_result() {
	touch "$B/rootfs/tmp/go"
	wait_for 20 exists "$B/rootfs/tmp/result" || fail "log: $(cat "$T/$ID.log")"
	output=$(cat "$B/rootfs/tmp/result")
}

# ck_passes: the payload finds everything as it was.
ck_passes() {
	ck_result
	[ "$output" = ok ] || fail "the payload found differences"
}

# ck_once NAME [ARG...]: start, checkpoint, restore, verify.
# shellcheck disable=SC2119
ck_once() {
	ck_start "$@"
	ck_checkpoint
	ck_restore
	ck_passes
}

# stuck_tasks: for the log
stuck_tasks() {
	local pid
	cat "$FIRN_ROOT/$ID/state.json" "$(freezer_file "$ID")"
	for pid in $(pids_in "$ID"); do
		grep -H -E '^(State|SigBlk|SigPnd|ShdPnd|TracerPid)' "/proc/$pid"/task/*/status
		grep -H . "/proc/$pid"/task/*/{wchan,syscall}
	done
}

# works: all six workers of ck_worker get on, and none has seen anything.
works() {
	local i before=()
	equal "$(container_status "$ID")" running
	for i in 0 1 2 3 4 5; do
		before[i]=$(number_at "$B/rootfs/tmp/counts" "$i")
	done
	# shellcheck disable=SC2317 # by wait_for
	gets_on() {
		[ "$(number_at "$B/rootfs/tmp/counts" "$1")" -gt "$2" ]
	}
	for i in 0 1 2 3 4 5; do
		wait_for 20 gets_on "$i" "${before[i]}" || {
			stuck_tasks
			return 1
		}
	done
	equal "$(number_at "$B/rootfs/tmp/counts" 6)" 0 "number of wrong results"
}

# has_image: of $IMAGE
has_image() {
	firn image show "$IMAGE" >/dev/null 2>&1
}

# nothing_left: of a container that is gone. A cgroup with a process cannot go.
nothing_left() {
	[ ! -e "$FIRN_ROOT/$ID" ] || fail "a state directory is left: $(ls -A "$FIRN_ROOT/$ID")"
	[ -z "$(cgroups_of "$ID")" ] || fail "cgroups are left: $(cgroups_of "$ID")"
	! grep -q "$B" /proc/self/mountinfo || fail "mounts are left"
}
