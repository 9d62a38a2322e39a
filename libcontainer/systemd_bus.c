// SPDX-License-Identifier: GPL-2.0-only
#include "libcontainer/systemd_bus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "libcontainer/systemd_property.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/fault.h"
#include "util/io.h"
#include "util/log.h"

/* A machine that starts up or swaps may take long; a caller would rather hear than wait. */
#define DEADLINE_US 30000000ull

#define DESTINATION "org.freedesktop.systemd1"
#define OBJECT	    "/org/freedesktop/systemd1"
#define MANAGER	    DESTINATION ".Manager"

#define SYSTEM_SOCKET "/run/systemd/private"

#define UNIT_EXISTS  DESTINATION ".UnitExists"
#define NO_SUCH_UNIT DESTINATION ".NoSuchUnit"

/* What is used of libsystemd: loaded, because linking costs each start of any container. */
#define LIBRARY "libsystemd.so.0"
#define FUNCTIONS(X)                                                                               \
	X(sd_bus_new)                                                                              \
	X(sd_bus_set_address)                                                                      \
	X(sd_bus_start)                                                                            \
	X(sd_bus_open_system)                                                                      \
	X(sd_bus_open_user)                                                                        \
	X(sd_bus_flush_close_unref)                                                                \
	X(sd_bus_call)                                                                             \
	X(sd_bus_process)                                                                          \
	X(sd_bus_wait)                                                                             \
	X(sd_bus_match_signal)                                                                     \
	X(sd_bus_message_new_method_call)                                                          \
	X(sd_bus_message_append)                                                                   \
	X(sd_bus_message_append_basic)                                                             \
	X(sd_bus_message_open_container)                                                           \
	X(sd_bus_message_close_container)                                                          \
	X(sd_bus_message_read)                                                                     \
	X(sd_bus_message_unref)                                                                    \
	X(sd_bus_get_property_string)                                                              \
	X(sd_bus_error_free)

struct library {
	void *handle;
#define MEMBER(function) __typeof__(&(function)) function;
	FUNCTIONS(MEMBER)
#undef MEMBER
};

/* A job that is waited for: systemd tells of its end by a signal. */
struct job {
	char *path;
	char result[32];
};

struct systemd {
	struct library lib;
	sd_bus *bus;
	bool user, direct; /* direct: to the manager, without a message bus */
	struct job job;
};

static int load_library(struct library *lib, struct error **err)
{
	static const struct {
		const char *name;
		size_t offset;
	} functions[] = {
#define ENTRY(function) {#function, offsetof(struct library, function)},
		FUNCTIONS(ENTRY)
#undef ENTRY
	};

	/* it stays: a `run` has it twice, and most of what it costs is to bring it in */
	lib->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!lib->handle) {
		error_set(err, ENOSYS, "--systemd-cgroup: %s", dlerror());
		return error_hint(err, "install systemd's library");
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		void *symbol = dlsym(lib->handle, functions[i].name);

		if (!symbol)
			return error_set(err, ENOSYS, "--systemd-cgroup: %s", dlerror());
		memcpy((char *)lib + functions[i].offset, &symbol, sizeof(symbol));
	}
	return 0;
}

/* Who we are outside of all user namespaces that we could be root of: /run/user goes by that. */
static unsigned int user_outside(void)
{
	__cleanup_free char *map = NULL;
	unsigned int inside, outside, size, uid = geteuid();
	char *line;

	if (proc_read(&map, NULL, "self/uid_map") < 0)
		return uid;
	for (line = map; line && sscanf(line, "%u %u %u", &inside, &outside, &size) == 3;
	     line = strchr(line, '\n'), line += line != NULL)
		if (uid >= inside && uid - inside < size)
			return outside + (uid - inside);
	return uid;
}

/* By who listens, whoever may connect: who is not of our user namespace has no id in it. */
bool systemd_is_ours(void)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSTEM_SOCKET};
	__cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred listener;
	socklen_t len = sizeof(listener);

	return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &len) == 0 &&
	       listener.uid == geteuid();
}

