// SPDX-License-Identifier: GPL-2.0-only
/*
 * res_proc GO [again|refused]: descriptors of its namespaces; open files and directories of /proc
 * of processes that are gone, one of them a working directory. again: the pid of one of those is
 * another process's by now. refused: so is the pid of a working directory.
 */
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "res.h"

#define SKIPPED 40 /* bytes of mountinfo that were read before */

static const struct {
	const char *name;
	int type;
} spaces[] = {
	{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"mnt", CLONE_NEWNS},
	{"net", CLONE_NEWNET},	     {"pid", CLONE_NEWPID}, {"user", CLONE_NEWUSER},
	{"uts", CLONE_NEWUTS},
};
#define SPACES (sizeof(spaces) / sizeof(*spaces))

static int space[SPACES], space_path, space_shared;
static int mounts, directory, path_only, status, entries, thread_status, reused = -1;
static pid_t gone, visitor, later;

static const char *of(pid_t pid, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d%s", pid, name);
	return path;
}

static int opened(int fd)
{
	CHECK(fd >= 0);
	return fd;
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static void end(pid_t pid)
{
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, NULL, 0) == pid);
}

static void set_spaces(void)
{
	char path[32];

	for (size_t i = 0; i < SPACES; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i].name);
		space[i] = opened(open(path, O_RDONLY | (i % 2 ? O_CLOEXEC : 0)));
	}
	space_path = opened(open("/proc/self/ns/net", O_PATH));
	space_shared = opened(dup(space[0]));
}

static void check_spaces(void)
{
	struct stat st, now;
	char path[32];

	for (size_t i = 0; i < SPACES; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", spaces[i].name);
		CHECK(!fstat(space[i], &st) && !stat(path, &now) && st.st_ino == now.st_ino);
		CHECK(fcntl(space[i], F_GETFD) == (i % 2 ? FD_CLOEXEC : 0));
		CHECK(ioctl(space[i], NS_GET_NSTYPE) == spaces[i].type);
	}
	CHECK(!fstat(space_path, &st) && !stat("/proc/self/ns/net", &now) &&
	      st.st_ino == now.st_ino && fcntl(space_path, F_GETFL) & O_PATH);
	CHECK(!syscall(SYS_kcmp, getpid(), getpid(), 0 /* KCMP_FILE */, space[0], space_shared));
}

/* Its working directory is of a process that is gone, until the test goes on. */
static void visit(const char *go)
{
	struct timespec ms10 = {0, 10000000};
	char wanted[64], got[64] = "", cwd[64];

	snprintf(wanted, sizeof(wanted), "/proc/%d (deleted)", gone);
	CHECK(!chdir(of(gone, "")) && open("/tmp/there", O_CREAT | O_WRONLY, 0600) >= 0);
	while (access(go, F_OK))
		nanosleep(&ms10, NULL);
	CHECK(readlink("/proc/self/cwd", got, sizeof(got) - 1) > 0 && !strcmp(got, wanted));
	CHECK(syscall(SYS_getcwd, cwd, sizeof(cwd)) == -1 && errno == ENOENT);
	CHECK(access("status", F_OK) == -1);
	exit(7);
}

/* One that has the pid of another that is gone. */
static pid_t start_again(pid_t pid)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	pid_t child = syscall(SYS_clone3, &args, sizeof(args));

	if (!child)
		for (;;)
			pause();
	return child;
}

static void set_gone(const char *go)
{
	struct timespec ms10 = {0, 10000000};
	char text[SKIPPED];

	unlink("/tmp/there");
	gone = start();
	mounts = opened(open(of(gone, "/mountinfo"), O_RDONLY));
	CHECK(read(mounts, text, SKIPPED) == SKIPPED);
	directory = opened(open(of(gone, ""), O_RDONLY | O_DIRECTORY));
	path_only = opened(open(of(gone, ""), O_PATH | O_CLOEXEC));
	status = opened(open(of(gone, "/status"), O_RDONLY));
	entries = opened(open(of(gone, "/fdinfo"), O_RDONLY));
	thread_status = opened(open(of(gone, "/task"), O_RDONLY));
	close(thread_status);
	snprintf(text, sizeof(text), "/task/%d/status", gone);
	thread_status = opened(open(of(gone, text), O_RDONLY));
	visitor = fork();
	if (!visitor)
		visit(go);
	while (access("/tmp/there", F_OK)) {
		CHECK(!waitpid(visitor, NULL, WNOHANG));
		nanosleep(&ms10, NULL);
	}
	end(gone);
}

static void set_again(int enter)
{
	pid_t pid = start();

	reused = opened(open(of(pid, "/stat"), O_RDONLY));
	CHECK(!enter || !chdir(of(pid, "")));
	end(pid);
	later = start_again(pid);
	CHECK(later == pid);
}

static int is_dead(int fd)
{
	char byte;

	return lseek(fd, 0, SEEK_SET) == 0 && read(fd, &byte, 1) == -1 && errno == ESRCH;
}

static void check_gone(void)
{
	struct stat st, other;
	char text[64];
	int code;

	CHECK(access(of(gone, ""), F_OK) == -1);
	CHECK(lseek(mounts, 0, SEEK_CUR) == SKIPPED && read(mounts, text, sizeof(text)) > 0);
	CHECK(!fstat(directory, &st) && S_ISDIR(st.st_mode));
	CHECK(!fstat(path_only, &other) && st.st_ino == other.st_ino);
	CHECK(openat(directory, "status", O_RDONLY) == -1 && (errno == ENOENT || errno == ESRCH));
	CHECK(fcntl(path_only, F_GETFL) & O_PATH && fcntl(path_only, F_GETFD) == FD_CLOEXEC);
	CHECK(is_dead(status) && is_dead(thread_status) && !fstat(entries, &st));
	CHECK(waitpid(visitor, &code, 0) == visitor && WEXITSTATUS(code) == 7);
	if (reused < 0)
		return;
	CHECK(is_dead(reused) && !kill(later, 0));
	end(later);
}

int main(int argc, char **argv)
{
	CHECK(argc >= 2);
	set_spaces();
	set_gone(argv[1]);
	if (argc > 2)
		set_again(!strcmp(argv[2], "refused"));
	ready_and_wait(argv[1]);
	check_spaces();
	check_gone();
	return passed();
}
