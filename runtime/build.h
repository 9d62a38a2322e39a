/* SPDX-License-Identifier: GPL-2.0-only */
/* What create and run have in common: from a bundle to a container in state CREATED. */
#ifndef FIRN_RUNTIME_BUILD_H
#define FIRN_RUNTIME_BUILD_H

#include <sys/types.h>

#include "libcontainer/create.h"

struct cgroup;
struct container;
struct error;
struct oci_config;
struct runtime;

/* The options of both, as a list of entries for a struct option_spec array. */
#define BUILD_OPTIONS                                                                              \
	{"bundle", 'b', "DIR", "the bundle (default: the current directory)"},                     \
		{"config", 'f', "FILE", "the configuration (default: the bundle's config.json)"},  \
		{"console-socket", 0, "PATH", "unix socket that takes the terminal"},              \
		{"pid-file", 0, "FILE", "write the process's pid to this file"},                   \
		{"pidfd-socket", 0, "PATH", "unix socket that gets a pidfd of the process"},       \
		{"no-pivot", 0, NULL, "do without pivot_root, on a ramdisk"},                      \
		{"no-new-keyring", 0, NULL, "keep the caller's session keyring"},                  \
	{                                                                                          \
		"preserve-fds", 0, "N", "pass N descriptors on besides 0 to 2 and $LISTEN_FDS"     \
	}

/* The configuration of --config, or of the opened bundle, validated. */
int build_load_config(const struct runtime *rt, int bundle_fd, struct oci_config **config,
		      struct error **err);

/*
 * Opens the bundle of --bundle: *bundle is its absolute path, the caller's to
 * free; *config is read and validated.
 */
int build_open_bundle(const struct runtime *rt, char **bundle, struct oci_config **config,
		      struct error **err);

/* The root file system that config.json names, as an absolute path that the caller frees. */
int build_find_rootfs(const char *bundle, const struct oci_config *config, char **rootfs,
		      struct error **err);

/* Fills in the options of BUILD_OPTIONS. Strings are borrowed. */
int build_options(const struct runtime *rt, struct create_options *options, struct error **err);

/* Which descriptors go on to the process: of $LISTEN_FDS and --preserve-fds. */
int build_passed_fds(const struct runtime *rt, struct passed_fds *passed, struct error **err);

/*
 * Makes the container of that bundle with its cgroup and init, and saves it as
 * CREATED, locked. Then writes options->pid_file. On failure nothing is left.
 */
int build_container(const struct runtime *rt, const char *bundle, const struct oci_config *config,
		    const struct create_options *options, struct container **c,
		    struct init_process *init, struct error **err);

/*
 * Makes the cgroup, and writes down what must outlive the bundle and the state
 * file: from then on whoever comes after us can clean up. The caller frees *cg.
 */
int build_cgroup(const struct runtime *rt, struct container *c, const struct oci_config *config,
		 struct cgroup **cg, struct error **err);

/* Writes down the mounts of an init that is ready, for the checkpoint to compare. */
int build_keep_mounts(struct container *c, pid_t init, struct error **err);

/*
 * Starts the init of a CREATED container. It is RUNNING then and not locked any more: poststart
 * hooks may work on it themselves, and delete it.
 */
int build_start(struct container *c, const struct oci_config *config, struct error **err);

/* What comes behind that: poststart hooks. If one fails, the container is killed and removed. */
int build_started(struct container *c, const struct oci_config *config, struct error **err);

/* Replaces the file at once, as readers expect. */
int write_pid_file(const char *path, pid_t pid, struct error **err);

/*
 * Kills and removes the container with all it has, and runs its poststop hooks:
 * after a run, or when starting failed. Failures go to the log.
 */
void build_remove(struct container *c, const struct oci_config *config);

/* The same for one that has ended while it was not locked: whoever was quicker has done it. */
void build_remove_ended(const struct runtime *rt, const struct oci_config *config);

#endif
