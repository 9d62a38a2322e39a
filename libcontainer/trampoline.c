// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/trampoline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#ifndef __x86_64__
#error "the trampoline is written for x86-64"
#endif

/*
 * A whole ELF file: header, one program header, code. Its arguments are the
 * number of report_fd, the program, and the program's own arguments.
 */
__asm__(".pushsection .rodata\n"
	".balign 8\n"
	"trampoline_start:\n"
	"	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0\n"
	"	.short 2, 62\n" /* ET_EXEC, EM_X86_64 */
	"	.long 1\n"
	"	.quad 0x400000 + 5f - trampoline_start\n" /* entry */
	"	.quad 64, 0\n"				  /* program headers, sections */
	"	.long 0\n"
	"	.short 64, 56, 1, 0, 0, 0\n"
	"	.long 1, 5\n" /* PT_LOAD, readable and executable */
	"	.quad 0, 0x400000, 0x400000\n"
	"	.quad trampoline_end - trampoline_start, trampoline_end - trampoline_start\n"
	"	.quad 0x1000\n"
	"5:	movq 8(%rsp), %rsi\n" /* the number in decimal */
	"	xorl %edi, %edi\n"
	"1:	movzbl (%rsi), %eax\n"
	"	subl $'0', %eax\n"
	"	cmpl $9, %eax\n"
	"	ja 2f\n"
	"	imull $10, %edi, %edi\n"
	"	addl %eax, %edi\n"
	"	incq %rsi\n"
	"	jmp 1b\n"
	"2:	movl %edi, %ebx\n"
	"	movl $2, %esi\n" /* F_SETFD, FD_CLOEXEC */
	"	movl $1, %edx\n"
	"	movl $72, %eax\n" /* fcntl */
	"	syscall\n"
	"	testl %eax, %eax\n"
	"	jnz 3f\n"
	"	movq 16(%rsp), %rdi\n"
	"	leaq 24(%rsp), %rsi\n"
	"	movq (%rsp), %rax\n"
	"	leaq 16(%rsp,%rax,8), %rdx\n"
	"	movl $59, %eax\n" /* execve */
	"	syscall\n"
	"3:	negl %eax\n"
	"	pushq %rax\n"
	"	movl %ebx, %edi\n"
	"	movq %rsp, %rsi\n"
	"	movl $4, %edx\n"
	"	movl $1, %eax\n" /* write */
	"	syscall\n"
	"	movl $1, %edi\n"
	"	movl $60, %eax\n" /* exit */
	"	syscall\n"
	"trampoline_end:\n"
	".popsection\n");

extern const uint8_t trampoline_start[], trampoline_end[];

int trampoline_open(struct error **err)
{
	/* before Linux 6.3 there was no flag to say so, and all were executable */
	__cleanup_fd int fd = memfd_create("firn", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	int ret;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("firn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		error_errno(err, errno, "making an executable file in memory");
		return error_hint(err, "/proc/sys/vm/memfd_noexec must not be 2");
	}
	ret = write_full(fd, trampoline_start, trampoline_end - trampoline_start);
	if (ret == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		ret = -errno;
	if (ret < 0)
		return error_errno(err, -ret, "making an executable file in memory");
	return take_fd(&fd);
}

int trampoline_execute(int trampoline_fd, int report_fd, const char *program, char *const *args,
		       char *const *env)
{
	__cleanup_free char **argv = NULL;
	char number[16];
	size_t count = 0;

	while (args[count])
		count++;
	argv = calloc(count + 3, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%d", report_fd);
	argv[0] = number;
	argv[1] = (char *)program;
	for (size_t i = 0; i < count; i++)
		argv[i + 2] = args[i];
	if (fcntl(report_fd, F_SETFD, 0) < 0)
		return -errno;
	syscall(SYS_execveat, trampoline_fd, "", argv, env, AT_EMPTY_PATH);
	return -errno;
}
