// SPDX-License-Identifier: GPL-2.0-only
/*
 * The init of a container with a terminal, and a job in the terminal's foreground. What
 * is typed before the checkpoint is read after it; "typed" must be there.
 */
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

#include "ck.h"

static void job(void)
{
	struct termios t;
	char line[64];
	ssize_t n;

	ck_wait_go();
	/* the job's own look: not the leader, in the foreground */
	n = read(0, line, sizeof(line));
	if (n != 6 || memcmp(line, "typed\n", 6) || tcgetpgrp(0) != getpgrp())
		_exit(1);
	/* before the new end types: nothing of it is lost */
	if (tcgetattr(0, &t) || write(1, "heard typed\n", 12) != 12)
		_exit(2);
	n = read(0, line, sizeof(line));
	_exit(n == 6 && !memcmp(line, "again\n", 6) ? 7 : 3);
}

static void check_terminal(void)
{
	struct stat console, in;
	struct winsize size;
	struct termios t;
	int tty = open("/dev/tty", O_RDWR);

	ck_check(isatty(0) && isatty(1) && isatty(2));
	ck_check(!stat("/dev/console", &console) && !fstat(0, &in) &&
		 console.st_rdev == in.st_rdev && major(in.st_rdev) == 136);
	ck_check(tty >= 0 && tcgetsid(tty) == getpid());
	ck_check(!tcgetattr(0, &t) && !(t.c_lflag & ECHO) && t.c_lflag & ICANON &&
		 t.c_cc[VKILL] == 1);
	ck_check(!ioctl(0, TIOCGWINSZ, &size) && size.ws_row == 11 && size.ws_col == 22);
	close(tty);
}

static void wait_typed(void)
{
	struct timespec pause = {.tv_nsec = 5000000};
	int n = 0;

	while (!ioctl(0, FIONREAD, &n) && n < 6)
		nanosleep(&pause, NULL);
}

int main(void)
{
	struct termios t;
	int status = 0;
	pid_t pid;

	if (tcgetattr(0, &t))
		abort();
	t.c_lflag &= ~ECHO;
	t.c_oflag &= ~OPOST;
	t.c_cc[VKILL] = 1;
	tcsetattr(0, TCSANOW, &t);
	pid = fork();
	if (!pid)
		job();
	setpgid(pid, pid);
	tcsetpgrp(0, pid);
	write(1, "set up\n", 7);
	wait_typed();
	check_terminal();
	ck_ready();
	ck_wait_go();
	check_terminal();
	ck_check(tcgetpgrp(0) == pid);
	ck_check(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
	return ck_end();
}
