// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that the init's stub opens, and not the runtime. Its own namespaces decide what it gets
 * by /proc/sys or /proc/sysvipc; many files in memory of the kernel ask at their opening, and
 * never again, what who opens them may do; and what belongs to nobody of a user namespace is as
 * closed to the container as ever, although the runtime may open it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/user/ns.h"
#include "checkpoint/user/proc.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define CAP(name) (1ull << CAP_##name)

/*
 * What the stub keeps of its capabilities besides what config.json gives: users and processes of
 * the container are as good as each other's here, for stubs have neither ids nor capabilities of
 * those that they become.
 */
#define CAPS_AMONG_TASKS (CAP(DAC_OVERRIDE) | CAP(DAC_READ_SEARCH) | CAP(FOWNER) | CAP(SYS_PTRACE))

static bool asks_who_opens(int fd)
{
	static const unsigned long types[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC,	 CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
		DEBUGFS_MAGIC,	  TRACEFS_MAGIC, SECURITYFS_MAGIC,   BPF_FS_MAGIC};
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return true;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if ((unsigned long)fs.f_type == types[i])
			return true;
	return false;
}

/* Once: it stays so until the stub becomes what it was. */
static int look_at_init(struct restore *r, struct error **err)
{
	struct proc_status status;
	int ret;

	if (r->files->inside.known)
		return 0;
	ret = proc_status(r->init, 0, &status, err);
	if (!ret)
		ret = same_namespace(r->init, "user", err);
	if (ret < 0)
		return ret;
	r->files->inside.own_user_ns = !ret;
	r->files->inside.inheritable = status.caps[0];
	r->files->inside.permitted = status.caps[1];
	r->files->inside.known = true;
	return 0;
}

int file_wants_inside(struct restore *r, int fd, struct error **err)
{
	int ret = look_at_init(r, err);

	return ret ? ret : r->files->inside.own_user_ns || asks_who_opens(fd);
}

/* In the stub's window. */
struct open_data {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct less[2], all[2];
	struct open_how how;
	char path[];
};

static void set_caps(const struct restore *r, struct __user_cap_data_struct caps[2],
		     uint64_t effective)
{
	for (unsigned i = 0; i < 2; i++)
		caps[i] = (struct __user_cap_data_struct){
			.effective = effective >> (32 * i),
			.permitted = r->files->inside.permitted >> (32 * i),
			.inheritable = r->files->inside.inheritable >> (32 * i),
		};
}

static void fill(const struct restore *r, struct open_data *data, const char *path, int flags)
{
	const struct restore_request *q = r->request;
	uint64_t all = r->files->inside.permitted;

	data->header = (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
	set_caps(r, data->less, q->caps_bounded ? all & (q->caps_allowed | CAPS_AMONG_TASKS) : all);
	set_caps(r, data->all, all);
	data->how = (struct open_how){
		.flags = flags | O_CLOEXEC | O_NOCTTY,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	strcpy(data->path, path);
}

enum { CALL_LESS, CALL_OPEN, CALL_ALL, CALLS };

int file_open_inside(struct restore *r, const char *path, int flags, int *fd, struct error **err)
{
	static const struct remote_note close_note = {.what = "closing a file"};
	struct remote *stub = &r->tasks.items[0].remote;
	struct open_data *data;
	struct remote_call *call;
	uint64_t at, header;
	int ret;

	/* it may be making calls yet: this waits for them */
	data = remote_later_data(stub, sizeof(*data) + strlen(path) + 1, &at, err);
	if (!data)
		return -error_code(*err);
	fill(r, data, path, flags);
	header = at + offsetof(struct open_data, header);
	call = remote_calls(stub);
	remote_set(&call[CALL_LESS], SYS_capset, header, at + offsetof(struct open_data, less));
	remote_set(&call[CALL_OPEN], SYS_openat2, AT_FDCWD, at + offsetof(struct open_data, path),
		   at + offsetof(struct open_data, how), sizeof(data->how));
	remote_set(&call[CALL_ALL], SYS_capset, header, at + offsetof(struct open_data, all));
	ret = remote_run(stub, 0, CALLS, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < CALLS; i++)
		if (i != CALL_OPEN && call[i].ret < 0)
			return error_errno(err, -call[i].ret, "setting the init's capabilities");
	if (call[CALL_OPEN].ret < 0) {
		error_errno(err, -call[CALL_OPEN].ret, "opening \"%s\" as the container", path);
		return error_hint(err, "it must be there as at the checkpoint, and for the "
				       "container to open");
	}
	*fd = syscall(SYS_pidfd_getfd, r->tasks.items[0].pidfd, call[CALL_OPEN].ret, 0);
	if (*fd < 0)
		return error_errno(err, errno, "taking \"%s\" from the init", path);
	return remote_later(stub, 0, &close_note, err, SYS_close, call[CALL_OPEN].ret);
}

int file_check_readable(struct restore *r, const char *text, size_t len, struct error **err)
{
	__cleanup_free char *path = strndup(text, len);
	__cleanup_fd int handle = -1, fd = -1;
	struct stat st;
	int ret = path ? look_at_init(r, err) : error_errno(err, ENOMEM, "looking at a file");

	if (ret || !r->files->inside.own_user_ns)
		return ret;
	handle = open_in_root(r->rootfd, path, O_PATH | O_NOFOLLOW, 0);
	/* opening anything else may wait, or set something going */
	if (handle < 0 || fstat(handle, &st) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return 0;
	return file_open_inside(r, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, &fd, err);
}
