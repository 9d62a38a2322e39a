// SPDX-License-Identifier: GPL-2.0-only
#include "util/apart.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CANCEL_MS 200

/* What the child leaves in the file; message, hint and result follow. */
struct report {
	int32_t done; /* written in full */
	int32_t errnum;
	uint64_t message_len, hint_len, result_len;
};

static int write_report(int fd, const struct buf *result, const struct error *error)
{
	const char *message = error ? error_message(error) : "";
	const char *hint = error ? error_get_hint(error) : NULL;
	struct report head = {
		.done = 1,
		.errnum = error ? error_code(error) : 0,
		.message_len = strlen(message),
		.hint_len = hint ? strlen(hint) : 0,
		.result_len = result->len,
	};
	int r = write_full(fd, &head, sizeof(head));

	if (!r)
		r = write_full(fd, message, head.message_len);
	if (!r && hint)
		r = write_full(fd, hint, head.hint_len);
	return r ? r : write_full(fd, result->data, result->len);
}

static _Noreturn void be_apart(int (*work)(void *, struct buf *, struct error **), void *ctx,
			       int fd)
{
	struct error *error = NULL;
	struct buf result = {0};
	int r;

	/* no longer in reach of the terminal, and of what is sent to the group */
	setsid();
	work(ctx, &result, &error);
	r = write_report(fd, &result, error);
	buf_free(&result);
	error_free(error);
	_exit(r ? EXIT_FAILURE : EXIT_SUCCESS);
}

static char *read_text(int fd, uint64_t len, off_t at)
{
	char *text = calloc(1, len + 1);

	if (text && pread_full(fd, text, len, at)) {
		free(text);
		return NULL;
	}
	return text;
}

static int read_report(int fd, struct buf *result, struct error **err)
{
	__cleanup_free char *message = NULL, *hint = NULL;
	struct report head = {0};
	off_t at = sizeof(head);
	void *to;

	if (pread_full(fd, &head, sizeof(head), 0) || !head.done)
		return error_set(err, ECHILD, "the helper that did it was killed");
	if (head.errnum) {
		message = read_text(fd, head.message_len, at);
		hint = read_text(fd, head.hint_len, at + head.message_len);
		return error_restore(err, head.errnum, message ? message : "",
				     hint && *hint ? hint : NULL);
	}
	to = head.result_len ? buf_add(result, NULL, head.result_len) : NULL;
	if (head.result_len && !to)
		return error_errno(err, ENOMEM, "reading what a helper has found");
	return head.result_len && pread_full(fd, to, head.result_len, at)
		       ? error_set(err, ECHILD, "the helper that did it was killed")
		       : 0;
}

/* A signal that comes just before poll() does not end that. */
static void kill_when(pid_t pid, const volatile int *cancel)
{
	__cleanup_fd int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	while (pidfd >= 0 && !*cancel && poll(&end, 1, CANCEL_MS) <= 0)
		;
	if (pidfd >= 0 && *cancel)
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

int apart_run(int (*work)(void *ctx, struct buf *result, struct error **err), void *ctx,
	      struct buf *result, struct error **err)
{
	return apart_run_until(work, ctx, result, NULL, err);
}

int apart_run_until(int (*work)(void *ctx, struct buf *result, struct error **err), void *ctx,
		    struct buf *result, const volatile int *cancel, struct error **err)
{
	__cleanup_fd int fd = memfd_create("apart", MFD_CLOEXEC);
	pid_t pid;

	if (fd < 0)
		return error_errno(err, errno, "making a file in memory");
	pid = fork();
	if (pid < 0)
		return error_errno(err, errno, "starting a helper");
	if (pid == 0)
		be_apart(work, ctx, fd);
	if (cancel)
		kill_when(pid, cancel);
	/* nobody to be found, if who started us has SIGCHLD ignored: its report tells */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (cancel && *cancel)
		return error_set(err, ECANCELED, "cancelled by a signal");
	return read_report(fd, result, err);
}

static _Noreturn void be_guard(void (*work)(void *), void *ctx, const int ends[2])
{
	ssize_t n;
	char byte;

	setsid();
	close(ends[1]);
	do
		n = read(ends[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		work(ctx);
	_exit(EXIT_SUCCESS);
}

int apart_guard(void (*work)(void *ctx), void *ctx, struct apart_guard *guard, struct error **err)
{
	pid_t pid;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return error_errno(err, errno, "making a socket pair");
	pid = fork();
	if (pid == 0)
		be_guard(work, ctx, ends);
	close(ends[0]);
	if (pid < 0) {
		close(ends[1]);
		return error_errno(err, errno, "starting a helper");
	}
	*guard = (struct apart_guard){pid, ends[1]};
	return 0;
}

void apart_dismiss(struct apart_guard *guard)
{
	if (!guard->pid)
		return;
	/* that it has been killed would be no matter any more */
	send(guard->fd, "", 1, MSG_NOSIGNAL);
	close(guard->fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	*guard = (struct apart_guard){0};
}
