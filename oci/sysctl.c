// SPDX-License-Identifier: GPL-2.0-only
/* Which sysctls belong to a namespace: any other would change the host. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/cleanup.h"
#include "util/error.h"

/*
 * ipc/ipc_sysctl.c, ipc/mq_sysctl.c, kernel/utsname_sysctl.c. Below net, a network
 * namespace shows only its own entries.
 */
static const struct {
	const char *path; /* ends with '/': everything below it */
	int type;
} namespaced[] = {
	{"kernel/auto_msgmni", CLONE_NEWIPC},
	{"kernel/msg_next_id", CLONE_NEWIPC},
	{"kernel/msgmax", CLONE_NEWIPC},
	{"kernel/msgmnb", CLONE_NEWIPC},
	{"kernel/msgmni", CLONE_NEWIPC},
	{"kernel/sem", CLONE_NEWIPC},
	{"kernel/sem_next_id", CLONE_NEWIPC},
	{"kernel/shm_next_id", CLONE_NEWIPC},
	{"kernel/shm_rmid_forced", CLONE_NEWIPC},
	{"kernel/shmall", CLONE_NEWIPC},
	{"kernel/shmmax", CLONE_NEWIPC},
	{"kernel/shmmni", CLONE_NEWIPC},
	{"fs/mqueue/", CLONE_NEWIPC},
	{"kernel/domainname", CLONE_NEWUTS},
	{"net/", CLONE_NEWNET},
};

static int namespace_of(const char *path)
{
	for (size_t i = 0; i < sizeof(namespaced) / sizeof(*namespaced); i++) {
		const char *known = namespaced[i].path;
		size_t len = strlen(known);

		if (known[len - 1] == '/' ? strncmp(path, known, len) == 0 : !strcmp(path, known))
			return namespaced[i].type;
	}
	return 0;
}

/*
 * sysctl(8): the first separator decides what separates; between slashes, dots
 * are parts of names (net/ipv4/conf/eth0.1/...), and the other way round.
 */
char *oci_sysctl_path(const char *key)
{
	char *path = strdup(key);
	const char *first = strpbrk(key, "./");

	if (path && first && *first == '.')
		for (char *c = path; *c; c++)
			*c = *c == '/' ? '.' : *c == '.' ? '/' : *c;
	return path;
}

/* No empty component, and none that is "." or "..". */
static bool is_plain_path(const char *path)
{
	for (const char *c = path;; c++) {
		size_t len = strcspn(c, "/");

		if (!len || (len == 1 && *c == '.') || (len == 2 && strncmp(c, "..", 2) == 0))
			return false;
		c += len;
		if (!*c)
			return true;
	}
}

int oci_sysctl_validate(const struct oci_config *config, struct error **err)
{
	vec_for_each (pair, &config->lx.sysctl) {
		__cleanup_free char *path = oci_sysctl_path(pair->key);
		int type;

		if (!path)
			return error_errno(err, ENOMEM, "checking sysctls");
		if (!is_plain_path(path))
			return error_set(err, EINVAL, "/linux/sysctl: \"%s\" is not a sysctl",
					 pair->key);
		if (strcmp(path, "kernel/hostname") == 0)
			return error_set(err, EINVAL,
					 "/linux/sysctl: use /hostname instead of \"%s\"",
					 pair->key);
		if (strcmp(path, "kernel/domainname") == 0 && config->domainname &&
		    strcmp(pair->value, config->domainname) != 0)
			return error_set(err, EINVAL,
					 "/linux/sysctl: \"%s\" is not what /domainname says",
					 pair->key);
		type = namespace_of(path);
		if (!type)
			return error_set(err, EINVAL,
					 "/linux/sysctl: \"%s\" does not belong to a namespace",
					 pair->key);
		if (!oci_config_namespace(config, type))
			return error_set(err, EINVAL,
					 "/linux/sysctl: \"%s\" needs a namespace of type \"%s\" "
					 "in /linux/namespaces",
					 pair->key, oci_word_name(&oci_namespace_words, type));
	}
	return 0;
}
