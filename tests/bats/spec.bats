#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# spec and features.

load helpers

setup() {
	setup_firn
	new_id
}

@test "spec writes a configuration that runs" {
	make_rootfs "$T/rootfs"
	(cd "$T" && firn spec)
	jq -e '.root.readonly and .process.terminal' "$T/config.json"
	edit_config "$T" '.process.terminal = false'
	set_args "$T" echo hello
	ok firn run --bundle "$T" "$ID"
	equal "$output" hello
}

@test "spec does not overwrite" {
	ok firn spec --bundle "$T"
	cp "$T/config.json" "$T/before"
	fails firn spec --bundle "$T"
	one_line
	has "config.json"
	cmp "$T/config.json" "$T/before"
	fails firn spec --bundle "$T/none"
	one_line
}

@test "features is JSON with the versions" {
	ok firn features
	jq -e '.ociVersionMin and .ociVersionMax and (.hooks | length == 6)
		and (.mountOptions | index("rro"))' <<<"$output"
}

@test "features tells of everything that the specification asks about" {
	ok firn features
	jq -e '.ociVersionMax == "1.3.0" and (.linux |
		(.namespaces | length == 8) and (.capabilities | length >= 41)
		and .cgroup.v1 and .cgroup.v2 and .cgroup.rdma and .cgroup.systemd and .cgroup.systemdUser
		and .seccomp.enabled and (.seccomp.actions | index("SCMP_ACT_NOTIFY"))
		and (.seccomp.supportedFlags - .seccomp.knownFlags == [])
		and .apparmor.enabled and .selinux.enabled
		and .intelRdt == {enabled: true, schemata: true, monitoring: true}
		and (.memoryPolicy.modes | index("MPOL_WEIGHTED_INTERLEAVE")) and (.memoryPolicy.flags | length == 3)
		and .mountExtensions.idmap.enabled and .netDevices.enabled)
		and (.potentiallyUnsafeConfigAnnotations | index("org.systemd.property.")
			and index("run.oci.keep_original_groups"))' <<<"$output"
}

@test "--version" {
	ok "$FIRN" --version
	has "firn version"
	has "spec:"
}
