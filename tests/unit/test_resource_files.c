// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptions without an engine: those of a stopped child are found, recorded,
 * loaded and opened again here; and records as an attacker would write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/resource.h"
#include "util/error.h"

/* --- a child to look at --- */

#define PIPE_TEXT  "still in the pipe"
#define QUEUE_TEXT "queued"
#define COUNT	   (7ull << 40)

struct child {
	pid_t pid;
	char dir[64], file[80];
	struct checkpoint c;
	struct checkpoint_request request;
	struct checkpoint_result result;
};

static void child_main(int file)
{
	uint64_t count = COUNT;
	struct itimerspec left = {.it_value.tv_sec = 1000};
	int ends[2], pair[2], timer;

	assert_return_code(dup2(file, 10), errno);
	assert_return_code(dup2(file, 11), errno);
	assert_return_code(fcntl(11, F_SETFD, FD_CLOEXEC), errno);
	if (pipe2(ends, O_NONBLOCK) || write(ends[1], PIPE_TEXT, sizeof(PIPE_TEXT)) < 0)
		_exit(1);
	dup2(ends[0], 12);
	dup2(ends[1], 13);
	dup2(eventfd(0, EFD_SEMAPHORE), 14);
	if (write(14, &count, sizeof(count)) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) ||
	    send(pair[0], QUEUE_TEXT, sizeof(QUEUE_TEXT), 0) < 0)
		_exit(1);
	dup2(pair[0], 15);
	dup2(pair[1], 16);
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(timer, 0, &left, NULL);
	dup2(timer, 17);
	syscall(SYS_close_range, 0, 9, 0);
	syscall(SYS_close_range, 18, ~0u, 0);
	raise(SIGSTOP);
	_exit(0);
}

static int setup(void **state)
{
	struct child *ch = calloc(1, sizeof(*ch));
	struct dump_task *t;
	struct dump_thread *th;
	struct timespec now;
	int file, status;

	/* in a mount of its own: another name of a file is looked for in all of it */
	strcpy(ch->dir, "/tmp/firn-files-XXXXXX");
	assert_non_null(mkdtemp(ch->dir));
	assert_return_code(mount("tmpfs", ch->dir, "tmpfs", 0, NULL), errno);
	snprintf(ch->file, sizeof(ch->file), "%s/file", ch->dir);
	file = open(ch->file, O_RDWR | O_CREAT | O_EXCL, 0600);
	assert_return_code(file, errno);
	assert_int_equal(write(file, "0123456789", 10), 10);
	assert_int_equal(lseek(file, 4, SEEK_SET), 4);
	ch->pid = fork();
	if (!ch->pid)
		child_main(file);
	close(file);
	assert_int_equal(waitpid(ch->pid, &status, WUNTRACED), ch->pid);
	assert_true(WIFSTOPPED(status));
	ch->request.init = ch->pid;
	ch->c = (struct checkpoint){
		.request = &ch->request, .result = &ch->result, .init = ch->pid};
	ch->c.rootfd = open("/", O_PATH | O_CLOEXEC);
	clock_gettime(CLOCK_MONOTONIC, &now);
	ch->c.begin_host_monotonic = now.tv_sec * 1000000000ull + now.tv_nsec;
	t = vec_add(&ch->c.tasks);
	t->pid = t->speaker = ch->pid;
	t->rec.pid = 1;
	th = vec_add(&t->threads);
	th->tid = ch->pid;
	t->pidfd = syscall(SYS_pidfd_open, ch->pid, 0);
	assert_return_code(t->pidfd, errno);
	*state = ch;
	return 0;
}

static int teardown(void **state)
{
	struct child *ch = *state;

	kill(ch->pid, SIGKILL);
	waitpid(ch->pid, NULL, 0);
	resource_files.release(&ch->c, NULL);
	close(ch->c.tasks.items[0].pidfd);
	close(ch->c.rootfd);
	buf_free(&ch->c.tasks.items[0].records);
	vec_free(&ch->c.tasks.items[0].threads);
	buf_free(&ch->c.records);
	vec_free(&ch->c.tasks);
	blockers_free(&ch->result.blockers);
	unlink(ch->file);
	umount2(ch->dir, MNT_DETACH);
	rmdir(ch->dir);
	free(ch);
	return 0;
}

