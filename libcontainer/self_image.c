// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/self_image.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcontainer/labels.h"
#include "libcontainer/leave_file.h"
#include "libcontainer/process.h"
#include "libcontainer/trampoline.h"
#include "oci/config.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/log.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

bool self_image_is_sealed(void)
{
	__cleanup_fd int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

static bool has_own(const struct oci_config *config, int type)
{
	const struct oci_namespace *ns = oci_config_namespace(config, type);

	return ns && !ns->path;
}

bool self_image_exposed(const struct oci_config *config)
{
	/* what startContainer hooks execute comes out of the container's own files */
	return config->hooks.start_container.count || labels_wanted(config->process) ||
	       process_opens_with_capabilities(config->process,
					       oci_config_namespace(config, CLONE_NEWUSER)) ||
	       !has_own(config, CLONE_NEWPID);
}

/*
 * Such a process is not dumpable, which keeps everybody from its /proc/PID/exe but who has
 * CAP_SYS_PTRACE in the namespace that the runtime itself belongs to. Without a user namespace
 * somebody there may have it, whatever config.json says: by exec --cap, or from another container
 * that shares the pid namespace.
 */
bool self_image_exposed_by_exec(const struct oci_config *config, bool labelled)
{
	return labelled || !oci_config_namespace(config, CLONE_NEWUSER);
}

/* Up to where the file is mapped to be executed. What follows, debugging information, is most of
 * it. */
static off_t used_length(void)
{
	const ElfW(Phdr) *headers = (const void *)getauxval(AT_PHDR);
	size_t count = getauxval(AT_PHNUM);
	off_t end = 0;

	for (const ElfW(Phdr) *h = headers; h && h < headers + count; h++)
		if (h->p_type == PT_LOAD && (off_t)(h->p_offset + h->p_filesz) > end)
			end = h->p_offset + h->p_filesz;
	return end;
}

static int make_copy(struct error **err)
{
	__cleanup_fd int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	__cleanup_fd int copy = memfd_create("firn", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	const off_t end = used_length();
	off_t offset = 0;

	/* before Linux 6.3 there was no flag to say so, and all were executable */
	if (copy < 0 && errno == EINVAL)
		copy = memfd_create("firn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (self < 0 || copy < 0)
		return error_errno(err, errno, "copying the runtime's own program");
	while (offset < end) {
		ssize_t n = sendfile(copy, self, &offset, end - offset);

		if (n < 0 && errno != EINTR)
			return error_errno(err, errno, "copying the runtime's own program");
		if (n == 0)
			return error_set(err, EIO, "the runtime's own program became shorter");
	}
	if (fchmod(copy, 0500) < 0 || fcntl(copy, F_ADD_SEALS, SEALS) < 0)
		return error_errno(err, errno, "sealing the copy of the runtime's own program");
	return take_fd(&copy);
}

/* As a process of the trampoline's file, which is sealed, and without a second start. */
static bool leave(void)
{
	__cleanup_error struct error *ignored = NULL;
	__cleanup_fd int fd = trampoline_open(&ignored);
	int ret = fd < 0 ? fd : fault_point("self-image-leave", &ignored);

	if (ret == 0)
		ret = leave_file(fd);
	if (ret < 0)
		log_debug("the runtime's own file cannot be left: %s", strerror(-ret));
	return ret == 0;
}

int self_image_seal(char *const *argv, bool *is_trampoline, struct error **err)
{
	__cleanup_fd int copy = -1;
	bool left = false;

	if (self_image_is_sealed())
		return 0;
	left = leave();
	if (left && is_trampoline)
		*is_trampoline = true;
	if (left)
		return 0;
	copy = make_copy(err);
	if (copy < 0)
		return copy;
	syscall(SYS_execveat, copy, "", argv, environ, AT_EMPTY_PATH);
	return error_errno(err, errno, "executing the copy of the runtime's own program");
}
