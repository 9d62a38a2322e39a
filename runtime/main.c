// SPDX-License-Identifier: GPL-2.0-only
/* The firn command: global options, choice of the verb, report of its error. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/config.h"
#include "runtime/criu.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

const struct option_spec global_options[] = {
	{"root", 0, "DIR", "where containers' states are kept"},
	{"log", 0, "FILE", "write the log, and errors too, to this file"},
	{"log-format", 0, "FORMAT", "of the log: text (default) or json"},
	{"debug", 0, NULL, "log what is done"},
	{"systemd-cgroup", 0, NULL, "let systemd make cgroups: cgroupsPath is SLICE:PREFIX:NAME"},
	{"cgroup-manager", 0, "NAME", "who makes cgroups: cgroupfs (default), systemd or disabled"},
	{"rootless", 0, "WHEN", "true, false or auto (default)"},
	{"criu", 0, "PROGRAM", NULL},
	{NULL, 0, NULL, NULL},
};

/* /run/firn, or below the user's own runtime directory. */
static int choose_root(struct runtime *rt, struct error **err)
{
	const char *root = option_string(rt, "root");
	const char *user_dir = getenv("XDG_RUNTIME_DIR");
	__cleanup_free char *cwd = NULL;
	int ret;

	if (!root && geteuid() == 0)
		root = "/run/firn";
	if (!root && !user_dir && rt->verb && rt->verb->stateless)
		return 0;
	if (!root && !user_dir)
		return error_set(err, EINVAL, "no --root given and XDG_RUNTIME_DIR is not set");
	if (!root) {
		ret = asprintf(&rt->root, "%s/firn", user_dir);
	} else if (root[0] == '/') {
		ret = asprintf(&rt->root, "%s", root);
	} else {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return error_errno(err, errno, "finding the current directory");
		ret = asprintf(&rt->root, "%s/%s", cwd, root);
	}
	if (ret < 0) {
		rt->root = NULL;
		return error_errno(err, ENOMEM, "choosing the root directory");
	}
	return 0;
}

static int open_log(struct runtime *rt, struct error **err)
{
	const char *format = option_string(rt, "log-format");
	int fd = STDERR_FILENO;

	if (format && strcmp(format, "text") && strcmp(format, "json"))
		return error_set(err, EINVAL, "option \"--log-format\": must be text or json");
	rt->log_json = format && !strcmp(format, "json");
	rt->debug = option_flag(rt, "debug");
	rt->log_path = option_string(rt, "log");
	if (rt->log_path && !rt->log_path[0])
		rt->log_path = NULL;
	if (rt->log_path) {
		fd = open(rt->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0) {
			int code = errno;
			const char *path = take_ptr(rt->log_path);

			return error_errno(err, code, "opening the log \"%s\"", path);
		}
	}
	log_setup(fd, rt->log_json ? LOG_JSON : LOG_TEXT, rt->debug);
	return 0;
}

static void close_log(const struct runtime *rt)
{
	int fd = log_fd();

	log_setup(-1, LOG_TEXT, false);
	if (rt->log_path && fd >= 0)
		close(fd);
}

/* The name of crun's and Podman's for what runc has a flag for. */
static int choose_cgroup_manager(struct runtime *rt, struct error **err)
{
	const char *name = option_string(rt, "cgroup-manager");

	rt->systemd_cgroup = option_flag(rt, "systemd-cgroup");
	if (!name)
		return 0;
	if (strcmp(name, "cgroupfs") && strcmp(name, "systemd") && strcmp(name, "disabled"))
		return error_set(
			err, EINVAL,
			"option \"--cgroup-manager\": must be cgroupfs, systemd or disabled");
	rt->systemd_cgroup = !strcmp(name, "systemd");
	rt->no_cgroup = !strcmp(name, "disabled");
	return 0;
}

static int apply_global_options(struct runtime *rt, struct error **err)
{
	const char *rootless = option_string(rt, "rootless");
	int ret = open_log(rt, err);

	if (ret == 0)
		ret = choose_cgroup_manager(rt, err);
	if (ret < 0)
		return ret;
	rt->rootless = rootless ? rootless : "auto";
	if (strcmp(rt->rootless, "auto") && strcmp(rt->rootless, "true") &&
	    strcmp(rt->rootless, "false"))
		return error_set(err, EINVAL, "option \"--rootless\": must be true, false or auto");
	return choose_root(rt, err);
}

static int check_arguments(struct runtime *rt, struct error **err)
{
	const struct verb *verb = rt->verb;

	if (rt->argc < verb->min_args)
		return error_set(err, EINVAL,
				 "an argument is missing (usage: firn %s [options] %s)", verb->name,
				 verb->usage);
	if (verb->max_args != ARGS_ANY && rt->argc > verb->max_args)
		return error_set(err, EINVAL,
				 "unexpected argument \"%s\" (usage: firn %s [options] %s)",
				 rt->argv[verb->max_args], verb->name, verb->usage);
	if (verb->takes_id)
		rt->id = rt->argv[0];
	return 0;
}