static void save(struct child *ch)
{
	struct error *err = NULL;
	int r = resource_files.admit(&ch->c, NULL, &err);

	if (!r)
		r = resource_files.dump(&ch->c, NULL, &err);
	if (!r)
		r = resource_files.dump(&ch->c, &ch->c.tasks.items[0], &err);
	if (r)
		fail_msg("%s", error_message(err));
	for (size_t i = 0; i < ch->result.blockers.count; i++)
		print_error("blocker: %s\n", ch->result.blockers.items[i].object);
	assert_int_equal(ch->result.blockers.count, 0);
}

static void load_all(struct restore *r, struct restore_task *t, const struct buf *records)
{
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;

	while (record_next(records->data, records->len, &pos, &rec) == 1)
		if (resource_files.load(r, t, &rec, &err))
			fail_msg("%s", error_message(err));
}

/* The object behind a descriptor of the child. */
static struct file_object *behind(struct restore *r, uint32_t fd)
{
	const struct restore_task *t = &r->tasks.items[0];

	for (size_t i = 0; i < t->fd_count; i++)
		if (t->fds[i].fd == fd)
			return files_object(r, t->fds[i].description);
	fail_msg("descriptor %u is not recorded", fd);
	return NULL;
}

static void stage(struct restore *r, enum restore_stage which)
{
	struct error *err = NULL;

	if (resource_files.restore[which](r, NULL, &err))
		fail_msg("%s", error_message(err));
}

