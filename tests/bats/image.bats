#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# firn image: what it says about an image, and about what is none.

load helpers
load payloads
load res

setup() {
	setup_firn
}

# in_proc PID...: what the kernel says of processes, a line each as in_json writes it. [vsyscall] is
# nobody's mapping.
in_proc() {
	local pid
	for pid; do
		awk '/^Name:/ { name = $2 } /^(NSpid|NSpgid|NSsid):/ { ids[$1] = $NF }
			END { printf "%s %s %s %s", ids["NSpid:"], ids["NSpgid:"], ids["NSsid:"], name }' \
			"/proc/$pid/status"
		printf ' threads %s' "$(sed -n 's/^NSpid:.*\t//p' "/proc/$pid"/task/*/status | sort -n | xargs)"
		printf ' files %s' "$(find "/proc/$pid/fd" -mindepth 1 -printf '%f\n' | sort -n | xargs)"
		grep -v vsyscall "/proc/$pid/maps" | while IFS='- ' read -r start end _; do
			echo $((0x$end - 0x$start))
		done | awk '{ n += $1 } END { printf " memory %d in %d\n", n, NR }'
	done | sort -n
}

# in_json: the same of the image in $output.
in_json() {
	jq -r '.processes[] | "\(.pid) \(.pgid) \(.sid) \(.comm)"
		+ " threads \([.threads[].tid] | sort | map(tostring) | join(" "))"
		+ " files \([.files[].fd | tostring] | join(" "))"
		+ " memory \(.memory | .anonymous + .file + .shared + .sysv + .special) in \(.memory.mappings)"' <<<"$output"
}

@test "image show: what a container had when it was frozen, as text and as JSON" {
	local pids id
	need_root
	need_command jq
	start_payload res_rounds
	firn exec -d "$ID" sleep 1000 </dev/null >/dev/null 2>&1 3>&-
	ok firn pause "$ID"
	mapfile -t pids < <(pids_in "$ID" | while read -r pid; do
		grep -qx sleep "/proc/$pid/comm" || echo "$pid"
	done)
	in_proc "${pids[@]}" >"$T/wanted"
	equal "$(wc -l <"$T/wanted")" 2 "number of processes"
	save --tcp keep --allow exec
	ok firn image show --json "$T/image"
	in_json >"$T/got"
	diff "$T/wanted" "$T/got" || fail "it says otherwise"
	# the rest of JSON: one line of what is to be true for each
	while read -r filter; do
		jq -e --arg id "$ID" --arg kernel "$(uname -r)" "$filter" <<<"$output" >/dev/null || fail "not so: $filter"
	done <<-'END'
		.container == $id and .provider == "user" and .formatVersion == 1
		.needs == (.needs + {architecture: "x86_64", kernel: $kernel, pageSize: 4096})
		.statistics.tasks == 2 and .statistics.threads == ([.processes[].threads[]] | length)
		.statistics.pageBytes == .sharedMemory.saved + ([.processes[].memory.saved] | add)
		(.waived | length) == 1 and (.waived[0] | contains("exec"))
		[.processes[] | [.pid, .ppid]] == [[1, 0], [2, 1]]
		.processes[0].program == "/bin/res_rounds" and .processes[0].cwd == "/"
		.processes[0].files | any(.kind == "regular" and .name == "/tmp/plain" and .offset == 5 and (.deleted | not))
		.processes[0].files | any(.kind == "regular" and .name == "/tmp/gone" and .deleted)
		.processes[0].files | any(.kind == "memfd" and .name == "/memfd:rounds" and .closeOnExec)
	END
	id=$(jq -r .id <<<"$output")
	ok firn image show "$T/image"
	for line in "checkpoint image $T/image" "  id         $id" "  container  $ID" \
		"  needs      x86_64, Linux as of $(uname -r), " "  holds      2 processes, 6 threads, " \
		"  1 res_rounds  (parent 0, group 1, session 1)" "    2 res_rounds  (parent 1, " \
		"      threads  5: 1 res_rounds, " " 4  regular /tmp/plain at 5" " 5  regular /tmp/gone (deleted) at 4"; do
		has "$line"
	done
	grep -q '^  waived     .*exec' <<<"$output" || fail "does not say what was waived"
}

@test "image show: a directory that is not there" {
	fails firn image show "$T/nothing"
	one_line
	has "image \"$T/nothing\": No such file or directory"
}

@test "image show: a directory without a manifest" {
	mkdir "$T/image"
	touch "$T/image/container.rec"
	fails firn image show "$T/image"
	one_line
	has "image \"$T/image\": manifest.json: the file is missing (the checkpoint was not finished"
}

@test "image show: a manifest that is no JSON, and one of somebody else" {
	mkdir "$T/image"
	echo "hello" >"$T/image/manifest.json"
	fails firn image show "$T/image"
	one_line
	has "image \"$T/image\": manifest.json: "
	echo '{"schemaVersion": 2}' >"$T/image/manifest.json"
	fails firn image show "$T/image"
	one_line
	has "manifest.json: not the manifest of a Firn checkpoint image"
}

@test "image show: another format version and another architecture are named" {
	mkdir "$T/image"
	echo '{"format": "firn-checkpoint-image", "version": 7}' >"$T/image/manifest.json"
	fails firn image show "$T/image"
	one_line
	has "manifest.json: format version 7, this firn reads version 1"
	echo '{"format": "firn-checkpoint-image", "version": 1,
		"needs": {"architecture": "s390x", "pageSize": 4096}}' >"$T/image/manifest.json"
	fails firn image show "$T/image"
	one_line
	has "manifest.json: taken on architecture s390x, this is x86_64"
}

@test "image: an unknown command, and too few arguments" {
	fails firn image frobnicate x
	one_line
	has 'unknown command "frobnicate"'
	fails firn image show
	one_line
}

@test "image show: a fifo in the place of the manifest does not block" {
	mkdir "$T/image"
	mkfifo "$T/image/manifest.json"
	fails timeout 10 "$FIRN" image show "$T/image"
	one_line
	has "manifest.json: not a regular file"
}
