#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# firn image: what it says about images that are none.

load helpers

setup() {
	setup_firn
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
