// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/error.h"
#include "util/log.h"

/* Word i holds capabilities 32 * i to 32 * i + 31. */
struct cap_sets {
	struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static int capget(struct cap_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capget, &header, sets->words) < 0 ? -errno : 0;
}

static int capset(const struct cap_sets *sets)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, sets->words) < 0 ? -errno : 0;
}

int capabilities_bound(const struct oci_capabilities *caps, struct error **err)
{
	for (int cap = 0; cap < 64; cap++) {
		if (caps->bounding & (1ull << cap))
			continue;
		/* EINVAL: above the kernel's last one */
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break;
			return error_errno(err, errno, "dropping capability %d", cap);
		}
	}
	return 0;
}

static uint64_t limited(uint64_t wanted, uint64_t possible, const char *set)
{
	if (wanted & ~possible)
		log_warning("capabilities 0x%llx cannot be made %s",
			    (unsigned long long)(wanted & ~possible), set);
	return wanted & possible;
}

static int set_ambient(uint64_t ambient, struct error **err)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return error_errno(err, errno, "clearing the ambient capabilities");
	for (int cap = 0; cap < 64; cap++) {
		if (!(ambient & (1ull << cap)))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return error_errno(err, errno, "raising the ambient capability %d", cap);
	}
	return 0;
}

int capabilities_set(const struct oci_capabilities *caps, struct error **err)
{
	struct cap_sets sets;
	uint64_t own, permitted, inheritable, effective;
	int ret = capget(&sets);

	if (ret < 0)
		return error_errno(err, -ret, "reading the capabilities");
	own = sets.words[0].permitted | (uint64_t)sets.words[1].permitted << 32;
	permitted = limited(caps->permitted, own, "permitted");
	effective = limited(caps->effective, permitted, "effective");
	inheritable = limited(caps->inheritable, own, "inheritable");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets.words[i].permitted = permitted >> (32 * i);
		sets.words[i].effective = effective >> (32 * i);
		sets.words[i].inheritable = inheritable >> (32 * i);
	}
	ret = capset(&sets);
	if (ret < 0)
		return error_errno(err, -ret, "setting the capabilities");
	/* the kernel wants them permitted and inheritable */
	return set_ambient(caps->ambient & permitted & inheritable, err);
}
