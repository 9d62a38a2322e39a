/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only code of Firn's that runs inside a task. rbx points to an array of
 * struct remote_call, r12 counts the entries, r13 is a signal. Position
 * independent, uses no stack. Behind the loop the task stops itself by a signal
 * that it ignores: its tracer sees that (kernel/signal.c queues even ignored
 * signals of a traced task). Should the tracer be gone, the kernel drops the
 * signal and rt_sigreturn puts the task's own registers back from the frame at
 * rsp: a tracer that is killed costs the task nothing.
 */
	.section .rodata
	.globl remote_blob, remote_blob_end
	.type remote_blob, @object
remote_blob:
1:	mov	(%rbx), %rax
	mov	8(%rbx), %rdi
	mov	16(%rbx), %rsi
	mov	24(%rbx), %rdx
	mov	32(%rbx), %r10
	mov	40(%rbx), %r8
	mov	48(%rbx), %r9
	syscall
	mov	%rax, 56(%rbx)
	add	$64, %rbx
	dec	%r12
	jnz	1b
	mov	$186, %eax		/* gettid */
	syscall
	mov	%eax, %edi
	mov	%r13, %rsi
	mov	$200, %eax		/* tkill */
	syscall
	mov	$15, %eax		/* rt_sigreturn */
	syscall
	ud2
remote_blob_end:
	.size remote_blob, . - remote_blob
	.section .note.GNU-stack, "", @progbits