static int open_direct(struct systemd *s)
{
	const char *directory = getenv("XDG_RUNTIME_DIR");
	char address[512];
	int len, r;

	if (!s->user)
		len = snprintf(address, sizeof(address), "unix:path=" SYSTEM_SOCKET);
	else if (directory && *directory == '/' && !strpbrk(directory, ",;%"))
		len = snprintf(address, sizeof(address), "unix:path=%s/systemd/private", directory);
	else
		len = snprintf(address, sizeof(address), "unix:path=/run/user/%u/systemd/private",
			       user_outside());
	if (len >= (int)sizeof(address))
		return -ENAMETOOLONG;
	r = s->lib.sd_bus_new(&s->bus);
	if (r >= 0)
		r = s->lib.sd_bus_set_address(s->bus, address);
	if (r >= 0)
		r = s->lib.sd_bus_start(s->bus);
	if (r < 0)
		s->bus = s->lib.sd_bus_flush_close_unref(s->bus);
	s->direct = r >= 0;
	return r;
}

static const char *instance(const struct systemd *s)
{
	return s->user ? "the user's systemd" : "systemd";
}

/* What systemd answered, or errno's text; takes the error's contents. */
static int explain(struct systemd *s, int code, sd_bus_error *e, struct error **err,
		   const char *doing, const char *unit)
{
	if (code == -ETIMEDOUT)
		error_set(err, ETIMEDOUT, "asking %s to %s%s%s%s: no answer within %llu s",
			  instance(s), doing, unit ? " unit \"" : "", unit ? unit : "",
			  unit ? "\"" : "", DEADLINE_US / 1000000);
	else
		error_set(err, code < 0 ? -code : EIO, "asking %s to %s%s%s%s: %s", instance(s),
			  doing, unit ? " unit \"" : "", unit ? unit : "", unit ? "\"" : "",
			  e->message && *e->message ? e->message : strerror(-code));
	s->lib.sd_bus_error_free(e);
	return code < 0 ? code : -EIO;
}

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *e)
{
	struct systemd *s = data;
	const char *path, *result;
	uint32_t id;

	if (s->lib.sd_bus_message_read(m, "uoss", &id, &path, NULL, &result) >= 0 && s->job.path &&
	    !strcmp(path, s->job.path))
		snprintf(s->job.result, sizeof(s->job.result), "%s", result);
	return 0;
}

static int new_call(struct systemd *s, const char *method, sd_bus_message **m, struct error **err)
{
	int r = s->lib.sd_bus_message_new_method_call(s->bus, m, DESTINATION, OBJECT, MANAGER,
						      method);

	return r < 0 ? error_errno(err, -r, "making a message to systemd") : 0;
}

static int connect_bus(struct systemd *s, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = open_direct(s);

	if (r < 0)
		r = s->user ? s->lib.sd_bus_open_user(&s->bus) : s->lib.sd_bus_open_system(&s->bus);
	if (r < 0) {
		error_errno(err, -r, "--systemd-cgroup: connecting to %s", instance(s));
		return error_hint(err,
				  s->user ? "is XDG_RUNTIME_DIR set, and user@UID.service running?"
					  : "is systemd process 1?");
	}
	r = s->lib.sd_bus_match_signal(s->bus, NULL, s->direct ? NULL : DESTINATION, OBJECT,
				       MANAGER, "JobRemoved", on_job_removed, s);
	if (r < 0)
		return error_errno(err, -r, "listening to %s", instance(s));
	/* on a bus it tells only those who have asked */
	if (s->direct)
		return 0;
	r = new_call(s, "Subscribe", &m, err);
	if (r < 0)
		return r;
	r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, &e, NULL);
	s->lib.sd_bus_message_unref(m);
	return r < 0 ? explain(s, r, &e, err, "tell of jobs", NULL) : 0;
}

static int get_string(struct systemd *s, const char *object, const char *interface,
		      const char *property, char **text, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r = s->lib.sd_bus_get_property_string(s->bus, DESTINATION, object, interface, property,
						  &e, text);

	return r < 0 ? explain(s, r, &e, err, "tell its property", property) : 0;
}

