// SPDX-License-Identifier: GPL-2.0-only
/* config.json: /linux/seccomp. */
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include "oci/shapes.h"
#include "util/error.h"

static const struct oci_shape arg_shape = {
	.size = sizeof(struct oci_seccomp_arg),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_seccomp_arg, "index", index, FIELD_UINT, .required = true,
			      .max = 5),
			FIELD(struct oci_seccomp_arg, "value", value, FIELD_UINT, .required = true),
			FIELD(struct oci_seccomp_arg, "valueTwo", value_two, FIELD_UINT),
			FIELD(struct oci_seccomp_arg, "op", op, FIELD_WORD, .required = true,
			      .words = &oci_seccomp_op_words),
			{0},
		},
};

/* the kernel keeps 16 bits of data beside an action */
static const struct oci_shape rule_shape = {
	.size = sizeof(struct oci_seccomp_rule),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_seccomp_rule, "names", names, FIELD_STRINGS,
			      .required = true),
			FIELD(struct oci_seccomp_rule, "action", action, FIELD_WORD,
			      .required = true, .words = &oci_seccomp_action_words),
			FIELD(struct oci_seccomp_rule, "errnoRet", errno_ret, FIELD_UINT,
			      .max = UINT16_MAX, FIELD_HAS(struct oci_seccomp_rule, has_errno_ret)),
			FIELD(struct oci_seccomp_rule, "args", args, FIELD_LIST,
			      .shape = &arg_shape),
			{0},
		},
};

const struct oci_shape oci_seccomp_shape = {
	.size = sizeof(struct oci_seccomp),
	.fields =
		(const struct oci_field[]){
			FIELD(struct oci_seccomp, "defaultAction", default_action, FIELD_WORD,
			      .required = true, .words = &oci_seccomp_action_words),
			FIELD(struct oci_seccomp, "defaultErrnoRet", default_errno_ret, FIELD_UINT,
			      .max = UINT16_MAX,
			      FIELD_HAS(struct oci_seccomp, has_default_errno_ret)),
			FIELD(struct oci_seccomp, "architectures", architectures, FIELD_WORDS,
			      .words = &oci_seccomp_arch_words),
			FIELD(struct oci_seccomp, "flags", flags, FIELD_MASK,
			      .words = &oci_seccomp_flag_words,
			      FIELD_HAS(struct oci_seccomp, has_flags)),
			FIELD(struct oci_seccomp, "listenerPath", listener_path, FIELD_STRING),
			FIELD(struct oci_seccomp, "listenerMetadata", listener_metadata,
			      FIELD_STRING),
			FIELD(struct oci_seccomp, "syscalls", syscalls, FIELD_LIST,
			      .shape = &rule_shape),
			{0},
		},
};

static bool takes_errno(uint32_t action)
{
	return action == SCMP_ACT_ERRNO(0) || action == SCMP_ACT_TRACE(0);
}

static bool notifies(const struct oci_seccomp *seccomp)
{
	vec_for_each (rule, &seccomp->syscalls)
		if (rule->action == SCMP_ACT_NOTIFY)
			return true;
	return seccomp->default_action == SCMP_ACT_NOTIFY;
}

int oci_seccomp_validate(const struct oci_seccomp *seccomp, struct error **err)
{
	const char *at = "/linux/seccomp";

	if (seccomp->has_default_errno_ret && !takes_errno(seccomp->default_action))
		return error_set(err, EINVAL, "%s/defaultErrnoRet: %s takes none", at,
				 oci_word_name(&oci_seccomp_action_words, seccomp->default_action));
	if (seccomp->listener_metadata && !seccomp->listener_path)
		return error_set(err, EINVAL, "%s/listenerMetadata: needs listenerPath", at);
	if (notifies(seccomp) && !seccomp->listener_path)
		return error_set(err, EINVAL, "%s/listenerPath: SCMP_ACT_NOTIFY needs it", at);
	if (seccomp->flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !seccomp->listener_path)
		return error_set(err, EINVAL,
				 "%s/flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs "
				 "listenerPath",
				 at);
	for (size_t i = 0; i < seccomp->syscalls.count; i++) {
		const struct oci_seccomp_rule *rule = &seccomp->syscalls.items[i];

		if (!rule->names.count)
			return error_set(err, EINVAL, "%s/syscalls/%zu/names: must not be empty",
					 at, i);
		if (rule->has_errno_ret && !takes_errno(rule->action))
			return error_set(err, EINVAL, "%s/syscalls/%zu/errnoRet: %s takes none", at,
					 i, oci_word_name(&oci_seccomp_action_words, rule->action));
	}
	return 0;
}
