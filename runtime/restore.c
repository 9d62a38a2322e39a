// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/image/image.h"
#include "libcontainer/cgroup.h"
#include "libcontainer/create.h"
#include "libcontainer/hooks.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/netdevices.h"
#include "libcontainer/self_image.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/build.h"
#include "runtime/checkpoint_ops.h"
#include "runtime/criu.h"
#include "runtime/foreground.h"
#include "runtime/verb.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/log.h"

static const struct option_spec options[] = {
	{"image-path", 0, "DIR", "the checkpoint image (default \"checkpoint\")"},
	{"bundle", 'b', "DIR", "the bundle (default: the current directory)"},
	{"config", 'f', "FILE", "the configuration (default: the bundle's config.json)"},
	{"detach", 'd', NULL, "return when the container goes on"},
	{"provider", 0, "PROVIDER", "who restores: auto (default), kernel, or user"},
	{"pid-file", 0, "FILE", "write the init's pid there"},
	{"console-socket", 0, "SOCKET", "send the terminal there"},
	{"no-pivot", 0, NULL, "use MS_MOVE instead of pivot_root"},
	{"no-new-keyring", 0, NULL, "keep the caller's session keyring"},
	{"no-subreaper", 0, NULL, NULL},
	{"work-path", 0, "DIR", "leave what container engines want there"},
	{"tcp", 0, "WHAT", "TCP connections that were kept: keep (the default) or reset"},
	{"tcp-close", 0, NULL, "the same as --tcp reset"},
	{"tcp-established", 0, NULL, NULL},
	{"ext-unix-sk", 0, NULL, NULL},
	{"shell-job", 0, NULL, NULL},
	{"file-locks", 0, NULL, NULL},
	{"manage-cgroups-mode", 0, "MODE", NULL},
	{"empty-ns", 0, "NAMESPACE", NULL},
	{"auto-dedup", 0, NULL, NULL},
	{"lazy-pages", 0, NULL, NULL},
	{"lsm-profile", 0, "KIND:LABEL",
	 "apparmor:PROFILE or selinux:LABEL in place of config.json's, for all processes"},
	{"lsm-mount-context", 0, "LABEL", "the SELinux label of mounts in place of config.json's"},
	{"preserve-fds", 0, "N", NULL},
	{NULL, 0, NULL, NULL},
};

struct restoring {
	bool reset_tcp;
	struct image_reader *image;
	struct oci_config *config;
	char *rootfs;
	struct container *c;
	struct cgroup *cg;
	struct init_process init;
	struct foreground front; /* without --detach */
	enum checkpoint_provider provider;
	pid_t pid; /* that its init must get in a shared pid namespace; 0: it has its own */
};

static int64_t offset_to(uint64_t wanted, clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)(wanted - (now.tv_sec * 1000000000ull + now.tv_nsec));
}

/* In a pid namespace of its own the init is 1, and every pid is free. */
static int check_pid(struct restoring *r, struct error **err)
{
	const struct oci_namespace *ns = oci_config_namespace(r->config, CLONE_NEWPID);
	bool own = ns && !ns->path;
	pid_t pid;
	int ret = restore_init_pid(r->image, &pid, err);

	if (ret < 0 || own == (pid == 1)) {
		r->pid = own ? 0 : pid;
		return ret;
	}
	if (own) {
		error_set(err, EXDEV, "the container shared a pid namespace, where its init was %d",
			  pid);
		return error_hint(err, "config.json must not make a new one");
	}
	error_set(err, EXDEV, "the container had a pid namespace of its own");
	return error_hint(err, "config.json must make a new one");
}

static int replace(char **text, const char *with, struct error **err)
{
	free(*text);
	*text = with ? strdup(with) : NULL;
	return *text || !with ? 0 : error_errno(err, ENOMEM, "reading the options");
}

/* --lsm-profile: one module's label, which takes the place of both. */
static int set_process_label(struct oci_process *process, const char *word, struct error **err)
{
	static const struct {
		const char *prefix;
		size_t member;
	} kinds[] = {
		{"apparmor:", offsetof(struct oci_process, apparmor_profile)},
		{"selinux:", offsetof(struct oci_process, selinux_label)},
	};
	int found = 0, ret = 0;

	for (size_t i = 0; ret == 0 && i < sizeof(kinds) / sizeof(*kinds); i++) {
		size_t len = strlen(kinds[i].prefix);
		bool given = !strncmp(word, kinds[i].prefix, len) && word[len];

		found += given;
		ret = replace((char **)((char *)process + kinds[i].member),
			      given ? word + len : NULL, err);
	}
	if (ret == 0 && !found)
		ret = error_set(err, EINVAL,
				"--lsm-profile \"%s\": must be apparmor:PROFILE or selinux:LABEL",
				word);
	return ret;
}