static void check_opened(struct restore *r, const struct child *ch)
{
	struct itimerspec left;
	char text[64];
	uint64_t n;
	struct stat a, b;

	/* one description under two numbers, with its offset */
	assert_ptr_equal(behind(r, 10), behind(r, 11));
	assert_int_equal(read(behind(r, 10)->fd, text, 3), 3);
	assert_memory_equal(text, "456", 3);
	assert_return_code(fstat(behind(r, 10)->fd, &a), errno);
	assert_return_code(stat(ch->file, &b), errno);
	assert_int_equal(a.st_ino, b.st_ino);
	/* contents came out once, and go on behind them */
	assert_int_equal(read(behind(r, 12)->fd, text, sizeof(text)), sizeof(PIPE_TEXT));
	assert_string_equal(text, PIPE_TEXT);
	assert_int_equal(read(behind(r, 12)->fd, text, 1), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(behind(r, 13)->fd, "x", 1), 1);
	assert_int_equal(read(behind(r, 12)->fd, text, 9), 1);
	/* a semaphore gives one at a time */
	assert_int_equal(read(behind(r, 14)->fd, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
	assert_int_equal(recv(behind(r, 16)->fd, text, sizeof(text), 0), sizeof(QUEUE_TEXT));
	assert_string_equal(text, QUEUE_TEXT);
	assert_int_equal(send(behind(r, 16)->fd, "y", 1, 0), 1);
	assert_int_equal(recv(behind(r, 15)->fd, text, sizeof(text), 0), 1);
	assert_return_code(timerfd_gettime(behind(r, 17)->fd, &left), errno);
	assert_in_range(left.it_value.tv_sec, 900, 1000);
}

static void test_round_trip(void **state)
{
	struct child *ch = *state;
	struct restore_request request = {.init = getpid(), .stdio = {-1, -1, -1}};
	struct restore r = {.request = &request, .init = request.init, .rootfd = ch->c.rootfd};
	struct restore_task *t = vec_add(&r.tasks);
	struct error *err = NULL;

	t->rec = &(struct ckpt_task){.pid = 1};
	save(ch);
	load_all(&r, NULL, &ch->c.records);
	load_all(&r, t, &ch->c.tasks.items[0].records);
	assert_int_equal(t->fd_count, 8);
	assert_int_equal(t->fds[1].flags, CKPT_FD_CLOEXEC);
	assert_int_equal(t->fds[0].flags, 0);
	stage(&r, STAGE_OBJECTS);
	if (files_open_late(&r, &err))
		fail_msg("%s", error_message(err));
	stage(&r, STAGE_CROSS);
	stage(&r, STAGE_ARM);
	check_opened(&r, ch);
	resource_files.release(NULL, &r);
	vec_free(&r.tasks);
}

/* What was looked at is as it was: the pipe and the queue still hold what they held. */
static void test_nothing_is_taken(void **state)
{
	struct child *ch = *state;
	int pidfd = ch->c.tasks.items[0].pidfd;
	char text[64];
	int fd, off;
	socklen_t len = sizeof(off);

	save(ch);
	fd = syscall(SYS_pidfd_getfd, pidfd, 12, 0);
	assert_int_equal(read(fd, text, sizeof(text)), sizeof(PIPE_TEXT));
	close(fd);
	fd = syscall(SYS_pidfd_getfd, pidfd, 16, 0);
	assert_return_code(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &off, &len), errno);
	assert_int_equal(off, -1);
	assert_int_equal(recv(fd, text, sizeof(text), MSG_DONTWAIT), sizeof(QUEUE_TEXT));
	close(fd);
	fd = syscall(SYS_pidfd_getfd, pidfd, 10, 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 4);
	close(fd);
}

/* The file has lost the name that it was opened by. other is the one that is left. */
static void rename_file(const struct child *ch, char other[96])
{
	snprintf(other, 96, "%s.other", ch->file);
	assert_return_code(link(ch->file, other), errno);
	assert_return_code(unlink(ch->file), errno);
}

static void test_renamed_is_found(void **state)
{
	struct child *ch = *state;
	struct error *err = NULL;
	char other[96];

	rename_file(ch, other);
	assert_int_equal(resource_files.admit(&ch->c, NULL, &err), 0);
	assert_int_equal(ch->result.blockers.count, 0);
	unlink(other);
}

/* The name that is left is below another mount. */
static void test_hidden_is_blocked(void **state)
{
	struct child *ch = *state;
	struct error *err = NULL;
	char other[96];

	rename_file(ch, other);
	assert_return_code(mount("tmpfs", ch->dir, "tmpfs", 0, NULL), errno);
	assert_int_equal(resource_files.admit(&ch->c, NULL, &err), 0);
	assert_return_code(umount2(ch->dir, MNT_DETACH), errno);
	assert_int_equal(ch->result.blockers.count, 1);
	assert_int_equal(ch->result.blockers.items[0].pid, 1);
	assert_int_equal(ch->result.blockers.items[0].fd, 10);
	assert_non_null(strstr(ch->result.blockers.items[0].object, ch->file));
	unlink(other);
}

/* --- hostile records --- */

/* The table refers to the record: b must stay as long. */
static int load_one(struct restore *r, struct buf *b, enum ckpt_type type, const void *head,
		    size_t len, const void *tail, size_t tail_len)
{
	struct error *err = NULL;
	struct record rec;
	size_t pos = 0;
	int ret;

	assert_non_null(record_add2(b, type, head, len, tail, tail_len));
	assert_int_equal(record_next(b->data, b->len, &pos, &rec), 1);
	ret = resource_files.load(r, NULL, &rec, &err);
	assert_true(!ret == !err);
	error_free(err);
	return ret;
}

static int load_alone(enum ckpt_type type, const void *head, size_t len, const void *tail,
		      size_t tail_len)
{
	struct restore_request request = {.init = getpid()};
	struct restore r = {.request = &request, .init = request.init, .rootfd = -1};
	struct buf b = {0};
	int ret = load_one(&r, &b, type, head, len, tail, tail_len);

	/* nothing is opened at load: the records may go after it */
	resource_files.release(NULL, &r);
	buf_free(&b);
	return ret;
}

static struct ckpt_file good_file(void)
{
	return (struct ckpt_file){
		.id = 1, .kind = CKPT_FILE_REGULAR, .mode = S_IFREG | 0644, .path_len = 5};
}

#define REFUSED(type, rec, tail, tail_len)                                                         \
	assert_int_equal(load_alone(type, &(rec), sizeof(rec), tail, tail_len), -EBADMSG)

static void test_hostile_packets(void **state)
{
	struct {
		uint32_t lengths[2];
		char text[8];
	} two = {{3, 5}, "onetwo__"}, bad = two;
	struct ckpt_pipe good = {.pipe = 1, .size = 4096, .len = 8, .packets = 2}, pipe = good;

	assert_int_equal(load_alone(CKPT_PIPE, &good, sizeof(good), &two, sizeof(two)), 0);
	REFUSED(CKPT_PIPE, good, &two, sizeof(two) - 1);
	bad.lengths[1] = 6;
	REFUSED(CKPT_PIPE, good, &bad, sizeof(bad));
	bad.lengths[0] = 0;
	bad.lengths[1] = 8;
	REFUSED(CKPT_PIPE, good, &bad, sizeof(bad));
	pipe.packets = UINT32_MAX;
	REFUSED(CKPT_PIPE, pipe, &two, sizeof(two));
	pipe.packets = 0;
	REFUSED(CKPT_PIPE, pipe, &two, sizeof(two));
	pipe = good;
	pipe.len = UINT32_MAX - 7;
	REFUSED(CKPT_PIPE, pipe, &two, sizeof(two));
}

static void test_hostile_deleted(void **state)
{
	struct ckpt_file f = good_file();

	f.flags = CKPT_FILE_DELETED;
	REFUSED(CKPT_FILE, f, "/a/bc", 5); /* whose contents? */
	f.ghost = 1;
	REFUSED(CKPT_FILE, f, "/a/bc", 5); /* no contents are there */
	f.kind = CKPT_FILE_DIRECTORY;
	f.mode = S_IFDIR;
	assert_int_equal(load_alone(CKPT_FILE, &f, sizeof(f), "/a/bc", 5), 0);
	f.kind = CKPT_FILE_PATH;
	f.open_flags = O_PATH;
	f.mode = S_IFCHR;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.flags = CKPT_FILE_ALONE; /* a regular file always is */
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
}

static void test_hostile_links(void **state)
{
	struct ckpt_file f = good_file();

	f.flags = CKPT_FILE_DELETED;
	f.ghost = 1;
	f.kind = CKPT_FILE_PATH;
	f.open_flags = O_PATH;
	f.mode = S_IFLNK | 0777;
	REFUSED(CKPT_FILE, f, "/a/bc", 5); /* where to? */
	f.mode = S_IFCHR;
	f.rdev = makedev(1, 3);
	assert_int_equal(load_alone(CKPT_FILE, &f, sizeof(f), "/a/bc", 5), 0);
	f.rdev = makedev(1, 1); /* /dev/mem */
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.mode = S_IFBLK;
	f.rdev = makedev(1, 3);
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.mode = S_IFSOCK;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
}

/* A descriptor of O_PATH may be of any device; mapped, it would be opened. */
static void test_hostile_mapped(void **state)
{
	static const struct {
		enum ckpt_file_kind kind;
		uint32_t open_flags, mode;
	} objects[] = {
		{CKPT_FILE_PATH, O_PATH, S_IFBLK | 0600},
		{CKPT_FILE_PATH, O_PATH, S_IFCHR | 0600},
		{CKPT_FILE_FIFO, O_RDONLY, S_IFIFO | 0600},
	};

	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		struct restore_request request = {.init = getpid()};
		struct restore r = {.request = &request, .init = request.init, .rootfd = -1};
		struct ckpt_file f = good_file();
		struct error *err = NULL;
		struct buf b = {0};
		int fd = -1;

		f.kind = objects[i].kind;
		f.open_flags = objects[i].open_flags;
		f.mode = objects[i].mode;
		assert_int_equal(load_one(&r, &b, CKPT_FILE, &f, sizeof(f), "/a/bc", 5), 0);
		assert_int_equal(files_open(&r, 1, O_RDWR, &fd, &err), -EBADMSG);
		assert_int_equal(fd, -1);
		error_free(err);
		resource_files.release(NULL, &r);
		buf_free(&b);
	}
}