int systemd_open(bool user, struct systemd **s, struct error **err)
{
	__cleanup_systemd struct systemd *new = calloc(1, sizeof(*new));
	int r;

	if (!new)
		return error_errno(err, ENOMEM, "connecting to systemd");
	new->user = user;
	r = load_library(&new->lib, err);
	if (r == 0)
		r = connect_bus(new, err);
	if (r == 0)
		*s = take_ptr(new);
	return r;
}

void systemd_close(struct systemd *s)
{
	int saved = errno;

	if (!s)
		return;
	if (s->bus)
		s->lib.sd_bus_flush_close_unref(s->bus);
	if (s->lib.handle)
		dlclose(s->lib.handle);
	free(s->job.path);
	free(s);
	errno = saved;
}

int systemd_version(struct systemd *s, unsigned int *version, struct error **err)
{
	__cleanup_free char *text = NULL;
	int r = get_string(s, OBJECT, MANAGER, "Version", &text, err);

	/* "252.1-2" or, before 242, "systemd 239" */
	if (r == 0)
		*version = strtoul(text + strcspn(text, "0123456789"), NULL, 10);
	return r;
}

int systemd_cgroup(struct systemd *s, char **path, struct error **err)
{
	int r = get_string(s, OBJECT, MANAGER, "ControlGroup", path, err);

	if (r == 0 && !strcmp(*path, "/"))
		**path = '\0';
	return r;
}

/* A value of a basic type. Those of one width go the same way, signed or not. */
static int append_basic(struct systemd *s, sd_bus_message *m, char type, const struct unit_value *v,
			const char *text)
{
	union {
		uint8_t byte;
		uint16_t half;
		uint32_t word;
		uint64_t number;
		int boolean;
		double real;
	} value = {.number = v->number};

	switch (type) {
	case 's':
		return s->lib.sd_bus_message_append_basic(m, type, text);
	case 'y':
		value.byte = v->number;
		break;
	case 'n':
	case 'q':
		value.half = v->number;
		break;
	case 'i':
	case 'u':
		value.word = v->number;
		break;
	case 'b':
		value.boolean = v->number != 0;
		break;
	case 'd':
		value.real = v->real;
		break;
	}
	return s->lib.sd_bus_message_append_basic(m, type, &value);
}

/* One value: of type "t", or of struct type "(st)". */
static int append_value(struct systemd *s, sd_bus_message *m, const char *type,
			const struct unit_value *v)
{
	char inner[8];
	int r;

	if (*type != '(')
		return append_basic(s, m, *type, v, v->text);
	snprintf(inner, sizeof(inner), "%.*s", (int)strlen(type) - 2, type + 1);
	r = s->lib.sd_bus_message_open_container(m, 'r', inner);
	for (int i = 0; r >= 0 && inner[i]; i++)
		r = append_basic(s, m, inner[i], v, i ? v->second : v->text);
	return r < 0 ? r : s->lib.sd_bus_message_close_container(m);
}

static int append_property(struct systemd *s, sd_bus_message *m, const struct unit_property *p)
{
	bool array = *p->type == 'a';
	int r = s->lib.sd_bus_message_open_container(m, 'r', "sv");

	if (r >= 0)
		r = s->lib.sd_bus_message_append_basic(m, 's', p->name);
	if (r >= 0)
		r = s->lib.sd_bus_message_open_container(m, 'v', p->type);
	if (r >= 0 && array)
		r = s->lib.sd_bus_message_open_container(m, 'a', p->type + 1);
	vec_for_each (v, &p->values) {
		if (r >= 0)
			r = append_value(s, m, p->type + array, v);
	}
	for (int i = 0; r >= 0 && i < 2 + array; i++)
		r = s->lib.sd_bus_message_close_container(m);
	return r;
}

