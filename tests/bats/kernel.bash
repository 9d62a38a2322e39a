# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # variables of helpers.bash
# What the files of the kernel provider's tests have in common. tests/kernel/check boots a kernel for
# them.

setup() {
	[ -e /sys/kernel/checkpoint/abi ] || skip "wants checkpoint(2)"
	need_root
	setup_firn
}

# by_kernel CLASS...: these are the kernel's in $IMAGE.
by_kernel() {
	local class
	ok firn image show --json "$IMAGE"
	equal "$(jq -r .provider <<<"$output")" kernel
	for class; do
		jq -e --arg class "$class" '.kernelClasses | index($class)' <<<"$output" >/dev/null ||
			fail "class $class is not the kernel's"
	done
}
