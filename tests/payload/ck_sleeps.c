// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_sleeps MS [WALL]: a thread for each system call that sleeps with a timeout of MS
 * milliseconds, and some that sleep without one. The result has a line for each:
 * name, result, errno, and how long it took on CLOCK_MONOTONIC. With WALL a line "wall"
 * before them: a sleep until the wall clock is WALL milliseconds on, and how late that ended.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "ck.h"

static long ms;
static int pipe_fds[2], sockets[2], epoll;
static int semaphores;
static int word;

static struct timespec in(clockid_t clock, int absolute)
{
	struct timespec t = {0};

	if (absolute)
		clock_gettime(clock, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static int do_nanosleep(void)
{
	struct timespec t = in(0, 0);

	return nanosleep(&t, &t);
}

static int do_clock_relative(void)
{
	struct timespec t = in(0, 0);

	return syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, NULL);
}

static int do_clock_absolute(void)
{
	struct timespec t = in(CLOCK_MONOTONIC, 1);

	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int do_poll(void)
{
	struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};

	return poll(&p, 1, ms);
}

static int do_ppoll(void)
{
	struct pollfd p = {.fd = pipe_fds[0], .events = POLLIN};
	struct timespec t = in(0, 0);

	return ppoll(&p, 1, &t, NULL);
}

static int do_select(void)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_fds[0], &set);
	return select(pipe_fds[0] + 1, &set, NULL, NULL, &t);
}

static int do_futex(void)
{
	struct timespec t = in(0, 0);

	return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
}

static int do_futex_bitset(void)
{
	struct timespec t = in(CLOCK_MONOTONIC, 1);

	return syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &t, NULL, ~0u);
}

static int do_cond(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec t = in(CLOCK_MONOTONIC, 1);
	int r;

	pthread_mutex_lock(&lock);
	r = pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC, &t);
	pthread_mutex_unlock(&lock);
	errno = r;
	return r ? -1 : 0;
}

static int do_epoll(void)
{
	struct epoll_event e;

	return epoll_wait(epoll, &e, 1, ms);
}

static int do_sigtimedwait(void)
{
	struct timespec t = in(0, 0);
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigtimedwait(&set, NULL, &t);
}

static int do_semtimedop(void)
{
	struct timespec t = in(0, 0);
	struct sembuf op = {.sem_op = -1};

	return semtimedop(semaphores, &op, 1, &t);
}

static int do_recv(void)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
	char c;

	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	return recv(sockets[0], &c, 1, 0);
}

static int do_read(void)
{
	char c = 0;

	return read(pipe_fds[0], &c, 1) == 1 && c == 'x' ? 0 : -1;
}

static int do_poll_forever(void)
{
	struct pollfd p = {.fd = sockets[1], .events = POLLIN};

	return poll(&p, 1, -1) == 1 && p.revents == POLLIN ? 0 : -1;
}

static int do_sigwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigwaitinfo(&set, NULL) == SIGUSR2 ? 0 : -1;
}

static int do_pause(void)
{
	struct timespec t = {.tv_sec = 3600};
	sigset_t set;

	/* SIGALRM ends it, as it should: the one EINTR that is right */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	return ppoll(NULL, 0, &t, &set);
}

static long late;

static void *sleep_until(void *wall)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (long)wall / 1000;
	if (syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL))
		late = -1;
	else
		late = ck_ms(CLOCK_REALTIME) - (until.tv_sec * 1000 + until.tv_nsec / 1000000);
	return NULL;
}

static struct sleeper {
	const char *name;
	int (*fn)(void);
	pthread_t thread;
	int ret, error;
	long took;
	volatile pid_t tid;
} sleepers[] = {
	{.name = "nanosleep", .fn = do_nanosleep},
	{.name = "clock_relative", .fn = do_clock_relative},
	{.name = "clock_absolute", .fn = do_clock_absolute},
	{.name = "poll", .fn = do_poll},
	{.name = "ppoll", .fn = do_ppoll},
	{.name = "select", .fn = do_select},
	{.name = "futex", .fn = do_futex},
	{.name = "futex_bitset", .fn = do_futex_bitset},
	{.name = "cond", .fn = do_cond},
	{.name = "epoll_wait", .fn = do_epoll},
	{.name = "sigtimedwait", .fn = do_sigtimedwait},
	{.name = "semtimedop", .fn = do_semtimedop},
	{.name = "recv", .fn = do_recv},
	/* without a timeout: until they are told */
	{.name = "read", .fn = do_read},
	{.name = "poll_forever", .fn = do_poll_forever},
	{.name = "sigwaitinfo", .fn = do_sigwait},
	{.name = "ppoll_forever", .fn = do_pause},
};
#define SLEEPERS ((int)(sizeof(sleepers) / sizeof(*sleepers)))
#define TIMED	 13

static void *run(void *arg)
{
	struct sleeper *s = arg;
	long before = ck_ms(CLOCK_MONOTONIC);

	s->tid = gettid();
	errno = 0;
	s->ret = s->fn();
	s->error = errno;
	s->took = ck_ms(CLOCK_MONOTONIC) - before;
	return NULL;
}

static int asleep(const struct sleeper *s)
{
	char path[64], text[256];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", s->tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, ") S") != NULL;
}

static void on_alarm(int signo)
{
	(void)signo;
}

int main(int argc, char **argv)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct sigaction action = {.sa_handler = on_alarm};
	pthread_t wall;
	sigset_t set;

	ms = argc > 1 ? atol(argv[1]) : 3000;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(SIGALRM, &action, NULL);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	epoll = epoll_create1(0);
	if (pipe(pipe_fds) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) || semaphores < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, pipe_fds[0], &e))
		return 1;
	for (int i = 0; i < SLEEPERS; i++)
		pthread_create(&sleepers[i].thread, NULL, run, &sleepers[i]);
	if (argc > 2)
		pthread_create(&wall, NULL, sleep_until, (void *)atol(argv[2]));
	for (int i = 0; i < SLEEPERS; i++)
		while (!sleepers[i].tid || !asleep(&sleepers[i]))
			usleep(1000);
	ck_ready();
	for (int i = 0; i < TIMED; i++)
		pthread_join(sleepers[i].thread, NULL);
	if (argc > 2) {
		pthread_join(wall, NULL);
		ck_bad("wall %ld", late);
	}
	ck_wait_go();
	if (write(pipe_fds[1], "x", 1) != 1 || write(sockets[0], "x", 1) != 1)
		return 1;
	kill(getpid(), SIGUSR2);
	pthread_kill(sleepers[SLEEPERS - 1].thread, SIGALRM);
	for (int i = TIMED; i < SLEEPERS; i++)
		pthread_join(sleepers[i].thread, NULL);
	for (int i = 0; i < SLEEPERS; i++) {
		struct sleeper *s = &sleepers[i];

		ck_bad("%s %d %s %ld", s->name, s->ret, s->error ? strerrorname_np(s->error) : "-",
		       s->took);
	}
	ck_end();
	return 0;
}