static void test_hostile_gone(void **state)
{
	struct ckpt_file f = good_file();

	f.flags = CKPT_FILE_GONE;
	f.kind = CKPT_FILE_PROC;
	f.ghost = 4194304;
	assert_int_equal(load_alone(CKPT_FILE, &f, sizeof(f), "/a/bc", 5), 0);
	f.ghost++;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.ghost = 0;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.ghost = 7;
	f.kind = CKPT_FILE_REGULAR;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.kind = CKPT_FILE_PROC;
	f.flags |= CKPT_FILE_DELETED;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
}

static void test_hostile_namespaces(void **state)
{
	struct ckpt_namespace good = {.id = 1, .type = CLONE_NEWNET}, bad = good;

	assert_int_equal(load_alone(CKPT_NAMESPACE, &good, sizeof(good), NULL, 0), 0);
	REFUSED(CKPT_NAMESPACE, good, "tail", 4);
	bad.type = CLONE_NEWNET | CLONE_NEWUTS;
	REFUSED(CKPT_NAMESPACE, bad, NULL, 0);
	bad.type = 0;
	REFUSED(CKPT_NAMESPACE, bad, NULL, 0);
	bad = good;
	bad.reserved = 1;
	REFUSED(CKPT_NAMESPACE, bad, NULL, 0);
}

