#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# --provider, and what firn says about who saves what. Kernels with and without the patches.

load helpers
load payloads
load ck

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

@test "a snapshot is for who goes on, and wants the patched kernel" {
	ck_start ck_worker
	fails firn checkpoint --snapshot --image-path "$T/image" "$ID"
	one_line
	has 'add --leave-running'
	fails firn checkpoint --snapshot --leave-running --provider user --image-path "$T/image" "$ID"
	one_line
	has 'a snapshot wants checkpoint(2)'
	equal "$(container_status "$ID")" running
	[ ! -e "$T/image" ]
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
	! patched || skip "this kernel has checkpoint(2)"
	ck_start ck_memory
	ck_checkpoint --provider user
	fails firn restore --provider kernel --image-path "$IMAGE" --bundle "$B" "$ID"
	one_line
	has "no checkpoint(2)"
	[ ! -e "$FIRN_ROOT/$ID" ]
}
