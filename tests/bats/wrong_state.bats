#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Every verb in every state in which it makes no sense: one line that says why, status 1, and
# nothing has changed. Which verb may follow which is in the table at the end of each test.

load helpers
load payloads

setup() {
	need_root
	setup_firn
	make_bundle "$T/b" sleep 1000
	new_id
}

teardown() {
	[ -z "${WORKER:-}" ] || kill -9 "$WORKER" 2>/dev/null || :
	teardown_firn
}

# whole_state: what a verb that is refused must not change.
whole_state() {
	ls -A "$FIRN_ROOT"
	[ ! -e "$FIRN_ROOT/$ID" ] || (cd "$FIRN_ROOT/$ID" && ls -A && cat state.json)
	cgroups_of "$ID"
	[ ! -e "$T/image" ] || ls -A "$T/image"
}

# refused VERB TEXT: with status 1, or exec's own, which is not its command's.
refused() {
	local before failure=1
	local -a args
	case $1 in
	create | run) args=(--bundle "$T/b") ;;
	restore) args=(--detach --bundle "$T/b" --image-path "$T/image") ;;
	checkpoint) args=(--image-path "$T/new-image") ;;
	exec*) failure=255 ;;
	esac
	echo "# $1"
	before=$(whole_state)
	# not by run: what is started by mistake would hold its pipe
	status=0
	# shellcheck disable=SC2086 # "exec ID true"
	timeout 10 "$FIRN" --root "$FIRN_ROOT" ${1%% *} "${args[@]}" "$ID" ${1#"${1%% *}"} \
		</dev/null >"$T/out" 2>&1 3>&- || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
	equal "$status" "$failure" "status of $1"
	one_line
	has "$2"
	equal "$(whole_state)" "$before" "what is there after $1"
	[ ! -e "$T/new-image" ] || fail "an image is there"
}

# all_refused: the lines VERB|TEXT of standard input.
all_refused() {
	local verb text
	while IFS='|' read -r verb text <&9; do
		refused "$verb" "$text"
	done 9<&0
}

create() {
	"$FIRN" --root "$FIRN_ROOT" create --bundle "$T/b" "$ID" </dev/null >"$T/log" 2>&1 3>&-
}

# stopped_at POINT VERB...: WORKER is a firn that stands still there.
stopped_at() {
	local point=$1
	shift
	FIRN_FAULT=$point:stop "$FIRN" --root "$FIRN_ROOT" "$@" </dev/null >"$T/log" 2>&1 3>&- &
	WORKER=$!
	stopped() { grep -q '^State:.T' "/proc/$WORKER/status"; }
	wait_for 10 stopped
}

# goes_on: the WORKER does as it would have.
goes_on() {
	kill -CONT "$WORKER"
	wait "$WORKER" || fail "worker: $(cat "$T/log")"
	WORKER=
}

@test "of a container that is not there" {
	all_refused <<-'END'
		start|does not exist
		state|does not exist
		events --states|does not exist
		ps|does not exist
		exec true|does not exist
		pause|does not exist
		resume|does not exist
		kill KILL|does not exist
		checkpoint|does not exist
		delete|does not exist
		restore|No such file
	END
}

@test "while it is being created" {
	stopped_at creating create --bundle "$T/b" "$ID"
	all_refused <<-'END'
		create|already exists
		run|already exists
		start|CREATING: busy with "create"
		exec true|CREATING: busy with "create"
		pause|CREATING: busy with "create"
		resume|CREATING: busy with "create"
		kill KILL|CREATING: busy with "create"
		checkpoint|CREATING: busy with "create"
		delete|CREATING: busy with "create"
	END
	goes_on
	equal "$(container_status "$ID")" created
}

@test "created" {
	create
	all_refused <<-'END'
		create|already exists
		run|already exists
		resume|not paused: it is created
		checkpoint|it is created
	END
	ok firn start "$ID"
	equal "$(container_status "$ID")" running
}

@test "running, paused, and stopped" {
	run_detached "$ID" "$T/b"
	ok firn checkpoint --leave-running --image-path "$T/image" "$ID"
	all_refused <<-'END'
		create|already exists
		run|already exists
		restore|already exists
		start|running
		resume|not paused: it is running
		delete|not stopped: running
	END
	ok firn pause "$ID"
	all_refused <<-'END'
		create|already exists
		run|already exists
		restore|already exists
		start|paused
		exec true|paused
		pause|already paused
		delete|not stopped: paused
	END
	ok firn kill "$ID" KILL
	equal "$(container_status "$ID")" stopped
	all_refused <<-'END'
		create|already exists
		run|already exists
		restore|already exists
		start|stopped
		exec true|stopped
		pause|not running
		resume|not running
		kill TERM|not running
		checkpoint|not running
	END
	ok firn delete "$ID"
}

@test "while it is being frozen, thawed, and checkpointed" {
	run_detached "$ID" "$T/b"
	for work in "freezing pause FREEZING" "thawing resume THAWING" \
		"checkpoint-capture checkpoint CKPTING"; do
		# shellcheck disable=SC2086
		set -- $work
		if [ "$2" = checkpoint ]; then
			stopped_at "$1" checkpoint --leave-running --image-path "$T/image" "$ID"
		else
			stopped_at "$1" "$2" "$ID"
		fi
		all_refused <<-END
			create|already exists
			run|already exists
			start|$3: busy with "$2"
			exec true|$3: busy with "$2"
			pause|$3: busy with "$2"
			resume|$3: busy with "$2"
			checkpoint|$3: busy with "$2"
			delete|$3: busy with "$2"
		END
		goes_on
	done
	equal "$(container_status "$ID")" running
	wait_for 5 test -e "$T/image/manifest.json"
}

@test "while it is being restored" {
	run_detached "$ID" "$T/b"
	ok firn checkpoint --image-path "$T/image" "$ID"
	stopped_at restore-tree restore --detach --bundle "$T/b" --image-path "$T/image" "$ID"
	all_refused <<-'END'
		create|already exists
		run|already exists
		restore|already exists
		start|RSTRTING: busy with "restore"
		exec true|RSTRTING: busy with "restore"
		pause|RSTRTING: busy with "restore"
		resume|RSTRTING: busy with "restore"
		checkpoint|RSTRTING: busy with "restore"
		delete|RSTRTING: busy with "restore"
	END
	goes_on
	equal "$(container_status "$ID")" running
}
