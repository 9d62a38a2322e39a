// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcontainer/process.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "oci/state.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"
#include "util/limit.h"
#include "util/log.h"

/* The state as a file: a pipe could fill up with a hook that does not read. */
static int make_input(const char *text, struct error **err)
{
	__cleanup_fd int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return error_errno(err, errno, "making the state for hooks");
	if (write_full(fd, text, strlen(text)) < 0)
		return error_errno(err, EIO, "writing the state for hooks");
	return take_fd(&fd);
}

/* In the hook's process: nothing of the runtime's is to be seen there. */
static _Noreturn void become_hook(const struct oci_hook *hook, int input)
{
	char *alone[] = {hook->path, NULL};
	char **args = hook->args.count ? hook->args.items : alone;
	/* one that names none has the runtime's, as with runc and crun: it may rely on PATH */
	char **env = hook->env.count ? hook->env.items : environ;
	struct error *err = NULL;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	limit_put_back();
	if (lseek(input, 0, SEEK_SET) == 0 && dup2(input, STDIN_FILENO) == 0 &&
	    process_mark_fds(0, &err) == 0)
		execve(hook->path, args, env);
	/* as a shell would */
	_exit(errno == ENOENT ? 127 : 126);
}

/* poll(2) counts up to 24 days. */
static int timeout_ms(const struct oci_hook *hook)
{
	return hook->timeout > INT_MAX / 1000 ? INT_MAX : hook->timeout * 1000;
}

static int wait_for_hook(pid_t pid, const struct oci_hook *hook, struct error **err)
{
	__cleanup_fd int pidfd = hook->has_timeout ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};
	bool late = false;
	int status;

	if (hook->has_timeout && pidfd >= 0 && poll(&fd, 1, timeout_ms(hook)) == 0) {
		late = true;
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_errno(err, errno, "waiting for \"%s\"", hook->path);
	if (late)
		return error_set(err, ETIMEDOUT, "\"%s\" took longer than %d s", hook->path,
				 hook->timeout);
	if (WIFSIGNALED(status))
		return error_set(err, ECANCELED, "\"%s\" was killed by signal %d", hook->path,
				 WTERMSIG(status));
	if (WEXITSTATUS(status) == 127)
		return error_set(err, ENOENT, "\"%s\" cannot be found", hook->path);
	if (WEXITSTATUS(status))
		return error_set(err, ECANCELED, "\"%s\" exited with status %d", hook->path,
				 WEXITSTATUS(status));
	return 0;
}

static int run_one(const struct oci_hook *hook, int input, struct error **err)
{
	pid_t pid = fork();

	if (pid < 0)
		return error_errno(err, errno, "starting \"%s\"", hook->path);
	if (pid == 0)
		become_hook(hook, input);
	log_debug("hook %s: pid %d", hook->path, pid);
	return wait_for_hook(pid, hook, err);
}

static int make_state(const struct container *c, const struct oci_config *config,
		      const char *status, pid_t pid, struct error **err)
{
	const struct oci_state state = {
		.oci_version = config->oci_version,
		.id = c->id,
		.status = status,
		.pid = pid,
		.bundle = c->bundle,
		.annotations = &config->annotations,
	};
	__cleanup_free char *text = oci_state_json(&state);

	if (!text)
		return error_errno(err, ENOMEM, "making the state for hooks");
	return make_input(text, err);
}

int hooks_run(const struct oci_hook_list *hooks, const char *name, const struct container *c,
	      const struct oci_config *config, const char *status, pid_t pid, struct error **err)
{
	__cleanup_fd int input = -1;

	if (!hooks->count)
		return 0;
	input = make_state(c, config, status, pid, err);
	if (input < 0)
		return input;
	vec_for_each (hook, hooks) {
		int ret = run_one(hook, input, err);

		if (ret < 0)
			return error_wrap(err, "hook /hooks/%s/%zu of config.json", name,
					  (size_t)(hook - hooks->items));
	}
	return 0;
}

void hooks_run_all(const struct oci_hook_list *hooks, const char *name, const struct container *c,
		   const struct oci_config *config, const char *status, pid_t pid)
{
	__cleanup_fd int input = -1;
	__cleanup_error struct error *unable = NULL;

	if (!hooks->count)
		return;
	input = make_state(c, config, status, pid, &unable);
	vec_for_each (hook, hooks) {
		__cleanup_error struct error *err = NULL;

		if (input >= 0 && run_one(hook, input, &err) < 0)
			log_warning("hook /hooks/%s/%zu: %s", name, (size_t)(hook - hooks->items),
				    error_message(err));
	}
}
