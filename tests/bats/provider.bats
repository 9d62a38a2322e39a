#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# --provider, and what firn says about who saves what. Kernels with and without the patches.

load helpers
load payloads
load ck

setup() {
	need_root
	setup_firn
}

teardown() {
	teardown_firn
}

patched() {
	[ -e /sys/kernel/checkpoint/abi ]
}

# providers: of all resource classes here, a word per line
providers() {
	"$FIRN" features |
		jq -r '.annotations | to_entries[] | select(.key | startswith("org.firn.checkpoint.provider.")) | .value'
}

@test "features names a provider for each class" {
	[ "$(providers | wc -l)" -gt 10 ]
	equal "$(providers | grep -cvx -e kernel -e user)" 0
	patched || equal "$(providers | grep -cx kernel)" 0
}

@test "a provider that does not exist" {
	fails firn checkpoint --provider nobody --image-path "$T/image" some
	one_line
	has 'must be auto, kernel or user'
	fails firn restore --provider nobody --image-path "$T/image" some
	one_line
	has 'must be auto, kernel or user'
}

@test "the kernel provider is refused by a stock kernel, and nothing has happened" {
	! patched || skip "this kernel has checkpoint(2)"
	ck_start ck_memory
	fails firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	one_line
	has "no checkpoint(2)"
	has "/sys/kernel/checkpoint"
	[ ! -e "$T/image" ]
	equal "$(container_status "$ID")" running
	ck_passes
}

@test "auto and user save all by themselves on a stock kernel" {
	! patched || skip "this kernel has checkpoint(2)"
	local provider
	for provider in auto user; do
		ck_start ck_memory
		ck_checkpoint --provider "$provider"
		ok firn image show --json "$IMAGE"
		equal "$(jq -r .provider <<<"$output")" user
		equal "$(jq -r .kernelClasses <<<"$output")" null
		ck_restore --provider "$provider"
		ck_passes
	done
}

@test "a restore by the kernel says what is missing" {
	ck_start ck_memory
	ck_checkpoint --provider user
	fails firn restore --provider kernel --image-path "$IMAGE" --bundle "$B" "$ID"
	one_line
	patched || has "no checkpoint(2)"
	[ ! -e "$FIRN_ROOT/$ID" ]
}

# --- on a kernel with the patches ---

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

@test "auto takes what the kernel has, and the user provider restores it" {
	patched || skip "this kernel has no checkpoint(2)"
	local payload
	for payload in ck_memory ck_threads ck_signals; do
		echo "# $payload"
		ck_start "$payload"
		ck_checkpoint
		by_kernel memory
		ck_restore
		ck_passes
	done
}

@test "auto: a container goes on, twice" {
	patched || skip "this kernel has no checkpoint(2)"
	ck_start ck_worker
	ck_checkpoint --leave-running
	works
	ck_checkpoint --leave-running
	by_kernel memory
	works
	ck_checkpoint
	ck_restore
	works
}

@test "user leaves the kernel alone" {
	patched || skip "this kernel has no checkpoint(2)"
	ck_start ck_memory
	ck_checkpoint --provider user
	ok firn image show --json "$IMAGE"
	equal "$(jq -r .provider <<<"$output")" user
	ck_restore
	ck_passes
}

@test "nothing is held when a checkpoint has failed" {
	patched || skip "this kernel has no checkpoint(2)"
	local fault
	ck_start ck_worker
	for fault in checkpoint-kernel checkpoint-kernel-end; do
		IMAGE=$T/image-$fault
		FIRN_FAULT=$fault:EIO fails firn checkpoint --image-path "$IMAGE" "$ID"
		has "fault injected"
		works
	done
	FIRN_FAULT=checkpoint-kernel-end:kill run firn checkpoint --image-path "$IMAGE" "$ID"
	equal "$status" 137
	firn state "$ID" >/dev/null
	works
}

@test "kernel says what it does not save, rather than fall back" {
	patched || skip "this kernel has no checkpoint(2)"
	ck_start ck_memory
	fails firn checkpoint --provider kernel --image-path "$T/image" "$ID"
	one_line
	has "--provider auto"
	[ ! -e "$T/image" ]
	ck_passes
}
