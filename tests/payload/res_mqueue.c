// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_mqueue GO: POSIX message queues, open and not, with messages of several priorities;
 * one that has no name any more and another one with that name; who waits for a message,
 * and who is told of one. "ready", and with the file GO "PASS" if all is as it was.
 */
#include <mqueue.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "res.h"

#define VALUE 0x123456789abcull

static volatile sig_atomic_t told;
static void *volatile value;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told++;
	value = info->si_value.sival_ptr;
}

static mqd_t make(const char *name, int flags)
{
	struct mq_attr attr = {.mq_maxmsg = 6, .mq_msgsize = 40};
	mqd_t fd = mq_open(name, flags | O_CREAT | O_EXCL, 0600, &attr);

	CHECK(fd >= 0);
	return fd;
}

static void put(mqd_t fd, const char *text, unsigned priority)
{
	CHECK(!mq_send(fd, text, strlen(text), priority));
}

static int next_is(mqd_t fd, const char *text, unsigned priority)
{
	char got[40];
	unsigned p;
	ssize_t n = mq_receive(fd, got, sizeof(got), &p);

	return n == (ssize_t)strlen(text) && !memcmp(got, text, n) && p == priority;
}

static void notify(mqd_t fd, unsigned long long number)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL,
				 .sigev_signo = SIGRTMIN + 3,
				 .sigev_value.sival_ptr = (void *)number};

	CHECK(!mq_notify(fd, &event));
}

static void check_full(mqd_t in, mqd_t out)
{
	struct mq_attr attr;
	struct stat st;

	CHECK(!mq_getattr(in, &attr) && attr.mq_flags == O_NONBLOCK && attr.mq_maxmsg == 6 &&
	      attr.mq_msgsize == 40 && attr.mq_curmsgs == 6);
	CHECK(!mq_getattr(out, &attr) && attr.mq_flags == 0);
	CHECK(!fstat(in, &st) && (st.st_mode & 07777) == 0642 && st.st_uid == 0);
	CHECK(mq_send(in, "x", 1, 1) == -1 && errno == EBADF);
	CHECK(mq_receive(out, (char[40]){0}, 40, NULL) == -1 && errno == EBADF);
	CHECK(next_is(in, "highest", 32767) && next_is(in, "b1", 5) && next_is(in, "b2", 5) &&
	      next_is(in, "b3", 5) && next_is(in, "a", 1) && next_is(in, "", 0));
	CHECK(mq_receive(in, (char[40]){0}, 40, NULL) == -1 && errno == EAGAIN);
	put(out, "again", 2);
	CHECK(next_is(in, "again", 2));
}

/* They may be the host's. */
static void unlink_all(void)
{
	static const char *const names[] = {"/full",   "/closed", "/name",  "/empty",
					    "/filled", "/none",	  "/waited"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		mq_unlink(names[i]);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
	mqd_t in, out, gone, empty, filled, waited;
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	pid_t child;
	int status;

	CHECK(argc == 2 && !sigaction(SIGRTMIN + 3, &action, NULL));
	unlink_all();
	in = make("/full", O_RDONLY | O_NONBLOCK);
	out = mq_open("/full", O_WRONLY);
	CHECK(out >= 0 && !fchmod(in, 0642));
	put(out, "b1", 5);
	put(out, "a", 1);
	put(out, "b2", 5);
	put(out, "highest", 32767);
	put(out, "", 0);
	put(out, "b3", 5);
	mq_close(make("/closed", O_RDWR));
	gone = make("/name", O_RDWR);
	put(gone, "the old one", 1);
	CHECK(!mq_unlink("/name"));
	put(make("/name", O_RDWR), "the new one", 1);
	empty = make("/empty", O_RDWR);
	notify(empty, VALUE);
	filled = make("/filled", O_RDWR);
	put(filled, "x", 1);
	notify(filled, VALUE + 1);
	CHECK(!mq_notify(make("/none", O_RDWR), &none));
	waited = make("/waited", O_RDWR);
	child = fork();
	if (!child)
		_exit(!next_is(waited, "come", 9));
	usleep(100000);
	ready_and_wait(argv[1]);

	CHECK(!told);
	check_full(in, out);
	CHECK(mq_open("/closed", O_RDWR) >= 0 && !mq_unlink("/closed"));
	CHECK(next_is(gone, "the old one", 1) &&
	      next_is(mq_open("/name", O_RDWR), "the new one", 1));
	put(empty, "x", 1);
	CHECK(told == 1 && value == (void *)VALUE);
	CHECK(next_is(filled, "x", 1) && told == 1);
	put(filled, "y", 1);
	CHECK(told == 2 && value == (void *)(VALUE + 1));
	put(filled, "z", 1);
	CHECK(told == 2);
	CHECK(mq_notify(mq_open("/none", O_RDWR), &none) == -1 && errno == EBUSY);
	put(waited, "come", 9);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	unlink_all();
	return passed();
}
