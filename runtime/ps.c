// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/cgroup.h"
#include "libcontainer/state.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/json_write.h"

static const struct option_spec options[] = {
	{"format", 'f', "FORMAT", "table (default) or json"},
	{NULL, 0, NULL, NULL},
};

/* What `ps -ef` tells of a process. */
struct process_row {
	int ppid, tty, cpu_percent;
	char name[20];
	char tty_name[16];
	char start[16], time[24], user[64];
	char *command;
};

static bool listed(const struct pid_list *list, pid_t pid)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->pids[i] == pid)
			return true;
	return false;
}

static void format_tty(struct process_row *row)
{
	unsigned int major = row->tty >> 8 & 0xfff;
	unsigned int minor = (row->tty & 0xff) | (row->tty >> 12 & 0xfff00);

	if (!row->tty)
		snprintf(row->tty_name, sizeof(row->tty_name), "?");
	else if (major >= 136 && major < 144)
		snprintf(row->tty_name, sizeof(row->tty_name), "pts/%u",
			 (major - 136) * 256 + minor);
	else if (major == 4)
		snprintf(row->tty_name, sizeof(row->tty_name), "tty%u", minor);
	else
		snprintf(row->tty_name, sizeof(row->tty_name), "%u:%u", major, minor);
}

static void format_times(struct process_row *row, unsigned long long used,
			 unsigned long long started)
{
	long hz = sysconf(_SC_CLK_TCK);
	struct timespec up, now;
	struct tm then, today;
	time_t start;
	long long age;

	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	age = up.tv_sec - (long long)(started / hz);
	start = now.tv_sec - age;
	used /= hz;
	row->cpu_percent = age > 0 ? used * 100 / age : 0;
	snprintf(row->time, sizeof(row->time), "%02llu:%02llu:%02llu", used / 3600, used / 60 % 60,
		 used % 60);
	localtime_r(&start, &then);
	localtime_r(&now.tv_sec, &today);
	strftime(row->start, sizeof(row->start),
		 then.tm_yday == today.tm_yday && then.tm_year == today.tm_year ? "%H:%M" : "%b%d",
		 &then);
}

/* Arguments with blanks between them; a container may put anything there. */
static char *read_command(pid_t pid, const char *name)
{
	char *text = NULL;
	size_t len = 0;

	if (proc_read(&text, &len, "%d/cmdline", pid) < 0)
		return NULL;
	if (!len) {
		free(text);
		return asprintf(&text, "[%s]", name) < 0 ? NULL : text;
	}
	for (size_t i = 0; i + 1 < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = text[i] ? '?' : ' ';
	return text;
}

static int read_row(pid_t pid, struct process_row *row)
{
	unsigned long long user, system, started;
	__cleanup_free char *stat_text = NULL;
	struct passwd *passwd;
	struct stat st;
	char path[32];
	char *open, *close;
	int r = proc_read(&stat_text, NULL, "%d/stat", pid);

	if (r < 0)
		return r;
	open = strchr(stat_text, '(');
	close = strrchr(stat_text, ')');
	if (!open || !close ||
	    sscanf(close + 1,
		   " %*c %d %*d %*d %d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
		   "%llu",
		   &row->ppid, &row->tty, &user, &system, &started) != 5)
		return -EUCLEAN;
	snprintf(row->name, sizeof(row->name), "%.*s", (int)(close - open - 1), open + 1);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st) < 0)
		return -errno;
	passwd = getpwuid(st.st_uid);
	if (passwd)
		snprintf(row->user, sizeof(row->user), "%s", passwd->pw_name);
	else
		snprintf(row->user, sizeof(row->user), "%u", st.st_uid);
	format_tty(row);
	format_times(row, user + system, started);
	row->command = read_command(pid, row->name);
	return row->command ? 0 : -ENOMEM;
}

static void print_table(const struct pid_list *list)
{
	printf("%-10s %7s %7s  %s %-5s %-8s %8s %s\n", "UID", "PID", "PPID", "C", "STIME", "TTY",
	       "TIME", "CMD");
	for (size_t i = 0; i < list->count; i++) {
		struct process_row row = {0};

		/* gone meanwhile */
		if (read_row(list->pids[i], &row) < 0)
			continue;
		printf("%-10s %7d %7d %2d %-5s %-8s %8s %s\n", row.user, list->pids[i], row.ppid,
		       row.cpu_percent, row.start, row.tty_name, row.time, row.command);
		free(row.command);
	}
}

static int print_json(const struct pid_list *list, struct error **err)
{
	__cleanup_json struct json *j = json_new(false);

	json_array_begin(j);
	for (size_t i = 0; i < list->count; i++)
		json_int(j, list->pids[i]);
	json_array_end(j);
	return view_print(j, err);
}

