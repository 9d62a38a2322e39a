// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "libcontainer/lifecycle.h"
#include "libcontainer/state.h"
#include "oci/config.h"
#include "runtime/checkpoint_ops.h"
#include "runtime/criu.h"
#include "runtime/verb.h"
#include "runtime/view.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"
#include "util/printable.h"

#define CONFIG_MAX (8 << 20)
#define MOUNTS_MAX (64 << 20)

static const struct option_spec options[] = {
	{"image-path", 0, "DIR", "where the checkpoint image goes (default \"checkpoint\")"},
	{"leave-running", 0, NULL, "let the container go on afterwards"},
	{"snapshot", 0, NULL,
	 "with --leave-running: it goes on while its memory is written (checkpoint(2) only)"},
	{"check", 0, NULL, "only list what cannot be saved; nothing is changed"},
	{"tcp", 0, "WHAT",
	 "established TCP connections: keep, reset (they come back reset) or refuse (the default)"},
	{"tcp-established", 0, NULL, "the same as --tcp keep"},
	{"allow", 0, "WHAT",
	 "lose this knowingly: exec (processes that entered by exec are left behind), tcp (the "
	 "same as --tcp reset), ext-unix (sockets to the outside come back closed), aio "
	 "(requests of io_submit that are in flight)"},
	{"ext-unix-sk", 0, NULL, "the same as --allow ext-unix"},
	{"provider", 0, "PROVIDER",
	 "who saves: auto (default; the patched kernel what it can), kernel, or user"},
	{"wait", 0, NULL, "wait while another verb works on the container"},
	{"work-path", 0, "DIR", "leave what container engines want there, and in the image"},
	{"parent-path", 0, "DIR", NULL},
	{"tcp-skip-in-flight", 0, NULL, NULL},
	{"link-remap", 0, NULL, NULL},
	{"shell-job", 0, NULL, NULL},
	{"lazy-pages", 0, NULL, NULL},
	{"status-fd", 0, "FD", NULL},
	{"page-server", 0, "ADDRESS", NULL},
	{"file-locks", 0, NULL, NULL},
	{"pre-dump", 0, NULL, NULL},
	{"manage-cgroups-mode", 0, "MODE", NULL},
	{"empty-ns", 0, "NAMESPACE", NULL},
	{"auto-dedup", 0, NULL, NULL},
	{NULL, 0, NULL, NULL},
};

/* Options of runc's that ask for something that Firn does not do yet: silence would be a lie. */
static const struct {
	const char *option;
	const char *why;
} refused[] = {
	{"pre-dump", "increments are not there yet; a full checkpoint works"},
	{"lazy-pages", "pages cannot be served later; a full checkpoint works"},
	{"page-server", "pages cannot be sent yet; copy the image directory"},
	{"status-fd", "no page server is there that would get ready"},
	{"parent-path", "increments are not there yet; a full checkpoint works"},
};

static int parse_tcp(struct runtime *rt, enum checkpoint_tcp *policy, struct error **err)
{
	static const char *const words[] = {"refuse", "reset", "keep"};
	const char *word = option_string(rt, "tcp");

	if (!word) {
		if (option_flag(rt, "tcp-established"))
			*policy = TCP_POLICY_KEEP;
		return 0;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(word, words[i])) {
			*policy = i;
			return 0;
		}
	return error_set(err, EINVAL, "--tcp \"%s\": must be keep, reset or refuse", word);
}

static int parse_allow(struct runtime *rt, unsigned *allow, enum checkpoint_tcp *policy,
		       struct error **err)
{
	size_t position = 0;
	const char *word;

	if (option_flag(rt, "ext-unix-sk"))
		*allow |= ALLOW_EXT_UNIX;
	while ((word = option_next(rt, "allow", &position))) {
		unsigned flag = 0;

		if (!strcmp(word, "tcp")) {
			*policy = TCP_POLICY_RESET;
			continue;
		}
		for (size_t i = 0; i < CHECKPOINT_ALLOWANCES; i++)
			if (!strcmp(word, checkpoint_allowances[i].word))
				flag = checkpoint_allowances[i].flag;
		if (!flag)
			return error_set(err, EINVAL,
					 "--allow \"%s\": must be exec, tcp, ext-unix or aio",
					 word);
		*allow |= flag;
	}
	return parse_tcp(rt, policy, err);
}

static int check_refused(struct runtime *rt, struct error **err)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (option_string(rt, refused[i].option) &&
		    strcmp(option_string(rt, refused[i].option), "false"))
			return error_set(err, EOPNOTSUPP, "--%s: %s", refused[i].option,
					 refused[i].why);
	return 0;
}

static void print_blockers(const blocker_vec *blockers)
{
	vec_for_each (b, blockers) {
		if (b->pid)
			printf("process %d", b->pid);
		else
			printf("container");
		if (b->fd >= 0)
			printf(", fd %d", b->fd);
		else if (b->address)
			printf(", address %#llx", (unsigned long long)b->address);
		fputs(": ", stdout);
		printable_put(stdout, b->object ? b->object : "?");
		fputs(" (", stdout);
		printable_put(stdout, b->remedy ? b->remedy : "");
		fputs(")\n", stdout);
	}
	if (!blockers->count)
		printf("the container can be checkpointed\n");
}

