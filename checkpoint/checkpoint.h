/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checkpoint and restore of a container, as the runtime calls them. Nothing of
 * libcontainer/ is known here: what is needed of a container is handed over.
 */
#ifndef FIRN_CHECKPOINT_H
#define FIRN_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/buf.h"

struct error;

/* A description that comes from outside, by its inode. */
struct checkpoint_stdio {
	uint64_t dev, ino; /* both 0: closed */
};

typedef VEC(pid_t) pid_vec;

/* The freezer's and the kill's operations; ctx is the caller's. */
struct checkpoint_ops {
	/* Returns when every task is frozen. Frozen already is success. */
	int (*freeze)(void *ctx, struct error **err);
	int (*thaw)(void *ctx, struct error **err);
	/* 1: tasks frozen cannot be stopped by ptrace (cgroup v1); 2: they can. */
	int (*freezer_version)(void *ctx);
	/* All processes (thread group ids) in the container's cgroups. */
	int (*tasks)(void *ctx, pid_vec *pids, struct error **err);
	/* The cgroups that were made below the container's: "FILE-SYSTEM-PATH\0"... */
	int (*nested_cgroups)(void *ctx, struct buf *paths, struct error **err);
	/*
	 * Moves the calling process, of one thread, into the container's cgroups: what it makes is
	 * charged to them. NULL: it stays where it is.
	 */
	int (*enter)(void *ctx, struct error **err);
	/* The image is durable, and nothing but the kill is to come. If this fails nobody is
	 * killed.
	 */
	int (*before_kill)(void *ctx, struct error **err);
	/* Kills all of them and waits until none is left. */
	int (*kill)(void *ctx, struct error **err);
	/* Pages written so far; total may grow. NULL: nobody looks. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
};

enum checkpoint_allow {
	ALLOW_EXEC = 1,	    /* leave behind tasks that entered by exec */
	ALLOW_AIO = 2,	    /* lose AIO requests in flight, of which nobody can tell */
	ALLOW_EXT_UNIX = 4, /* unix sockets with a peer outside come back disconnected */
};

/* By the words of --allow and of the image's manifest. */
#define CHECKPOINT_ALLOWANCES 3
extern const struct checkpoint_allowance {
	const char *word;
	unsigned flag;
} checkpoint_allowances[CHECKPOINT_ALLOWANCES];

/* Who saves and restores the resource classes that the patched kernel knows. */
enum checkpoint_provider {
	PROVIDER_AUTO,	 /* the kernel what it can, class by class */
	PROVIDER_KERNEL, /* the kernel, or nobody */
	PROVIDER_USER,	 /* interfaces of a stock kernel */
};

/* Calls fn for each resource class with what PROVIDER_AUTO is here: "kernel" or "user". */
void checkpoint_providers(void (*fn)(void *ctx, const char *class_name, const char *provider),
			  void *ctx);

/* What becomes of established TCP connections. */
enum checkpoint_tcp { TCP_POLICY_REFUSE, TCP_POLICY_RESET, TCP_POLICY_KEEP };

struct checkpoint_request {
	const char *id;
	pid_t init;	    /* host pid */
	const char *image;  /* directory */
	const char *config; /* config.json in force */
	size_t config_len;
	const char *mounts; /* /proc/INIT/mountinfo when the container had been set up; or NULL */
	bool foreign_net;   /* its network namespace was joined by path: not the container's own */
	bool foreign_mnt;   /* the same of its mount namespace */
	struct checkpoint_stdio stdio[3];
	bool terminal;	/* /dev/console is a terminal whose master was given away */
	unsigned allow; /* enum checkpoint_allow */
	enum checkpoint_provider provider;
	enum checkpoint_tcp tcp;
	bool netns_stays; /* the network namespace is not the container's alone, and outlives it */
	bool check_only;  /* stop after admission; blockers is filled in */
	bool leave_running;
	bool snapshot;		    /* it goes on while its memory is written */
	bool was_frozen;	    /* a user paused it: stays frozen under leave_running */
	const volatile int *cancel; /* set by a signal handler; -ECANCELED. May be NULL */
	const struct checkpoint_ops *ops;
	void *ctx;
};

struct checkpoint_blocker {
	pid_t pid; /* in the container; 0: the container as a whole */
	int fd;	   /* -1: none */
	uint64_t address;
	char *object; /* "established TCP connection 10.0.0.1:6379" */
	char *remedy; /* "checkpoint with --tcp-established ..." */
};
typedef VEC(struct checkpoint_blocker) blocker_vec;
void blockers_free(blocker_vec *blockers);

struct checkpoint_result {
	blocker_vec blockers;
	uint64_t frozen_ns, total_ns, page_bytes;
};

/*
 * Saves the container into request->image. On failure the container is as it
 * was found and there is no image. On success it has been killed, or with
 * leave_running it goes on (or stays frozen if it was). Admission that finds
 * blockers fails with -EBUSY naming the first; all are in result. Those that pass by themselves are
 * waited for, a moment, unless it was frozen.
 */
int checkpoint_save(const struct checkpoint_request *request, struct checkpoint_result *result,
		    struct error **err);

struct image_reader;

struct restore_request {
	const char *id;
	struct image_reader
		*image; /* opened by the caller, who reads clocks and config from it first */
	pid_t init;	/* the stub: the caller's child, asleep in read(2) on stub_fd */
	int stub_sync;	/* our end of the stub's socket */
	int stub_fd;	/* the stub's number of its end */
	int console;	/* the stub's number of its terminal's master; -1: none */
	int stdio[3];	/* descriptors that replace what came from outside; -1: closed */
	/* What config.json grants; an image that wants more is refused (-EPERM). */
	uint64_t caps_allowed; /* bit n: capability n of linux/capability.h */
	bool caps_bounded;     /* false: caps_allowed is not looked at */
	bool want_seccomp;     /* every thread must have a filter */
	bool want_nnp;	       /* every thread must have no_new_privs */
	enum checkpoint_provider provider;
	bool reset_tcp; /* connections that were kept come back reset */
	const volatile int *cancel;
	const struct checkpoint_ops *ops;
	void *ctx;
};

/* The init's pid in the container's pid namespace: 1, unless that was shared. */
int restore_init_pid(struct image_reader *image, pid_t *pid, struct error **err);

struct restore_result {
	uint64_t total_ns, page_bytes;
};

/*
 * Refuses (-EOPNOTSUPP, -EXDEV, -EBADMSG...) before any side effect what does
 * not fit this kernel and CPU. Called before the empty container is built.
 */
int restore_admit(struct image_reader *image, enum checkpoint_provider provider,
		  struct error **err);

/* The container's clocks at the beginning of the checkpoint, for its time namespace. */
int restore_clocks(struct image_reader *image, uint64_t *monotonic, uint64_t *boottime,
		   struct error **err);

/*
 * Turns the stub into the container. On success every task is frozen (the
 * cgroup's freezer), released from ptrace, and goes on when thawed. On
 * failure all of its tasks, the init too, are dead and reaped.
 */
int restore_load(const struct restore_request *request, struct restore_result *result,
		 struct error **err);

#endif
