// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "libcontainer/labels.h"
#include "libcontainer/self_image.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "oci/words.h"
#include "runtime/build.h"
#include "runtime/foreground.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

static const struct option_spec options[] = {
	{"console-socket", 0, "PATH", "unix socket that takes the terminal"},
	{"cwd", 0, "DIR", "working directory in the container"},
	{"env", 'e', "NAME=VALUE", "set an environment variable"},
	{"tty", 't', NULL, "give it a terminal"},
	{"user", 'u', "UID[:GID]", "run as this user"},
	{"additional-gids", 'g', "GID", "additional group"},
	{"process", 'p', "FILE", "the process as a JSON document of the OCI specification"},
	{"detach", 'd', NULL, "do not wait for it to end"},
	{"pid-file", 0, "FILE", "write its pid to this file"},
	{"pidfd-socket", 0, "PATH", "unix socket that gets a pidfd of it"},
	{"cgroup", 0, "PATH", "run it in a cgroup below the container's: PATH or CONTROLLER:PATH"},
	{"process-label", 0, "LABEL", "SELinux label"},
	{"apparmor", 0, "PROFILE", "AppArmor profile"},
	{"no-new-privs", 0, NULL, "set no_new_privs"},
	{"cap", 'c', "CAPABILITY", "add a capability"},
	{"preserve-fds", 0, "N", "pass N descriptors on besides 0 to 2 and $LISTEN_FDS"},
	{"ignore-paused", 0, NULL, "even if the container is paused: it will run when resumed"},
	{"no-subreaper", 0, NULL, NULL},
	{NULL, 0, NULL, NULL},
};

/* What is to run: a copy of config's or --process's, and what the options changed in it. */
struct wanted {
	struct oci_process process; /* strings borrowed, but for these lists */
	struct oci_strings env;
	struct oci_gids gids;
	struct oci_process *owned; /* of --process */
};

static void cleanup_wanted(struct wanted *w)
{
	vec_free(&w->env);
	vec_free(&w->gids);
	oci_process_free(w->owned);
}

static int read_process_file(const char *path, struct wanted *w, struct error **err)
{
	__cleanup_free char *text = NULL;
	size_t len;
	int ret = read_input(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &len);

	if (ret < 0)
		return error_errno(err, -ret, "reading \"%s\"", path);
	ret = oci_process_parse(text, len, &w->owned, err);
	if (ret < 0)
		return error_wrap(err, "%s", path);
	w->process = *w->owned;
	return 0;
}

static int bad_id(const char *option, const char *text, struct error **err)
{
	return error_set(err, EINVAL, "option \"--%s\": \"%s\" is not a number", option, text);
}

static int parse_id(const char *text, char end, uint32_t *id, const char **rest)
{
	char *after;
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	n = strtoull(text, &after, 10);
	if (n > UINT32_MAX - 1 || (*after && *after != end))
		return -EINVAL;
	*id = n;
	*rest = *after ? after + 1 : NULL;
	return 0;
}

static int set_user(const struct runtime *rt, struct oci_user *user, struct error **err)
{
	const char *text = option_string(rt, "user"), *rest;

	if (!text)
		return 0;
	if (parse_id(text, ':', &user->uid, &rest) < 0 ||
	    (rest && parse_id(rest, '\0', &user->gid, &rest) < 0))
		return bad_id("user", text, err);
	return 0;
}

static int set_gids(const struct runtime *rt, struct wanted *w, struct error **err)
{
	struct oci_user *user = &w->process.user;
	size_t position = 0;
	const char *text, *rest;

	for (size_t i = 0; i < user->additional_gids.count; i++) {
		uint32_t *gid = vec_add(&w->gids);

		if (!gid)
			return error_errno(err, ENOMEM, "reading the options");
		*gid = user->additional_gids.items[i];
	}
	while ((text = option_next(rt, "additional-gids", &position))) {
		uint32_t *gid = vec_add(&w->gids);

		if (!gid)
			return error_errno(err, ENOMEM, "reading the options");
		if (parse_id(text, '\0', gid, &rest) < 0)
			return bad_id("additional-gids", text, err);
	}
	user->additional_gids = w->gids;
	return 0;
}

