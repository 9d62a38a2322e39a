// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_rounds GO: two processes with memory, threads, files, sockets, timers and IPC objects, for as
 * many checkpoints in a row as somebody likes. "ready"; then it says "round N" whenever the file
 * GO.N exists, if all it has is as it was and still works, for N from 1 on; and PASS when GO does.
 */
#include <arpa/inet.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "res.h"

#define WORDS	(4ul << 20 >> 3)
#define THREADS 4
#define HOUR	3600

/* Both processes have it; the child answers every question with what is one more. */
struct shared {
	atomic_int asked, answered;
	uint64_t worked[THREADS];
};

static struct shared *shared;

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* --- memory --- */

static uint64_t *private_words, *shared_words;
static char *mapped_file, *memfd_page;
static int memfd;

static uint64_t word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static void make_memory(void)
{
	int fd = open("/tmp/mapped", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	private_words = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, flags, -1, 0);
	flags = MAP_SHARED | MAP_ANONYMOUS;
	shared_words = mmap(NULL, WORDS * 2, PROT_READ | PROT_WRITE, flags, -1, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, flags, -1, 0);
	CHECK(private_words != MAP_FAILED && shared_words != MAP_FAILED && shared != MAP_FAILED);
	for (size_t i = 0; i < WORDS; i++)
		private_words[i] = word(i);
	for (size_t i = 0; i < WORDS / 4; i++)
		shared_words[i] = word(i + 1);
	CHECK(fd >= 0 && !ftruncate(fd, 8192));
	mapped_file = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(mapped_file != MAP_FAILED && !close(fd));
	strcpy(mapped_file + 4096, "a page of its own");
	memfd = memfd_create("rounds", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(memfd >= 0 && !ftruncate(memfd, 4096) && !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK));
	memfd_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	CHECK(memfd_page != MAP_FAILED);
	strcpy(memfd_page, "of a memfd");
}

static void check_memory(void)
{
	char got[16] = "";

	for (size_t i = 0; i < WORDS; i++)
		CHECK(private_words[i] == word(i));
	for (size_t i = 0; i < WORDS / 4; i++)
		CHECK(shared_words[i] == word(i + 1));
	CHECK(!strcmp(mapped_file + 4096, "a page of its own") && !*mapped_file);
	CHECK(pread(memfd, got, sizeof(got), 0) == sizeof(got) && !strcmp(got, "of a memfd"));
	CHECK(fcntl(memfd, F_GET_SEALS) == F_SEAL_SHRINK);
	/* written anew, but with what it was */
	for (size_t i = 0; i < WORDS; i += 4096)
		*(volatile uint64_t *)&private_words[i] = word(i);
}

/* --- threads and processes --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static int thread_pipe[2], wanted;
static pid_t child;

/* Each waits in a way of its own for the next round. */
static void wait_in_thread(long self, int round)
{
	struct pollfd p = {.fd = thread_pipe[0], .events = POLLIN};

	if (self == 0) {
		pthread_mutex_lock(&lock);
		while (wanted == round)
			pthread_cond_wait(&turn, &lock);
		pthread_mutex_unlock(&lock);
	} else {
		while (*(volatile int *)&wanted == round)
			self == 1 ? sleep_ms(5) : self == 2 ? (void)poll(&p, 1, 5) : (void)0;
	}
}

