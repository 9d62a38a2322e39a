#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# make deb: the package installs into a tree of its own, its command works, purging leaves nothing.

load helpers

setup() {
	need_root
	need_command dpkg dpkg-deb scdoc
	setup_firn
}

@test "the package installs, works and purges cleanly" {
	local deb verb page
	deb=$(make -s --no-print-directory -C "$REPO" deb BUILD="${BUILD:-build}" 2>&1 3>&- | tail -1)
	[[ $deb == /* ]] || deb=$REPO/$deb
	[ -f "$deb" ] || fail "no package: $deb"
	ok dpkg-deb --info "$deb"
	has libseccomp2
	mkdir -p "$T/root/var/lib/dpkg/"{info,updates}
	touch "$T/root/var/lib/dpkg/status"
	# a small image of Debian may leave out manuals
	ok dpkg --root="$T/root" --path-include='/usr/share/*' --force-depends -i "$deb"
	ok "$T/root/usr/sbin/firn" --version
	has "firn version"
	ok "$T/root/usr/libexec/firn/criu" --version
	has "answered by firn"
	[ -f "$T/root/usr/share/man/man8/firn.8.gz" ]
	for verb in exec create delete resume list; do
		page=$(zcat "$T/root/usr/share/man/man8/firn-$verb.8.gz")
		[ -f "$T/root/usr/share/man/${page#.so }.gz" ] || fail "firn-$verb(8): $page"
	done
	[ -f "$T/root/usr/share/bash-completion/completions/firn" ]
	make_bundle "$T/b" echo hello
	new_id
	ok "$T/root/usr/sbin/firn" --root "$FIRN_ROOT" run --bundle "$T/b" "$ID"
	equal "$output" hello
	ok dpkg --root="$T/root" -P firn
	equal "$(find "$T/root" -path "$T/root/var/lib/dpkg" -prune -o -type f -print)" ""
}
