# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154,SC2034,SC2016 # variables of and for other files; $ of the container's shell
# Container engines with Firn as their runtime. Each test has directories and daemons of its own;
# where a daemon cannot start the test is skipped, with its last words. `load engines`.

load ../bats/helpers
load ../bats/payloads

COUNTER='i=0; while :; do i=$((i+1)); echo $i; busybox sleep 0.05; done'

setup() {
	need_root
	setup_firn
	DAEMONS=()
}

# Sockets have short names: their paths may have 107 characters.
make_short() {
	SHORT=$(mktemp -d /tmp/firn-e.XXXXXX)
}

teardown() {
	local pid
	! declare -F engine_teardown >/dev/null || engine_teardown
	for pid in "${DAEMONS[@]}"; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	[ -z "${SHORT:-}" ] || {
		grep -oE " $SHORT/[^ ]+" /proc/self/mountinfo | sort -ru | xargs -r umount -l || :
		rm -rf --one-file-system "$SHORT"
	}
	teardown_firn
}

# make_image FILE: a tar of a root file system with busybox.
make_image() {
	make_rootfs "$T/image-root"
	tar -C "$T/image-root" -cf "$1" .
}

# start_daemon LOG CHECK CMD...: in the background until teardown; skips unless CHECK succeeds.
start_daemon() {
	local log=$1 check=$2
	shift 2
	"$@" >"$log" 2>&1 </dev/null 3>&- &
	DAEMONS+=($!)
	wait_for 20 "$check" || skip "$1 does not start here: $(tail -n 1 "$log")"
}

# counts GET: the container's output, as GET prints it, grows.
counts() {
	local before
	before=$("$1" | tail -n 1)
	# shellcheck disable=SC2317 # by wait_for
	beyond() {
		[ "$("$1" | tail -n 1)" -gt "$2" ]
	}
	wait_for 10 beyond "$1" "${before:-0}"
}

# on_terminal MAKER ARG...: runs the command line that MAKER prints on a terminal of its own, and
# says "status N" behind it. Its input does not end before it does: what a terminal still holds
# is lost when it hangs up.
on_terminal() {
	script -qc "$("$@"); echo status \$?" /dev/null < <(exec sleep 5 2>/dev/null 3>&-)
}