/* Which blank-divided column of ps' header is PID, or -1. */
static int pid_column(const char *header)
{
	int column = 0;

	while (*(header += strspn(header, " \n"))) {
		size_t len = strcspn(header, " \n");

		if (len == 3 && !strncmp(header, "PID", 3))
			return column;
		header += len;
		column++;
	}
	return -1;
}

static pid_t pid_in(const char *line, int column)
{
	for (; column >= 0; column--) {
		line += strspn(line, " ");
		if (column == 0)
			break;
		line += strcspn(line, " ");
	}
	return atoi(line);
}

static int filter(FILE *in, const struct pid_list *list, struct error **err)
{
	__cleanup_free char *line = NULL;
	size_t size = 0;
	int column;

	if (getline(&line, &size, in) < 0)
		return error_set(err, EIO, "ps printed nothing");
	column = pid_column(line);
	if (column < 0)
		return error_set(err, EINVAL, "ps printed no column PID");
	fputs(line, stdout);
	while (getline(&line, &size, in) >= 0)
		if (listed(list, pid_in(line, column)))
			fputs(line, stdout);
	return 0;
}

/* Columns of the user's choice: only ps knows them all. */
static int run_ps(const struct runtime *rt, const struct pid_list *list, struct error **err)
{
	__cleanup_free char **argv = calloc(rt->argc + 1, sizeof(*argv));
	__cleanup_file FILE *in = NULL;
	posix_spawn_file_actions_t actions;
	int pipefd[2], status, r;
	pid_t pid;

	if (!argv || pipe2(pipefd, O_CLOEXEC) < 0)
		return error_errno(err, errno, "running ps");
	argv[0] = (char *)"ps";
	for (int i = 1; i < rt->argc; i++)
		argv[i] = (char *)rt->argv[i];
	/* engines call us without PATH */
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipefd[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
	r = posix_spawnp(&pid, "ps", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipefd[1]);
	in = fdopen(pipefd[0], "r");
	if (r || !in)
		return error_errno(err, r ? r : errno, "running ps");
	r = filter(in, list, err);
	/* without a reader it ends, however much it still has to say */
	fclose(take_ptr(in));
	if (waitpid(pid, &status, 0) == pid && status && r == 0)
		return error_set(err, EIO, "ps failed");
	return r;
}

static bool shares_namespace(pid_t pid, const struct stat *wanted)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) == 0 && st.st_ino == wanted->st_ino && st.st_dev == wanted->st_dev;
}

/* Of a container that is in no cgroup: all in its pid namespace, which is its own then. */
static int namespace_pids(pid_t init, struct pid_list *list, struct error **err)
{
	__cleanup_dir DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct stat wanted;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", init);
	if (!dir || stat(path, &wanted) < 0)
		return error_errno(err, errno, "reading the processes of pid namespace");
	while ((entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name), *item;

		if (pid <= 0 || !shares_namespace(pid, &wanted))
			continue;
		item = vec_add_item((void **)&list->pids, &list->count, &list->size, sizeof(*item));
		if (!item)
			return error_errno(err, ENOMEM, "listing processes");
		*item = pid;
	}
	return 0;
}

static int find_pids(const struct container *c, struct pid_list *list, struct error **err)
{
	__cleanup_cgroup struct cgroup *cg = NULL;
	int r;

	/* none: as with runc, that is no error */
	if (c->state == CONTAINER_DEAD || !c->cgroup_path)
		return 0;
	r = cgroup_open(c->cgroup_path, &cg, err);
	if (r < 0)
		return r;
	return *c->cgroup_path ? cgroup_pids(cg, list, err)
			       : namespace_pids(c->init.pid, list, err);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	const char *format = option_string(rt, "format");
	struct pid_list list = {0};
	int r;

	if (format && strcmp(format, "table") && strcmp(format, "json"))
		return error_set(err, EINVAL, "option \"--format\": must be table or json");
	r = view_container(rt, rt->id, &c, err);
	if (r < 0)
		return r;
	r = find_pids(c, &list, err);
	if (r < 0)
		return r;
	if (format && !strcmp(format, "json"))
		r = print_json(&list, err);
	else if (rt->argc > 1)
		r = run_ps(rt, &list, err);
	else
		print_table(&list);
	free(list.pids);
	return r;
}

const struct verb verb_ps = {
	.name = "ps",
	.summary = "list the processes in a container",
	.usage = "ID [PS-OPTION...]",
	.options = options,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.takes_id = true,
	.verbatim = true,
	.notes = "Options of ps(1) after the id choose other columns; PID must be among them.",
	.run = run,
};
