/* SPDX-License-Identifier: GPL-2.0-only */
/* The specification's words for numbers of the kernel and of libseccomp. */
#ifndef FIRN_OCI_WORDS_H
#define FIRN_OCI_WORDS_H

#include <stdint.h>

struct oci_word {
	const char *name;
	uint64_t value;
};

struct oci_words {
	const char *what;	      /* "namespace type", for messages */
	const struct oci_word *words; /* ends with a NULL name */
};

extern const struct oci_words oci_namespace_words;    /* CLONE_NEW* */
extern const struct oci_words oci_capability_words;   /* 1 << CAP_* */
extern const struct oci_words oci_rlimit_words;	      /* RLIMIT_* */
extern const struct oci_words oci_propagation_words;  /* MS_* */
extern const struct oci_words oci_sched_policy_words; /* SCHED_* */
extern const struct oci_words oci_sched_flag_words;   /* SCHED_FLAG_* */
extern const struct oci_words oci_io_class_words;     /* IOPRIO_CLASS_* */
extern const struct oci_words oci_memory_policy_words;
extern const struct oci_words oci_memory_policy_flag_words;
extern const struct oci_words oci_personality_words;	/* PER_* */
extern const struct oci_words oci_seccomp_action_words; /* SCMP_ACT_*, data 0 */
extern const struct oci_words oci_seccomp_op_words;	/* enum scmp_compare */
extern const struct oci_words oci_seccomp_arch_words;	/* SCMP_ARCH_* */
extern const struct oci_words oci_seccomp_flag_words;	/* SECCOMP_FILTER_FLAG_* */

/* The entry of this name, or NULL. */
const struct oci_word *oci_word_find(const struct oci_words *words, const char *name);

/* The first name of this value, or NULL. */
const char *oci_word_name(const struct oci_words *words, uint64_t value);

#endif
