/* SPDX-License-Identifier: GPL-2.0-only */
/* linux.seccomp: compiled early, so that `create` reports what is wrong; installed late. */
#ifndef FIRN_LIBCONTAINER_SECCOMP_H
#define FIRN_LIBCONTAINER_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

struct error;
struct oci_seccomp;

struct seccomp_program {
	struct sock_filter *filter; /* NULL: no filter wanted */
	unsigned short count;
	uint32_t flags; /* SECCOMP_FILTER_FLAG_* */
	bool listener;	/* some calls are decided by whoever gets the listener */
};

/*
 * seccomp may be NULL. System calls that libseccomp does not know are left out, as runc does, or
 * else refused.
 */
int seccomp_compile(const struct oci_seccomp *seccomp, bool refuse_unknown,
		    struct seccomp_program *program, struct error **err);

/*
 * Needs CAP_SYS_ADMIN or no_new_privs. A listener is announced on report_fd (a sync socket), and
 * waited for until the runtime has it.
 */
int seccomp_install(const struct seccomp_program *program, int report_fd, struct error **err);

void seccomp_program_free(struct seccomp_program *program);
#define __cleanup_seccomp __attribute__((cleanup(seccomp_program_free)))

#endif
