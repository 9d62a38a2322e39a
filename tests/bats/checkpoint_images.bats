#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Images that are not right, and places where none can go: one clear line, and nothing changes.

load helpers
load payloads
load ck
load res

teardown() {
	[ ! -d "$T/small" ] || umount -l "$T/small" 2>/dev/null || :
	teardown_firn
}

# refused TEXT: restoring $BAD fails with one line that has TEXT, and leaves nothing.
refused() {
	status=0
	"$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$BAD" --bundle "$B" "$ID" \
		</dev/null >"$T/out" 2>&1 3>&- || status=$?
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
	[ "$status" -ne 0 ] || fail "restored"
	one_line
	has "$1"
	is_gone "$ID" || fail "a container is left"
	[ -z "$(cgroups_of "$ID")" ] || fail "cgroups are left: $(cgroups_of "$ID")"
}

# wants FILTER TEXT: an image whose manifest is as jq's FILTER makes it is refused with TEXT.
wants() {
	a_copy
	jq --indent 4 "$1" "$IMAGE/manifest.json" >"$BAD/manifest.json"
	"$(payload reseal)" "$BAD/manifest.json"
	refused "$2"
}

# goes_on: the container that was to be checkpointed works.
goes_on() {
	equal "$(container_status "$ID")" running
	ck_passes
}

a_copy() {
	rm -rf "$T/bad"
	BAD=$T/bad
	cp -a "$IMAGE" "$BAD"
}

# kinds_documented: names of the files that an image may have, of docs/image-format.md, one a line.
kinds_documented() {
	awk '/^\| file \| contents/ { on = 1 } !NF { on = 0 } on && sub(/^\| `/, "") && sub(/`.*/, "")' \
		"$REPO/docs/image-format.md" | sort
}

# kinds_in IMAGE...: the same of what images have.
kinds_in() {
	find "$@" -mindepth 1 -printf '%f\n' | sed 's/-[0-9]*\./-N./; s/-[0-9]*$/-N/' | sort -u
}

# flip_each: every file of $IMAGE, which bundle $B's container $ID was saved to, with a byte flipped at
# its start, middle and end. Each is whole again afterwards.
flip_each() {
	local file size offset
	BAD=$IMAGE
	for file in "$IMAGE"/*; do
		size=$(stat -c %s "$file")
		for offset in 0 $((size / 3)) $((size / 2)) $((size - 1)); do
			echo "# $file flipped at $offset"
			flip_byte "$file" "$offset"
			refused "${file##*/}"
			flip_byte "$file" "$offset"
		done
	done
}

# cut_each: every file of it truncated, empty, and missing.
cut_each() {
	local file size
	BAD=$IMAGE
	for file in "$IMAGE"/*; do
		cp -a "$file" "$T/whole"
		for size in 0 1 $(($(stat -c %s "$file") - 1)); do
			echo "# $file cut off at $size"
			truncate -s "$size" "$file"
			refused "${file##*/}"
			cp "$T/whole" "$file"
		done
		echo "# $file missing"
		rm "$file"
		refused "${file##*/}"
		mv "$T/whole" "$file"
	done
}

# damaged PAYLOAD FUNCTION...: its image, damaged in these ways; then itself.
damaged() {
	local how
	start_payload "$1"
	save --tcp keep
	IMAGE=$T/image B=$T/b
	kinds_in "$IMAGE" >>"$T/kinds"
	shift
	for how; do
		"$how"
	done
	restore_detached "$ID" "$B" "$IMAGE"
	passes
	firn delete --force "$ID"
	again
}

# Deleted files, memory objects and a file system in memory; then processes, and memory that they
# share copy-on-write.
@test "restore: each file of an image with a byte flipped at its start, middle and end, truncated, missing" {
	damaged res_rounds flip_each cut_each
	damaged res_cow flip_each
	# no kind of file that there is was left out
	equal "$(sort -u "$T/kinds")" "$(kinds_documented)" "kinds of files"
}

