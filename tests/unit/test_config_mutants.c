// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damaged configurations: each is read or refused, and what is refused is refused in one line
 * that names the field, or line and column. Deterministic: FIRN_SEED chooses others,
 * FIRN_MUTANTS how many (`make fuzz`: 10,000 under ASan and UBSan).
 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci/config.h"
#include "oci/spec.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define SEEDS	      3
#define MUTATIONS_MAX 4
#define HANG_S	      10

/* What a value is replaced with: other types, edges of numbers, odd strings. */
static const char *const values[] = {
	"null",
	"true",
	"0",
	"-1",
	"1.5",
	"1e400",
	"2147483648",
	"-9223372036854775809",
	"18446744073709551616",
	"\"\"",
	"\"/\"",
	"\"..\"",
	"\"a\\nb\"",
	"\"\\u0000\"",
	"\"%s%n\"",
	"\"\xff\xfe\"",
	"[]",
	"{}",
	"[[[[[[[[]]]]]]]]",
	"[null]",
	"[\"\", {}, 1]",
	"{\"\": {}}",
	"{\"/~\": \"\"}",
	"\"SCMP_ACT_NOTIFY\"",
	"\"CAP_NONE\"",
	"\"unbindable\"",
};

static uint64_t state;

static uint32_t any(uint32_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (uint32_t)(state >> 16) % below : 0;
}

/* Where the value or punctuation at this place ends. */
static size_t token_end(const char *text, size_t len, size_t at)
{
	if (text[at] == '"') {
		for (at++; at < len && text[at] != '"'; at++)
			at += text[at] == '\\' && at + 1 < len;
		return at < len ? at + 1 : len;
	}
	if (strchr("{}[],:", text[at]))
		return at + 1;
	while (at < len && !isspace((unsigned char)text[at]) && !strchr("{}[],:\"", text[at]))
		at++;
	return at;
}

struct token {
	size_t start, end;
};

static size_t find_tokens(const struct buf *b, struct token *tokens, size_t max)
{
	const char *text = (const char *)b->data;
	size_t n = 0;

	for (size_t at = 0; at < b->len && n < max;) {
		if (isspace((unsigned char)text[at]) || !text[at]) {
			at++;
			continue;
		}
		tokens[n].start = at;
		at = token_end(text, b->len, at);
		tokens[n++].end = at;
	}
	return n;
}

static void replace(struct buf *b, size_t start, size_t end, const void *with, size_t len)
{
	struct buf made = {0};

	assert_true(buf_add(&made, b->data, start) || !start);
	assert_true(buf_add(&made, with, len) || !len);
	assert_true(buf_add(&made, b->data + end, b->len - end) || end == b->len);
	buf_free(b);
	*b = made;
}

/* Any value, with all that is in it if it is an object or array. */
static size_t value_end(const struct buf *b, const struct token *tokens, size_t count, size_t i)
{
	int depth = 0;

	for (; i < count; i++) {
		char c = b->data[tokens[i].start];

		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		if (depth <= 0)
			return tokens[i].end;
	}
	return b->len;
}

static void mutate(struct buf *b)
{
	static struct token tokens[16384];
	size_t count = find_tokens(b, tokens, sizeof(tokens) / sizeof(*tokens));
	size_t i = any(count), j = any(count);
	const char *value = values[any(sizeof(values) / sizeof(*values))];
	__cleanup_free char *copy = NULL;
	size_t end;

	if (!count)
		return;
	end = value_end(b, tokens, count, i);
	switch (any(7)) {
	case 0: /* a bit */
		b->data[any(b->len)] ^= 1 << any(8);
		break;
	case 1: /* cut short */
		b->len = any(b->len);
		break;
	case 2: /* a value gone */
		replace(b, tokens[i].start, end, "", 0);
		break;
	case 3: /* a value twice */
		copy = text_copy((char *)b->data + tokens[i].start, end - tokens[i].start);
		replace(b, tokens[i].start, tokens[i].start, copy, strlen(copy));
		break;
	case 4: /* another's value */
		end = value_end(b, tokens, count, j);
		copy = text_copy((char *)b->data + tokens[j].start, end - tokens[j].start);
		end = value_end(b, tokens, count, i);
		replace(b, tokens[i].start, end, copy, strlen(copy));
		break;
	default: /* the commonest: an odd value */
		replace(b, tokens[i].start, end, value, strlen(value));
	}
}

/* "config.json: /process/args: ...", or "config.json: line 3, column 4: ...". */
static void check_refusal(const struct error *err)
{
	__cleanup_free char *line = error_line(err);

	assert_non_null(line);
	if (strchr(line, '\n') || strncmp(line, "config.json: ", 13) ||
	    (line[13] != '/' && strncmp(line + 13, "line ", 5) &&
	     strcmp(line + 13, "must be an object")))
		fail_msg("names no field: \"%s\"", line);
}

static void read_one(const struct buf *b)
{
	__cleanup_oci_config struct oci_config *config = NULL;
	__cleanup_error struct error *err = NULL;

	alarm(HANG_S);
	if (oci_config_parse((const char *)b->data, b->len, &config, &err) < 0 ||
	    oci_config_validate(config, &err) < 0)
		check_refusal(err);
	alarm(0);
}

static char *seed(int n)
{
	char *text = NULL;

	if (n < 2)
		return oci_spec_default(n, 1000, 1000);
	assert_int_equal(read_file(AT_FDCWD, "tests/fuzz/config.json", 1 << 20, &text, NULL), 0);
	return text;
}

static void test_mutants(void **unused)
{
	long mutants = getenv("FIRN_MUTANTS") ? atol(getenv("FIRN_MUTANTS")) : 600;
	char *seeds[SEEDS];

	state = 88172645463325252ull +
		(getenv("FIRN_SEED") ? strtoull(getenv("FIRN_SEED"), 0, 0) : 0);
	for (int i = 0; i < SEEDS; i++) {
		struct buf whole = {0};

		seeds[i] = seed(i);
		assert_non_null(buf_add(&whole, seeds[i], strlen(seeds[i])));
		read_one(&whole);
		buf_free(&whole);
	}
	for (long i = 0; i < mutants; i++) {
		const char *from = seeds[any(SEEDS)];
		struct buf b = {0};

		assert_non_null(buf_add(&b, from, strlen(from)));
		for (uint32_t n = 1 + any(MUTATIONS_MAX); n > 0 && b.len; n--)
			mutate(&b);
		if (b.len)
			read_one(&b);
		buf_free(&b);
	}
	for (int i = 0; i < SEEDS; i++)
		free(seeds[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