static int run_verb(struct runtime *rt, char **args, struct error **err)
{
	bool help = false;
	int ret = options_parse(rt, rt->verb->options, args, rt->verb->verbatim, &help, err);

	if (ret < 0)
		return ret;
	if (help) {
		help_verb(rt->verb);
		return 0;
	}
	ret = check_arguments(rt, err);
	if (ret == 0)
		ret = rt->verb->run(rt, err);
	return ret;
}

static int print_version(void)
{
	printf("firn version " FIRN_VERSION "\nspec: " OCI_VERSION "\n");
	return 0;
}

static int run_help(const char *name, struct error **err)
{
	const struct verb *verb = name ? verb_find(name) : NULL;

	if (name && !verb)
		return error_set(err, EINVAL, "unknown verb \"%s\"", name);
	if (verb)
		help_verb(verb);
	else
		help_program();
	return 0;
}

/* The first word that is neither a global option nor the value of one. */
static char **find_verb(char **argv)
{
	for (char **a = argv; *a; a++) {
		const char *name;

		if ((*a)[0] != '-')
			return a;
		name = *a + 1 + ((*a)[1] == '-');
		for (const struct option_spec *s = global_options; s->name; s++)
			if (s->argument && !strcmp(s->name, name) && a[1])
				a++;
	}
	return NULL;
}

static int run_command(struct runtime *rt, char **argv, struct error **err)
{
	char **word = find_verb(argv);
	char *name = word ? *word : NULL;
	bool help = false;
	int ret;

	for (char **a = argv; *a && a != word; a++)
		if (!strcmp(*a, "--version") || !strcmp(*a, "-v") || !strcmp(*a, "-version"))
			return print_version();
	if (word)
		*word = NULL;
	ret = options_parse(rt, global_options, argv, true, &help, err);
	if (ret < 0)
		return ret;
	if (help || !name)
		return help ? run_help(NULL, err)
			    : error_set(err, EINVAL, "no verb given (see \"firn --help\")");
	if (!strcmp(name, "help"))
		return run_help(word[1], err);
	rt->verb = verb_find(name);
	ret = apply_global_options(rt, err);
	if (ret < 0)
		return ret;
	if (!rt->verb)
		return error_set(err, EINVAL, "unknown verb \"%s\" (see \"firn --help\")", name);
	return run_verb(rt, word + 1, err);
}

/* Verbs print without looking: what could not be written shows here. */
static int finish_output(struct error **err)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return error_errno(err, errno ? errno : EIO, "writing to standard output");
}

/* One line to the user, and one to the log that callers read. */
static void report(const struct runtime *rt, const struct error *err)
{
	__cleanup_free char *line = error_line(err);
	const char *text = line ? line : "out of memory";

	if (rt->log_path || rt->log_json)
		log_error("%s", text);
	if (rt->log_json && !rt->log_path)
		return;
	fprintf(stderr, "firn: %s%s%s%s%s\n", rt->verb ? rt->verb->name : "", rt->id ? " " : "",
		rt->id ? rt->id : "", rt->verb ? ": " : "", text);
}

static int dispatch(struct runtime *rt, int argc, char **argv, struct error **err)
{
	int ret = stdio_hold();

	if (ret < 0)
		return error_errno(err, -ret,
				   "opening /dev/null for a standard stream that is closed");
	/* what follows takes words out of argv */
	rt->command_line = calloc(argc + 1, sizeof(*argv));
	if (!rt->command_line)
		return error_errno(err, ENOMEM, "reading the command line");
	memcpy(rt->command_line, argv, argc * sizeof(*argv));
	if (criu_is_meant(argv))
		return criu_main(argc, argv, err);
	return run_command(rt, argc ? argv + 1 : argv, err);
}

int main(int argc, char **argv)
{
	struct runtime rt = {0};
	__cleanup_error struct error *err = NULL;
	int ret;

	/* a caller that ignores it would keep us from hearing how children have ended */
	signal(SIGCHLD, SIG_DFL);
	ret = dispatch(&rt, argc, argv, &err);
	if (ret >= 0 && finish_output(&err) < 0)
		ret = -error_code(err);
	if (ret < 0) {
		report(&rt, err);
		ret = rt.verb && rt.verb->failure_status ? rt.verb->failure_status : EXIT_FAILURE;
	}
	close_log(&rt);
	vec_free(&rt.options);
	free(rt.argv);
	free(rt.command_line);
	free(rt.root);
	return ret;
}
