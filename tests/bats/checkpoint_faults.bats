#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Whatever ends a checkpoint or a restore in the middle: afterwards there is a container that
# works or a complete image, and nothing else is left behind.

load helpers
load payloads
load ck
load fdwatch

# windows: when all tasks are on their way to one, and when they have it
CHECKPOINT_PHASES="begin freeze survey admit image kernel seize capture windows pages release cores review commit finish"
RESTORE_PHASES="load stub contents objects tree layout pages tasks cross arm release"

# with_fault FAULT ARG...: status and output as with run
with_fault() {
	local fault=$1
	shift
	# not by run: a restored container would hold its pipe
	status=0
	timeout -k 5 60 env FIRN_FAULT="$fault" "$FIRN" --root "$FIRN_ROOT" "$@" \
		</dev/null >"$T/out" 2>&1 3>&- || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
}

# container_or_image: after the next verb, with the restore that the image then needs.
container_or_image() {
	firn state "$ID" >/dev/null 2>&1 || :
	if [ "$(container_status "$ID" 2>/dev/null)" = running ]; then
		works
	elif has_image; then
		firn delete --force "$ID" >/dev/null 2>&1 || :
		ck_restore
		works
	else
		fail "$1: neither container ($(firn state "$ID" 2>&1)) nor image"
	fi
}

@test "checkpoint: killed at the start and the end of every phase" {
	ck_start ck_worker
	for phase in $CHECKPOINT_PHASES; do
		for end in "" -end; do
			echo "# $phase$end"
			IMAGE=$T/image-$phase$end
			with_fault "checkpoint-$phase$end:kill" checkpoint --image-path "$IMAGE" "$ID"
			equal "$status" 137 "status of $phase$end"
			container_or_image "$phase$end"
		done
	done
}

@test "checkpoint: failing at the start and the end of every phase" {
	ck_start ck_worker
	watch_fds || :
	for phase in ${CHECKPOINT_PHASES% finish}; do
		for end in "" -end; do
			[ "$phase$end" != commit-end ] || continue # the image is there
			echo "# $phase$end"
			IMAGE=$T/image-$phase$end
			with_fault "checkpoint-$phase$end:EIO" checkpoint --image-path "$IMAGE" "$ID"
			equal "$status" 1 "status of $phase$end"
			one_line
			has "fault injected"
			[ ! -e "$IMAGE" ] || fail "$phase$end: an image is left: $(ls -A "$IMAGE")"
			works
		done
	done
	fds_clean
}

@test "checkpoint: what every restore would refuse is not saved, and replaces no image" {
	local options before
	ck_start ck_worker
	ck_checkpoint --leave-running
	before=$(sha256sum "$IMAGE"/*)
	for options in "" --leave-running; do
		# shellcheck disable=SC2086
		with_fault load-core:EBADMSG checkpoint $options --image-path "$IMAGE" "$ID"
		equal "$status" 1
		one_line
		has "what was saved could not be restored: task-"
		equal "$(sha256sum "$IMAGE"/*)" "$before" "the older image"
		works
	done
	ck_checkpoint
	ck_restore
	works
}

@test "restore: killed at the start and the end of every phase" {
	ck_start ck_worker
	ck_checkpoint
	for phase in $RESTORE_PHASES; do
		for end in "" -end; do
			echo "# $phase$end"
			with_fault "restore-$phase$end:kill" restore --detach --image-path "$IMAGE" \
				--bundle "$B" "$ID"
			equal "$status" 137 "status of $phase$end"
			has_image || fail "the image is damaged"
			firn delete --force "$ID" >/dev/null 2>&1 || :
			nothing_left
		done
	done
	ck_restore
	works
}

@test "restore: failing at the start and the end of every phase" {
	ck_start ck_worker
	ck_checkpoint
	watch_fds || :
	for phase in $RESTORE_PHASES; do
		for end in "" -end; do
			echo "# $phase$end"
			with_fault "restore-$phase$end:EIO" restore --detach --image-path "$IMAGE" \
				--bundle "$B" "$ID"
			equal "$status" 1 "status of $phase$end"
			one_line
			has "fault injected"
			nothing_left
		done
	done
	ck_restore
	works
	fds_clean
}

# stopped PID, for wait_for
stopped() {
	grep -q '^State:.T' "/proc/$1/status"
}

# interrupted POINT SIGNAL ARG...: firn stops at POINT, gets SIGNAL, and goes on.
interrupted() {
	local point=$1 signal=$2 pid
	shift 2
	env FIRN_FAULT="$point:stop" "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >"$T/out" 2>&1 3>&- &
	pid=$!
	wait_for 10 stopped "$pid"
	kill "-$signal" "$pid"
	kill -CONT "$pid"
	status=0
	wait "$pid" || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
}

@test "checkpoint: SIGTERM and SIGINT in the middle" {
	ck_start ck_worker
	for point in begin seize capture pages release; do
		for signal in TERM INT; do
			echo "# $point"
			IMAGE=$T/image-$point
			interrupted "checkpoint-$point" "$signal" checkpoint --image-path "$IMAGE" "$ID"
			equal "$status" 1
			one_line
			has cancelled
			[ ! -e "$IMAGE" ] || fail "an image is left"
			works
		done
	done
}

# Its end shows in many ways, of which none says what it is.
@test "checkpoint: the container ends meanwhile" {
	for point in begin survey; do
		echo "# $point"
		ck_start ck_worker
		env FIRN_FAULT="checkpoint-$point:stop" "$FIRN" --root "$FIRN_ROOT" checkpoint \
			--image-path "$T/none" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
		saver=$!
		wait_for 10 stopped "$saver"
		"$FIRN" --root "$FIRN_ROOT" events --states "$ID" >"$T/events" 2>&1 3>&- &
		events=$!
		wait_for 10 non_empty "$T/events"
		kill -KILL "$(container_pid "$ID")"
		# which cgroup v1 keeps it from as long as it is frozen
		case $point-$(freezer_file "$ID") in
		survey-*/freezer.state) echo THAWED >"$(freezer_file "$ID")" ;;
		esac
		ended() { [ "$(container_status "$ID")" = stopped ]; }
		wait_for 10 ended
		kill -CONT "$saver"
		status=0
		wait "$saver" || status=$?
		output=$(cat "$T/out")
		mapfile -t lines <"$T/out"
		equal "$status" 1
		one_line
		has "container not running"
		[ ! -e "$T/none" ] || fail "an image is left"
		equal "$(container_status "$ID")" stopped
		ok firn delete "$ID"
		wait "$events" || fail "events: $(cat "$T/events")"
		# it is not said to run again
		[ "$(jq -r .data.firn "$T/events" | sed -n '/CKPTING/,$p' | tr '\n' ' ')" = "CKPTING DEAD " ] ||
			fail "states: $(cat "$T/events")"
	done
}

