// SPDX-License-Identifier: GPL-2.0-only
/*
 * The option grammar of runc's command line, as its callers use it: long
 * options with one dash (containerd), after the arguments (Slurm), repeated
 * (Podman).
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/verb.h"
#include "util/error.h"

static const struct option_spec help_option = {"help", 'h', NULL, "show this help"};

static bool spec_matches(const struct option_spec *spec, const char *name, size_t len)
{
	if (len == 1 && spec->letter && spec->letter == name[0])
		return true;
	return strlen(spec->name) == len && !strncmp(spec->name, name, len);
}

static const struct option_spec *find_spec(const struct option_spec *specs, const char *name,
					   size_t len)
{
	for (const struct option_spec *s = specs; s && s->name; s++)
		if (spec_matches(s, name, len))
			return s;
	return spec_matches(&help_option, name, len) ? &help_option : NULL;
}

static const char *flag_value(const char *text)
{
	if (!text || !strcmp(text, "true") || !strcmp(text, "1"))
		return "true";
	if (!strcmp(text, "false") || !strcmp(text, "0"))
		return "false";
	return NULL;
}

/* One option at *args; moves *args onto the last word that belongs to it. */
static int parse_option(struct runtime *rt, const struct option_spec *specs, char ***args,
			bool *help, struct error **err)
{
	const char *word = **args;
	const char *name = word + (word[1] == '-' ? 2 : 1);
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const char *value = equals ? equals + 1 : NULL;
	const struct option_spec *spec = find_spec(specs, name, len);
	struct option_value *option;

	if (!spec)
		return error_set(err, EINVAL, "unknown option \"%.*s\"", (int)(name - word + len),
				 word);
	if (spec == &help_option) {
		*help = true;
		return 0;
	}
	if (spec->argument && !value) {
		value = (*args)[1];
		if (!value)
			return error_set(err, EINVAL, "flag needs an argument: %s", word);
		++*args;
	} else if (!spec->argument) {
		value = flag_value(value);
		if (!value)
			return error_set(err, EINVAL, "option \"%s\": must be true or false", word);
	}
	option = vec_add(&rt->options);
	if (!option)
		return error_errno(err, ENOMEM, "reading the command line");
	option->option = spec;
	option->value = value;
	return 0;
}

static size_t count_words(char **words)
{
	size_t n = 0;

	while (words[n])
		n++;
	return n;
}

int options_parse(struct runtime *rt, const struct option_spec *specs, char **args, bool verbatim,
		  bool *help, struct error **err)
{
	bool ended = false;

	free(rt->argv);
	rt->argc = 0;
	rt->argv = calloc(count_words(args) + 1, sizeof(*rt->argv));
	if (!rt->argv)
		return error_errno(err, ENOMEM, "reading the command line");
	*help = false;
	for (; *args; args++) {
		const char *word = *args;

		if (ended || word[0] != '-' || !word[1]) {
			rt->argv[rt->argc++] = word;
			ended |= verbatim;
		} else if (!strcmp(word, "--")) {
			ended = true;
		} else {
			int ret = parse_option(rt, specs, &args, help, err);

			if (ret < 0 || *help)
				return ret;
		}
	}
	return 0;
}

const char *option_next(const struct runtime *rt, const char *name, size_t *position)
{
	while (*position < rt->options.count) {
		const struct option_value *o = &rt->options.items[(*position)++];

		if (!strcmp(o->option->name, name))
			return o->value;
	}
	return NULL;
}

const char *option_string(const struct runtime *rt, const char *name)
{
	const char *last = NULL, *value;
	size_t position = 0;

	assert(find_spec(global_options, name, strlen(name)) ||
	       find_spec(rt->verb->options, name, strlen(name)));
	while ((value = option_next(rt, name, &position)))
		last = value;
	return last;
}

bool option_flag(const struct runtime *rt, const char *name)
{
	const char *value = option_string(rt, name);

	return value && !strcmp(value, "true");
}

int option_number(const struct runtime *rt, const char *name, long min, long max, long *number,
		  struct error **err)
{
	const char *value = option_string(rt, name);
	long parsed;
	char *end;

	if (!value)
		return 0;
	errno = 0;
	parsed = strtol(value, &end, 10);
	if (errno || end == value || *end || parsed < min || parsed > max)
		return error_set(err, EINVAL,
				 "option \"--%s\": \"%s\" is not a number from %ld to %ld", name,
				 value, min, max);
	*number = parsed;
	return 0;
}
