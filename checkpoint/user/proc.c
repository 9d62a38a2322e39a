// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/user/proc.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define STAT_FIELDS 53

int proc_stat(pid_t pid, pid_t tid, struct proc_stat *s, struct error **err)
{
	__cleanup_free char *text = NULL;
	uint64_t field[STAT_FIELDS] = {0};
	char *open, *close, *p;
	int r;

	if (tid)
		r = proc_read(&text, NULL, "%d/task/%d/stat", pid, tid);
	else
		r = proc_read(&text, NULL, "%d/stat", pid);
	if (r)
		return error_errno(err, -r, "reading /proc/%d/stat", tid ? tid : pid);
	open = strchr(text, '(');
	close = strrchr(text, ')'); /* a name may contain anything, this too */
	if (!open || !close || close < open || close[1] != ' ')
		return error_set(err, EPROTO, "/proc/%d/stat: not understood", pid);
	*s = (struct proc_stat){.state = close[2]};
	memcpy(s->comm, open + 1, close - open - 1 < 15 ? close - open - 1 : 15);
	p = close + 3;
	for (int i = 4; i < STAT_FIELDS && *p; i++)
		field[i] = strtoull(p, &p, 10);
	s->ppid = field[4];
	s->tty = field[7];
	s->foreground = field[8];
	s->start_code = field[26];
	s->end_code = field[27];
	s->start_stack = field[28];
	s->exit_signal = field[38];
	s->start_data = field[45];
	s->end_data = field[46];
	s->start_brk = field[47];
	s->arg_start = field[48];
	s->arg_end = field[49];
	s->env_start = field[50];
	s->env_end = field[51];
	s->exit_code = field[52];
	return 0;
}

static unsigned parse_pids(const char *text, pid_t *pids)
{
	unsigned n = 0;
	char *end;

	for (; n < PROC_PIDNS_MAX; n++) {
		long pid = strtol(text, &end, 10);

		if (end == text)
			break;
		pids[n] = pid;
		text = end;
		if (*text == '\n')
			return n + 1;
	}
	return n;
}

static const char *const cap_names[CKPT_CAP_SETS] = {"CapInh", "CapPrm", "CapEff", "CapBnd",
						     "CapAmb"};

static void parse_status_line(const char *name, const char *value, struct proc_status *s)
{
	for (unsigned i = 0; i < CKPT_CAP_SETS; i++)
		if (!strcmp(name, cap_names[i]))
			s->caps[i] = strtoull(value, NULL, 16);
	if (!strcmp(name, "State"))
		s->state = *value;
	else if (!strcmp(name, "NSpid"))
		s->levels = parse_pids(value, s->pid);
	else if (!strcmp(name, "NSpgid"))
		parse_pids(value, s->pgid);
	else if (!strcmp(name, "NSsid"))
		parse_pids(value, s->sid);
	else if (!strcmp(name, "TracerPid"))
		s->tracer = atoi(value);
	else if (!strcmp(name, "Threads"))
		s->threads = atoi(value);
	else if (!strcmp(name, "Umask"))
		s->umask = strtoul(value, NULL, 8);
	else if (!strcmp(name, "SigPnd"))
		s->sig_pending = strtoull(value, NULL, 16);
	else if (!strcmp(name, "ShdPnd"))
		s->shared_pending = strtoull(value, NULL, 16);
	else if (!strcmp(name, "SigIgn"))
		s->sig_ignored = strtoull(value, NULL, 16);
	else if (!strcmp(name, "SigCgt"))
		s->sig_caught = strtoull(value, NULL, 16);
	else if (!strcmp(name, "Seccomp"))
		s->seccomp = atoi(value);
	else if (!strcmp(name, "untag_mask"))
		s->untag_mask = strtoull(value, NULL, 0);
}

int proc_status(pid_t pid, pid_t tid, struct proc_status *s, struct error **err)
{
	__cleanup_free char *text = NULL;
	char *line, *next;
	int r;

	if (tid)
		r = proc_read(&text, NULL, "%d/task/%d/status", pid, tid);
	else
		r = proc_read(&text, NULL, "%d/status", pid);
	if (r)
		return error_errno(err, -r, "reading the status of task %d", tid ? tid : pid);
	*s = (struct proc_status){0};
	for (line = text; *line; line = next) {
		char *colon = strchr(line, ':');

		next = strchrnul(line, '\n');
		if (*next)
			next++;
		if (!colon || colon > next)
			continue;
		*colon++ = '\0';
		while (*colon == '\t' || *colon == ' ')
			colon++;
		parse_status_line(line, colon, s);
	}
	if (!s->levels)
		return error_set(err, EPROTO, "/proc/%d/status names no pid", pid);
	return 0;
}

