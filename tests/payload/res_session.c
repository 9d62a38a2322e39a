// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_session GO: sessions with a controlling terminal, as a shell under tmux has: the
 * parent has the master, the leader a foreground job, a background job that is stopped,
 * and a child that has given the terminal up; a second session has an ended job in
 * the foreground.
 */
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "res.h"

static int master, ended_master;
static const char *go;

/* Says what is wrong by its exit status: a child's standard output is shared. */
#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "FAIL line %d: %s (errno %d)\n", __LINE__, #condition, errno);  \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static void wait_go(void)
{
	struct timespec ms10 = {0, 10000000};

	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
}

static int open_pair(int *slave)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY), zero = 0;

	CHECK(fd >= 0 && !ioctl(fd, TIOCSPTLCK, &zero));
	*slave = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CHECK(*slave >= 0);
	return fd;
}

/* In the foreground: reads what is typed; interrupted by ^C it ends with 42. */
static void interrupted(int signo)
{
	(void)signo;
	_exit(42);
}

static pid_t start_foreground(int slave)
{
	pid_t pid = fork();

	if (!pid) {
		char got[16];
		int tty = open("/dev/tty", O_RDWR);

		setpgid(0, 0);
		signal(SIGINT, interrupted);
		EXPECT(tty >= 0);
		wait_go();
		EXPECT(tcgetpgrp(tty) == getpgrp() && tcgetsid(tty) == getsid(0));
		EXPECT(read(tty, got, sizeof(got)) == 4 && !memcmp(got, "job\n", 4));
		EXPECT(write(tty, "heard\n", 6) == 6);
		for (;;)
			pause();
	}
	setpgid(pid, pid);
	signal(SIGTTOU, SIG_IGN);
	EXPECT(!tcsetpgrp(slave, pid));
	return pid;
}

/* In the background: stopped by the terminal because it wants to read. */
static pid_t start_background(int slave)
{
	pid_t pid = fork();

	if (!pid) {
		char got;

		setpgid(0, 0);
		/* not before the leader has set the foreground group; reading stops it */
		while (tcgetpgrp(slave) == getppid() || tcgetpgrp(slave) == getpgrp())
			;
		EXPECT(read(slave, &got, 1) == 1);
		_exit(got == '!' ? 43 : 1);
	}
	setpgid(pid, pid);
	return pid;
}

static pid_t start_apart(int slave)
{
	pid_t pid = fork();

	if (!pid) {
		EXPECT(!ioctl(slave, TIOCNOTTY));
		wait_go();
		EXPECT(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
		_exit(44);
	}
	return pid;
}

static int status_of(pid_t pid, int options)
{
	int status = -1;

	EXPECT(waitpid(pid, &status, options) == pid);
	return status;
}

static void lead(int slave, int report)
{
	int tty, status;
	pid_t front, back, apart;

	EXPECT(setsid() > 0 && !ioctl(slave, TIOCSCTTY, 0));
	tty = open("/dev/tty", O_RDWR);
	back = start_background(slave);
	apart = start_apart(slave);
	front = start_foreground(slave);
	EXPECT(WIFSTOPPED(status_of(back, WUNTRACED)));
	EXPECT(write(report, "x", 1) == 1);
	wait_go();
	EXPECT(tcgetpgrp(tty) == front && tcgetsid(slave) == getpid());
	EXPECT(WEXITSTATUS(status_of(apart, 0)) == 44);
	EXPECT(WEXITSTATUS(status_of(front, 0)) == 42);
	EXPECT(waitpid(back, &status, WNOHANG) == 0);
	EXPECT(!tcsetpgrp(tty, back) && !kill(-back, SIGCONT));
	EXPECT(write(report, "y", 1) == 1);
	EXPECT(WEXITSTATUS(status_of(back, 0)) == 43);
	/* nobody closes its terminal before */
	_exit(45);
}

/* The foreground job has ended, and nobody has taken the terminal back. */
static void lead_nobody(int slave, int report)
{
	pid_t pid;

	EXPECT(setsid() > 0 && !ioctl(slave, TIOCSCTTY, 0));
	signal(SIGTTOU, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	pid = fork();
	if (!pid)
		pause();
	EXPECT(!setpgid(pid, pid) && !tcsetpgrp(slave, pid) && !kill(pid, SIGKILL));
	status_of(pid, 0);
	close(slave);
	EXPECT(write(report, "x", 1) == 1);
	wait_go();
	slave = open("/dev/tty", O_RDWR);
	EXPECT(slave >= 0 && tcgetpgrp(slave) != getpgrp() && tcgetsid(slave) == getpid());
	EXPECT(read(slave, &pid, 1) == -1 && errno == EIO);
	EXPECT(!tcsetpgrp(slave, getpgrp()));
	_exit(46);
}

/* The master's view, without echo. */
static void hear(const char *text)
{
	char got[64];
	size_t n = 0;

	while (n < strlen(text)) {
		ssize_t r = read(master, got + n, sizeof(got) - n);

		CHECK(r > 0);
		n += r;
	}
	CHECK(n == strlen(text) && !memcmp(got, text, n));
}

static pid_t start(void (*fn)(int, int), int slave, int report, int other)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		close(master);
		if (ended_master)
			close(ended_master);
		if (other >= 0)
			close(other);
		fn(slave, report);
	}
	close(slave);
	return pid;
}

int main(int argc, char **argv)
{
	int slave, report[2], status;
	struct termios t;
	pid_t shell, nobody;
	char c;

	CHECK(argc == 2 && !pipe(report));
	go = argv[1];
	master = open_pair(&slave);
	CHECK(!tcgetattr(slave, &t));
	t.c_lflag &= ~ECHO;
	t.c_oflag = 0;
	CHECK(!tcsetattr(slave, TCSANOW, &t));
	shell = start(lead, slave, report[1], -1);
	ended_master = open_pair(&slave);
	nobody = start(lead_nobody, slave, report[1], -1);
	CHECK(read(report[0], &c, 1) == 1 && read(report[0], &c, 1) == 1);
	ready_and_wait(go);
	CHECK(writes(master, "job\n"));
	hear("heard\n");
	CHECK(writes(master, "\x03"));
	CHECK(read(report[0], &c, 1) == 1 && c == 'y');
	CHECK(writes(master, "!\n"));
	CHECK(waitpid(shell, &status, 0) == shell && WIFEXITED(status) &&
	      WEXITSTATUS(status) == 45);
	CHECK(waitpid(nobody, &status, 0) == nobody && WIFEXITED(status) &&
	      WEXITSTATUS(status) == 46);
	return passed();
}