/* What the container was made with, to which the engine compares what it finds. */
static int read_kept(const struct container *c, struct checkpoint_request *q, char **config,
		     char **mounts, struct error **err)
{
	__cleanup_oci_config struct oci_config *parsed = view_config(c);
	const struct oci_namespace *net =
		parsed ? oci_config_namespace(parsed, CLONE_NEWNET) : NULL;
	const struct oci_namespace *mnt = parsed ? oci_config_namespace(parsed, CLONE_NEWNS) : NULL;
	int r = container_kept(c, KEPT_CONFIG, CONFIG_MAX, config, &q->config_len, err);

	if (r == 0 && parsed && !mnt)
		return error_set(err, EOPNOTSUPP,
				 "a container that has the host's mount namespace cannot be saved");
	if (r == 0)
		r = container_kept(c, KEPT_MOUNTS, MOUNTS_MAX, mounts, NULL, err);
	q->config = *config;
	q->mounts = *mounts;
	q->foreign_net = net && net->path;
	q->foreign_mnt = mnt && mnt->path;
	/* one that is made for the container goes with it */
	q->netns_stays = !net || net->path;
	return r;
}

/* By itself, while we worked on it. */
static bool has_ended(const struct container *c)
{
	return c->state == CONTAINER_CKPTING && !process_alive(&c->init);
}

/* Whatever cannot be read of it then: this is why. */
static int name_end(struct error **err)
{
	log_debug("%s", error_message(*err));
	error_free(*err);
	*err = NULL;
	return error_set(err, ESRCH, "container not running");
}

/* Back to what it was, or gone. The tasks themselves are where the engine left them. */
static int settle(struct container *c, const struct checkpoint_request *q, bool saved,
		  struct error **err)
{
	int r = 0;

	if (saved && !q->leave_running && !q->check_only)
		return container_remove(c, err);
	if (c->lock_fd < 0)
		r = container_lock(c, err);
	if (r == 0 && has_ended(c))
		return container_set_state(c, CONTAINER_DEAD, err);
	if (r == 0 && c->state == CONTAINER_CKPTING)
		r = container_set_state(c, CONTAINER_FROZEN, err);
	if (r == 0 && c->state == CONTAINER_FROZEN && !q->was_frozen)
		r = container_thaw(c, err);
	return r;
}

static int save(struct runtime *rt, struct container *c, struct checkpoint_request *q,
		struct error **err)
{
	struct checkpoint_result result = {0};
	struct checkpoint_ctx ctx;
	struct error *settling = NULL;
	int s, r = checkpoint_ctx_open(&ctx, c, err);

	q->ops = &checkpoint_ops;
	q->ctx = &ctx;
	for (int i = 0; i < 3; i++)
		q->stdio[i] =
			(struct checkpoint_stdio){.dev = c->stdio[i].dev, .ino = c->stdio[i].ino};
	q->terminal = c->terminal;
	if (r == 0)
		r = checkpoint_save(q, &result, err);
	if (r < 0 && has_ended(c))
		r = name_end(err);
	s = settle(c, q, r == 0, r == 0 ? err : &settling);
	if (r == 0 && !q->check_only)
		criu_saved(q->image, option_string(rt, "work-path"),
			   &(struct criu_figures){result.frozen_ns, result.total_ns,
						  result.page_bytes});
	if (q->check_only && (r == 0 || r == -EBUSY)) {
		print_blockers(&result.blockers);
		/* what was asked for has been answered */
		if (r) {
			error_free(*err);
			*err = NULL;
			r = result.blockers.count ? 1 : r;
		}
	}
	error_free(settling);
	blockers_free(&result.blockers);
	checkpoint_ctx_close(&ctx);
	return r ? r : s;
}

static int run(struct runtime *rt, struct error **err)
{
	__cleanup_container struct container *c = NULL;
	__cleanup_free char *config = NULL;
	__cleanup_free char *mounts = NULL;
	struct checkpoint_request q = {
		.id = rt->id,
		.image = option_string(rt, "image-path"),
		.leave_running = option_flag(rt, "leave-running"),
		.snapshot = option_flag(rt, "snapshot"),
		.check_only = option_flag(rt, "check"),
	};
	int r = check_refused(rt, err);

	if (r == 0)
		r = checkpoint_check_words(rt, err);
	if (r == 0 && q.snapshot && !q.leave_running)
		r = error_set(err, EINVAL,
			      "--snapshot is for a container that goes on: add "
			      "--leave-running");

	if (r == 0)
		r = parse_allow(rt, &q.allow, &q.tcp, err);
	if (r == 0)
		r = checkpoint_parse_provider(option_string(rt, "provider"), &q.provider, err);
	if (!q.image)
		q.image = "checkpoint";
	if (r == 0)
		r = container_open(rt->root, rt->id, "checkpoint", option_flag(rt, "wait"), &c,
				   err);
	if (r < 0)
		return r;
	if (c->state == CONTAINER_DEAD)
		return error_set(err, ESRCH, "container not running");
	if (c->state != CONTAINER_RUNNING && c->state != CONTAINER_FROZEN)
		return error_set(err, EINVAL, "container cannot be checkpointed: it is %s",
				 container_oci_status(c));
	r = read_kept(c, &q, &config, &mounts, err);
	if (r < 0)
		return r;
	q.init = c->init.pid;
	q.was_frozen = c->state == CONTAINER_FROZEN;
	/* who stays paused has nothing from it */
	q.snapshot &= !q.was_frozen;
	q.cancel = checkpoint_catch_signals();
	return save(rt, c, &q, err);
}

const struct verb verb_checkpoint = {
	.name = "checkpoint",
	.summary = "save a container to disk",
	.usage = "ID",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.takes_id = true,
	.notes =
		"The container is frozen, saved as a whole, and killed once the image is durable,\n"
		"unless --leave-running is given. If anything fails it goes on as before, and "
		"there\n"
		"is no image. --check exits with 1 if something cannot be saved.",
	.run = run,
};
