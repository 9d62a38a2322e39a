# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2016,SC2119,SC2120,SC2154 # arguments may be left out; bats sets status and lines; jq has its own $
# What every bats file needs: `load helpers`. A file that needs more before each test than
# setup() below has one of its own, which calls setup_firn; teardown() likewise. Works
# alike on the host and in the test VM.
#
#	T		this test's own directory (0755: container users must get through)
#	FIRN		the binary under test
#	FIRN_ROOT	its state directory, below T
#	FIRN_ROUNDS	rounds of tests that repeat: 3, or many under check-full
#	FIRN_TRACE	1: a failure says where in these files, and not only where in the test
#
# Emulation makes each program that is started cost 10 ms and more, and jq 200: what all tests
# do is done in the shell.

HELPERS_DIR=$(cd "${BASH_SOURCE[0]%/*}" && pwd)
REPO=$(cd "$HELPERS_DIR/../.." && pwd)
: "${FIRN:=$REPO/build/firn}"
: "${FIRN_FULL:=}"
: "${FIRN_ROUNDS:=$([ -n "$FIRN_FULL" ] && echo 20 || echo 3)}"

# Emulation is 10 to 30 times slower: deadlines stretch with it.
FIRN_SLOW=1
[ -z "${FIRN_VM:-}" ] || FIRN_SLOW=10

# --- per test -------------------------------------------------------------------------

setup_firn() {
	# bats notes the stack before each command, which takes hundreds of times as long as a
	# builtin: from here on only in the test itself, and in no function that it calls
	[ -n "${FIRN_TRACE:-}" ] || set +T
	T=$(mktemp -d "${BATS_TEST_TMPDIR:-/tmp}/t.XXXXXX")
	chmod 755 "$T" "${T%/*}"
	FIRN_ROOT=$T/state
	CONTAINERS=$T/.containers
	: >"$CONTAINERS"
	mkdir -m 711 "$FIRN_ROOT"
}

# Deletes the containers whatever state the test left them in, then kills what may be
# left of them, so that one failed test does not fail the next.
teardown_firn() {
	[ -n "${T:-}" ] || return 0
	local id pid
	while read -r id; do
		pid=$(container_pid "$id" 2>/dev/null) || pid=
		firn delete --force "$id" >>"$T/teardown.log" 2>&1 || :
		if [ -n "$pid" ] && [ -d "/proc/$pid" ]; then
			kill -9 "$pid" 2>/dev/null || :
		fi
	done <"$CONTAINERS"
	rm -rf --one-file-system "$T"
}

setup() {
	need_root
	setup_firn
}

teardown() {
	teardown_firn
}

# setup_bundle CMD [ARG...]: for a setup(): bundle B, and ID of a container that is not made yet.
setup_bundle() {
	need_root
	setup_firn
	new_id
	B=$T/bundle
	make_bundle "$B" "$@"
}

# let_users_through: root of a user namespace is nobody special outside.
let_users_through() {
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR" 2>/dev/null || :
}

# firn ARG...: the command under test with this test's state directory.
firn() {
	"$FIRN" --root "$FIRN_ROOT" "$@"
}

# new_id [WORD]: sets ID to a name that no other test uses and remembers it for teardown.
new_id() {
	local n
	n=$(wc -l <"$CONTAINERS")
	ID=${1:-c}-$$-$n-$RANDOM
	echo "$ID" >>"$CONTAINERS"
}

# --- running and asserting -------------------------------------------------------------

# ok CMD...: runs CMD with bats' run and fails the test, showing the output, unless it exits 0.
ok() {
	run "$@"
	[ "$status" -eq 0 ] || fail "exit status $status of: $*"
}

# fails CMD...: the same for commands that must fail.
fails() {
	run "$@"
	[ "$status" -ne 0 ] || fail "succeeded, but must fail: $*"
}

# has TEXT: $output holds TEXT.
has() {
	[[ $output == *"$1"* ]] || fail "output lacks: $1"
}

# lacks TEXT: $output does not hold TEXT.
lacks() {
	[[ $output != *"$1"* ]] || fail "output has: $1"
}

# equal GOT WANTED [WHAT]
equal() {
	[ "$1" = "$2" ] || fail "${3:-value} is \"$1\", wanted \"$2\""
}

# one_line: $output is one line that begins as all of firn's errors do.
one_line() {
	[ "${#lines[@]}" -eq 1 ] || fail "not one line"
	[[ $output == firn:* ]] || fail "does not begin with firn:"
}

fail() {
	echo "# $1"
	[ -z "${output:-}" ] || echo "# output: $output"
	return 1
}

# wait_for SECONDS CMD...: polls CMD until it succeeds; fails the test after SECONDS (ten
# times as many in the VM). A condition, never a sleep, is what a test waits for.
wait_for() {
	local tries=$(($1 * FIRN_SLOW * 20))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $((tries--)) -gt 0 ] || {
			fail "waited in vain for: $*"
			return 1
		}
		nap
	done
}

# nap: sleep 0.05 without a program, as long as there is $T. Nobody writes into that FIFO.
nap() {
	[ -d "$T" ] || {
		sleep 0.05
		return
	}
	[ -p "$T/.nap" ] || mkfifo "$T/.nap"
	read -rt 0.05 <>"$T/.nap" || :
}