static void *work(void *arg)
{
	long self = (long)arg;

	for (int round = 0;; round++) {
		wait_in_thread(self, round);
		__atomic_fetch_add(&shared->worked[self], 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void answer_for_ever(void)
{
	for (;; sleep_ms(1))
		if (shared->asked != shared->answered)
			shared->answered = shared->asked;
}

static void make_tasks(void)
{
	pthread_t thread;

	CHECK(!pipe2(thread_pipe, O_CLOEXEC));
	child = fork();
	CHECK(child >= 0);
	if (!child)
		answer_for_ever();
	for (long i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread, NULL, work, (void *)i));
}

static void check_tasks(int round)
{
	pthread_mutex_lock(&lock);
	wanted = round;
	pthread_cond_broadcast(&turn);
	pthread_mutex_unlock(&lock);
	shared->asked = round;
	for (int i = 0; i < THREADS; i++)
		while (__atomic_load_n(&shared->worked[i], __ATOMIC_SEQ_CST) != (uint64_t)round)
			sleep_ms(1);
	while (shared->answered != round)
		sleep_ms(1);
	CHECK(waitpid(child, NULL, WNOHANG) == 0);
}

/* --- files --- */

static int plain, gone, nameless, watched, inotify, pair[2];

static void make_files(void)
{
	plain = open("/tmp/plain", O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0640);
	gone = open("/tmp/gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	nameless = open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	CHECK(plain >= 0 && gone >= 0 && nameless >= 0);
	CHECK(writes(plain, "plain") && writes(gone, "gone") && writes(nameless, "nameless"));
	CHECK(!unlink("/tmp/gone") && !flock(plain, LOCK_EX));
	CHECK(!mkdir("/tmp/watched", 0700) && !mkdir("/tmp/lost", 0700));
	watched = open("/tmp/lost", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(watched >= 0 && !rmdir("/tmp/lost"));
	inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	CHECK(inotify_add_watch(inotify, "/tmp/watched", IN_CREATE) > 0);
	CHECK(!pipe2(pair, O_CLOEXEC | O_NONBLOCK) && writes(pair[1], "in a pipe"));
}

static void check_files(void)
{
	struct inotify_event event[8];
	int other = open("/tmp/plain", O_RDONLY | O_CLOEXEC), fd;
	char got[16] = "";
	struct stat st;

	CHECK(other >= 0 && flock(other, LOCK_SH | LOCK_NB) && !close(other));
	CHECK(pread(plain, got, 16, 0) == 5 && !memcmp(got, "plain", 5));
	CHECK(pread(gone, got, 16, 0) == 4 && !memcmp(got, "gone", 4));
	CHECK(pread(nameless, got, 16, 0) == 8 && !memcmp(got, "nameless", 8));
	CHECK(!fstat(gone, &st) && !st.st_nlink && !fstat(watched, &st) && S_ISDIR(st.st_mode));
	fd = open("/tmp/watched/new", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !close(fd) && !unlink("/tmp/watched/new"));
	CHECK(read(inotify, event, sizeof(event)) > 0 && event->mask == IN_CREATE);
	CHECK(reads(pair[0], "in a pipe") && writes(pair[1], "in a pipe"));
}

/* --- sockets --- */

static int stream[2], datagram[2], listener, tcp[2], tcp_listener, udp;

static int listening(void)
{
	struct sockaddr_in a = {AF_INET, htons(7000), {htonl(INADDR_LOOPBACK)}, {0}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0 && !bind(fd, (void *)&a, sizeof(a)) && !listen(fd, 4));
	tcp[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(tcp[0] >= 0 && !connect(tcp[0], (void *)&a, sizeof(a)));
	tcp[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	CHECK(tcp[1] >= 0);
	udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(udp >= 0 && !bind(udp, (void *)&a, sizeof(a)) &&
	      !connect(udp, (void *)&a, sizeof(a)));
	return fd;
}

static void make_sockets(void)
{
	struct sockaddr_un a = {AF_UNIX, "/tmp/named"};

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream));
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, datagram));
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	CHECK(listener >= 0 && !bind(listener, (void *)&a, sizeof(a)) && !listen(listener, 4));
	tcp_listener = listening();
	CHECK(writes(stream[0], "streamed") && writes(datagram[0], "sent"));
	CHECK(writes(tcp[0], "by TCP") && writes(udp, "by UDP"));
}

static void check_sockets(void)
{
	struct sockaddr_un a = {AF_UNIX, "/tmp/named"};
	int client = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), server;

	CHECK(client >= 0 && !connect(client, (void *)&a, sizeof(a)));
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CHECK(server >= 0 && !close(server) && !close(client));
	CHECK(reads(stream[1], "streamed") && writes(stream[0], "streamed"));
	CHECK(reads(datagram[1], "sent") && writes(datagram[0], "sent"));
	CHECK(reads(tcp[1], "by TCP") && writes(tcp[0], "by TCP"));
	CHECK(reads(udp, "by UDP") && writes(udp, "by UDP"));
}

/* --- timers and events --- */

static int timer_fd, event_fd, signal_fd, epoll;
static timer_t timer;

static void make_timers(void)
{
	struct itimerspec soon = {{0, 20000000}, {0, 20000000}}, late = {{HOUR, 0}, {HOUR, 0}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, NULL));
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	CHECK(timer_fd >= 0 && !timerfd_settime(timer_fd, 0, &soon, NULL));
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer) &&
	      !timer_settime(timer, 0, &late, NULL));
	event_fd = eventfd(5, EFD_CLOEXEC);
	sigdelset(&set, SIGRTMIN + 1);
	signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK(event_fd >= 0 && signal_fd >= 0 && epoll >= 0);
	CHECK(!epoll_ctl(epoll, EPOLL_CTL_ADD, event_fd, &e) && !kill(getpid(), SIGUSR1));
}

