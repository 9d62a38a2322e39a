# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# Containers around the payloads res_* of tests/payload, which say "ready", then PASS.

says() {
	grep -qx "$1" "$T/$ID.log"
}

ended() {
	says PASS || grep -q ^FAIL "$T/$ID.log" || [ "$(container_status "$ID")" = stopped ]
}

# start_payload NAME [ARG...]: runs it until it says that it is ready. RES_PLACE is "user" for
# a user namespace, "overlay" for a root file system on overlayfs; RES_CAPS has further capabilities
# of the program, an array of JSON; RES_EDIT is a jq filter for its config.json.
start_payload() {
	local name=$1
	shift
	make_bundle "$T/b" "$name" /tmp/go "$@"
	add_payload "$T/b" "$name"
	[ -z "${RES_CAPS:-}" ] ||
		edit_config "$T/b" ".process.capabilities[] += $RES_CAPS"
	[ -z "${RES_EDIT:-}" ] || edit_config "$T/b" "$RES_EDIT"
	case ${RES_PLACE:-} in
	user) enter_user_namespace ;;
	overlay) mount_overlay ;;
	esac
	new_id
	run_detached "$ID" "$T/b"
	wait_for 10 says ready || {
		cat "$T/$ID.log"
		return 1
	}
}

# let_it_flush: before res_prctl; a capability that the runtime itself may lack.
let_it_flush() {
	! capable 24 || RES_CAPS='["CAP_SYS_RESOURCE"]'
}

# capable NUMBER: whether this shell has it.
capable() {
	local effective
	effective=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	((0x$effective >> $1 & 1))
}

enter_user_namespace() {
	let_users_through
	edit_config "$T/b" '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	chown -R 100000:100000 "$T/b/rootfs"
}

mount_overlay() {
	local layers=$T/b/layers
	# the test VM's own files are on an overlay, which cannot be the upper layer of another
	mkdir "$layers"
	mount -t tmpfs layers "$layers"
	RES_MOUNTED=("$layers")
	mkdir "$layers/upper" "$layers/work"
	mount -t overlay -o "lowerdir=$T/b/rootfs,upperdir=$layers/upper,workdir=$layers/work" \
		overlay "$T/b/rootfs"
	RES_MOUNTED=("$T/b/rootfs" "$layers")
}

# res_unmount: for teardown, behind the containers' end.
res_unmount() {
	[ ${#RES_MOUNTED[@]} -eq 0 ] || umount -l "${RES_MOUNTED[@]}"
	RES_MOUNTED=()
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

# save [OPTION...]: a checkpoint. RES_SAVE are further options of it, RES_OPTIONS of a restore too.
save() {
	rm -rf "$T/image"
	ok firn checkpoint "${RES_OPTIONS[@]}" "${RES_SAVE[@]}" --image-path "$T/image" "$@" "$ID"
}

# around: a checkpoint and a restore.
around() {
	save
	restore_detached "$ID" "$T/b" "$T/image" "${RES_OPTIONS[@]}"
}

# again: removes what the last payload has left, for the next one.
again() {
	res_unmount
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
	save --leave-running
	passes
	again
}

# killed_with_helper POINT ARG...: firn is killed while a helper of it stands still at POINT, which
# then goes on to its end.
killed_with_helper() {
	local point=$1 runtime helper
	shift
	FIRN_FAULT=$point:stop "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >"$T/killed.log" 2>&1 3>&- &
	runtime=$!
	# shellcheck disable=SC2317 # by wait_for
	helper_stopped() {
		helper=$(pgrep -P "$runtime" | head -n 1) && grep -q '^State:.T' "/proc/$helper/status"
	}
	wait_for 10 helper_stopped
	kill -KILL "$runtime"
	wait "$runtime" || :
	kill -CONT "$helper"
	# shellcheck disable=SC2317
	helper_ended() { [ ! -e "/proc/$helper" ]; }
	wait_for 10 helper_ended
}