static void test_hostile_ghosts(void **state)
{
	struct ckpt_ghost good = {.ghost = 1, .runs = 2, .size = 100}, bad = good;
	struct ckpt_ghost_run runs[2] = {{0, 10}, {90, 10}};

	REFUSED(CKPT_GHOST, good, runs, sizeof(runs) - 1);
	bad.ghost = 0;
	REFUSED(CKPT_GHOST, bad, runs, sizeof(runs));
	bad = good;
	bad.size = UINT64_MAX;
	REFUSED(CKPT_GHOST, bad, runs, sizeof(runs));
	bad.size = 99;
	REFUSED(CKPT_GHOST, bad, runs, sizeof(runs));
	bad = good;
	bad.runs = UINT32_MAX;
	REFUSED(CKPT_GHOST, bad, runs, sizeof(runs));
	runs[1] = (struct ckpt_ghost_run){9, 10};
	REFUSED(CKPT_GHOST, good, runs, sizeof(runs));
	runs[1] = (struct ckpt_ghost_run){90, UINT64_MAX};
	REFUSED(CKPT_GHOST, good, runs, sizeof(runs));
}

static void test_hostile_pidfds(void **state)
{
	struct ckpt_pidfd good = {.id = 1, .ended = 1, .exit_code = 9}, bad = good;

	assert_int_equal(load_alone(CKPT_PIDFD, &good, sizeof(good), NULL, 0), 0);
	REFUSED(CKPT_PIDFD, good, "tail", 4);
	bad.ended = 0;
	REFUSED(CKPT_PIDFD, bad, NULL, 0);
	bad.pid = 7; /* nobody */
	REFUSED(CKPT_PIDFD, bad, NULL, 0);
	bad = good;
	bad.exit_code = SIGSTOP; /* does not end anybody */
	REFUSED(CKPT_PIDFD, bad, NULL, 0);
	bad.exit_code = SIGCHLD; /* nor does this */
	REFUSED(CKPT_PIDFD, bad, NULL, 0);
}

