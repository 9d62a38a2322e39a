// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/ioprio.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/capabilities.h"
#include "libcontainer/labels.h"
#include "libcontainer/sync.h"
#include "libcontainer/trampoline.h"
#include "oci/annotations.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int set_rlimits(const struct oci_process *process, struct error **err)
{
	vec_for_each (r, &process->rlimits) {
		struct rlimit limit = {.rlim_cur = r->soft, .rlim_max = r->hard};

		if (setrlimit(r->type, &limit) == 0)
			continue;
		error_errno(err, errno,
			    "/process/rlimits/%zu of config.json: setting limit %d to %" PRIu64
			    " (hard %" PRIu64 ")",
			    (size_t)(r - process->rlimits.items), r->type, r->soft, r->hard);
		if (error_code(*err) == EPERM)
			return error_hint(err, "raising a hard limit needs CAP_SYS_RESOURCE, which "
					       "the runtime does not have here");
		return -error_code(*err);
	}
	return 0;
}

static int set_oom_score(const struct oci_process *process, struct error **err)
{
	char text[16];
	int ret;

	if (!process->has_oom_score_adj)
		return 0;
	snprintf(text, sizeof(text), "%d", process->oom_score_adj);
	ret = write_file(AT_FDCWD, "/proc/self/oom_score_adj", text);
	if (ret >= 0)
		return 0;
	error_errno(err, -ret, "/process/oomScoreAdj of config.json: setting it to %s", text);
	if (ret == -EACCES)
		return error_hint(err, "lowering it needs CAP_SYS_RESOURCE");
	return ret;
}

/* The kernel says EINVAL to whatever is wrong with a deadline. */
static int refused_scheduler(const struct oci_scheduler *s, int code, struct error **err)
{
	error_errno(err, code, "/process/scheduler of config.json");
	if (code == EINVAL && s->policy == SCHED_DEADLINE)
		return error_hint(err, "SCHED_DEADLINE wants 1024 ns <= runtime <= deadline <= "
				       "period");
	return -code;
}

static int set_scheduler(const struct oci_process *process, struct error **err)
{
	const struct oci_scheduler *s = process->scheduler;
	struct sched_attr attr = {.size = sizeof(attr)};

	if (s) {
		attr.sched_policy = s->policy;
		attr.sched_flags = s->flags;
		attr.sched_nice = s->nice;
		attr.sched_priority = s->priority;
		attr.sched_runtime = s->runtime;
		attr.sched_deadline = s->deadline;
		attr.sched_period = s->period;
		if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
			return refused_scheduler(s, errno, err);
	}
	if (process->io_priority) {
		int value = IOPRIO_PRIO_VALUE(process->io_priority->class,
					      process->io_priority->priority);

		if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) < 0)
			return error_errno(err, errno, "/process/ioPriority of config.json");
	}
	return 0;
}

int process_limit(const struct oci_process *process, struct error **err)
{
	int ret = set_oom_score(process, err);

	if (ret == 0)
		ret = set_scheduler(process, err);
	return ret;
}

static const char *environment(const struct oci_process *process, const char *name)
{
	size_t len = strlen(name);
	const char *value = NULL;

	for (size_t i = 0; i < process->env.count; i++)
		if (!strncmp(process->env.items[i], name, len) && process->env.items[i][len] == '=')
			value = process->env.items[i] + len + 1;
	return value;
}

/* The container's own, so it may be anything: a FIFO without a writer as well. */
static FILE *open_passwd(void)
{
	__cleanup_fd int fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	FILE *file = NULL;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	if (file)
		fd = -1;
	return file;
}

/* The home directory of the user. */
static char *find_home(uid_t uid)
{
	__cleanup_file FILE *file = open_passwd();
	struct passwd *entry;

	while (file && (entry = fgetpwent(file)))
		if (entry->pw_uid == uid)
			return strdup(entry->pw_dir);
	return strdup("/");
}

/* Where the variable of that entry is in env, or where it goes. */
static char **find_variable(char **env, const char *entry)
{
	size_t len = strcspn(entry, "=") + 1;

	while (*env && strncmp(*env, entry, len) != 0)
		env++;
	return env;
}