/* What the command line says in place of config.json. */
static int apply_options(const struct runtime *rt, struct oci_config *config, struct error **err)
{
	const char *label = option_string(rt, "lsm-profile");
	const char *mounts = option_string(rt, "lsm-mount-context");
	long preserve = 0;
	int ret = option_number(rt, "preserve-fds", 0, 1000, &preserve, err);

	/* Podman gives it to every restore of a container that was created with it */
	if (ret == 0 && preserve)
		log_warning("--preserve-fds: a restored process has what it had open, no more");
	if (ret == 0 && label && *label && config->process)
		ret = set_process_label(config->process, label, err);
	if (ret == 0 && mounts && *mounts)
		ret = replace(&config->lx.mount_label, mounts, err);
	return ret;
}

/* Everything that can be refused is refused here: nothing has been made yet. */
static int admit(struct runtime *rt, struct restoring *r, const char *bundle, struct error **err)
{
	__cleanup_fd int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *path = option_string(rt, "image-path");
	const char *tcp = option_string(rt, "tcp");
	int ret = checkpoint_parse_provider(option_string(rt, "provider"), &r->provider, err);

	if (tcp && strcmp(tcp, "keep") && strcmp(tcp, "reset"))
		return error_set(err, EINVAL, "--tcp \"%s\": must be keep or reset", tcp);
	r->reset_tcp = tcp ? !strcmp(tcp, "reset") : option_flag(rt, "tcp-close");

	if (ret == 0 && option_flag(rt, "lazy-pages"))
		ret = error_set(err, EOPNOTSUPP, "--lazy-pages: pages cannot be served later");
	if (ret == 0)
		ret = checkpoint_check_words(rt, err);
	if (ret == 0)
		ret = image_open(path ? path : "checkpoint", &r->image, err);
	if (ret == 0)
		ret = restore_admit(r->image, r->provider, err);
	if (ret < 0)
		return ret;
	if (dir < 0)
		return error_errno(err, errno, "opening the bundle \"%s\"", bundle);
	ret = build_load_config(rt, dir, &r->config, err);
	if (ret == 0)
		ret = apply_options(rt, r->config, err);
	/* the init is the runtime's file until it is loaded, for all in a pid namespace it joins */
	if (ret == 0 && self_image_exposed(r->config))
		ret = self_image_seal(rt->command_line, NULL, err);
	if (ret == 0)
		ret = build_find_rootfs(bundle, r->config, &r->rootfs, err);
	return ret ? ret : check_pid(r, err);
}

static int fill_container(const struct runtime *rt, struct restoring *r, char *bundle,
			  struct error **err)
{
	free(r->c->bundle);
	r->c->bundle = bundle;
	r->c->rootfs = take_ptr(r->rootfs);
	return build_cgroup(rt, r->c, r->config, &r->cg, err);
}

static int make_empty(struct runtime *rt, struct restoring *r, struct error **err)
{
	const struct create_options create = {
		.console_socket = option_string(rt, "console-socket"),
		.console_fd = r->front.console[1] < 0 ? 0 : r->front.console[1],
		.no_pivot = option_flag(rt, "no-pivot"),
		.no_new_keyring = option_flag(rt, "no-new-keyring"),
		.restore = true,
		.pid = r->pid,
	};
	struct create_options with_clocks = create;
	uint64_t monotonic, boottime;
	int ret = restore_clocks(r->image, &monotonic, &boottime, err);

	if (ret < 0)
		return ret;
	with_clocks.monotonic_offset = offset_to(monotonic, CLOCK_MONOTONIC);
	with_clocks.boottime_offset = offset_to(boottime, CLOCK_BOOTTIME);
	ret = container_create_init(r->c, r->config, r->cg, &with_clocks, &r->init, err);
	if (ret == 0)
		ret = build_keep_mounts(r->c, r->init.pid, err);
	return ret ? ret : container_set_state(r->c, CONTAINER_RSTRTING, err);
}

/* As create gives the first process: without capabilities in config.json none is taken away. */
static void fill_privileges(const struct oci_config *config, struct restore_request *request)
{
	const struct oci_namespace *user = oci_config_namespace(config, CLONE_NEWUSER);
	const struct oci_process *process = config->process;
	const struct oci_capabilities *caps = process ? &process->capabilities : NULL;

	request->want_seccomp = config->lx.seccomp;
	request->want_nnp = process && process->no_new_privileges;
	/* those of a user namespace of its own are worth nothing outside of it */
	request->caps_bounded = process && process->has_capabilities && !(user && !user->path);
	if (request->caps_bounded)
		request->caps_allowed = caps->bounding | caps->permitted | caps->inheritable |
					caps->effective | caps->ambient;
}

/* In the foreground signals wait to be passed on, but for those that end the restore. */
static void let_cancel(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(how, &set, NULL);
}

