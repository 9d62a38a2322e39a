// SPDX-License-Identifier: GPL-2.0-only
/* config.json: /process. */
#include <errno.h>
#include <string.h>

#include "oci/shapes.h"
#include "util/error.h"

static const struct oci_shape console_size_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_process, "height", console_height, FIELD_UINT,
			      .required = true, .max = UINT16_MAX),
			FIELD(struct oci_process, "width", console_width, FIELD_UINT,
			      .required = true, .max = UINT16_MAX),
			{0},
		},
};

static const struct oci_shape user_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_user, "uid", uid, FIELD_UINT, .max = OCI_ID_MAX),
			FIELD(struct oci_user, "gid", gid, FIELD_UINT, .max = OCI_ID_MAX),
			FIELD(struct oci_user, "umask", umask, FIELD_UINT, .max = 0777,
			      FIELD_HAS(struct oci_user, has_umask)),
			FIELD(struct oci_user, "additionalGids", additional_gids, FIELD_UINTS,
			      .max = OCI_ID_MAX),
			{0},
		},
};

/* the kernel may know newer capabilities than Firn: the specification wants a warning */
#define CAPABILITY_SET(set)                                                                        \
	FIELD(struct oci_capabilities, #set, set, FIELD_MASK, .words = &oci_capability_words,      \
	      .lenient = true, FIELD_HAS(struct oci_capabilities, has_##set))

static const struct oci_shape capabilities_shape = {
	.fields =
		(const struct oci_field[]){
			CAPABILITY_SET(bounding),
			CAPABILITY_SET(effective),
			CAPABILITY_SET(inheritable),
			CAPABILITY_SET(permitted),
			CAPABILITY_SET(ambient),
			{0},
		},
};

static const struct oci_shape rlimit_shape = {
	.size = sizeof(struct oci_rlimit),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_rlimit, "type", type, FIELD_WORD, .required = true,
			      .words = &oci_rlimit_words),
			FIELD(struct oci_rlimit, "soft", soft, FIELD_UINT, .required = true,
			      FIELD_HAS(struct oci_rlimit, has_soft)),
			FIELD(struct oci_rlimit, "hard", hard, FIELD_UINT, .required = true,
			      FIELD_HAS(struct oci_rlimit, has_hard)),
			{0},
		},
};

static const struct oci_shape scheduler_shape = {
	.size = sizeof(struct oci_scheduler),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_scheduler, "policy", policy, FIELD_WORD, .required = true,
			      .words = &oci_sched_policy_words),
			FIELD(struct oci_scheduler, "nice", nice, FIELD_INT, .min = -20, .max = 19),
			FIELD(struct oci_scheduler, "priority", priority, FIELD_INT, .min = 0,
			      .max = 99),
			FIELD(struct oci_scheduler, "flags", flags, FIELD_MASK,
			      .words = &oci_sched_flag_words),
			FIELD(struct oci_scheduler, "runtime", runtime, FIELD_UINT),
			FIELD(struct oci_scheduler, "deadline", deadline, FIELD_UINT),
			FIELD(struct oci_scheduler, "period", period, FIELD_UINT),
			{0},
		},
};

static const struct oci_shape io_priority_shape = {
	.size = sizeof(struct oci_io_priority),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_io_priority, "class", class, FIELD_WORD, .required = true,
			      .words = &oci_io_class_words),
			FIELD(struct oci_io_priority, "priority", priority, FIELD_INT, .min = 0,
			      .max = 7),
			{0},
		},
};

static const struct oci_shape affinity_shape = {
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_process, "initial", exec_cpu_affinity_initial,
			      FIELD_STRING),
			FIELD(struct oci_process, "final", exec_cpu_affinity_final, FIELD_STRING),
			{0},
		},
};