static int append_properties(struct systemd *s, sd_bus_message *m,
			     const struct unit_properties *list, struct error **err)
{
	int r = s->lib.sd_bus_message_open_container(m, 'a', "(sv)");

	vec_for_each (p, list) {
		if (r >= 0)
			r = append_property(s, m, p);
	}
	if (r >= 0)
		r = s->lib.sd_bus_message_close_container(m);
	return r < 0 ? error_errno(err, -r, "making a message to systemd") : 0;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

/* Until the signal that the job has ended; -ETIMEDOUT, or what became of the connection. */
static int wait_for_job(struct systemd *s)
{
	uint64_t until = now_us() + DEADLINE_US;

	while (!*s->job.result) {
		uint64_t now = now_us();
		int r = s->lib.sd_bus_process(s->bus, NULL);

		if (r == 0 && now >= until)
			return -ETIMEDOUT;
		if (r == 0)
			r = s->lib.sd_bus_wait(s->bus, until - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 0;
}

/* Sends a call that is answered with a job, and waits for that. Takes m. */
static int call_job(struct systemd *s, sd_bus_message *m, sd_bus_error *e)
{
	sd_bus_message *reply = NULL;
	const char *path;
	int r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, e, &reply);

	s->lib.sd_bus_message_unref(m);
	if (r >= 0)
		r = s->lib.sd_bus_message_read(reply, "o", &path);
	free(s->job.path);
	s->job = (struct job){.path = r < 0 ? NULL : strdup(path)};
	s->lib.sd_bus_message_unref(reply);
	if (r < 0)
		return r;
	return s->job.path ? wait_for_job(s) : -ENOMEM;
}

static bool is_error(const sd_bus_error *e, const char *name)
{
	return e->name && !strcmp(e->name, name);
}

static int start_once(struct systemd *s, const char *unit, const struct unit_properties *properties,
		      sd_bus_error *e, struct error **err)
{
	sd_bus_message *m = NULL;
	int r = new_call(s, "StartTransientUnit", &m, err);

	if (r == 0) {
		/* "fail": and not whatever job there may be for it */
		r = s->lib.sd_bus_message_append(m, "ss", unit, "fail");
		r = r < 0 ? error_errno(err, -r, "making a message to systemd")
			  : append_properties(s, m, properties, err);
	}
	/* no auxiliary units */
	if (r == 0 && s->lib.sd_bus_message_append(m, "a(sa(sv))", 0) < 0)
		r = error_errno(err, ENOMEM, "making a message to systemd");
	if (r < 0) {
		s->lib.sd_bus_message_unref(m);
		return r;
	}
	return call_job(s, m, e);
}

/* A call with the unit's name, whose answer has nothing in it. */
static int call_unit(struct systemd *s, const char *method, const char *unit, sd_bus_error *e)
{
	sd_bus_message *m = NULL;
	int r = new_call(s, method, &m, NULL);

	if (r == 0)
		r = s->lib.sd_bus_message_append(m, "s", unit);
	if (r >= 0)
		r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, e, NULL);
	s->lib.sd_bus_message_unref(m);
	return r;
}

/* So that it can be made anew; in vain if it has not failed. */
static void reset_failed(struct systemd *s, const char *unit)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;

	call_unit(s, "ResetFailedUnit", unit, &e);
	s->lib.sd_bus_error_free(&e);
}

/* A property of a unit that is loaded. */
static int unit_string(struct systemd *s, const char *unit, const char *interface,
		       const char *property, char **text, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL, *reply = NULL;
	const char *object;
	int r = new_call(s, "GetUnit", &m, err);

	if (r < 0)
		return r;
	r = s->lib.sd_bus_message_append(m, "s", unit);
	if (r >= 0)
		r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, &e, &reply);
	if (r >= 0)
		r = s->lib.sd_bus_message_read(reply, "o", &object);
	if (r < 0)
		explain(s, r, &e, err, "find", unit);
	else
		r = get_string(s, object, interface, property, text, err);
	s->lib.sd_bus_message_unref(m);
	s->lib.sd_bus_message_unref(reply);
	return r;
}

static int unit_exists(const struct systemd *s, const char *unit, struct error **err)
{
	error_set(err, EEXIST, "unit \"%s\" exists in %s already", unit, instance(s));
	return error_hint(err,
			  "another container's, or what is left of one: systemctl%s stop ends it",
			  s->user ? " --user" : "");
}