@test "restore: SIGTERM and SIGINT in the middle" {
	ck_start ck_worker
	ck_checkpoint
	for point in stub tree pages arm; do
		for signal in TERM INT; do
			echo "# $point"
			interrupted "restore-$point" "$signal" restore --detach --image-path "$IMAGE" \
				--bundle "$B" "$ID"
			equal "$status" 1
			one_line
			has cancelled
			nothing_left
		done
	done
	ck_restore
	works
}

@test "checkpoint: a second one at the same time" {
	ck_start ck_worker
	IMAGE=$T/image
	env FIRN_FAULT=checkpoint-capture:stop "$FIRN" --root "$FIRN_ROOT" checkpoint \
		--leave-running --image-path "$IMAGE" "$ID" </dev/null >"$T/out" 2>&1 3>&- &
	first=$!
	wait_for 10 stopped "$first"
	fails firn checkpoint --image-path "$T/second" "$ID"
	one_line
	[ ! -e "$T/second" ] || fail "an image of the second"
	kill -CONT "$first"
	wait "$first" || fail "the first: $(cat "$T/out")"
	has_image || fail "no image of the first"
	works
}

# trace_calls ARG...: the system calls of firn's first thread, each with which one of its name
# it is, a line each in $T/calls. That is how strace counts when it injects.
trace_calls() {
	strace -o "$T/trace" "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >"$T/out" 2>&1 3>&- ||
		fail "under strace: $(cat "$T/out")"
	sed -n 's/^\([a-z_0-9]*\)(.*/\1/p' "$T/trace" | awk '{ print $1, ++n[$1] }' >"$T/calls"
}

rounds_of_kills() {
	if [ -n "${FIRN_ROUNDS_CALLS:-}" ]; then
		echo "$FIRN_ROUNDS_CALLS"
	elif [ -n "$FIRN_FULL" ]; then
		[ -n "${FIRN_VM:-}" ] && echo 20 || echo 200
	else
		echo 6
	fi
}

# random_call: one of them. strace cannot inject into the execve() that it starts firn with.
random_call() {
	sed 1d "$T/calls" | shuf -n 1
}

# killed_at NAME N ARG...: the Nth system call of that name is firn's last. Its children are
# not followed: those it wants to trace itself. strace ends as firn does.
killed_at() {
	local name=$1 n=$2
	shift 2
	status=0
	strace -o /dev/null -e "inject=$name:signal=SIGKILL:when=$n" "$FIRN" \
		--root "$FIRN_ROOT" "$@" </dev/null >"$T/out" 2>&1 3>&- || status=$?
	case $status in
	0) ;;
	137) killed=$((killed + 1)) ;;
	*) fail "$name, call $n: status $status: $(cat "$T/out")" ;;
	esac
}