static int set_variable(char **env, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The entry is kept as long as env is: until the program is executed. */
static int set_variable(char **env, const char *format, ...)
{
	va_list args;
	char *entry;
	int ret;

	va_start(args, format);
	ret = vasprintf(&entry, format, args);
	va_end(args);
	if (ret < 0)
		return -ENOMEM;
	*find_variable(env, entry) = entry;
	return 0;
}

/* sd_listen_fds(3) takes them if they are for the pid that the program has in its namespace. */
static int set_listen_variables(const struct process_setup *setup)
{
	const char *names = getenv("LISTEN_FDNAMES");
	int ret;

	if (!setup->passed.listening)
		return 0;
	ret = set_variable(setup->env, "LISTEN_FDS=%d", setup->passed.listening);
	if (ret == 0)
		ret = set_variable(setup->env, "LISTEN_PID=%d", getpid());
	if (ret == 0 && names)
		ret = set_variable(setup->env, "LISTEN_FDNAMES=%s", names);
	return ret;
}

/* Those that make_environment() adds. */
#define ADDED_VARIABLES 4

/*
 * config's environment, HOME if it has none, and what goes with sockets that are passed on. Of a
 * variable that is there twice, as with --env of exec, the last counts, whereas getenv(3) finds the
 * first.
 */
static int make_environment(struct process_setup *setup, struct error **err)
{
	const struct oci_process *process = setup->process;
	__cleanup_free char *home = NULL;
	int ret = 0;

	setup->env = calloc(process->env.count + ADDED_VARIABLES + 1, sizeof(char *));
	if (!setup->env)
		return error_errno(err, ENOMEM, "making the environment");
	vec_for_each (entry, &process->env)
		*find_variable(setup->env, *entry) = *entry;
	if (!environment(process, "HOME")) {
		home = find_home(process->user.uid);
		ret = home ? set_variable(setup->env, "HOME=%s", home) : -ENOMEM;
	}
	if (ret == 0)
		ret = set_listen_variables(setup);
	return ret < 0 ? error_errno(err, -ret, "making the environment") : 0;
}

static bool is_executable(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111;
}

static int find_in_path(const char *name, const char *path, char **found)
{
	while (path) {
		size_t len = strcspn(path, ":");
		__cleanup_free char *candidate = NULL;

		if (asprintf(&candidate, "%.*s%s%s", (int)len, path, len ? "/" : "./", name) < 0) {
			candidate = NULL;
			return -ENOMEM;
		}
		if (is_executable(candidate)) {
			*found = take_ptr(candidate);
			return 0;
		}
		path = path[len] ? path + len + 1 : NULL;
	}
	return -ENOENT;
}

static int find_program(struct process_setup *setup, struct error **err)
{
	const char *name = setup->process->args.items[0];
	const char *path = environment(setup->process, "PATH");
	int ret;

	if (strchr(name, '/')) {
		setup->program = strdup(name);
		if (!setup->program)
			return error_errno(err, ENOMEM, "executing \"%s\"", name);
		if (access(name, F_OK) < 0)
			return error_errno(err, errno, "executing \"%s\" in the container", name);
		return 0;
	}
	ret = find_in_path(name, path ? path : DEFAULT_PATH, &setup->program);
	if (ret == -ENOENT)
		return error_set(err, ENOENT,
				 "executing \"%s\" in the container: not found in its PATH", name);
	if (ret < 0)
		return error_errno(err, -ret, "executing \"%s\"", name);
	return 0;
}

int process_join_keyring(const char *id, struct error **err)
{
	char name[300];

	snprintf(name, sizeof(name), "_ses.%s", id);
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0) >= 0)
		return 0;
	/* ENOSYS: a kernel without keys, or seccomp around the runtime; EDQUOT is the user's */
	if (errno == ENOSYS || errno == EPERM || errno == EACCES)
		return 0;
	error_errno(err, errno, "making a session keyring");
	return error_hint(err, "--no-new-keyring does without");
}

static int enter_directory(const struct oci_process *process, struct error **err)
{
	char here[PATH_MAX];

	if (chdir(process->cwd) < 0)
		return error_errno(err, errno, "/process/cwd: entering \"%s\"", process->cwd);
	/* "(unreachable)": a leaked descriptor as working directory, CVE-2024-21626 */
	if (syscall(SYS_getcwd, here, sizeof(here)) < 0 || here[0] != '/')
		return error_set(err, EPERM, "/process/cwd: \"%s\" is outside of the container",
				 process->cwd);
	return 0;
}

bool process_opens_with_capabilities(const struct oci_process *process, bool user_namespace)
{
	return process && process->user.uid && !user_namespace && process->has_capabilities &&
	       process->capabilities.effective && !process->capabilities.ambient;
}

/*
 * The terminal, pipe, socket or log that a stream is. Devices belong to the host, and so does a
 * file that is only read: whoever gives the container /etc/shadow to read does not give it away.
 */
static bool may_be_owned(int fd, const struct stat *st)
{
	bool writes = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;

	return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || (S_ISREG(st->st_mode) && writes) ||
	       isatty(fd);
}

/*
 * Only whose it is can open a pipe or a file by /dev/stdout. As with runc, a terminal keeps its
 * group, and what cannot be given away (in a user namespace, on a read-only file system) stays as
 * it is: the program may do without.
 */