static const struct {
	char name[3];
	uint32_t flag;
} vm_flags[] = {
	{"gd", CKPT_VMA_GROWSDOWN},
	{"lo", CKPT_VMA_LOCKED},
	{"lf", CKPT_VMA_ONFAULT},
	{"nr", CKPT_VMA_NORESERVE},
	{"hg", CKPT_VMA_HUGEPAGE},
	{"nh", CKPT_VMA_NOHUGE},
	{"dc", CKPT_VMA_DONTFORK},
	{"dd", CKPT_VMA_DONTDUMP},
	{"wf", CKPT_VMA_WIPEONFORK},
	{"mg", CKPT_VMA_MERGEABLE},
	{"sr", CKPT_VMA_SEQ},
	{"rr", CKPT_VMA_RAND},
	{"dp", CKPT_VMA_DROPPABLE},
	/* for admission only, above the bits of the image */
	{"mw", VMA_MAYWRITE},
	{"um", VMA_REFUSED},
	{"uw", VMA_REFUSED},
	{"ht", VMA_HUGETLB},
	{"pf", VMA_REFUSED},
	{"io", VMA_REFUSED},
	{"ss", VMA_REFUSED},
	{"sl", VMA_REFUSED},
};

static void parse_vm_flags(char *text, struct vma *v)
{
	char *save = NULL;

	for (char *w = strtok_r(text, " \n", &save); w; w = strtok_r(NULL, " \n", &save))
		for (size_t i = 0; i < sizeof(vm_flags) / sizeof(*vm_flags); i++)
			if (!strcmp(w, vm_flags[i].name))
				v->flags |= vm_flags[i].flag;
}

/* "start-end perms offset dev inode   path" */
static int parse_mapping(char *line, struct vma *v)
{
	unsigned major, minor;
	char perms[5];
	int at = 0;

	*v = (struct vma){0};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 "%n",
		   (uint64_t *)&v->rec.start, (uint64_t *)&v->rec.end, perms,
		   (uint64_t *)&v->rec.offset, &major, &minor, &v->ino, &at) != 7)
		return -EPROTO;
	v->dev = (uint64_t)major << 32 | minor;
	v->rec.prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
		      (perms[2] == 'x' ? PROT_EXEC : 0);
	v->rec.shared = perms[3] == 's';
	while (line[at] == ' ')
		at++;
	line[at + strcspn(line + at, "\n")] = '\0';
	if (line[at]) {
		size_t len = strlen(line + at);
		static const char deleted[] = " (deleted)";

		if (len > sizeof(deleted) - 1 && line[at] == '/' &&
		    !strcmp(line + at + len - (sizeof(deleted) - 1), deleted)) {
			v->deleted = true;
			line[at + len - (sizeof(deleted) - 1)] = '\0';
		}
		v->path = strdup(line + at);
		if (!v->path)
			return -ENOMEM;
	}
	return 0;
}

#define SMAPS_AT_ONCE 4096

int proc_vmas(pid_t pid, vma_vec *vmas, struct error **err)
{
	__cleanup_file FILE *f = NULL;
	__cleanup_free char *line = NULL;
	char path[64];
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	f = fopen(path, "re");
	if (!f)
		return error_errno(err, errno, "opening %s", path);
	/* a page at a time is what the kernel gives; stdio would take a quarter of that */
	setvbuf(f, NULL, _IOFBF, SMAPS_AT_ONCE);
	while (getline(&line, &size, f) > 0) {
		struct vma *v;
		int r;

		if (!strncmp(line, "KernelPageSize:", 15) && vmas->count) {
			vmas->items[vmas->count - 1].page_kb = strtoul(line + 15, NULL, 10);
			continue;
		}
		if (!strncmp(line, "ProtectionKey:", 14) && vmas->count) {
			vmas->items[vmas->count - 1].pkey = strtoul(line + 14, NULL, 10);
			continue;
		}
		if (!strncmp(line, "VmFlags:", 8) && vmas->count) {
			parse_vm_flags(line + 8, &vmas->items[vmas->count - 1]);
			continue;
		}
		if (!isxdigit((unsigned char)line[0]) || isupper((unsigned char)line[0]))
			continue;
		v = vec_add(vmas);
		r = v ? parse_mapping(line, v) : -ENOMEM;
		if (r)
			return error_errno(err, -r, "parsing %s", path);
	}
	if (ferror(f))
		return error_errno(err, EIO, "reading %s", path);
	return 0;
}

void vmas_free(vma_vec *vmas)
{
	vec_for_each (v, vmas)
		free(v->path);
	vec_free(vmas);
}

int proc_threads(pid_t pid, pid_vec *tids, struct error **err)
{
	__cleanup_dir DIR *d = NULL;
	char path[64];
	struct dirent *e;
	pid_t *p;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	d = opendir(path);
	if (!d)
		return error_errno(err, errno, "opening %s", path);
	p = vec_add(tids);
	if (!p)
		return error_errno(err, ENOMEM, "reading %s", path);
	*p = pid;
	while ((e = readdir(d))) {
		pid_t tid = atoi(e->d_name);

		if (tid <= 0 || tid == pid)
			continue;
		p = vec_add(tids);
		if (!p)
			return error_errno(err, ENOMEM, "reading %s", path);
		*p = tid;
	}
	return 0;
}

int proc_children(pid_t pid, pid_t tid, pid_vec *children, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = proc_read(&text, NULL, "%d/task/%d/children", pid, tid);
	char *p = text, *end;

	if (r)
		return error_errno(err, -r, "reading the children of task %d", tid);
	for (;; p = end) {
		long child = strtol(p, &end, 10);
		pid_t *item;

		if (end == p)
			return 0;
		item = vec_add(children);
		if (!item)
			return error_errno(err, ENOMEM, "reading the children of task %d", tid);
		*item = child;
	}
}
