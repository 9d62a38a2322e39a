// SPDX-License-Identifier: GPL-2.0-only
/*
 * wontfreeze READY: a write(2) from a page that a userfaultfd never delivers.
 * The kernel waits for it in a way that only SIGKILL ends: the task cannot be
 * frozen. Wants CAP_SYS_PTRACE. Makes the file READY before. Exit status 77: no
 * userfaultfd here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	int pipefd[2];

	if (fd < 0)
		return errno == ENOSYS || errno == EPERM ? 77 : 1;
	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	if (argc != 2 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    pipe(pipefd))
		return 1;
	prctl(PR_SET_NAME, "wontfreeze");
	/* a child that does freeze, and must run on afterwards */
	if (fork() == 0)
		for (;;)
			pause();
	close(open(argv[1], O_CREAT | O_WRONLY, 0644));
	return write(pipefd[1], page, 1) != 1;
}
