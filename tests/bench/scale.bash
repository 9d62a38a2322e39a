# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of bench
# For tests/bench/bench: how a checkpoint and a restore grow with what a container holds. Of two
# containers one has ten times as much as the other; they take turns.

# shellcheck source=tests/bats/payloads.bash
. "$REPO/tests/bats/payloads.bash"

fds=${FIRN_BENCH_FDS:-10000}

# stretch NAME FACTOR: of each sample the time.
stretch() {
	awk -v f="$2" '{ print $1 * f, $2 }' "$T/$1" >"$T/$1.new"
	mv "$T/$1.new" "$T/$1"
}

# start_part PART COMMAND...: a container with res_many or the payload of all others; its bundle is
# $T/PART, and its id in ids[PART].
declare -A ids
start_part() {
	local part=$1 b=$T/$1
	shift
	bundle "$b" "$@"
	add_payload "$b" res_many
	# shellcheck disable=SC2016 # jq has its own $
	edit_config "$b" --argjson n $((fds + 100)) \
		'.process.rlimits = [{type: "RLIMIT_NOFILE", soft: $n, hard: $n}]'
	new_id
	ids[$part]=$ID
	run_detached "$ID" "$b"
	wait_for 120 part_ready "$part"
}

part_ready() {
	[ -e "$T/$1/rootfs/ready" ] || grep -qx ready "$T/${ids[$1]}.log"
}

# end_part PART: res_many finds all it had. Since it was restored it has timed's standard streams.
end_part() {
	if grep -qx ready "$T/${ids[$1]}.log"; then
		: >"$T/err"
		touch "$T/$1/rootfs/tmp/go"
		wait_for 120 grep -qx PASS "$T/err"
	fi
	firn delete --force "${ids[$1]}"
	rm -rf "${T:?}/$1"
}

# part_round NAME PART
part_round() {
	timed "$1.$2.checkpoint" "$FIRN" --root "$FIRN_ROOT" checkpoint --image-path "$T/disk/image" "${ids[$2]}"
	timed "$1.$2.restore" "$FIRN" --root "$FIRN_ROOT" restore --detach \
		--image-path "$T/disk/image" --bundle "$T/$2" "${ids[$2]}"
	rm -rf "$T/disk/image"
}

# against_part NAME TEXT WHOLE PART-TEXT PART FACTOR WANTED: WHOLE and PART are words of a command line;
# the time of the latter counts FACTOR times.
against_part() {
	local name=$1 text=$2 part_text=$4 factor=$6 wanted=$7 i verb
	say "$text"
	# shellcheck disable=SC2086
	start_part whole $3
	# shellcheck disable=SC2086
	start_part part $5
	for ((i = 0; i <= rounds; i++)); do
		part_round "$name" whole
		part_round "$name" part
		[ "$i" -gt 0 ] || forget_samples "$name".{whole,part}.{checkpoint,restore}
	done
	end_part whole
	end_part part
	for verb in checkpoint restore; do
		stretch "$name.part.$verb" "$factor"
		row "$verb, $text" "$name.whole.$verb" "$part_text" "$name.part.$verb" "$wanted"
	done
}

bench_scale() {
	local many="/bin/res_many /tmp/go"
	against_part mappings "50,000 mappings" "$many mappings 50000" \
		"ten times 5,000" "$many mappings 5000" 10 1.5
	against_part descriptors "$fds descriptors" "$many descriptors $fds" \
		"ten times $((fds / 10))" "$many descriptors $((fds / 10))" 10 1.5
	against_part tasks "1,000 tasks of 1 MiB" "/bin/payload 1 1000" \
		"200 tasks" "/bin/payload 1 200" 1 6
}

bench_sparse() {
	local many="/bin/res_many /tmp/go"
	against_part strewn "1 TiB reserved, $mib MiB touched in single pages strewn over it" \
		"$many sparse $mib" "as much in one piece" "$many dense $mib" 1 1.2
}