/* A slice without a file would be taken over, with all that is in it: there is no such error. */
static bool is_used_slice(struct systemd *s, const char *unit)
{
	const char *dot = strrchr(unit, '.');
	__cleanup_free char *state = NULL;

	return dot && !strcmp(dot, ".slice") &&
	       unit_string(s, unit, DESTINATION ".Unit", "ActiveState", &state, NULL) == 0 &&
	       strcmp(state, "inactive") && strcmp(state, "failed");
}

int systemd_start_unit(struct systemd *s, const char *unit,
		       const struct unit_properties *properties, bool *made, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	int r;

	if (is_used_slice(s, unit))
		return unit_exists(s, unit, err);
	r = start_once(s, unit, properties, &e, err);

	if (r < 0 && is_error(&e, UNIT_EXISTS)) {
		s->lib.sd_bus_error_free(&e);
		reset_failed(s, unit);
		r = start_once(s, unit, properties, &e, err);
	}
	if (r < 0 && is_error(&e, UNIT_EXISTS)) {
		s->lib.sd_bus_error_free(&e);
		return unit_exists(s, unit, err);
	}
	/* once there is a job for it, it is there, and is ours */
	*made = s->job.path;
	if (r == 0)
		r = fault_point("unit-job", err);
	if (r < 0)
		return err && *err ? r : explain(s, r, &e, err, "start", unit);
	if (strcmp(s->job.result, "done"))
		return error_set(err, EIO,
				 "asking %s to start unit \"%s\": the job ended with "
				 "\"%s\"",
				 instance(s), unit, s->job.result);
	return 0;
}

int systemd_unit_cgroup(struct systemd *s, const char *unit, char **path, struct error **err)
{
	const char *dot = strrchr(unit, '.');

	return unit_string(s, unit,
			   dot && !strcmp(dot, ".slice") ? DESTINATION ".Slice"
							 : DESTINATION ".Scope",
			   "ControlGroup", path, err);
}

int systemd_unit_description(struct systemd *s, const char *unit, char **text, struct error **err)
{
	return unit_string(s, unit, DESTINATION ".Unit", "Description", text, err);
}

int systemd_set_properties(struct systemd *s, const char *unit,
			   const struct unit_properties *properties, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = new_call(s, "SetUnitProperties", &m, err);

	if (r == 0 && s->lib.sd_bus_message_append(m, "sb", unit, 1) < 0)
		r = error_errno(err, ENOMEM, "making a message to systemd");
	if (r == 0)
		r = append_properties(s, m, properties, err);
	if (r == 0) {
		r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, &e, NULL);
		if (r < 0)
			explain(s, r, &e, err, "limit", unit);
	}
	s->lib.sd_bus_message_unref(m);
	return r < 0 ? r : 0;
}

int systemd_attach(struct systemd *s, const char *unit, pid_t pid, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = new_call(s, "AttachProcessesToUnit", &m, err);

	if (r < 0)
		return r;
	r = s->lib.sd_bus_message_append(m, "ssau", unit, "", 1, (uint32_t)pid);
	if (r >= 0)
		r = s->lib.sd_bus_call(s->bus, m, DEADLINE_US, &e, NULL);
	s->lib.sd_bus_message_unref(m);
	return r < 0 ? explain(s, r, &e, err, "take a process into", unit) : 0;
}

int systemd_stop_unit(struct systemd *s, const char *unit, struct error **err)
{
	sd_bus_error e = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	int r = new_call(s, "StopUnit", &m, err);

	if (r < 0)
		return r;
	r = s->lib.sd_bus_message_append(m, "ss", unit, "replace");
	if (r < 0) {
		s->lib.sd_bus_message_unref(m);
		return error_errno(err, -r, "making a message to systemd");
	}
	r = call_job(s, m, &e);
	if (r < 0 && is_error(&e, NO_SUCH_UNIT)) {
		s->lib.sd_bus_error_free(&e);
		return 0;
	}
	if (r < 0)
		return explain(s, r, &e, err, "stop", unit);
	if (strcmp(s->job.result, "done"))
		log_debug("stopping unit \"%s\": the job ended with \"%s\"", unit, s->job.result);
	reset_failed(s, unit);
	return 0;
}