# --- what this machine has -------------------------------------------------------------

# cgroup_layout: v1, v2 or hybrid.
cgroup_layout() {
	local type
	type=$(stat -f -c %T /sys/fs/cgroup)
	if [ "$type" = cgroup2fs ]; then
		echo v2
	elif [ -d /sys/fs/cgroup/unified ]; then
		echo hybrid
	else
		echo v1
	fi
}

need_root() {
	[ "$EUID" -eq 0 ] || skip "wants root"
}

# need_command CMD...
need_command() {
	local c
	for c; do
		command -v "$c" >/dev/null || skip "wants the program $c"
	done
}

# need_cgroup LAYOUT: see cgroup_layout.
need_cgroup() {
	[ "$(cgroup_layout)" = "$1" ] || skip "wants cgroup $1"
}

need_systemd() {
	[ "$(cat /proc/1/comm)" = systemd ] || skip "wants systemd as PID 1"
}

need_vm() {
	[ -n "${FIRN_VM:-}" ] || skip "wants the test VM"
}

# need_native: for tests that trace firn, or look into its process. Under `make valgrind` that is
# Valgrind's.
need_native() {
	[ -z "${FIRN_MEMCHECK:-}" ] || skip "wants firn without Valgrind"
}

need_full() {
	[ -n "$FIRN_FULL" ] || skip "wants make check-full"
}

# need_cap NAME (without CAP_): an effective capability by its number in capability.h.
need_cap() {
	local -A bits=([SYS_ADMIN]=21 [SYS_RESOURCE]=24 [NET_ADMIN]=12 [SYS_PTRACE]=19 [CHECKPOINT_RESTORE]=40)
	local eff
	eff=$(sed -n 's/^CapEff:\t//p' /proc/self/status)
	[ $((0x$eff >> ${bits[$1]} & 1)) -eq 1 ] || skip "wants CAP_$1"
}

# --- bundles ---------------------------------------------------------------------------

# make_rootfs DIR: a root file system out of busybox alone.
make_rootfs() {
	mkdir -p "$1"/{bin,dev,etc,proc,sys,tmp,run,root,var,usr/bin}
	chmod 1777 "$1/tmp"
	cp /bin/busybox "$1/bin/busybox"
	chroot "$1" /bin/busybox --install -s /bin
	printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\nuser:x:1000:\nextra:x:2000:user\n' >"$1/etc/group"
}

# make_bundle DIR [CMD ARG...]: busybox root and default config.json, no terminal, writable.
make_bundle() {
	local dir=$1
	shift
	make_rootfs "$dir/rootfs"
	make_config "$dir" "$@"
}