# no_tasks: of this container, whatever they have become: ck_worker, or still firn.
no_tasks() {
	[ -z "$(find -L /proc/[0-9]*/exe -maxdepth 0 -samefile "$B/rootfs/bin/ck_worker" \
		2>/dev/null)" ] && ! pgrep -f -- "$ID" >/dev/null
}

# after_killed_restore: a container that works, or nothing; either goes away, and the image is good.
after_killed_restore() {
	has_image || fail "$1: the image is damaged"
	firn state "$ID" >/dev/null 2>&1 || :
	if [ "$(container_status "$ID" 2>/dev/null)" = running ]; then
		works
	else
		wait_for 10 no_tasks
	fi
	firn delete --force "$ID"
	wait_for 10 no_tasks
	nothing_left
}

# The image is durable then, but the container is not to be killed before it is known that it ends.
@test "checkpoint: failing between the image and the kill" {
	local n
	ck_start ck_worker
	for point in seal kill; do
		echo "# $point"
		IMAGE=$T/image-$point
		with_fault "checkpoint-$point:EIO" checkpoint --image-path "$IMAGE" "$ID"
		equal "$status" 1
		one_line
		has "fault injected"
		[ ! -e "$IMAGE" ] || fail "an image is left: $(ls -A "$IMAGE")"
		works
	done
	# an image that it has replaced is gone: the new one is whole, and better than none
	ck_checkpoint --leave-running
	with_fault checkpoint-kill:EIO checkpoint --image-path "$IMAGE" "$ID"
	equal "$status" 1
	has_image || fail "the image is lost"
	works
	IMAGE=$T/image-killed
	with_fault checkpoint-kill:kill checkpoint --image-path "$IMAGE" "$ID"
	equal "$status" 137
	has_image || fail "no image"
	works
	need_command strace
	need_native
	IMAGE=$T/probe
	trace_calls checkpoint --image-path "$IMAGE" "$ID"
	n=$(grep '^renameat(' "$T/trace" | grep -n state.json.FROZEN | sed -n '2s/:.*//p')
	ck_restore
	IMAGE=$T/image
	status=0
	strace -o /dev/null -e "inject=renameat:error=ENOSPC:when=$n" "$FIRN" --root "$FIRN_ROOT" \
		checkpoint --image-path "$IMAGE" "$ID" </dev/null >"$T/out" 2>&1 3>&- || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
	equal "$status" 1
	one_line
	has "No space left"
	[ ! -e "$IMAGE" ] || fail "an image is left: $(ls -A "$IMAGE")"
	works
}

# verb VERB [ARG...]: with what each needs. Not by run: what it starts would hold its pipe.
verb() {
	local -a args=()
	case $1 in
	create | run) args=(--bundle "$B") ;;
	restore) args=(--detach --bundle "$B" --image-path "$IMAGE") ;;
	checkpoint) args=(--image-path "$T/other") ;;
	esac
	echo "# $*"
	status=0
	if [ "$1" = list ]; then
		set -- list
	else
		set -- "$1" "${args[@]}" "$ID" "${@:2}"
	fi
	timeout -k 5 60 "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >"$T/out" 2>&1 3>&- || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
}

# verbs WANTED VERB...: each comes first behind what before() leaves, after() looks at the rest.
verbs() {
	local wanted=$1 v
	shift
	for v; do
		before
		# shellcheck disable=SC2086 # with its arguments
		verb $v
		if [ "$wanted" = works ]; then
			equal "$status" 0 "status of $v ($output)"
		else
			[ "$status" -ne 0 ] || fail "$v succeeded"
			one_line
		fi
		after "${v%% *}"
	done
}

@test "every verb works after a checkpoint that was killed in CKPTING" {
	ck_start ck_worker
	before() {
		with_fault checkpoint-capture:kill checkpoint --image-path "$T/none" "$ID"
		equal "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" CKPTING
	}
	after() {
		[ "$1" != pause ] || ok firn resume "$ID"
		if [ "$1" != checkpoint ]; then
			works
			return
		fi
		IMAGE=$T/other
		ck_restore
		works
	}
	verbs works state list ps pause "kill 0" "exec true" "update --pids-limit 1000" checkpoint
	verbs fails resume start create run restore delete
	before
	ok firn delete --force "$ID"
	nothing_left
}

