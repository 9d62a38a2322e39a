/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A verb of the command line, defined in its own file and listed once in
 * verbs.c. Parsing, help, completion and the manual's synopsis derive from this.
 */
#ifndef FIRN_RUNTIME_VERB_H
#define FIRN_RUNTIME_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "util/buf.h"

struct error;
struct runtime;

/*
 * An option: --name, -name or -letter. With an argument (its word in the help)
 * it takes a value, "--name=value" or "--name value"; without one it is a flag,
 * also "--name=false". Any option may come several times, the last one counts
 * unless the verb reads all with option_next(). help NULL: accepted, not shown.
 * A list ends with an entry whose name is NULL.
 */
struct option_spec {
	const char *name;
	char letter;
	const char *argument;
	const char *help;
};

#define ARGS_ANY (-1)

struct verb {
	const char *name;
	const char *summary;		   /* one line, small letters, no full stop */
	const char *usage;		   /* what follows "firn NAME [options]" */
	const struct option_spec *options; /* or NULL */
	int min_args, max_args;		   /* max_args may be ARGS_ANY */
	bool takes_id;			   /* the first argument is a container's id */
	bool stateless;			   /* needs no --root: touches no container */
	bool verbatim;			   /* options end at the first argument (exec) */
	const char *notes;		   /* further help text, or NULL */
	int failure_status;		   /* the exit status of a failure; 0: EXIT_FAILURE */

	/*
	 * Returns the exit status (0 and more), or a negative errno with *err
	 * set, which main prints and turns into failure_status.
	 */
	int (*run)(struct runtime *rt, struct error **err);
};

struct option_value {
	const struct option_spec *option;
	const char *value; /* borrowed from argv; flags: "true" or "false" */
};

/* What the command line said. Strings are borrowed from argv unless told otherwise. */
struct runtime {
	const struct verb *verb;
	char **command_line;  /* all of it, as it came; owned, not the strings */
	char *root;	      /* --root or its default, absolute; owned */
	const char *log_path; /* NULL: none */
	bool log_json;
	bool debug;
	bool systemd_cgroup;
	bool no_cgroup;	      /* --cgroup-manager disabled */
	const char *rootless; /* "true", "false" or "auto" */
	const char *id;	      /* NULL when the verb takes none */
	int argc;	      /* the verb's arguments, options taken out, NULL-terminated */
	const char **argv;    /* owned, not the strings */
	VEC(struct option_value) options;
};

/* The table, NULL-terminated, in the order of the help. */
extern const struct verb *const verbs[];
extern const struct option_spec global_options[];

/* The verb of this name, or NULL. */
const struct verb *verb_find(const char *name);

/* A flag's last value; false if it was not given. */
bool option_flag(const struct runtime *rt, const char *name);

/* An option's last value, or NULL. */
const char *option_string(const struct runtime *rt, const char *name);

/*
 * Walks all values of an option in order. *position starts at 0.
 * Returns NULL after the last one.
 */
const char *option_next(const struct runtime *rt, const char *name, size_t *position);

/*
 * An option's last value as a decimal number within [min, max]; *number is left
 * alone if it was not given. -EINVAL names option and value.
 */
int option_number(const struct runtime *rt, const char *name, long min, long max, long *number,
		  struct error **err);

/*
 * Parses options and arguments from args (NULL-terminated, as in argv) into
 * rt->options and rt->argc/argv. verbatim: the first argument ends the options.
 * *help is set when --help or -h was among them; nothing else is checked then.
 * -EINVAL: unknown option, or "flag needs an argument".
 */
int options_parse(struct runtime *rt, const struct option_spec *specs, char **args, bool verbatim,
		  bool *help, struct error **err);

/* The help of the program or of a verb, to standard output. */
void help_program(void);
void help_verb(const struct verb *verb);

#endif