# make_config DIR [CMD ARG...]: only the config.json of a bundle.
make_config() {
	local dir=$1 json
	shift
	"$FIRN" spec --bundle "$dir"
	json=$(<"$dir/config.json")
	json=${json/'"terminal": true'/'"terminal": false'}
	json=${json/'"readonly": true'/'"readonly": false'}
	printf '%s\n' "$json" >"$dir/config.json"
	[ $# -eq 0 ] || set_args "$dir" "$@"
}

# edit_config DIR [JQ-OPTION...] FILTER [--args -- ARG...]
edit_config() {
	local dir=$1
	shift
	jq "$@" <"$dir/config.json" >"$dir/config.json.new"
	mv "$dir/config.json.new" "$dir/config.json"
}

# set_args DIR CMD ARG...: what the container runs. As firn and jq write it, an array in
# "process" begins and ends in lines of its own; what is written otherwise is left to jq.
set_args() {
	local dir=$1 begin=$'\n    "args": [\n' end=$'\n    ]' json head rest
	shift
	json=$(<"$dir/config.json")
	head=${json%%"$begin"*}
	rest=${json:${#head}}
	if [[ $rest == *"$end"* && ${*//[$'\n\t']/} != *[[:cntrl:]]* ]]; then
		printf '%s\n    "args": [%s%s%s\n' "$head" "$(json_strings "$@")" "$end" "${rest#*"$end"}" \
			>"$dir/config.json"
	else
		edit_config "$dir" '.process.args = $ARGS.positional' --args -- "$@"
	fi
}

# json_strings STRING...: elements of an array, a line each.
json_strings() {
	local s comma=
	for s; do
		s=${s//\\/\\\\} s=${s//\"/\\\"} s=${s//$'\n'/\\n} s=${s//$'\t'/\\t}
		printf '%s\n      "%s"' "$comma" "$s"
		comma=,
	done
}

# add_mount DIR SOURCE DESTINATION [OPTION...]: a bind mount.
add_mount() {
	local dir=$1 source=$2 destination=$3
	shift 3
	edit_config "$dir" --arg s "$source" --arg d "$destination" \
		'.mounts += [{destination: $d, type: "bind", source: $s, options: $ARGS.positional}]' \
		--args -- rbind "$@"
}

# --- containers ------------------------------------------------------------------------

# run_detached ID BUNDLE [OPTION...]: `firn run -d`; the container's output goes to
# $T/ID.log. Under bats' own `run` it would hold the pipe open and hang the test.
run_detached() {
	local id=$1 bundle=$2
	shift 2
	"$FIRN" --root "$FIRN_ROOT" run -d --bundle "$bundle" "$@" "$id" \
		</dev/null >>"$T/$id.log" 2>&1 3>&- || {
		cat "$T/$id.log"
		return 1
	}
}

# in_container CMD [ARG...]: bundle B runs it as container ID; what it prints is in $output.
in_container() {
	set_args "$B" "$@"
	ok firn run --bundle "$B" "$ID"
}

# restore_detached ID BUNDLE IMAGE [OPTION...]: the same for `firn restore`.
restore_detached() {
	local id=$1 bundle=$2 image=$3
	shift 3
	"$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$image" --bundle "$bundle" \
		"$@" "$id" </dev/null >>"$T/$id.log" 2>&1 3>&- || {
		cat "$T/$id.log"
		return 1
	}
}

# state_field ID JQ-PATH
state_field() {
	local json name=${2#.}
	json=$(firn state "$1") || return
	if [[ $2 =~ ^\.[a-z]+$ && $json =~ $'\n  '\"$name\":\ \"?([^\",]*) ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		jq -r "$2" <<<"$json"
	fi
}

container_status() {
	local json
	json=$(firn state "$1") && [[ $json =~ \"status\":\ *\"([a-z]+)\" ]] && echo "${BASH_REMATCH[1]}"
}

container_pid() {
	local json
	json=$(firn state "$1") && [[ $json =~ \"pid\":\ *([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# has_status ID STATUS, for wait_for.
has_status() {
	[ "$(container_status "$1")" = "$2" ]
}

# is_gone ID: no state, no directory of it.
is_gone() {
	! firn state "$1" >/dev/null 2>&1 && [ ! -e "$FIRN_ROOT/$1" ]
}

# tasks_of PID: the process and all its descendants, one a line.
tasks_of() {
	local child
	echo "$1"
	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null || :); do
		tasks_of "$child"
	done
}

# cpu_ticks PID: user and system time of the process so far, in ticks of 10 ms.
cpu_ticks() {
	local rest
	rest=$(<"/proc/$1/stat")
	rest=${rest##*) }
	# shellcheck disable=SC2086
	set -- $rest
	echo $((${12} + ${13}))
}

# cgroups_of ID: directories of any hierarchy that are named after the container.
cgroups_of() {
	find /sys/fs/cgroup -maxdepth 4 -type d -name "*$1*" 2>/dev/null
}

# runs_sealed PID: whether the runtime's process is a copy in memory, and not its file.
runs_sealed() {
	[[ $(readlink "/proc/$1/exe") == /memfd:firn* ]]
}

# open_fds PID: number of open descriptors.
open_fds() {
	find "/proc/$1/fd" -mindepth 1 -maxdepth 1 | wc -l
}

# flip_byte FILE OFFSET: turns one byte of a file into its complement.
flip_byte() {
	local old
	old=$(od -An -tu1 -j"$2" -N1 "$1")
	# shellcheck disable=SC2059
	printf "\\x$(printf %02x $((old ^ 255)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# --- roots made from this host's programs ---------------------------------------------------

# add_program ROOTFS PROGRAM...: a host program and the libraries it loads, at the same paths.
add_program() {
	local root=$1 program file
	shift
	for program; do
		program=$(realpath "$(command -v "$program")")
		for file in "$program" $(ldd "$program" 2>/dev/null | grep -o '/[^ )]*'); do
			[ -e "$root$file" ] || install -D -m 755 "$(realpath "$file")" "$root$file"
		done
	done
}

# make_redis_rootfs DIR: busybox, redis-server and redis-cli with their libraries. Both
# programs also under /usr/bin, where Debian has redis-server as a link.
make_redis_rootfs() {
	local program
	make_rootfs "$1"
	add_program "$1" redis-server redis-cli
	for program in redis-server redis-cli; do
		[ -e "$1/usr/bin/$program" ] ||
			ln -s "$(realpath "$(command -v "$program")")" "$1/usr/bin/$program"
	done
	mkdir -p "$1/data"
}

# make_redis_bundle DIR [REDIS-OPTION...]: Redis without persistence, on the unix socket
# /data/redis.sock and on TCP port 6379 of the container's own network.
make_redis_bundle() {
	local dir=$1
	shift
	make_redis_rootfs "$dir/rootfs"
	make_config "$dir" /usr/bin/redis-server --save '' --appendonly no --dir /data \
		--unixsocket /data/redis.sock --enable-debug-command yes "$@"
}

# redis BUNDLE ARG...: redis-cli on the socket of a bundle's Redis. From within the
# directory, because a socket's path may have 107 characters at most.
redis() {
	local dir=$1
	shift
	(cd "$dir/rootfs/data" && redis-cli -s redis.sock "$@")
}

# wait_for_redis BUNDLE
wait_for_redis() {
	wait_for 10 redis_answers "$1"
}

redis_answers() {
	[ "$(redis "$1" ping)" = PONG ]
}