static void own_streams(const struct oci_user *user)
{
	for (int fd = 0; fd < 3; fd++) {
		struct stat st;

		if (!stdio_given(fd) || fstat(fd, &st) < 0 || st.st_uid == user->uid ||
		    !may_be_owned(fd, &st))
			continue;
		if (fchown(fd, user->uid, isatty(fd) ? (gid_t)-1 : user->gid) < 0)
			log_debug("stream %d stays that of user %u: %s", fd, st.st_uid,
				  strerror(errno));
	}
}

int process_prepare(struct process_setup *setup, struct error **err)
{
	struct error *ignored = NULL;
	int ret = make_environment(setup, err);

	if (ret == 0)
		own_streams(&setup->process->user);
	if (ret == 0)
		ret = seccomp_compile(setup->seccomp, oci_refuses_unknown_calls(setup->annotations),
				      &setup->filter, err);
	/* its execution would use label and capabilities up: see self_image.h for what protects
	 * then */
	setup->trampoline_fd = -1;
	if (ret == 0 && !setup->is_trampoline && !labels_wanted(setup->process) &&
	    !process_opens_with_capabilities(setup->process, setup->user_namespace)) {
		setup->trampoline_fd = trampoline_open(err);
		ret = setup->trampoline_fd < 0 ? setup->trampoline_fd : 0;
	}
	if (ret < 0)
		return ret;
	/* the user may have no access, or only the user may: then tried again as the user */
	setup->entered = enter_directory(setup->process, &ignored) == 0;
	if (!setup->entered)
		error_free(ignored);
	return find_program(setup, err);
}

static int set_groups(const struct process_setup *setup, struct error **err)
{
	const struct oci_gids *gids = &setup->process->user.additional_gids;

	if (oci_keeps_groups(setup->annotations) || setgroups(gids->count, gids->items) == 0)
		return 0;
	if (setup->user_namespace && !gids->count && errno == EPERM)
		return 0;
	return error_errno(err, errno, "setting additional groups");
}

static int set_user(const struct process_setup *setup, struct error **err)
{
	const struct oci_user *user = &setup->process->user;
	int ret = set_groups(setup, err);

	if (ret < 0)
		return ret;
	if (setresgid(user->gid, user->gid, user->gid) < 0)
		return error_errno(err, errno, "becoming group %u", user->gid);
	if (setresuid(user->uid, user->uid, user->uid) < 0)
		return error_errno(err, errno, "becoming user %u", user->uid);
	if (user->has_umask)
		umask(user->umask);
	else
		umask(0022);
	return 0;
}

static int change_user(const struct process_setup *setup, struct error **err)
{
	const struct oci_process *process = setup->process;
	int ret = 0;

	if (process->has_capabilities)
		ret = capabilities_bound(&process->capabilities, err);
	if (ret < 0)
		return ret;
	/* permitted capabilities survive the change of user until they are set below */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "keeping capabilities");
	ret = set_user(setup, err);
	if (ret < 0)
		return ret;
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
		return error_errno(err, errno, "dropping capabilities");
	if (process->has_capabilities)
		return capabilities_set(&process->capabilities, err);
	return 0;
}

static int execute(const struct process_setup *setup)
{
	if (setup->trampoline_fd >= 0)
		return trampoline_execute(setup->trampoline_fd, setup->report_fd, setup->program,
					  setup->process->args.items, setup->env);
	execve(setup->program, setup->process->args.items, setup->env);
	return -errno;
}

int process_mark_fds(int keep, struct error **err)
{
	if (syscall(SYS_close_range, 3 + keep, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return error_errno(err, errno, "marking descriptors to be closed");
	return 0;
}

int process_execute(struct process_setup *setup, struct error **err)
{
	const struct oci_process *process = setup->process;
	int ret = process_mark_fds(setup->passed.count, err);

	if (ret == 0)
		ret = sync_send_text(setup->report_fd, SYNC_EXECUTING, setup->program, err);
	/* a filter needs either CAP_SYS_ADMIN, still there, or no_new_privs */
	if (ret == 0 && !process->no_new_privileges)
		ret = seccomp_install(&setup->filter, setup->report_fd, err);
	if (ret == 0)
		ret = set_rlimits(process, err);
	if (ret == 0)
		ret = change_user(setup, err);
	/* a filter may be there already: who has entered need not be let by it */
	if (ret == 0 && !setup->entered)
		ret = enter_directory(process, err);
	if (ret < 0)
		return ret;
	if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "setting no_new_privs");
	if (process->no_new_privileges) {
		ret = seccomp_install(&setup->filter, setup->report_fd, err);
		if (ret < 0)
			return ret;
	}
	ret = setup->run_hooks ? setup->run_hooks(setup->context, err) : 0;
	if (ret < 0)
		return ret;
	ret = execute(setup);
	return sync_execute_error(-ret, setup->program, err);
}