static int set_env(const struct runtime *rt, struct wanted *w, struct error **err)
{
	size_t position = 0;
	const char *text;

	for (size_t i = 0; i <= w->process.env.count; i++) {
		bool last = i == w->process.env.count;

		while (last && (text = option_next(rt, "env", &position))) {
			char **item = vec_add(&w->env);

			if (!item)
				return error_errno(err, ENOMEM, "reading the options");
			*item = (char *)text;
		}
		if (!last) {
			char **item = vec_add(&w->env);

			if (!item)
				return error_errno(err, ENOMEM, "reading the options");
			*item = w->process.env.items[i];
		}
	}
	w->process.env = w->env;
	return 0;
}

/* Of one that is unknown there is a warning, as of those in config.json. */
static void add_capabilities(const struct runtime *rt, struct oci_capabilities *caps)
{
	size_t position = 0;
	const char *name;

	while ((name = option_next(rt, "cap", &position))) {
		const struct oci_word *word = oci_word_find(&oci_capability_words, name);

		if (!word) {
			log_warning(
				"option \"--cap\": the capability \"%s\" is unknown and left out",
				name);
			continue;
		}
		caps->bounding |= word->value;
		caps->effective |= word->value;
		caps->permitted |= word->value;
	}
}

/* What options say beside a process of config.json. */
static int apply_options(const struct runtime *rt, struct wanted *w, struct error **err)
{
	struct oci_process *p = &w->process;
	int ret = set_user(rt, &p->user, err);

	if (ret == 0)
		ret = set_gids(rt, w, err);
	if (ret == 0)
		ret = set_env(rt, w, err);
	if (ret < 0)
		return ret;
	add_capabilities(rt, &p->capabilities);
	if (option_string(rt, "cwd"))
		p->cwd = (char *)option_string(rt, "cwd");
	if (option_string(rt, "process-label"))
		p->selinux_label = (char *)option_string(rt, "process-label");
	if (option_string(rt, "apparmor"))
		p->apparmor_profile = (char *)option_string(rt, "apparmor");
	if (option_flag(rt, "no-new-privs"))
		p->no_new_privileges = true;
	p->terminal = option_flag(rt, "tty");
	p->has_console_size = false;
	p->args = (struct oci_strings){.items = (char **)rt->argv + 1, .count = rt->argc - 1};
	return 0;
}

static int find_process(const struct runtime *rt, const struct oci_config *config, struct wanted *w,
			struct error **err)
{
	const char *file = option_string(rt, "process");
	int ret;

	if (file) {
		ret = read_process_file(file, w, err);
		if (ret == 0 && option_flag(rt, "tty"))
			w->process.terminal = true;
		return ret;
	}
	if (rt->argc < 2)
		return error_set(err, EINVAL, "neither a command nor --process is given");
	if (!config->process)
		return error_set(err, EINVAL, "/process of config.json is missing: use --process");
	w->process = *config->process;
	return apply_options(rt, w, err);
}

static int check_state(const struct runtime *rt, const struct container *c, struct error **err)
{
	switch (c->state) {
	case CONTAINER_CREATED:
	case CONTAINER_RUNNING:
		return 0;
	case CONTAINER_FROZEN:
		if (option_flag(rt, "ignore-paused"))
			return 0;
		error_set(err, EBUSY, "cannot exec in a paused container");
		return error_hint(err, "--ignore-paused does, and it runs when resumed");
	case CONTAINER_DEAD:
		return error_set(err, ESRCH, "cannot exec in a stopped container");
	default:
		return error_set(err, EBUSY, "cannot exec in a container that is %s",
				 container_state_name(c->state));
	}
}

/*
 * Locked, so that nobody freezes the container in between. In one that is
 * frozen already the new process stops at once, until a resume that must not
 * find the lock taken.
 */