static void test_hostile_files(void **state)
{
	struct ckpt_file f = good_file();

	assert_int_equal(load_alone(CKPT_FILE, &f, sizeof(f), "/a/bc", 5), 0);
	REFUSED(CKPT_FILE, f, "a/bcd", 5);
	REFUSED(CKPT_FILE, f, "/a\0bc", 5);
	REFUSED(CKPT_FILE, f, "/a/b", 4);
	assert_int_equal(load_alone(CKPT_FILE, &f, sizeof(f) - 8, NULL, 0), -EBADMSG);
	f.id = 2;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.kind = CKPT_FILE_MEMFD + 1;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.mode = S_IFBLK;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f.kind = CKPT_FILE_DEVICE;
	f.mode = S_IFCHR;
	f.rdev = 0x101; /* /dev/mem */
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.pos = UINT64_MAX;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.flags = CKPT_FILE_DELETED;
	REFUSED(CKPT_FILE, f, "/a/bc", 5);
	f = good_file();
	f.path_len = 0;
	REFUSED(CKPT_FILE, f, NULL, 0);
}

static void test_hostile_others(void **state)
{
	struct ckpt_pipe pipe = {.pipe = 1, .size = 4096, .len = 3};
	struct ckpt_eventfd eventfd_rec = {.id = 1, .count = UINT64_MAX};
	struct ckpt_epoll epoll = {.id = 1, .targets = 0x10000001};
	struct ckpt_epoll_target target = {.fd = 3, .description = 1};
	struct ckpt_external external = {.id = 1, .stdio = 3};
	struct ckpt_timerfd timer = {.id = 1, .value = UINT64_MAX};

	assert_int_equal(load_alone(CKPT_PIPE, &pipe, sizeof(pipe), "abc", 3), 0);
	REFUSED(CKPT_PIPE, pipe, "abcd", 4);
	pipe.size = 2;
	REFUSED(CKPT_PIPE, pipe, "abc", 3);
	REFUSED(CKPT_EVENTFD, eventfd_rec, NULL, 0);
	/* the count times the size of a target is small again in 32 bits */
	REFUSED(CKPT_EPOLL, epoll, &target, sizeof(target));
	epoll.targets = 1;
	assert_int_equal(load_alone(CKPT_EPOLL, &epoll, sizeof(epoll), &target, sizeof(target)), 0);
	target.fd = UINT32_MAX;
	REFUSED(CKPT_EPOLL, epoll, &target, sizeof(target));
	REFUSED(CKPT_EXTERNAL, external, NULL, 0);
	REFUSED(CKPT_TIMERFD, timer, NULL, 0);
}

static void test_hostile_sockets(void **state)
{
	struct ckpt_unix u = {
		.id = 1, .type = SOCK_STREAM, .state = CKPT_SOCKET_LISTEN, .address_len = 4};
	struct ckpt_inet in = {
		.id = 1, .family = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP};
	struct ckpt_unix_message message = {.len = 9};

	memcpy(in.local, &(struct sockaddr_in){.sin_family = AF_INET}, sizeof(struct sockaddr_in));
	assert_int_equal(load_alone(CKPT_INET, &in, sizeof(in), NULL, 0), 0);
	in.family = AF_NETLINK;
	REFUSED(CKPT_INET, in, NULL, 0);
	in.family = AF_INET6;
	REFUSED(CKPT_INET, in, NULL, 0);
	assert_int_equal(load_alone(CKPT_UNIX, &u, sizeof(u), "/abc\0\0\0", 8), 0);
	/* a relative one whose file is there wants to know where */
	u.flags = CKPT_SOCKET_FILE;
	REFUSED(CKPT_UNIX, u, "rel/\0\0\0", 8);
	u.flags = 0;
	REFUSED(CKPT_UNIX, u, "/a\0c\0\0\0", 8);
	u.address_len = 200;
	REFUSED(CKPT_UNIX, u, "/abc\0\0\0", 8);
	/* a message longer than the queue */
	u.address_len = 0;
	u.queue_len = sizeof(message);
	REFUSED(CKPT_UNIX, u, &message, sizeof(message));
	message = (struct ckpt_unix_message){.fds = 254};
	REFUSED(CKPT_UNIX, u, &message, sizeof(message));
	u.queue_len = 0;
	u.peer = 1;
	REFUSED(CKPT_UNIX, u, NULL, 0);
}