const struct oci_shape oci_process_shape = {
	.size = sizeof(struct oci_process),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_process, "terminal", terminal, FIELD_BOOL),
			FIELD_INNER("consoleSize", console_size_shape,
				    FIELD_HAS(struct oci_process, has_console_size)),
			FIELD(struct oci_process, "cwd", cwd, FIELD_STRING, .required = true),
			FIELD(struct oci_process, "env", env, FIELD_STRINGS),
			FIELD(struct oci_process, "args", args, FIELD_STRINGS),
			FIELD(struct oci_process, "user", user, FIELD_OBJECT, .shape = &user_shape),
			FIELD(struct oci_process, "capabilities", capabilities, FIELD_OBJECT,
			      .shape = &capabilities_shape,
			      FIELD_HAS(struct oci_process, has_capabilities)),
			FIELD(struct oci_process, "rlimits", rlimits, FIELD_LIST,
			      .shape = &rlimit_shape),
			FIELD(struct oci_process, "noNewPrivileges", no_new_privileges, FIELD_BOOL),
			FIELD(struct oci_process, "apparmorProfile", apparmor_profile,
			      FIELD_STRING),
			FIELD(struct oci_process, "selinuxLabel", selinux_label, FIELD_STRING),
			FIELD(struct oci_process, "oomScoreAdj", oom_score_adj, FIELD_INT,
			      .min = -1000, .max = 1000,
			      FIELD_HAS(struct oci_process, has_oom_score_adj)),
			FIELD(struct oci_process, "scheduler", scheduler, FIELD_POINTER,
			      .shape = &scheduler_shape),
			FIELD(struct oci_process, "ioPriority", io_priority, FIELD_POINTER,
			      .shape = &io_priority_shape),
			FIELD_INNER("execCPUAffinity", affinity_shape,
				    FIELD_HAS(struct oci_process, has_exec_cpu_affinity)),
			{0},
		},
};

int oci_env_validate(const struct oci_strings *env, const char *at, struct error **err)
{
	for (size_t i = 0; i < env->count; i++) {
		const char *entry = env->items[i];

		if (!strchr(entry, '=') || *entry == '=')
			return error_set(err, EINVAL, "%s/env/%zu: \"%s\" is not NAME=VALUE", at, i,
					 entry);
	}
	return 0;
}

static int rlimits_validate(const struct oci_process *process, const char *at, struct error **err)
{
	for (size_t i = 0; i < process->rlimits.count; i++) {
		const struct oci_rlimit *limit = &process->rlimits.items[i];

		for (size_t j = 0; j < i; j++)
			if (process->rlimits.items[j].type == limit->type)
				return error_set(err, EINVAL,
						 "%s/rlimits/%zu/type: %s is given twice", at, i,
						 oci_word_name(&oci_rlimit_words, limit->type));
		if (limit->soft > limit->hard)
			return error_set(err, EINVAL,
					 "%s/rlimits/%zu: the soft limit is above the hard limit",
					 at, i);
	}
	return 0;
}

static int affinity_validate(const char *list, const char *at, const char *name, struct error **err)
{
	if (list && strspn(list, "0123456789, -") != strlen(list))
		return error_set(err, EINVAL, "%s/execCPUAffinity/%s: \"%s\" is not a list of CPUs",
				 at, name, list);
	return 0;
}

int oci_process_validate(const struct oci_process *process, const char *at, struct error **err)
{
	int r;

	if (process->cwd[0] != '/')
		return error_set(err, EINVAL, "%s/cwd: \"%s\" is not an absolute path", at,
				 process->cwd);
	if (!process->args.items)
		return error_set(err, EINVAL, "%s/args: missing", at);
	if (!process->args.count)
		return error_set(err, EINVAL, "%s/args: must not be empty", at);
	r = oci_env_validate(&process->env, at, err);
	if (!r)
		r = rlimits_validate(process, at, err);
	if (!r)
		r = affinity_validate(process->exec_cpu_affinity_initial, at, "initial", err);
	if (!r)
		r = affinity_validate(process->exec_cpu_affinity_final, at, "final", err);
	return r;
}

int oci_process_parse(const char *json, size_t len, struct oci_process **process,
		      struct error **err)
{
	void *document = NULL;
	int r = oci_document_read("process", json, len, &oci_process_shape, &document, err);

	if (r)
		return r;
	r = oci_process_validate(document, "", err);
	if (r) {
		error_wrap(err, "process");
		oci_process_free(document);
		return r;
	}
	*process = document;
	return 0;
}

void oci_process_free(struct oci_process *process)
{
	oci_document_free(&oci_process_shape, process);
}
