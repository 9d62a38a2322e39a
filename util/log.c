// SPDX-License-Identifier: GPL-2.0-only
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

static struct {
	int fd;
	enum log_format format;
	bool debug;
} logger = {.fd = -1};

static const char *const level_names[] = {
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_ERROR] = "error",
};

void log_setup(int fd, enum log_format format, bool debug)
{
	logger.fd = fd;
	logger.format = format;
	logger.debug = debug;
}

int log_fd(void)
{
	return logger.fd;
}

/* RFC 8259 string contents; what is not ASCII passes through unchanged. */
static void put_json_text(FILE *out, const char *text)
{
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if ((unsigned char)*c < 0x20)
			fprintf(out, "\\u%04x", (unsigned char)*c);
		else
			fputc(*c, out);
	}
}

/* One write per line, so that lines of several processes do not mix. */
void log_line(enum log_level level, const char *fmt, ...)
{
	__cleanup_free char *message = NULL;
	__cleanup_free char *line = NULL;
	size_t size = 0;
	char when[32];
	struct tm tm;
	time_t now;
	va_list args;
	FILE *out;
	int saved = errno;

	if (logger.fd < 0 || (level == LOG_LEVEL_DEBUG && !logger.debug))
		return;
	va_start(args, fmt);
	if (vasprintf(&message, fmt, args) < 0)
		message = NULL;
	va_end(args);
	if (!message)
		return;
	now = time(NULL);
	gmtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	out = open_memstream(&line, &size);
	if (!out)
		return;
	if (logger.format == LOG_JSON) {
		fprintf(out, "{\"level\":\"%s\",\"msg\":\"", level_names[level]);
		put_json_text(out, message);
		fprintf(out, "\",\"time\":\"%s\"}\n", when);
	} else {
		fprintf(out, "%s %s %s\n", when, level_names[level], message);
	}
	fclose(out);
	if (line && write(logger.fd, line, size) < 0)
		logger.fd = -1;
	errno = saved;
}
