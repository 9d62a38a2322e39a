// SPDX-License-Identifier: GPL-2.0-only
/*
 * ck_tree: init with children in sessions and groups of their own, a daemon whose
 * session's leader is gone, orphans of sessions that go on, zombies by exit and by signal, a
 * stopped child. Each process checks its own ids at the end; init those of the dead.
 */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "ck.h"

#define MEMBERS 31

struct member {
	pid_t pid, ppid, sid, pgid;
	volatile int ready, bad, done;
	char comm[16];
};
static struct member *members;
static int errors_seen;

static void note(struct member *m)
{
	m->pid = getpid();
	m->ppid = getppid();
	m->sid = getsid(0);
	m->pgid = getpgid(0);
	prctl(PR_GET_NAME, m->comm);
	m->ready = 1;
}

static void compare(struct member *m)
{
	char comm[16];

	prctl(PR_GET_NAME, comm);
	if (m->pid != getpid())
		m->bad |= 1;
	if (m->ppid != getppid())
		m->bad |= 2;
	if (m->sid != getsid(0))
		m->bad |= 4;
	if (m->pgid != getpgid(0))
		m->bad |= 8;
	if (strcmp(comm, m->comm))
		m->bad |= 16;
	m->done = 1;
}

static void live(int i, const char *name)
{
	prctl(PR_SET_NAME, name);
	note(&members[i]);
	ck_wait_go();
	compare(&members[i]);
	while (getppid()) /* until the end of init */
		pause();
	_exit(0);
}

static void wait_member(int i)
{
	while (!members[i].ready)
		usleep(1000);
}

/* 1 is init's child in a group of its own, with 2, a grandchild in another group. */
static void family(void)
{
	if (fork())
		return;
	setpgid(0, 0);
	if (!fork()) {
		setpgid(0, 0);
		live(2, "grandchild");
	}
	wait_member(2);
	live(1, "child");
}

/* 3 leads a session; 4 is in it, in a group of its own; 5 was forked before the setsid. */
static void session(void)
{
	if (fork())
		return;
	if (!fork())
		live(5, "old session");
	wait_member(5);
	setsid();
	if (!fork()) {
		setpgid(0, 0);
		live(4, "job");
	}
	live(3, "leader");
}

/* 6: its leader and its parent are gone; init has adopted it. 7 is its child in the group. */
static void daemonize(void)
{
	pid_t leader = fork();

	if (leader) {
		waitpid(leader, NULL, 0);
		return;
	}
	setsid();
	if (fork())
		_exit(0);
	while (getppid() != 1)
		usleep(1000);
	if (!fork())
		live(7, "worker");
	live(6, "daemon");
}

/*
 * 9 leads a session; 10 is in it, but its parent was not 9 and is gone: it is init's. 11 leads
 * one, as its parent does, but its child 12 is of 9's session: both have become leaders later.
 */
static void orphan(void)
{
	if (fork())
		return;
	setsid();
	if (!fork()) {
		if (fork())
			_exit(0);
		while (getppid() != 1)
			usleep(1000);
		live(10, "orphan");
	}
	wait_member(10);
	wait(NULL);
	if (!fork()) {
		if (!fork()) {
			if (!fork())
				live(12, "first session");
			wait_member(12);
			setsid();
			live(11, "late leader");
		}
		wait_member(11);
		setsid();
		while (getppid()) /* until the end of init */
			pause();
	}
	wait_member(11);
	live(9, "session");
}

static pid_t clone_sibling(void)
{
	return syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
}

/*
 * A child of 14's has led a session and is gone. Of those in it 15 is 14's child, too, and 16 has
 * been left by its parent to 13, which is 14's: as what would have made both only 14 can be the
 * parent.
 */
static void left_session(void)
{
	if (fork())
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!fork()) {
		if (!fork()) {
			setsid();
			if (!clone_sibling())
				live(15, "sibling");
			if (!clone_sibling()) {
				pid_t parent = getpid();

				if (fork())
					_exit(0);
				while (getppid() == parent)
					usleep(1000);
				live(16, "left");
			}
			_exit(0);
		}
		wait(NULL);
		wait(NULL);
		live(14, "maker");
	}
	for (int i = 14; i < 17; i++)
		wait_member(i);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	live(13, "reaper");
}

/* 20: it makes the second session, whose leader goes, with 22 for itself, and 23. */
static void make_second(pid_t parent)
{
	if (!fork())
		live(21, "first");
	if (!fork()) {
		setsid();
		if (!clone_sibling())
			live(22, "second");
		if (!clone_sibling()) {
			pid_t between = getpid();

			if (fork())
				_exit(0);
			while (getppid() == between)
				usleep(1000);
			live(23, "second"); /* 18 has got it */
		}
		_exit(0);
	}
	wait(NULL);
	wait(NULL);
	for (int i = 21; i < 24; i++)
		wait_member(i);
	while (getppid() == parent)
		usleep(1000);
	setsid();
	live(20, "mover"); /* 17 has got it */
}

/*
 * 18 and 20 are 17's children and lead sessions of their own. 20 was below 18 when the members of
 * two others were born, whose leaders are gone: 19 and 23 are 18's children, 21 and 22 are
 * 20's.
 */
static void moved_up(void)
{
	volatile int *may_move = &members[MEMBERS].ready;

	if (fork())
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (!fork()) {
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (!fork()) {
			setsid();
			if (clone_sibling())
				_exit(0);
			if (!fork()) {
				pid_t between = getpid();

				if (!fork())
					make_second(between);
				while (!*may_move)
					usleep(1000);
				_exit(0);
			}
			live(19, "first");
		}
		wait(NULL);
		wait_member(23);
		prctl(PR_SET_CHILD_SUBREAPER, 0);
		*may_move = 1;
		wait_member(20);
		setsid();
		live(18, "above");
	}
	for (int i = 18; i < 24; i++)
		wait_member(i);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	live(17, "top");
}

