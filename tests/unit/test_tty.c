// SPDX-License-Identifier: GPL-2.0-only
/* Records of terminals as an attacker would write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/resource/files.h"
#include "checkpoint/resource/resource.h"
#include "util/error.h"

struct world {
	struct restore r;
	struct ckpt_task tasks[3];
};

/* A session 1 with a child 2, and a session 3. */
static void make_world(struct world *w)
{
	*w = (struct world){
		.tasks = {{.pid = 1, .sid = 1}, {.pid = 2, .sid = 1}, {.pid = 3, .sid = 3}}};
	for (unsigned i = 0; i < 3; i++)
		vec_add(&w->r.tasks)->rec = &w->tasks[i];
}

static void free_world(struct world *w)
{
	resource_tty.release(NULL, &w->r);
	resource_files.release(NULL, &w->r);
	vec_free(&w->r.tasks);
}

static int load(struct world *w, const struct resource_class *class, enum ckpt_type type,
		const void *data, size_t len)
{
	const struct record rec = {.type = type, .version = 1, .data = data, .len = len};
	struct error *err = NULL;
	int ret = class->load(&w->r, NULL, &rec, &err);

	assert_true(ret ? err != NULL : err == NULL);
	error_free(err);
	return ret;
}

static int load_pair(struct world *w, const struct ckpt_pty *pty)
{
	return load(w, &resource_tty, CKPT_PTY, pty, sizeof(*pty));
}

static void pairs_come_by_index_and_have_their_lengths(void **state)
{
	struct ckpt_pty good = {.index = 3, .flags = CKPT_PTY_MASTER}, bad;
	struct world w;

	make_world(&w);
	assert_int_equal(load_pair(&w, &good), 0);
	assert_int_equal(load_pair(&w, &good), -EBADMSG);
	good.index = 2;
	assert_int_equal(load_pair(&w, &good), -EBADMSG);
	good.index = 1 << 16;
	assert_int_equal(load_pair(&w, &good), -EBADMSG);
	good.index = 4;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &good, sizeof(good) - 8), -EBADMSG);
	bad = good;
	bad.output_len = 8;
	assert_int_equal(load_pair(&w, &bad), -EBADMSG);
	bad.output_len = UINT32_MAX;
	assert_int_equal(load_pair(&w, &bad), -EBADMSG);
	bad = good;
	bad.flags = CKPT_PTY_MASTER | CKPT_PTY_CONSOLE;
	assert_int_equal(load_pair(&w, &bad), -EBADMSG);
	bad.flags = 1u << 31;
	assert_int_equal(load_pair(&w, &bad), -EBADMSG);
	assert_int_equal(load_pair(&w, &good), 0);
	free_world(&w);
}

static void lines_stay_within_their_record(void **state)
{
	struct {
		struct ckpt_pty pty;
		struct ckpt_pty_line line;
		char text[8];
	} rec = {.pty = {.lines_len = 16}, .line = {.len = 8}, .text = "1234567\n"};
	struct world w;

	make_world(&w);
	rec.line.len = 9;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), -EBADMSG);
	rec.line.len = UINT32_MAX - 7;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), -EBADMSG);
	/* without an end it would have a byte less than none */
	rec.line.len = 0;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), -EBADMSG);
	rec.line = (struct ckpt_pty_line){.len = 8, .flags = 2};
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), -EBADMSG);
	rec.line.flags = 0;
	rec.pty.lines_len = 12;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), -EBADMSG);
	rec.pty.lines_len = 16;
	assert_int_equal(load(&w, &resource_tty, CKPT_PTY, &rec, sizeof(rec)), 0);
	free_world(&w);
}

static int load_controlled(const struct ckpt_ctty *all, size_t count)
{
	struct ckpt_pty pty = {.index = 0, .flags = CKPT_PTY_MASTER};
	struct world w;
	int ret;

	make_world(&w);
	assert_int_equal(load_pair(&w, &pty), 0);
	pty.index = 1;
	assert_int_equal(load_pair(&w, &pty), 0);
	ret = load(&w, &resource_tty, CKPT_CTTY, all, count * sizeof(*all));
	free_world(&w);
	return ret;
}

static void a_terminal_controls_one_session(void **state)
{
	static const struct ckpt_ctty good[] = {{1, 0}, {2, 0}, {3, 1}};
	static const struct ckpt_ctty without_leader[] = {{2, 0}}, other[] = {{1, 0}, {2, 1}};
	static const struct ckpt_ctty two_sessions[] = {{1, 0}, {3, 0}}, twice[] = {{1, 0}, {1, 0}};
	static const struct ckpt_ctty nobody[] = {{4, 0}}, nothing[] = {{1, 7}};

	assert_int_equal(load_controlled(good, 3), 0);
	assert_int_equal(load_controlled(without_leader, 1), -EBADMSG);
	assert_int_equal(load_controlled(other, 2), -EBADMSG);
	assert_int_equal(load_controlled(two_sessions, 2), -EBADMSG);
	assert_int_equal(load_controlled(twice, 2), -EBADMSG);
	assert_int_equal(load_controlled(nobody, 1), -EBADMSG);
	assert_int_equal(load_controlled(nothing, 1), -EBADMSG);
}

static int load_end(struct ckpt_tty tty, const char *path, unsigned pair_flags)
{
	struct ckpt_pty pty = {.index = 5, .flags = pair_flags};
	char rec[sizeof(tty) + 32];
	struct world w;
	int ret;

	make_world(&w);
	assert_int_equal(load_pair(&w, &pty), 0);
	memcpy(rec, &tty, sizeof(tty));
	memcpy(rec + sizeof(tty), path, strlen(path));
	ret = load(&w, &resource_files, CKPT_TTY, rec, sizeof(tty) + strlen(path));
	free_world(&w);
	return ret;
}

static void an_end_belongs_to_a_pair(void **state)
{
	struct ckpt_tty slave = {.id = 1, .kind = CKPT_TTY_SLAVE, .pty = 5, .path_len = 6};
	struct ckpt_tty master = {.id = 1, .kind = CKPT_TTY_MASTER, .pty = 5, .path_len = 6};
	struct ckpt_tty bad;

	assert_int_equal(load_end(slave, "/dev/x", CKPT_PTY_MASTER), 0);
	assert_int_equal(load_end(slave, "/dev/x", CKPT_PTY_CONSOLE), 0);
	assert_int_equal(load_end(slave, "/dev/x", 0), -EBADMSG);
	assert_int_equal(load_end(slave, "/dev/xy", CKPT_PTY_MASTER), -EBADMSG);
	assert_int_equal(load_end(slave, "dev/xy", CKPT_PTY_MASTER), -EBADMSG);
	bad = slave;
	bad.pty = 6;
	assert_int_equal(load_end(bad, "/dev/x", CKPT_PTY_MASTER), -EBADMSG);
	bad = slave;
	bad.flags = CKPT_TTY_HUNG;
	assert_int_equal(load_end(bad, "/dev/x", 0), 0);
	bad.kind = CKPT_TTY_CURRENT;
	assert_int_equal(load_end(bad, "/dev/x", 0), -EBADMSG);
	assert_int_equal(load_end(master, "/dev/x", CKPT_PTY_MASTER), 0);
	assert_int_equal(load_end(master, "/dev/x", CKPT_PTY_CONSOLE), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_come_by_index_and_have_their_lengths),
		cmocka_unit_test(lines_stay_within_their_record),
		cmocka_unit_test(a_terminal_controls_one_session),
		cmocka_unit_test(an_end_belongs_to_a_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