static int start(const struct runtime *rt, struct container *c, struct exec_options *exec,
		 pid_t *pid, struct error **err)
{
	int ret;

	if (c->state == CONTAINER_FROZEN)
		container_unlock(c);
	ret = container_exec(c, exec, pid, err);
	container_unlock(c);
	if (ret == 0)
		ret = write_pid_file(option_string(rt, "pid-file"), *pid, err);
	return ret;
}

static int exec_in(const struct runtime *rt, struct container *c, struct exec_options *exec,
		   struct error **err)
{
	bool detach = option_flag(rt, "detach");
	struct foreground f;
	pid_t pid = 0;
	int ret;

	exec->console_socket = option_string(rt, "console-socket");
	if (exec->console_socket && !exec->process->terminal)
		return error_set(err, EINVAL, "--console-socket needs --tty");
	if (detach && exec->process->terminal && !exec->console_socket)
		return error_set(err, EINVAL, "--detach with a terminal needs --console-socket");
	if (detach)
		return start(rt, c, exec, &pid, err);
	ret = foreground_prepare(&f, exec->process->terminal && !exec->console_socket, err);
	if (ret < 0)
		return ret;
	exec->console_fd = f.console[1];
	if (!option_flag(rt, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	ret = start(rt, c, exec, &pid, err);
	if (ret == 0)
		ret = foreground_wait(&f, pid, err);
	foreground_end(&f);
	return ret;
}

struct words {
	const char **items;
	size_t count, size;
};

static void free_words(struct words *words)
{
	vec_free(words);
}

static int read_cgroups(const struct runtime *rt, struct words *cgroups, struct error **err)
{
	size_t position = 0;
	const char *text;

	while ((text = option_next(rt, "cgroup", &position))) {
		const char **item = vec_add(cgroups);

		if (!item)
			return error_errno(err, ENOMEM, "reading the options");
		*item = text;
	}
	return 0;
}

/*
 * Decided before --process is read, which may be a pipe: after the seal's execution that would be
 * empty. So what is in there, a label perhaps, is not known yet.
 */
static bool is_exposed(const struct runtime *rt, const struct oci_config *config)
{
	bool labelled = option_string(rt, "process") || option_string(rt, "process-label") ||
			option_string(rt, "apparmor") || labels_wanted(config->process);

	return self_image_exposed_by_exec(config, labelled);
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup(cleanup_wanted) struct wanted w = {0};
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_container struct container *c = NULL;
	__cleanup(free_words) struct words cgroups = {0};
	struct exec_options exec = {0};
	int ret = container_open(rt->root, rt->id, "exec", false, &c, err);

	if (ret == 0)
		ret = check_state(rt, c, err);
	if (ret < 0)
		return ret;
	config = view_config(c);
	if (!config)
		return error_set(err, ENOENT, "its config.json in \"%s/%s\" cannot be read",
				 c->root, c->id);
	if (is_exposed(rt, config))
		ret = self_image_seal(rt->command_line, &exec.is_trampoline, err);
	if (ret == 0)
		ret = find_process(rt, config, &w, err);
	if (ret == 0)
		ret = labels_check(&w.process, NULL, err);
	if (ret == 0)
		ret = build_passed_fds(rt, &exec.passed, err);
	if (ret < 0)
		return ret;
	if (w.process.terminal && !option_string(rt, "console-socket"))
		foreground_size(&w.process);
	exec.process = &w.process;
	exec.config = config;
	exec.pidfd_socket = option_string(rt, "pidfd-socket");
	ret = read_cgroups(rt, &cgroups, err);
	if (ret < 0)
		return ret;
	exec.cgroups = cgroups.items;
	exec.cgroup_count = cgroups.count;
	return exec_in(rt, c, &exec, err);
}

const struct verb verb_exec = {
	.name = "exec",
	.summary = "run another process in a container",
	.usage = "ID COMMAND [ARGUMENT...]",
	.options = options,
	.min_args = 1,
	.max_args = ARGS_ANY,
	.takes_id = true,
	.verbatim = true,
	.notes = "Exits with the process's exit status, 128 + N if signal N killed it, and with "
		 "255 if "
		 "it could not be run.",
	/* runc's: most programs have a use for 1 themselves */
	.failure_status = 255,
	.run = run,
};