static void check_timers(void)
{
	struct signalfd_siginfo info;
	struct itimerspec left;
	struct epoll_event e;
	uint64_t n;

	CHECK(read(timer_fd, &n, 8) == 8 && n);
	CHECK(!timer_gettime(timer, &left) && left.it_interval.tv_sec == HOUR);
	CHECK(left.it_value.tv_sec > HOUR / 2 && left.it_value.tv_sec <= HOUR);
	CHECK(epoll_wait(epoll, &e, 1, 0) == 1 && e.data.u64 == 7);
	CHECK(read(event_fd, &n, 8) == 8 && n == 5 && write(event_fd, &n, 8) == 8);
	CHECK(read(signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR1);
	CHECK(!kill(getpid(), SIGUSR1));
}

/* --- IPC --- */

static int shm_id, sem_id, msg_id;
static char *segment;
static mqd_t queue;

struct message {
	long type;
	char text[8];
};

static void make_ipc(void)
{
	struct message m = {3, "message"};

	shm_id = shmget(77, 65536, IPC_CREAT | 0600);
	sem_id = semget(78, 3, IPC_CREAT | 0600);
	msg_id = msgget(79, IPC_CREAT | 0600);
	CHECK(shm_id >= 0 && sem_id >= 0 && msg_id >= 0);
	segment = shmat(shm_id, NULL, 0);
	CHECK(segment != (void *)-1);
	strcpy(segment + 4096, "in a segment");
	CHECK(!semctl(sem_id, 1, SETVAL, 4) && !msgsnd(msg_id, &m, sizeof(m.text), 0));
	queue = mq_open("/rounds", O_RDWR | O_CREAT | O_CLOEXEC, 0600, NULL);
	CHECK(queue >= 0 && !mq_send(queue, "posted", 6, 2));
}

static void check_ipc(void)
{
	char posted[8192];
	struct shmid_ds ds;
	struct message m;

	CHECK(!strcmp(segment + 4096, "in a segment") && !shmctl(shm_id, IPC_STAT, &ds));
	CHECK(ds.shm_nattch == 2 && semctl(sem_id, 1, GETVAL) == 4);
	CHECK(shmget(77, 0, 0) == shm_id && semget(78, 0, 0) == sem_id && msgget(79, 0) == msg_id);
	CHECK(msgrcv(msg_id, &m, sizeof(m.text), 3, IPC_NOWAIT) == sizeof(m.text));
	CHECK(!strcmp(m.text, "message") && !msgsnd(msg_id, &m, sizeof(m.text), 0));
	CHECK(mq_receive(queue, posted, sizeof(posted), NULL) == 6 && !memcmp(posted, "posted", 6));
	CHECK(!mq_send(queue, "posted", 6, 2));
}

/* The next round, or 0 when it is to end. */
static int next_round(const char *go, int round)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.%d", go, round);
	for (;; sleep_ms(5)) {
		if (!access(path, F_OK))
			return round;
		if (!access(go, F_OK))
			return 0;
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	make_memory();
	make_files();
	make_sockets();
	make_timers();
	make_ipc();
	make_tasks();
	puts("ready");
	fflush(stdout);
	for (int round = 1; next_round(argv[1], round); round++) {
		check_memory();
		check_tasks(round);
		check_files();
		check_sockets();
		check_timers();
		check_ipc();
		printf("round %d\n", round);
		fflush(stdout);
	}
	CHECK(!kill(child, SIGKILL) && waitpid(child, NULL, 0) == child);
	return passed();
}
