# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# The small static programs of tests/payload, for use inside and outside of containers.

# payload NAME: prints the program's path; compiled here if make did not.
payload() {
	local build=${BUILD:-build} built own
	[[ $build == /* ]] || build=$REPO/$build
	built=$build/tests/payload/$1
	if [ ! -x "$built" ]; then
		own=${BATS_RUN_TMPDIR:-/tmp}/payload-$1
		[ -x "$own" ] ||
			cc -static -O2 -std=gnu17 -D_GNU_SOURCE -o "$own" "$REPO/tests/payload/$1.c" ||
			return 1
		built=$own
	fi
	echo "$built"
}

# add_payload BUNDLE NAME...: puts them into the bundle's /bin.
add_payload() {
	local bundle=$1 name
	shift
	for name; do
		cp "$(payload "$name")" "$bundle/rootfs/bin/$name"
	done
}

# exists FILE, non_empty FILE: for wait_for.
exists() {
	[ -e "$1" ]
}

non_empty() {
	[ -s "$1" ]
}

# number_at FILE INDEX: a 64-bit number of a counter's file.
number_at() {
	od -An -td8 -j$(($2 * 8)) -N8 "$1" | tr -d ' '
}

# firn_state_is ID STATE: Firn's own state, for wait_for.
firn_state_is() {
	[ "$(state_field "$1" .firn)" = "$2" ]
}

# all_ticks PID...: each one's CPU time, by a single program: 200 shells take a minute in the VM.
all_ticks() {
	local files=() pid
	for pid; do
		files+=("/proc/$pid/stat")
	done
	awk '{ sub(/.*\) /, ""); print FILENAME, $12 + $13 }' "${files[@]}"
}

# pids_in ID: the processes of a container.
pids_in() {
	local pids
	pids=$(firn ps --format json "$1") || return
	# shellcheck disable=SC2086 # numbers, commas and brackets
	set -- ${pids//[^0-9]/ }
	[ $# -eq 0 ] || printf '%s\n' "$@"
}

# freezer_file ID: the file that tells and sets whether the container's cgroup is frozen.
freezer_file() {
	local dir
	for dir in /sys/fs/cgroup/freezer /sys/fs/cgroup /sys/fs/cgroup/unified; do
		if [ -e "$dir/firn/$1/freezer.state" ]; then
			echo "$dir/firn/$1/freezer.state"
			return
		elif [ -e "$dir/firn/$1/cgroup.freeze" ]; then
			echo "$dir/firn/$1/cgroup.freeze"
			return
		fi
	done
	return 1
}

# cgroup_is_frozen ID: asked of the kernel, not of firn.
cgroup_is_frozen() {
	case $(cat "$(freezer_file "$1")") in
	FROZEN | 1) return 0 ;;
	*) return 1 ;;
	esac
}

# make_gdb_bundle DIR OPTION...: gdb with these options, and what it debugs: steps /tmp/progress /tmp/go.
# Programs and libraries are this host's.
make_gdb_bundle() {
	local b=$1 dir
	shift
	make_rootfs "$b/rootfs"
	make_config "$b" /usr/bin/env HOME=/tmp gdb -nx -batch -ex "set startup-with-shell off" "$@" \
		--args /bin/steps /tmp/progress /tmp/go
	add_payload "$b" steps
	for dir in usr lib lib64; do
		[ ! -e "/$dir" ] || add_mount "$b" "/$(readlink "/$dir" || echo "$dir")" "/$dir" ro
		mkdir -p "$b/rootfs/$dir"
	done
}
