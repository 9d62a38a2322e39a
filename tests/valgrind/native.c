// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into what `make valgrind` builds, in place of the library's stub.c, machine.c and
 * leave_file.c: the places that depend on what their own process looks like. Under Valgrind that
 * has Valgrind's mappings and not the kernel's vdso, so a small program is executed past Valgrind:
 * it is the stub, and it is asked for its vdso.
 */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/valgrind.h>
#include <xxhash.h>

#include "checkpoint/user/machine.h"
#include "libcontainer/init.h"
#include "libcontainer/leave_file.h"
#include "libcontainer/stub.h"
#include "libcontainer/sync.h"
#include "util/cleanup.h"
#include "util/io.h"

#define MESSAGE_MAX 64

/* A whole ELF file that sends a message over STUB_FD and waits until the other end is closed. */
__asm__(".pushsection .data\n"
	".balign 8\n"
	"stub_start:\n"
	"	.byte 0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0\n"
	"	.short 2, 62\n" /* ET_EXEC, EM_X86_64 */
	"	.long 1\n"
	"	.quad 0x400000 + 1f - stub_start\n" /* entry */
	"	.quad 64, 0\n"			    /* program headers, sections */
	"	.long 0\n"
	"	.short 64, 56, 1, 0, 0, 0\n"
	"	.long 1, 5\n" /* PT_LOAD, readable and executable */
	"	.quad 0, 0x400000, 0x400000\n"
	"	.quad stub_end - stub_start, stub_end - stub_start\n"
	"	.quad 0x1000\n"
	"1:	movl $3, %edi\n" /* STUB_FD */
	"	leaq stub_message(%rip), %rsi\n"
	"	movl stub_message_len(%rip), %edx\n"
	"	movl $1, %eax\n" /* write */
	"	syscall\n"
	"2:	movl $3, %edi\n"
	"	leaq -8(%rsp), %rsi\n"
	"	movl $1, %edx\n"
	"	xorl %eax, %eax\n" /* read */
	"	syscall\n"
	"	testq %rax, %rax\n"
	"	jg 2b\n"
	"	xorl %edi, %edi\n"
	"	movl $60, %eax\n" /* exit */
	"	syscall\n"
	".balign 4\n"
	"stub_message_len: .long 0\n"
	"stub_message: .skip 64\n"
	"stub_end:\n"
	".popsection\n");

extern uint8_t stub_start[], stub_message[], stub_end[];
extern uint32_t stub_message_len;

_Static_assert(STUB_FD == 3, "the program above has it");

/* As sync_send() would have sent it. */
static void prepare_message(void)
{
	int pair[2];
	ssize_t n;

	if (sync_pair(pair, NULL) || sync_send(pair[0], SYNC_READY, STUB_FD, NULL))
		abort();
	n = recv(pair[1], stub_message, MESSAGE_MAX, 0);
	if (n <= 0)
		abort();
	stub_message_len = n;
	close(pair[0]);
	close(pair[1]);
}

_Noreturn void stub_main(int fd)
{
	static char name[] = "stub";
	char *argv[] = {name, NULL}, *env[] = {NULL};
	int program = memfd_create(name, MFD_CLOEXEC);

	prepare_message();
	if (fd == STUB_FD && fcntl(fd, F_SETFD, 0) == 0 &&
	    write_full(program, stub_start, stub_end - stub_start) == 0)
		syscall(SYS_execveat, program, "", argv, env, AT_EMPTY_PATH);
	_exit(EXIT_FAILURE);
}

static uint64_t hash_of(pid_t pid)
{
	__cleanup_free char *maps = NULL;
	__cleanup_free void *code = NULL;
	unsigned long long start, end;
	char *line;

	if (proc_read(&maps, NULL, "%d/maps", pid) || !(line = strstr(maps, "[vdso]")))
		return 0;
	while (line > maps && line[-1] != '\n')
		line--;
	if (sscanf(line, "%llx-%llx", &start, &end) != 2 || !(code = calloc(1, end - start)))
		return 0;
	if (process_vm_readv(pid, &(struct iovec){code, end - start}, 1,
			     &(struct iovec){(void *)start, end - start}, 1, 0) < 0)
		return 0;
	return XXH3_64bits(code, end - start);
}

uint64_t machine_vdso_hash(void)
{
	uint64_t hash = 0;
	int pair[2];
	pid_t pid;

	if (sync_pair(pair, NULL))
		return 0;
	pid = fork();
	if (pid == 0) {
		if (pair[1] != STUB_FD)
			dup2(pair[1], STUB_FD);
		stub_main(STUB_FD);
	}
	close(pair[1]);
	if (sync_receive(pair[0], SYNC_READY, NULL, NULL) == 0)
		hash = hash_of(pid);
	close(pair[0]);
	waitpid(pid, NULL, 0);
	return hash;
}

/* On the real processor: what Valgrind passes first is its number of the thread. */
static long ask_cpu(long tid)
{
	unsigned a = 0, b, c, d = 0;

	__get_cpuid_count(0xd, 0, &a, &b, &c, &d);
	return (uint64_t)d << 32 | a;
}

uint64_t machine_xstate_features(void)
{
	return RUNNING_ON_VALGRIND ? (long)VALGRIND_NON_SIMD_CALL0(ask_cpu) : ask_cpu(0);
}

/* Valgrind has mapped the program itself. */
int leave_file(int file_fd)
{
	(void)file_fd;
	return -ENOSYS;
}
