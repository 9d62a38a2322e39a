// SPDX-License-Identifier: GPL-2.0-only
/* res_pty GO: pseudo-terminals with both ends inside, in all the states that they can be in. */
#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

struct pair {
	int master, slave;
};

static int new_master(int index)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK), got = -1, zero = 0;

	CHECK(fd >= 0 && !ioctl(fd, TIOCGPTN, &got) && got == index);
	CHECK(!ioctl(fd, TIOCSPTLCK, &zero));
	return fd;
}

static int open_slave(int index, int flags)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/pts/%d", index);
	fd = open(path, O_RDWR | O_NOCTTY | flags);
	CHECK(fd >= 0);
	return fd;
}

static struct pair new_pair(int index)
{
	struct pair p = {.master = new_master(index)};

	p.slave = open_slave(index, O_NONBLOCK);
	return p;
}

static int waiting(int fd)
{
	int n = 0;

	CHECK(!ioctl(fd, FIONREAD, &n));
	return n;
}

/* What one end has written comes to the other by a worker of the kernel's: until it is idle. */
static void settle(const struct pair *p)
{
	int master = -1, slave = -1;

	for (int same = 0; same < 4; same++) {
		if (master != waiting(p->master) || slave != waiting(p->slave))
			same = 0;
		master = waiting(p->master);
		slave = waiting(p->slave);
		usleep(20000);
	}
}

static void wait_for_input(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	CHECK(poll(&pfd, 1, 10000) == 1);
}

/* Output that the other end has stopped, or let go on. */
static void wait_for_output(int fd, int possible)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};

	for (int i = 0; i < 1000 && poll(&pfd, 1, 0) != possible; i++)
		usleep(10000);
	CHECK(poll(&pfd, 1, 0) == possible);
}

/* All that comes, up to this text. */
static void read_up_to(int fd, const char *text, char *got, size_t size)
{
	size_t len = 0;

	do {
		ssize_t n;

		wait_for_input(fd);
		n = read(fd, got + len, size - 1 - len);
		CHECK(n > 0);
		got[len += n] = '\0';
	} while (!strstr(got, text));
}

static void set_modes(int fd, unsigned off_l, unsigned on_l, unsigned off_i, unsigned off_o)
{
	struct termios2 t;

	CHECK(!ioctl(fd, TCGETS2, &t));
	t.c_lflag = (t.c_lflag & ~off_l) | on_l;
	t.c_iflag &= ~off_i;
	t.c_oflag &= ~off_o;
	CHECK(!ioctl(fd, TCSETS2, &t));
}

/* --- canonical mode: lines, an end of file, half a line; echo in the other direction --- */

static struct pair lines;

static void set_lines(void)
{
	lines = new_pair(0);
	CHECK(writes(lines.master, "one\n"));
	settle(&lines);
	CHECK(writes(lines.master, "two\x04"));
	CHECK(writes(lines.master, "\x04"));
	CHECK(writes(lines.master, "a\x16\x04"
				   "b\x16\nc\n"));
	CHECK(writes(lines.master, "hal"));
	/* or its echo comes in the middle of what follows */
	settle(&lines);
	CHECK(writes(lines.slave, "output\n"));
	settle(&lines);
}

static void check_lines(void)
{
	char got[256];

	CHECK(reads(lines.slave, "one\n"));
	CHECK(reads(lines.slave, "two"));
	CHECK(read(lines.slave, got, sizeof(got)) == 0);
	CHECK(reads(lines.slave, "a\x04"
				 "b\nc\n"));
	CHECK(read(lines.slave, got, sizeof(got)) == -1 && errno == EAGAIN);
	/* erased by the terminal, so it is still a line in the making */
	CHECK(writes(lines.master, "\x7f"
				   "f\n"));
	wait_for_input(lines.slave);
	CHECK(reads(lines.slave, "haf\n"));
	read_up_to(lines.master, "output\r\n", got, sizeof(got));
	CHECK(strstr(got, "one\r\n") && strstr(got, "two") && strstr(got, "\r\nhal"));
}

/* --- raw mode, size, speed, mode; two descriptions of the slave --- */

static struct pair raw;
static int raw_again;

static void set_raw(void)
{
	struct winsize size = {33, 44, 55, 66};
	struct termios2 t;

	raw = new_pair(1);
	raw_again = open_slave(1, 0);
	set_modes(raw.slave, ICANON | ECHO | ISIG | IEXTEN, 0, ~0u, ~0u);
	CHECK(!ioctl(raw.slave, TCGETS2, &t));
	t.c_cflag = (t.c_cflag & ~CBAUD) | BOTHER;
	t.c_ispeed = t.c_ospeed = 12345;
	t.c_cc[VMIN] = 7;
	t.c_cc[VTIME] = 3;
	CHECK(!ioctl(raw.slave, TCSETS2, &t));
	CHECK(!ioctl(raw.master, TIOCSWINSZ, &size));
	CHECK(!fchmod(raw.slave, 0622));
	CHECK(writes(raw.master, "\x03\x04\r\x11 raw"));
	CHECK(writes(raw.slave, "\x01 out\n"));
	settle(&raw);
}

