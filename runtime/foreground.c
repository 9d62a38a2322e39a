// SPDX-License-Identifier: GPL-2.0-only
#include "runtime/foreground.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/terminal.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"

int foreground_prepare(struct foreground *f, bool terminal, struct error **err)
{
	sigset_t all;

	f->signal_fd = f->console[0] = f->console[1] = -1;
	sigfillset(&all);
	/* those that mean ourselves: faults, and what job control does to us */
	for (const int *s = (const int[]){SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTTIN,
					  SIGTTOU, SIGTSTP, 0};
	     *s; s++)
		sigdelset(&all, *s);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return error_errno(err, errno, "blocking signals");
	f->signal_fd = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	if (f->signal_fd < 0)
		return error_errno(err, errno, "making a signalfd");
	if (terminal && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->console) < 0)
		return error_errno(err, errno, "making a socket pair");
	return 0;
}

void foreground_size(struct oci_process *process)
{
	struct winsize size;

	if (process->has_console_size || ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	process->has_console_size = true;
	process->console_height = size.ws_row;
	process->console_width = size.ws_col;
}

/* All children that have ended; *status is pid's. True once that is among them. */
static bool reap(pid_t pid, int *status)
{
	bool ended = false;
	int any;

	for (;;) {
		pid_t child = waitpid(-1, &any, WNOHANG);

		if (child <= 0)
			return ended;
		if (child == pid) {
			*status = any;
			ended = true;
		}
	}
}

static bool handle_signals(const struct foreground *f, struct terminal_relay *relay, pid_t pid,
			   int *status)
{
	struct signalfd_siginfo info;
	bool ended = false;

	while (read(f->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			ended |= reap(pid, status);
		else if (info.ssi_signo == SIGWINCH && relay)
			terminal_relay_resize(relay);
		else if (info.ssi_signo != SIGURG && info.ssi_signo != SIGPIPE && !ended)
			kill(pid, info.ssi_signo);
	}
	return ended;
}

static int receive_terminal(struct foreground *f, struct terminal_relay **relay, struct error **err)
{
	int master = f->console[0] < 0 ? -1 : terminal_receive(f->console[0], err);
	int ret;

	if (f->console[0] < 0 || master < 0)
		return f->console[0] < 0 ? 0 : master;
	ret = terminal_relay_start(master, relay, err);
	if (ret < 0)
		close(master);
	return ret;
}

static int relay_until_end(struct foreground *f, struct terminal_relay *relay, pid_t pid,
			   struct error **err)
{
	bool open = relay;
	int status = 0;

	for (;;) {
		int ret = terminal_relay_run(open ? relay : NULL, f->signal_fd, err);

		if (ret < 0)
			return ret;
		if (ret > 0)
			open = false;
		else if (handle_signals(f, relay, pid, &status))
			break;
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int foreground_wait(struct foreground *f, pid_t pid, struct error **err)
{
	struct terminal_relay *relay = NULL;
	int ret = receive_terminal(f, &relay, err);

	if (ret == 0)
		ret = relay_until_end(f, relay, pid, err);
	terminal_relay_end(relay);
	return ret;
}

void foreground_end(struct foreground *f)
{
	cleanup_fd(&f->signal_fd);
	cleanup_fd(&f->console[0]);
	cleanup_fd(&f->console[1]);
}