/* Its parent leaves it at once to init or a subreaper. */
static pid_t fork_orphan(void)
{
	pid_t between = fork();

	if (between) {
		waitpid(between, NULL, 0);
		return between;
	}
	between = getpid();
	if (fork())
		_exit(0);
	while (getppid() == between)
		usleep(1000);
	return 0;
}

/* init's; has a child in its first session, and leads another one. */
static void leave_session(int leader, int child)
{
	if (fork_orphan())
		return;
	if (!fork())
		live(child, "first");
	wait_member(child);
	setsid();
	live(leader, "leaver");
}

/*
 * The session of 25, 27 and 30 has no leader any more. Two of their parents, 24 and 26, are init's
 * and lead sessions: either could have been below the other. 29, the third one, is the child
 * of 28, which leads none and comes last to init.
 */
static void three_places(void)
{
	volatile int *reaps = &members[MEMBERS].done;
	pid_t above = fork();

	if (above) {
		waitpid(above, NULL, 0);
		return;
	}
	above = getpid();
	if (fork()) {
		wait_member(30);
		_exit(0);
	}
	if (!fork()) {
		if (!fork()) {
			setsid();
			leave_session(24, 25);
			leave_session(26, 27);
			while (!*reaps)
				usleep(1000);
			if (!fork_orphan())
				live(30, "first");
			_exit(0);
		}
		wait_member(24);
		wait_member(26);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		*reaps = 1;
		wait(NULL);
		prctl(PR_SET_CHILD_SUBREAPER, 0);
		live(29, "holder");
	}
	while (getppid() == above)
		usleep(1000);
	live(28, "late comer");
}

static pid_t zombie(int code, int signo)
{
	pid_t pid = fork();
	siginfo_t info;

	if (!pid) {
		signal(signo ? signo : SIGUSR1, SIG_DFL);
		if (signo)
			raise(signo);
		_exit(code);
	}
	waitid(P_PID, pid, &info, WEXITED | WNOWAIT);
	return pid;
}

static pid_t stopped(void)
{
	pid_t pid = fork();
	siginfo_t info;

	if (!pid) {
		prctl(PR_SET_NAME, "stopped");
		note(&members[8]);
		raise(SIGSTOP);
		compare(&members[8]);
		_exit(9);
	}
	/* the stop itself is reported before the checkpoint */
	waitid(P_PID, pid, &info, WSTOPPED);
	return pid;
}

/* Children that send nothing at their end, or what is no signal, and are waited for with __WCLONE.
 */
static pid_t quiet(int exit_signal, int code)
{
	pid_t pid = syscall(SYS_clone, exit_signal, 0, 0, 0, 0);
	siginfo_t info;

	if (!pid && code)
		_exit(code);
	if (!pid) {
		ck_wait_go();
		_exit(11);
	}
	if (code)
		waitid(P_PID, pid, &info, WEXITED | WNOWAIT | __WCLONE);
	return pid;
}

static void reap_quiet(pid_t pid, int code)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != -1 || errno != ECHILD)
		ck_bad("quiet child %d: waited for as if it told of its end", pid);
	if (waitpid(pid, &status, __WCLONE) != pid || status != code << 8)
		ck_bad("quiet child %d: status %#x (errno %d)", pid, status, errno);
}

static void on_child(int signo)
{
	(void)signo;
	errors_seen++;
}

static void reap(pid_t pid, int wanted)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != pid || status != wanted)
		ck_bad("zombie %d: status %#x, wanted %#x", pid, status, wanted);
}

int main(void)
{
	pid_t by_exit, by_255, by_kill, by_term, halted, silent, silent_dead, odd;
	int status = -1, chld;

	members = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGCHLD, on_child);
	family();
	session();
	daemonize();
	orphan();
	left_session();
	moved_up();
	three_places();
	by_exit = zombie(7, 0);
	by_255 = zombie(255, 0);
	by_kill = zombie(0, SIGKILL);
	by_term = zombie(0, SIGTERM);
	halted = stopped();
	silent = quiet(0, 0);
	silent_dead = quiet(0, 12);
	odd = quiet(100, 0);
	note(&members[0]);
	for (int i = 1; i < MEMBERS; i++)
		wait_member(i);
	chld = errors_seen;
	ck_ready();
	ck_wait_go();
	/* what is restored does not hear of deaths again */
	if (errors_seen != chld)
		ck_bad("%d signals of children that had died before", errors_seen - chld);
	compare(&members[0]);
	reap(by_255, 0xff00);
	reap(by_exit, 0x700);
	reap(by_kill, SIGKILL);
	reap(by_term, SIGTERM);
	usleep(50000);
	if (members[8].done)
		ck_bad("the stopped child has run");
	ck_check(waitpid(halted, &status, WNOHANG) == 0);
	kill(halted, SIGCONT);
	reap(halted, 0x900);
	reap_quiet(silent, 11);
	reap_quiet(silent_dead, 12);
	reap_quiet(odd, 11);
	for (int i = 0; i < MEMBERS; i++) {
		struct member *m = &members[i];

		for (int tries = 0; !m->done && tries < 1000; tries++)
			usleep(5000);
		if (!m->done || m->bad)
			ck_bad("process %d (%s): done %d, differences %#x", m->pid, m->comm,
			       m->done, m->bad);
	}
	ck_check(waitpid(-1, &status, WNOHANG) == 0);
	return ck_end();
}