static void check_raw(void)
{
	struct winsize size;
	struct termios2 t;
	struct stat st;

	CHECK(!ioctl(raw.slave, TCGETS2, &t));
	CHECK(t.c_ispeed == 12345 && t.c_ospeed == 12345 && (t.c_cflag & CBAUD) == BOTHER);
	CHECK(!(t.c_lflag & (ICANON | ECHO | ISIG)) && !t.c_iflag && !t.c_oflag);
	CHECK(t.c_cc[VMIN] == 7 && t.c_cc[VTIME] == 3);
	CHECK(!ioctl(raw.slave, TIOCGWINSZ, &size));
	CHECK(size.ws_row == 33 && size.ws_col == 44 && size.ws_xpixel == 55 &&
	      size.ws_ypixel == 66);
	CHECK(!fstat(raw.slave, &st) && (st.st_mode & 0777) == 0622);
	CHECK(!(fcntl(raw_again, F_GETFL) & O_NONBLOCK) && fcntl(raw.slave, F_GETFL) & O_NONBLOCK);
	CHECK(reads(raw_again, "\x03\x04\r\x11 raw"));
	CHECK(reads(raw.master, "\x01 out\n"));
}

/* --- packet mode with something to tell; stopped output --- */

static struct pair packet, stopped;

static void set_packet(void)
{
	int one = 1;

	packet = new_pair(2);
	CHECK(!ioctl(packet.master, TIOCPKT, &one));
	CHECK(writes(packet.slave, "text"));
	set_modes(packet.slave, 0, 0, IXON, 0);
	stopped = new_pair(3);
	CHECK(writes(stopped.master, "\x13"));
	wait_for_output(stopped.slave, 0);
	CHECK(write(stopped.slave, "x", 1) == -1 && errno == EAGAIN);
}

static void check_packet(void)
{
	char got[16];
	int on = 0;

	CHECK(!ioctl(packet.master, TIOCGPKT, &on) && on);
	CHECK(read(packet.master, got, sizeof(got)) == 1 && got[0] == TIOCPKT_NOSTOP);
	CHECK(read(packet.master, got, sizeof(got)) == 5 && !memcmp(got, "\0text", 5));
	CHECK(write(stopped.slave, "x", 1) == -1 && errno == EAGAIN);
	CHECK(writes(stopped.master, "\x11"));
	wait_for_output(stopped.slave, 1);
	CHECK(write(stopped.slave, "x", 1) == 1);
}

/* --- never opened, locked; closed; exclusive; hung up --- */

static int fresh, closed_end, lonely;
static struct pair exclusive;

static void set_ends(void)
{
	int one = 1, master;

	fresh = new_master(4);
	CHECK(!ioctl(fresh, TIOCSPTLCK, &one));
	closed_end = new_master(5);
	close(open_slave(5, 0));
	master = new_master(6);
	lonely = open_slave(6, 0);
	exclusive = new_pair(7);
	CHECK(!ioctl(exclusive.slave, TIOCEXCL));
	close(master);
	/* a free number between those taken: 6 is, as long as its slave is open */
	CHECK(new_master(8) >= 0);
	master = new_master(9);
	CHECK(new_master(10) >= 0);
	close(master);
}

static void check_ends(void)
{
	struct pollfd p = {.fd = fresh, .events = POLLIN};
	char got[16];
	int locked = 0, on = 0;

	CHECK(!ioctl(fresh, TIOCGPTLCK, &locked) && locked);
	CHECK(poll(&p, 1, 0) == 0 && read(fresh, got, 1) == -1 && errno == EAGAIN);
	p.fd = closed_end;
	CHECK(poll(&p, 1, 0) == 1 && p.revents & POLLHUP);
	CHECK(read(closed_end, got, 1) == -1 && errno == EIO);
	CHECK(read(lonely, got, 1) == 0 && ioctl(lonely, TIOCGETD, &on) == -1 && errno == EIO);
	CHECK(!ioctl(exclusive.slave, TIOCGEXCL, &on) && on);
	close(lonely);
	CHECK(new_master(6) >= 0);
	CHECK(new_master(9) >= 0);
}

/* A shared description keeps its number of bytes; a child has the other end. */
static void check_child(void)
{
	struct pair p = new_pair(11);
	char got[16] = "";
	pid_t pid = fork();

	if (!pid)
		_exit(write(p.slave, "child", 5) != 5);
	CHECK(waitpid(pid, NULL, 0) == pid && read(p.master, got, 15) == 5 &&
	      !strcmp(got, "child"));
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	set_lines();
	set_raw();
	set_packet();
	set_ends();
	ready_and_wait(argv[1]);
	check_lines();
	check_raw();
	check_packet();
	check_ends();
	check_child();
	return passed();
}