/* One item behind an inet record. */
static int load_item(struct ckpt_inet *in, enum ckpt_item_kind kind, uint64_t len, const void *data,
		     size_t size)
{
	struct ckpt_item item = {.kind = kind, .len = len};
	char tail[1024];

	memcpy(tail, &item, sizeof(item));
	memcpy(tail + sizeof(item), data, size);
	return load_alone(CKPT_INET, in, sizeof(*in), tail, sizeof(item) + size);
}

static void test_hostile_items(void **state)
{
	struct ckpt_inet tcp = {.id = 1,
				.family = AF_INET,
				.type = SOCK_STREAM,
				.protocol = IPPROTO_TCP,
				.state = CKPT_SOCKET_KEPT};
	struct ckpt_inet udp = {
		.id = 1, .family = AF_INET, .type = SOCK_DGRAM, .protocol = IPPROTO_UDP};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = 1};
	struct ckpt_netlink nl = {.id = 1, .type = SOCK_RAW, .protocol = 12 /* netfilter */};
	struct ckpt_datagram datagram = {0};
	struct ckpt_tcp t = {.state = 1};

	memcpy(tcp.local, &in, sizeof(in));
	memcpy(tcp.remote, &in, sizeof(in));
	memcpy(udp.local, &in, sizeof(in));
	assert_int_equal(load_item(&tcp, CKPT_ITEM_TCP, sizeof(t), &t, sizeof(t)), 0);
	/* none, short, longer than the record, in a state that is not kept, beyond RFC 7323 */
	REFUSED(CKPT_INET, tcp, NULL, 0);
	assert_int_equal(load_item(&tcp, CKPT_ITEM_TCP, 8, &t, 8), -EBADMSG);
	assert_int_equal(load_item(&tcp, CKPT_ITEM_TCP, -1, &t, sizeof(t)), -EBADMSG);
	t.state = 10;
	assert_int_equal(load_item(&tcp, CKPT_ITEM_TCP, sizeof(t), &t, sizeof(t)), -EBADMSG);
	t.state = 1;
	t.snd_wscale = 15;
	assert_int_equal(load_item(&tcp, CKPT_ITEM_TCP, sizeof(t), &t, sizeof(t)), -EBADMSG);
	/* a datagram without addresses, or cut off */
	assert_int_equal(
		load_item(&udp, CKPT_ITEM_DATAGRAM, sizeof(datagram), &datagram, sizeof(datagram)),
		-EBADMSG);
	memcpy(datagram.from, &in, sizeof(in));
	memcpy(datagram.to, &in, sizeof(in));
	assert_int_equal(
		load_item(&udp, CKPT_ITEM_DATAGRAM, sizeof(datagram), &datagram, sizeof(datagram)),
		0);
	assert_int_equal(load_item(&udp, CKPT_ITEM_DATAGRAM, 16, &datagram, 16), -EBADMSG);
	REFUSED(CKPT_NETLINK, nl, NULL, 0);
}

static int load_packet(const struct ckpt_packet *rec, const struct ckpt_packet_member *member)
{
	struct {
		struct ckpt_item item;
		struct ckpt_packet_member member;
	} tail = {{.kind = CKPT_ITEM_PACKET_MEMBER, .len = sizeof(*member)}, *member};

	return load_alone(CKPT_PACKET, rec, sizeof(*rec), &tail, sizeof(tail));
}

#define PACKET_REFUSED(of, field, value)                                                           \
	do {                                                                                       \
		__typeof__(of) kept = of;                                                          \
		(of).field = value;                                                                \
		assert_int_equal(load_packet(&packet, &member), -EBADMSG);                         \
		of = kept;                                                                         \
	} while (0)

