// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked into what `make asan` builds: keeps what the sanitizers find in the file $FIRN_REPORTS.
 * Their own log_path will not do, because a container's init has neither the host's root nor
 * descriptors, and its standard error may be read by nobody. So the file is mapped at the start,
 * and every clone has it. Its size is the room in it; it begins with how much of that is used.
 *
 * Leaks are looked for at exit, which only verbs come to: what they clone ends by _exit or exec.
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void __ubsan_on_report(void);
void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file,
				     unsigned *line, unsigned *column, char **address);

const char *__lsan_default_suppressions(void);

/* libarchive leaves its block behind where the last write has failed, and the process ends anyway.
 */
const char *__lsan_default_suppressions(void)
{
	return "leak:archive_write_client_open\n";
}

static struct reports {
	uint64_t used;
	char text[];
} * reports;
static uint64_t room;
static char leaks[4096];

static void add(const char *text)
{
	size_t len = strlen(text);
	uint64_t at;

	if (!reports)
		return;
	at = __atomic_fetch_add(&reports->used, len, __ATOMIC_SEQ_CST);
	if (at < room && len < room - at)
		memcpy(reports->text + at, text, len);
}

/* UBSan calls this after it has printed, and has no more to say than this. */
void __ubsan_on_report(void)
{
	const char *kind, *message, *file;
	unsigned line, column;
	char text[1024], *address;

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	snprintf(text, sizeof(text), "%s:%u:%u: %s: %s\n", file, line, column, kind, message);
	add(text);
}

/* Runs before LeakSanitizer's own, which was there first. */
static void redirect_leaks(void)
{
	int fd;

	if (strstr(getenv("ASAN_OPTIONS") ?: "", "detect_leaks=0"))
		return;
	fd = open(leaks, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		__sanitizer_set_report_fd((void *)(intptr_t)fd);
}

static __attribute__((constructor)) void open_reports(void)
{
	const char *path = getenv("FIRN_REPORTS");
	struct stat st;
	void *map;
	int fd;

	if (!path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || st.st_size <= (off_t)sizeof(*reports))
		abort();
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		abort();
	reports = map;
	room = st.st_size - sizeof(*reports);
	snprintf(leaks, sizeof(leaks), "%s.leaks", path);
	__asan_set_error_report_callback(add);
	atexit(redirect_leaks);
}
