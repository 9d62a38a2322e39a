/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container's state: one file per container, ROOT/ID/state.json, replaced
 * atomically under a lock, gives the whole truth in one read.
 */
#ifndef FIRN_LIBCONTAINER_STATE_H
#define FIRN_LIBCONTAINER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Transitions are states of their own; which may become which is in state.c's table. */
enum container_state {
	CONTAINER_CREATING,
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_FREEZING,
	CONTAINER_FROZEN,
	CONTAINER_THAWING,
	CONTAINER_CKPTING,
	CONTAINER_RSTRTING,
	CONTAINER_ABORTING,
	CONTAINER_DEAD,
	CONTAINER_STATES,
};

/* A process named so that a recycled pid is not taken for it. */
struct process_id {
	pid_t pid;
	uint64_t start_time; /* field 22 of /proc/PID/stat, clock ticks since boot */
};

/* What one of the init's descriptors 0 to 2 was when the container was made: what comes from
 * outside. */
struct container_stdio {
	uint64_t dev, ino; /* of fstat(2) */
	char name[64];	   /* readlink of /proc/self/fd/N, for descriptors.json and messages */
};

struct container {
	char *id;
	char *root;    /* the --root directory */
	char *bundle;  /* absolute */
	char *rootfs;  /* absolute, on the host */
	char *created; /* RFC 3339 */
	uid_t owner_uid;
	enum container_state state;
	bool user_paused; /* frozen by `pause`, not by a checkpoint */
	struct process_id init;
	struct process_id worker; /* who works on it in a passing state; pid 0 for nobody */
	char worker_verb[16];
	char verb[16];	      /* what the caller of container_open() does; not in the file */
	int64_t worker_since; /* CLOCK_REALTIME, seconds */
	char *cgroup_path;    /* as of cgroup_path(); NULL before there is one */
	struct container_stdio stdio[3];
	bool terminal;
	int lock_fd; /* ROOT/ID/lock while it is held, or -1 */
	int dir_fd;  /* ROOT/ID */
};

/* The state's name in capitals ("FROZEN"), and the OCI status it is shown as ("paused"). */
const char *container_state_name(enum container_state state);
const char *container_oci_status(const struct container *c);

/* Whether the table allows going from one to the other. */
bool container_may_become(enum container_state from, enum container_state to);

/*
 * Whether the state lasts only while somebody works on the container. So does
 * FROZEN unless a user paused it: a checkpoint or restore goes on from there.
 */
bool container_passes(const struct container *c);

/* -EINVAL unless [A-Za-z0-9_+.-]{1,240}, and neither "." nor "..". */
int container_check_id(const char *id, struct error **err);

/*
 * Makes ROOT/ID in state CREATING, locked, worked on by the caller's verb. -EEXIST if
 * there is one. The caller fills in the rest and saves; what is not saved (the
 * cgroup above all) cannot be cleaned up after a kill -9.
 */
int container_new(const char *root, const char *id, const char *verb, struct container **c,
		  struct error **err);

/*
 * Reads the state without locking: a truth of one moment; a dead init shows as
 * DEAD. -ENOENT "does not exist", -EUCLEAN for a file that cannot be right.
 */
int container_read(const char *root, const char *id, struct container **c, struct error **err);

/*
 * The ids below root, sorted; none if root does not exist. The caller frees
 * each of ids->items and vec_free()s.
 */
struct container_ids {
	char **items;
	size_t count, size;
};
int container_ids(const char *root, struct container_ids *ids, struct error **err);
void container_ids_free(struct container_ids *ids);

/*
 * Locks and reads, recovers the container if the owner of a passing state is
 * gone, and notices a dead init (DEAD). wait: block until whoever works on it
 * is done; otherwise -EBUSY naming verb, pid and since when.
 */
int container_open(const char *root, const char *id, const char *verb, bool wait,
		   struct container **c, struct error **err);

/*
 * Goes to another state and replaces the file (rename). A passing state
 * records the calling process as worker with the verb given to container_open().
 * -EPERM naming both states if the table forbids it.
 */
int container_set_state(struct container *c, enum container_state state, struct error **err);

/* Writes the file again with changed fields and the same state. */
int container_save(struct container *c, struct error **err);

/*
 * Lets go of the lock so that others see the passing state and say "busy"
 * while long work goes on (checkpoint); takes it again.
 */
void container_unlock(struct container *c);
int container_lock(struct container *c, struct error **err);

/* Removes ROOT/ID. The container stays to be freed. */
int container_remove(struct container *c, struct error **err);

/* The files of ROOT/ID that are written once: see state_kept.c. */
#define KEPT_CONFIG "config.json"
#define KEPT_CGROUP "cgroup"
#define KEPT_MOUNTS "mounts"
#define KEPT_RDT    "intel_rdt"
#define KEPT_ROOT   "root"
int container_keep(struct container *c, const char *name, const void *data, size_t len,
		   struct error **err);
/* As read_file(): at most max bytes, NUL-terminated, the caller's to free; len may be NULL. */
int container_kept(const struct container *c, const char *name, size_t max, char **data,
		   size_t *len, struct error **err);

/*
 * Locks a container whose state cannot be read, as far as it takes to destroy
 * and remove it: DEAD, with its cgroup. -ENOENT if that is not known either.
 */
int container_open_damaged(const char *root, const char *id, const char *verb, struct container **c,
			   struct error **err);

/*
 * If somebody checkpoints or restores the container: sends the worker SIGTERM,
 * which makes it undo its work, and waits until it is gone. 0 if there was
 * nobody, 1 if there was; -ETIMEDOUT. With force the same happens to whoever holds the lock and
 * has been stopped; and who does not get on for all that, is killed.
 */
int container_interrupt(const char *root, const char *id, bool force, struct error **err);

/*
 * Brings a locked container whose worker is gone to a state that lasts: called
 * by container_open(); see the table in recover.c.
 */
int container_recover(struct container *c, struct error **err);

/* Whether the named process lives (not a zombie). */
bool process_alive(const struct process_id *p);
/* Whether it stands still: in a job-control stop, or for a tracer. */
bool process_stopped(const struct process_id *p);
/* Whether it is an ancestor of ours. */
bool process_is_above(pid_t pid);
/* Fills in the start time of a live pid. */
int process_identify(pid_t pid, struct process_id *p);

void container_free(struct container *c);
static inline void cleanup_container(struct container **c)
{
	container_free(*c);
}
#define __cleanup_container __attribute__((cleanup(cleanup_container)))

#endif
