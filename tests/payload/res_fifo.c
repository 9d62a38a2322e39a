// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_fifo GO: named pipes whose ends are in two processes, with data, one without a
 * writer so far, one without a name; pipes with packets in them.
 */
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

static int reader, writer, alone, left, nameless[2], packets[2], one_packet[2], longer[2];
static pid_t child;

static void wait_go(const char *go)
{
	struct timespec ms10 = {0, 10000000};

	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
}

/* The child has the only writer of one FIFO, and the only reader of another one. */
static void set_shared(const char *go)
{
	int told[2];
	char c;

	CHECK(!mkfifo("/tmp/down", 0620) && !mkfifo("/tmp/up", 0600) && !pipe(told));
	child = fork();
	if (!child) {
		int up = open("/tmp/up", O_WRONLY), down = open("/tmp/down", O_RDONLY);

		if (!writes(up, "from below") || write(told[1], "x", 1) != 1)
			_exit(1);
		wait_go(go);
		_exit(reads(down, "from above") && writes(up, ", later") ? 7 : 2);
	}
	reader = open("/tmp/up", O_RDONLY);
	writer = open("/tmp/down", O_WRONLY);
	CHECK(reader >= 0 && writer >= 0 && writes(writer, "from above"));
	CHECK(read(told[0], &c, 1) == 1);
}

static void check_shared(void)
{
	struct stat st;
	int status;

	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
	CHECK(reads(reader, "from below, later") && reads(reader, ""));
	CHECK(write(writer, "x", 1) == -1 && errno == EPIPE);
	CHECK(!stat("/tmp/down", &st) && S_ISFIFO(st.st_mode) && (st.st_mode & 0777) == 0620);
}

static short events(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void set_alone(void)
{
	int fd;

	CHECK(!mkfifo("/tmp/alone", 0600) && !mkfifo("/tmp/left", 0600));
	alone = open("/tmp/alone", O_RDONLY | O_NONBLOCK);
	left = open("/tmp/left", O_RDONLY | O_NONBLOCK);
	fd = open("/tmp/left", O_WRONLY);
	CHECK(alone >= 0 && left >= 0 && fd >= 0 && writes(fd, "left"));
	close(fd);
	CHECK(fcntl(alone, F_SETPIPE_SZ, 8192) == 8192);
	/* an end without a name */
	CHECK(!mkfifo("/tmp/nameless", 0640));
	nameless[0] = open("/tmp/nameless", O_RDONLY | O_NONBLOCK);
	nameless[1] = open("/tmp/nameless", O_WRONLY);
	CHECK(!unlink("/tmp/nameless") && writes(nameless[1], "nameless"));
}

static void check_alone(void)
{
	struct stat st;
	char c;
	int fd;

	CHECK(events(alone) == 0 && fcntl(alone, F_GETPIPE_SZ) == 8192);
	CHECK(events(left) == (POLLIN | POLLHUP) && reads(left, "left"));
	CHECK(read(left, &c, 1) == 0 && events(left) == POLLHUP);
	fd = open("/tmp/alone", O_WRONLY | O_NONBLOCK);
	CHECK(fd >= 0 && writes(fd, "at last") && reads(alone, "at last"));
	close(fd);
	CHECK(events(alone) == POLLHUP);
	CHECK(!fstat(nameless[0], &st) && S_ISFIFO(st.st_mode) && !st.st_nlink &&
	      (st.st_mode & 0777) == 0640);
	CHECK(reads(nameless[0], "nameless") && writes(nameless[1], "x") &&
	      reads(nameless[0], "x"));
	CHECK(access("/tmp/nameless", F_OK) == -1);
}

static void set_packets(void)
{
	static const char big[6000] = "big";

	CHECK(!pipe2(packets, O_DIRECT | O_NONBLOCK) && !pipe2(one_packet, O_DIRECT));
	CHECK(writes(packets[1], "first") && writes(packets[1], "second") &&
	      writes(packets[1], "3"));
	CHECK(writes(one_packet[1], "a packet"));
	CHECK(!pipe2(longer, O_DIRECT | O_NONBLOCK) && write(longer[1], big, 6000) == 6000);
}

static void check_packets(void)
{
	char got[8192];

	CHECK(!(fcntl(packets[0], F_GETFL) & O_DIRECT) && fcntl(packets[1], F_GETFL) & O_DIRECT);
	CHECK(reads(packets[0], "first"));
	/* what is not read of a packet is gone */
	CHECK(read(packets[0], got, 2) == 2 && !memcmp(got, "se", 2));
	CHECK(reads(packets[0], "3") && read(packets[0], got, 1) == -1 && errno == EAGAIN);
	CHECK(writes(packets[1], "more") && writes(packets[1], "and") && reads(packets[0], "more"));
	CHECK(read(one_packet[0], got, 1) == 1 && *got == 'a');
	CHECK(writes(one_packet[1], "next") && reads(one_packet[0], "next"));
	CHECK(read(longer[0], got, sizeof(got)) == 4096 && !strcmp(got, "big"));
	CHECK(read(longer[0], got, sizeof(got)) == 6000 - 4096);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	set_shared(argv[1]);
	set_alone();
	set_packets();
	ready_and_wait(argv[1]);
	check_shared();
	check_alone();
	check_packets();
	return passed();
}