static void test_hostile_packet_sockets(void **state)
{
	struct ckpt_packet packet = {
		.id = 1, .type = SOCK_RAW, .protocol = 3, .device = "lo", .rx = {4096, 1, 2048, 2}};
	struct ckpt_packet_member member = {.device = "lo", .count = 1, .type = 1};

	assert_int_equal(load_packet(&packet, &member), 0);
	PACKET_REFUSED(packet, type, SOCK_STREAM);
	PACKET_REFUSED(packet, protocol, 0x10000);
	PACKET_REFUSED(packet, flags, CKPT_PACKET_FANOUT << 1);
	PACKET_REFUSED(packet, rx.block_nr, UINT32_MAX);
	packet.tx.block_size = 1 << 30;
	PACKET_REFUSED(packet, tx.block_nr, 2);
	packet.tx.block_size = 0;
	PACKET_REFUSED(packet, values[0], 2); /* TPACKET_V3 */
	PACKET_REFUSED(packet, values[0], -1);
	PACKET_REFUSED(member, count, 0);
	PACKET_REFUSED(member, count, UINT32_MAX);
	PACKET_REFUSED(member, type, 0x10000);
	PACKET_REFUSED(member, address_len, 33);
	memset(member.device, 'x', sizeof(member.device));
	assert_int_equal(load_packet(&packet, &member), -EBADMSG);
	memcpy(packet.device, member.device, sizeof(packet.device));
	REFUSED(CKPT_PACKET, packet, NULL, 0);
}

static void test_hostile_fds(void **state)
{
	struct ckpt_eventfd known = {.id = 1};
	struct restore r = {0};
	struct restore_task t = {0};
	struct ckpt_fd fds[2] = {{.fd = 3, .description = 1}, {.fd = 3, .description = 1}};
	struct record rec = {CKPT_FDS, 1, fds, sizeof(fds)};
	struct ckpt_fs fs = {.cwd = 1};
	struct buf b = {0};
	struct error *err = NULL;
	size_t pos = 0;
	struct record first;

	assert_non_null(record_add(&b, CKPT_EVENTFD, &known, sizeof(known)));
	assert_int_equal(record_next(b.data, b.len, &pos, &first), 1);
	assert_int_equal(resource_files.load(&r, NULL, &first, NULL), 0);
	assert_int_equal(resource_files.load(&r, &t, &rec, NULL), -EBADMSG);
	fds[1].fd = 4;
	fds[1].description = 2;
	assert_int_equal(resource_files.load(&r, &t, &rec, NULL), -EBADMSG);
	fds[1].description = 1;
	rec.len--;
	assert_int_equal(resource_files.load(&r, &t, &rec, NULL), -EBADMSG);
	rec.len++;
	assert_int_equal(resource_files.load(&r, &t, &rec, &err), 0);
	assert_null(err);
	/* an eventfd is no directory */
	rec = (struct record){CKPT_FS, 1, &fs, sizeof(fs)};
	assert_int_equal(resource_files.load(&r, &t, &rec, NULL), -EBADMSG);
	resource_files.release(NULL, &r);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renamed_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hidden_is_blocked, setup, teardown),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test(test_hostile_ghosts),
		cmocka_unit_test(test_hostile_pidfds),
		cmocka_unit_test(test_hostile_packets),
		cmocka_unit_test(test_hostile_deleted),
		cmocka_unit_test(test_hostile_links),
		cmocka_unit_test(test_hostile_mapped),
		cmocka_unit_test(test_hostile_gone),
		cmocka_unit_test(test_hostile_namespaces),
		cmocka_unit_test(test_hostile_others),
		cmocka_unit_test(test_hostile_sockets),
		cmocka_unit_test(test_hostile_items),
		cmocka_unit_test(test_hostile_packet_sockets),
		cmocka_unit_test(test_hostile_fds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