@test "restore: an image of another format version, machine, CPU or kernel, and none at all" {
	ck_start ck_signals
	ck_checkpoint
	wants '.version = 99' "version 99"
	wants '.needs.architecture = "s390x"' s390x
	wants '.needs.xstateFeatures = "4000000000000003"' "CPU features (xstate 0x4000000000000000)"
	wants '.needs.vdso = "0123456789abcdef"' vdso
	# without a reason it is not refused
	a_copy
	jq --indent 4 . "$IMAGE/manifest.json" >"$BAD/manifest.json"
	"$(payload reseal)" "$BAD/manifest.json"
	ok firn image show "$BAD"
	BAD=$T/nothing
	refused nothing
	BAD=$B/config.json
	refused "Not a directory"
}

@test "restore: a bundle with a bad config.json, or without a root file system" {
	ck_start ck_signals
	ck_checkpoint
	BAD=$IMAGE
	cp "$B/config.json" "$T/config.json"
	while IFS='|' read -r filter wanted; do
		jq "$filter" "$T/config.json" >"$B/config.json"
		refused "$wanted"
	done <<-'END'
		.process.args = "true"|/process/args
		.linux.namespaces[0].type = "none"|/linux/namespaces/0
		.ociVersion = "9.0.0"|/ociVersion
		.root.path = "gone"|/root/path
		del(.root)|/root
	END
	echo '{ "ociVersion": ' >"$B/config.json"
	refused "config.json"
	rm "$B/config.json"
	refused "config.json"
	cp "$T/config.json" "$B/config.json"
	ck_restore
	ck_passes
}

@test "restore: from a place that is read-only, with foreign files in it" {
	ck_start ck_signals
	ck_checkpoint
	echo mine >"$IMAGE/mine"
	mkdir "$T/small"
	mount --bind "$IMAGE" "$T/small"
	mount -o remount,ro,bind "$T/small"
	IMAGE=$T/small
	ck_restore
	ck_passes
}

@test "restore: of a container that is still there" {
	ck_start ck_signals
	ck_checkpoint --leave-running
	status=0
	"$FIRN" --root "$FIRN_ROOT" restore --detach --image-path "$IMAGE" --bundle "$B" "$ID" \
		</dev/null >"$T/out" 2>&1 3>&- || status=$?
	[ "$status" -ne 0 ] || fail "restored"
	output=$(cat "$T/out")
	mapfile -t lines <"$T/out"
	one_line
	has "already exists"
	goes_on
}

@test "checkpoint: into a directory with foreign files" {
	ck_start ck_signals
	mkdir "$T/image"
	echo mine >"$T/image/mine"
	fails firn checkpoint --image-path "$T/image" "$ID"
	one_line
	equal "$(ls -A "$T/image")" mine
	fails firn checkpoint --image-path "$T/image/mine" "$ID"
	one_line
	has "$T/image/mine"
	equal "$(cat "$T/image/mine")" mine
	goes_on
}

@test "checkpoint: into a place that is read-only" {
	ck_start ck_signals
	mkdir "$T/small"
	mount -t tmpfs -o ro,size=1M none "$T/small"
	fails firn checkpoint --image-path "$T/small/image" "$ID"
	one_line
	has "Read-only file system"
	goes_on
}

@test "checkpoint: into a place that becomes full halfway" {
	ck_start ck_memory
	mkdir "$T/small"
	mount -t tmpfs -o size=2M none "$T/small"
	fails firn checkpoint --image-path "$T/small/image" "$ID"
	one_line
	has "No space left on device"
	[ -z "$(ls -A "$T/small")" ] || fail "left: $(ls -AR "$T/small")"
	fails firn checkpoint --leave-running --image-path "$T/small/image" "$ID"
	one_line
	has "No space left on device"
	[ -z "$(ls -A "$T/small")" ] || fail "left: $(ls -AR "$T/small")"
	goes_on
}
