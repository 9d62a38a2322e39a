#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# tests/oci/fields.tsv: the page made from it, and that its tests are there.

load helpers

@test "docs/oci-fields.md is what fields.tsv says" {
	diff <("$REPO/tests/oci/document") "$REPO/docs/oci-fields.md" || fail "run: make oci-fields"
}

@test "no field twice, and every test exists" {
	local field file test
	equal "$(grep -o '^/[^	]*' "$REPO/tests/oci/fields.tsv" | sort | uniq -d)" ""
	while IFS=$'\t' read -r field file test; do
		[[ $field == /* ]] || continue
		case $file in
		*.bats) grep -qF "@test \"$test\"" "$REPO/tests/bats/$file" || fail "$field: no \"$test\"" ;;
		*) grep -qE "(TEST\(|\")$test(\)|\")" "$REPO/tests/unit/$file.c" || fail "$field: no $test" ;;
		esac
	done <"$REPO/tests/oci/fields.tsv"
}