# Of a restore nothing can be used: it is stopped, and can be deleted.
@test "every verb works after a restore that was killed in RSTRTING or ABORTING" {
	ck_start ck_worker
	ck_checkpoint
	before() {
		with_fault "$fault" restore --detach --image-path "$IMAGE" --bundle "$B" "$ID"
		equal "$status" 137
		equal "$(jq -r .state "$FIRN_ROOT/$ID/state.json")" "$left"
	}
	after() {
		if [ "$1" != delete ]; then
			equal "$(container_status "$ID")" stopped
			ok firn delete "$ID"
		fi
		wait_for 10 no_tasks
		nothing_left
	}
	for left in RSTRTING ABORTING; do
		fault="restore-tree-end:kill"
		[ $left = RSTRTING ] || fault="restore-tree-end:EIO,aborting:kill"
		echo "# $left"
		verbs works state list ps delete
		verbs fails pause "kill 0" "exec true" "update --pids-limit 1000" checkpoint resume \
			start create run restore
	done
	has_image || fail "the image is damaged"
	ck_restore
	works
}

# Each state of the container is a file renamed into place.
@test "checkpoint and restore: killed before every change of the container's state" {
	need_command strace
	need_native
	ck_start ck_worker
	for option in --leave-running ''; do
		IMAGE=$T/probe$option
		# shellcheck disable=SC2086
		trace_calls checkpoint $option --image-path "$IMAGE" "$ID"
		[ -n "$option" ] || ck_restore
		for ((n = 1; n <= $(grep -c '^renameat ' "$T/calls"); n++)); do
			echo "# checkpoint $option, state $n"
			IMAGE=$T/image$option$n
			# shellcheck disable=SC2086
			killed_at renameat $n checkpoint $option --image-path "$IMAGE" "$ID"
			container_or_image "checkpoint $option, state $n"
		done
	done
	ck_checkpoint
	restore=(restore --detach --image-path "$IMAGE" --bundle "$B" "$ID")
	trace_calls "${restore[@]}"
	firn delete --force "$ID"
	for ((n = 1; n <= $(grep -c '^renameat ' "$T/calls"); n++)); do
		echo "# restore, state $n"
		killed_at renameat $n "${restore[@]}"
		after_killed_restore "state $n"
	done
	ck_restore
	works
}

@test "checkpoint: killed at random system calls" {
	need_command strace
	need_native
	ck_start ck_worker
	IMAGE=$T/probe
	trace_calls checkpoint --leave-running --image-path "$IMAGE" "$ID"
	rounds=$(rounds_of_kills)
	killed=0
	for ((i = 0; i < rounds; i++)); do
		read -r name n < <(random_call)
		echo "# $name, call $n"
		IMAGE=$T/random-$i
		killed_at "$name" "$n" checkpoint --image-path "$IMAGE" "$ID"
		container_or_image "$name, call $n"
		rm -rf "$IMAGE"
	done
	# chance may choose calls that another run makes fewer of
	[ "$killed" -gt 0 ] || fail "none of $rounds were killed"
}

@test "restore: killed at random system calls" {
	need_command strace
	need_native
	ck_start ck_worker
	ck_checkpoint
	restore=(restore --detach --image-path "$IMAGE" --bundle "$B" "$ID")
	trace_calls "${restore[@]}"
	works
	firn delete --force "$ID"
	rounds=$(rounds_of_kills)
	killed=0
	for ((i = 0; i < rounds; i++)); do
		read -r name n < <(random_call)
		echo "# $name, call $n"
		killed_at "$name" "$n" "${restore[@]}"
		after_killed_restore "$name, call $n"
	done
	# chance may choose calls that another run makes fewer of
	[ "$killed" -gt 0 ] || fail "none of $rounds were killed"
	ck_restore
	works
}

# A task that we were running a call in goes on with its own registers, FPU and signal mask.
@test "checkpoint: killed while it traces" {
	need_command strace
	need_native
	ck_start ck_worker
	IMAGE=$T/probe
	trace_calls checkpoint --leave-running --image-path "$IMAGE" "$ID"
	calls=$(grep -c '^ptrace ' "$T/calls")
	# all of them under check-full, but under emulation
	step=$((calls / 8))
	[ -z "$FIRN_FULL" ] || step=$([ -n "${FIRN_VM:-}" ] && echo $((calls / 20)) || echo 1)
	killed=0
	for ((n = RANDOM % step + 1; n <= calls; n += step)); do
		echo "# ptrace call $n of $calls"
		killed_at ptrace $n checkpoint --leave-running --image-path "$T/image" "$ID"
		firn state "$ID" >/dev/null || :
		works
		for task in $(pids_in "$ID"); do
			equal "$(grep -h SigBlk /proc/"$task"/task/*/status | sort -u)" \
				$'SigBlk:\t0000000000000000'
		done
	done
	[ "$killed" -gt 0 ] || fail "none was killed"
}