static int load(struct runtime *rt, struct restoring *r, struct error **err)
{
	struct restore_result result = {0};
	struct checkpoint_ctx ctx;
	int ret = checkpoint_ctx_open(&ctx, r->c, err);
	struct restore_request request = {
		.id = r->c->id,
		.image = r->image,
		.init = r->init.pid,
		.stub_sync = r->init.sync_fd,
		.stub_fd = r->init.stub_fd,
		.console = r->init.master_fd,
		.provider = r->provider,
		.reset_tcp = r->reset_tcp,
		.cancel = checkpoint_catch_signals(),
		.ops = &checkpoint_ops,
		.ctx = &ctx,
	};

	for (int i = 0; i < 3; i++)
		request.stdio[i] = stdio_given(i) ? i : -1;
	fill_privileges(r->config, &request);
	if (ret == 0) {
		container_unlock(r->c);
		let_cancel(SIG_UNBLOCK);
		ret = restore_load(&request, &result, err);
		if (r->front.signal_fd >= 0)
			let_cancel(SIG_BLOCK);
	}
	if (ret == 0)
		criu_restored(option_string(rt, "work-path"),
			      &(struct criu_figures){0, result.total_ns, result.page_bytes});
	checkpoint_ctx_close(&ctx);
	return ret;
}

static int go_on(struct runtime *rt, struct restoring *r, struct error **err)
{
	const char *pid_file = option_string(rt, "pid-file");
	int ret = container_lock(r->c, err);

	if (ret == 0)
		ret = container_set_state(r->c, CONTAINER_FROZEN, err);
	if (ret == 0)
		ret = write_pid_file(pid_file, r->init.pid, err);
	if (ret == 0) {
		ret = container_thaw(r->c, err);
		if (ret < 0 && pid_file && *pid_file)
			unlink(pid_file);
	}
	if (ret == 0)
		hooks_run_all(&r->config->hooks.poststart, "poststart", r->c, r->config, "running",
			      r->init.pid);
	return ret;
}

/* A failed restore leaves nothing behind. */
static void abort_restore(struct restoring *r)
{
	struct error *err = NULL;
	bool killed, gone;

	if (r->c->lock_fd < 0)
		container_lock(r->c, &err);
	error_free(err);
	err = NULL;
	if (r->c->state == CONTAINER_RSTRTING)
		container_set_state(r->c, CONTAINER_ABORTING, &err);
	error_free(err);
	err = NULL;
	net_devices_return(r->init.devices);
	/* by pidfd: a failed load has reaped it, and its pid may be another's by now */
	killed = r->init.pidfd >= 0 && pidfd_send_signal(r->init.pidfd, SIGKILL, NULL, 0) == 0;
	/* what cgroup v1 has frozen does not die until this thaws it */
	gone = r->cg && cgroup_kill_all(r->cg, SIGKILL, &err) == 0;
	while (killed && waitpid(r->init.pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (gone)
		cgroup_destroy(r->cg, &err);
	error_free(err);
	err = NULL;
	container_remove_made(r->c);
	container_remove(r->c, &err);
	error_free(err);
}

/* Locked, the container would be out of reach for others as long as it runs. */
static int wait_for_exit(const struct runtime *rt, struct restoring *r, struct error **err)
{
	int status;

	container_unlock(r->c);
	status = foreground_wait(&r->front, r->init.pid, err);
	build_remove_ended(rt, r->config);
	return status;
}

/* Without --detach the terminal and signals are passed on, as `run` does. */
static int prepare_front(struct runtime *rt, struct restoring *r, struct error **err)
{
	bool terminal = r->config->process && r->config->process->terminal &&
			!option_string(rt, "console-socket");

	if (option_flag(rt, "detach"))
		return 0;
	if (!option_flag(rt, "no-subreaper"))
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	return foreground_prepare(&r->front, terminal, err);
}

static int run(struct runtime *rt, struct error **err)
{
	struct restoring r = {
		.init = {.pid = -1, .pidfd = -1, .sync_fd = -1, .stub_fd = -1, .master_fd = -1},
		.front = {.signal_fd = -1, .console = {-1, -1}},
	};
	const char *bundle = option_string(rt, "bundle");
	__cleanup_free char *path = realpath(bundle ? bundle : ".", NULL);
	int ret;

	if (!path)
		return error_errno(err, errno, "opening the bundle \"%s\"", bundle ? bundle : ".");
	ret = admit(rt, &r, path, err);
	if (ret == 0)
		ret = prepare_front(rt, &r, err);
	if (ret == 0)
		ret = container_new(rt->root, rt->id, rt->verb->name, &r.c, err);
	if (ret == 0) {
		ret = fill_container(rt, &r, take_ptr(path), err);
		if (ret == 0)
			ret = make_empty(rt, &r, err);
		if (ret == 0)
			ret = load(rt, &r, err);
		if (ret == 0)
			ret = go_on(rt, &r, err);
		if (ret < 0)
			abort_restore(&r);
		else if (!option_flag(rt, "detach"))
			ret = wait_for_exit(rt, &r, err);
	}
	foreground_end(&r.front);
	init_process_close(&r.init);
	image_reader_free(r.image);
	oci_config_free(r.config);
	free(r.rootfs);
	cgroup_free(r.cg);
	container_free(r.c);
	return ret;
}

const struct verb verb_restore = {
	.name = "restore",
	.summary = "bring a container back from a checkpoint image",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes = "What came from outside, the container's standard streams, is what the runtime "
		 "has\n"
		 "as its own; a terminal goes to --console-socket, or is relayed. If anything "
		 "fails nothing is left behind, and the image is as it was.",
	.run = run,
};
