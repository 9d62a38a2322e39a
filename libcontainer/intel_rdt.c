// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/intel_rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define STATUS_FILE "info/last_cmd_status"

int intel_rdt_root(char **root, struct error **err)
{
	__cleanup_free char *mounts = NULL;
	int ret = proc_read(&mounts, NULL, "self/mountinfo");
	char *save = NULL;

	if (ret < 0)
		return error_errno(err, -ret, "reading /proc/self/mountinfo");
	for (char *line = strtok_r(mounts, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *type = strstr(line, " - resctrl ");
		char path[PATH_MAX];

		if (type && sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1) {
			*root = strdup(path);
			return *root ? 0 : error_errno(err, ENOMEM, "finding resctrl");
		}
	}
	error_set(err, EOPNOTSUPP,
		  "/linux/intelRdt of config.json: no resctrl file system is mounted");
	return error_hint(err,
			  "mount -t resctrl resctrl /sys/fs/resctrl, if CPU and kernel have it");
}

/*
 * The directories' files are the kernel's and there. O_CREAT changes nothing about them, and
 * without O_TRUNC an interface file gets the line and nothing else.
 */
static int write_line(const char *directory, const char *file, const char *line)
{
	__cleanup_fd int fd = open_fmt(O_WRONLY | O_CREAT | O_APPEND, "%s/%s", directory, file);

	return fd < 0 ? fd : write_full(fd, line, strlen(line));
}

/* Why the kernel refused, in its own words. */
static void hint_status(const char *root, struct error **err)
{
	__cleanup_free char *text = NULL;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" STATUS_FILE, root);
	if (read_file(AT_FDCWD, path, 4096, &text, NULL) == 0 && *text)
		error_hint(err, "%.*s", (int)strcspn(text, "\n"), text);
}

static bool has_schemata(const struct oci_intel_rdt *config)
{
	return config->schemata.count || config->l3_cache_schema || config->mem_bw_schema;
}

static int add_line(struct buf *text, const char *line)
{
	if (!line)
		return 0;
	return buf_add(text, line, strlen(line)) && buf_add(text, "\n", 1) ? 0 : -ENOMEM;
}

/* The older two fields first: "schemata" wins over them. */
static int write_schemata(const char *root, const struct oci_intel_rdt *config,
			  const struct intel_rdt *rdt, struct error **err)
{
	__cleanup_buf struct buf text = {0};
	int ret = add_line(&text, config->l3_cache_schema);

	if (!has_schemata(config))
		return 0;
	if (ret == 0)
		ret = add_line(&text, config->mem_bw_schema);
	for (size_t i = 0; ret == 0 && i < config->schemata.count; i++)
		ret = add_line(&text, config->schemata.items[i]);
	if (ret < 0 || !buf_add(&text, "", 1))
		return error_errno(err, ENOMEM, "/linux/intelRdt");
	ret = write_line(rdt->clos, "schemata", (const char *)text.data);
	if (ret == 0)
		return 0;
	error_errno(err, -ret, "/linux/intelRdt of config.json: writing \"%s/schemata\"",
		    rdt->clos);
	hint_status(root, err);
	return ret;
}

static int make_directory(const char *path, bool *made, struct error **err)
{
	*made = mkdir(path, 0755) == 0;
	if (*made || errno == EEXIST)
		return 0;
	error_errno(err, errno, "/linux/intelRdt of config.json: making \"%s\"", path);
	return error_code(*err) == ENOSPC
		       ? error_hint(err, "the CPU has no more classes of service")
		       : -error_code(*err);
}

static int make_class(const char *root, const char *id, const struct oci_intel_rdt *config,
		      struct intel_rdt *rdt, struct error **err)
{
	if (asprintf(&rdt->clos, "%s/%s", root, config->clos_id ? config->clos_id : id) < 0) {
		rdt->clos = NULL;
		return error_errno(err, ENOMEM, "/linux/intelRdt");
	}
	/* without limits of its own the container is to use those of a class that is there */
	if (config->clos_id && !has_schemata(config) && access(rdt->clos, F_OK) < 0)
		return error_errno(err, errno, "/linux/intelRdt/closID of config.json: \"%s\"",
				   rdt->clos);
	return make_directory(rdt->clos, &rdt->clos_made, err);
}

static int make_group(const char *id, const struct oci_intel_rdt *config, struct intel_rdt *rdt,
		      struct error **err)
{
	if (!config->enable_monitoring)
		return 0;
	if (asprintf(&rdt->group, "%s/mon_groups/%s", rdt->clos, id) < 0) {
		rdt->group = NULL;
		return error_errno(err, ENOMEM, "/linux/intelRdt");
	}
	return make_directory(rdt->group, &rdt->group_made, err);
}

int intel_rdt_create(const char *root, const char *id, const struct oci_intel_rdt *config,
		     struct intel_rdt *rdt, struct error **err)
{
	int ret;

	*rdt = (struct intel_rdt){0};
	ret = make_class(root, id, config, rdt, err);
	if (ret == 0)
		ret = write_schemata(root, config, rdt, err);
	if (ret == 0)
		ret = make_group(id, config, rdt, err);
	if (ret < 0)
		intel_rdt_remove(rdt);
	return ret;
}

int intel_rdt_update(const char *root, const char *id, const struct oci_intel_rdt *config,
		     struct error **err)
{
	__cleanup_intel_rdt struct intel_rdt rdt = {0};

	if (asprintf(&rdt.clos, "%s/%s", root, config->clos_id ? config->clos_id : id) < 0) {
		rdt.clos = NULL;
		return error_errno(err, ENOMEM, "/linux/intelRdt");
	}
	if (access(rdt.clos, F_OK) < 0)
		return error_errno(err, errno, "the container's class of service \"%s\"", rdt.clos);
	return write_schemata(root, config, &rdt, err);
}

int intel_rdt_join(const struct intel_rdt *rdt, pid_t pid, struct error **err)
{
	char text[16];
	int ret = 0;

	snprintf(text, sizeof(text), "%d", pid);
	if (rdt->clos)
		ret = write_line(rdt->clos, "tasks", text);
	if (ret == 0 && rdt->group)
		ret = write_line(rdt->group, "tasks", text);
	return ret < 0 ? error_errno(err, -ret, "moving pid %d into \"%s\"", pid, rdt->clos) : 0;
}

void intel_rdt_remove(struct intel_rdt *rdt)
{
	if (rdt->group_made)
		rmdir(rdt->group);
	if (rdt->clos_made)
		rmdir(rdt->clos);
	rdt->group_made = rdt->clos_made = false;
}

char *intel_rdt_record(const struct intel_rdt *rdt)
{
	char *text = NULL;

	if (asprintf(&text, "%s%s%s%s", rdt->group_made ? rdt->group : "",
		     rdt->group_made ? "\n" : "", rdt->clos_made ? rdt->clos : "",
		     rdt->clos_made ? "\n" : "") < 0)
		return NULL;
	return text;
}

void intel_rdt_remove_recorded(const char *record)
{
	char path[PATH_MAX];

	while (*record) {
		size_t len = strcspn(record, "\n");

		snprintf(path, sizeof(path), "%.*s", (int)len, record);
		if (*path)
			rmdir(path);
		record += len;
		record += *record == '\n';
	}
}

void intel_rdt_free(struct intel_rdt *rdt)
{
	free(rdt->clos);
	free(rdt->group);
	*rdt = (struct intel_rdt){0};
}
