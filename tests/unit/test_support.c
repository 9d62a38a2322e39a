// SPDX-License-Identifier: GPL-2.0-only
/*
 * docs/support.md has a part that derives from the table of resource classes: this test
 * compares the two, and with --write (`make support`) writes that part anew.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "checkpoint/engine/engine.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/io.h"

#define PAGE	 "docs/support.md"
#define PAGE_MAX (1 << 20)

/* Lines of the page: what is between them is ours. */
#define BEGIN "<!-- from the table of resource classes; \"make support\" writes it anew -->\n"
#define END   "<!-- end of the table -->\n"

static void print_class(FILE *out, const struct resource_class *class)
{
	const char *between = "";

	fprintf(out, "| %s | ", class->name);
	for (const enum ckpt_type *type = class->types; type && *type; type++) {
		fprintf(out, "%s*%s*", between, record_name(*type));
		between = ", ";
	}
	fprintf(out, " | ");
	between = "";
	for (const char *const *lost = class->not_captured; lost && *lost; lost++) {
		fprintf(out, "%s%s", between, *lost);
		between = "; ";
	}
	fprintf(out, " |\n");
}

static char *generate(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	fprintf(out, BEGIN "\n| class | records | known not to be captured |\n|---|---|---|\n");
	for (unsigned i = 0; resource_classes[i]; i++)
		print_class(out, resource_classes[i]);
	fprintf(out, "\n" END);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* The page, and where its part begins and ends. */
static char *read_page(char **begin, char **end)
{
	char *page = NULL;

	assert_int_equal(read_file(AT_FDCWD, PAGE, PAGE_MAX, &page, NULL), 0);
	*begin = strstr(page, BEGIN);
	assert_non_null(*begin);
	*end = strstr(*begin, END);
	assert_non_null(*end);
	*end += strlen(END);
	return page;
}

static void test_page_is_up_to_date(void **state)
{
	char *begin, *end;
	__cleanup_free char *page = read_page(&begin, &end);
	__cleanup_free char *wanted = generate();

	assert_non_null(page);
	*end = '\0';
	if (strcmp(begin, wanted))
		fail_msg(PAGE " is not what the table of resource classes says (make support):\n%s",
			 wanted);
}

/* Text for users: one cell of a table each. */
static void test_text_fits(void **state)
{
	for (unsigned i = 0; resource_classes[i]; i++) {
		const char *const *lost = resource_classes[i]->not_captured;

		assert_null(strpbrk(resource_classes[i]->name, "|\n"));
		for (; lost && *lost; lost++)
			assert_null(strpbrk(*lost, "|\n"));
	}
}

static void test_records_are_named(void **state)
{
	for (unsigned i = 0; resource_classes[i]; i++)
		for (const enum ckpt_type *t = resource_classes[i]->types; t && *t; t++)
			assert_string_not_equal(record_name(*t), "unknown");
}

static void test_each_record_has_one_class(void **state)
{
	char seen[256] = "";

	for (unsigned i = 0; resource_classes[i]; i++)
		for (const enum ckpt_type *t = resource_classes[i]->types; t && *t; t++) {
			assert_in_range(*t, 1, sizeof(seen) - 1);
			assert_int_equal(seen[*t]++, 0);
		}
}

static int write_page(void)
{
	char *begin, *end;
	__cleanup_free char *page = read_page(&begin, &end);
	__cleanup_free char *wanted = generate();
	FILE *out = fopen(PAGE, "we");

	if (!out)
		return 1;
	fwrite(page, 1, begin - page, out);
	fputs(wanted, out);
	fputs(end, out);
	return fclose(out) ? 1 : 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_up_to_date),
		cmocka_unit_test(test_text_fits),
		cmocka_unit_test(test_records_are_named),
		cmocka_unit_test(test_each_record_has_one_class),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_page();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
