// SPDX-License-Identifier: GPL-2.0-only
/* `firn image show`: for people and for programs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint/image/reader.h"
#include "checkpoint/image/show.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json_write.h"
#include "util/printable.h"

static void put_bytes(FILE *out, uint64_t bytes)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double n = bytes;
	size_t unit = 0;

	for (; n >= 1024; n /= 1024)
		unit++;
	fprintf(out, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

static void put_time(FILE *out, uint64_t realtime)
{
	time_t seconds = realtime / 1000000000;
	char text[64] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
	fputs(text, out);
}

static void text_head(FILE *out, struct image_reader *r, const struct shown_image *s)
{
	const struct image_info *info = image_reader_info(r);

	fputs("checkpoint image ", out);
	printable_put(out, image_reader_path(r));
	fprintf(out, "\n  id         %s\n  container  ", image_reader_manifest(r)->id);
	printable_put(out, info->id);
	fputs("\n  taken      ", out);
	put_time(out, info->begin_realtime);
	fprintf(out, ", frozen for %.3f s of %.3f s\n  provider   ", info->frozen_ns / 1e9,
		info->total_ns / 1e9);
	printable_put(out, info->provider);
	for (const char *const *k = info->kernel_classes; k && *k; k++) {
		fputs(k == info->kernel_classes ? " (" : ", ", out);
		printable_put(out, *k);
	}
	fputs(info->kernel_classes && *info->kernel_classes ? "; the rest: user)" : "", out);
	fputs("\n  needs      x86_64, Linux as of ", out);
	printable_put(out, info->kernel);
	fprintf(out, ", xsave features 0x%" PRIx64 " (%u bytes)", info->xstate_features,
		info->xstate_size);
	if (info->vdso_hash)
		fprintf(out, ", vdso %016" PRIx64, info->vdso_hash);
	fprintf(out, "\n  holds      %u processes, %u threads, ", info->tasks, info->threads);
	put_bytes(out, info->page_bytes);
	fputs(" of pages", out);
	if (s->objects) {
		fprintf(out, ", %" PRIu64 " shared memory objects of ", s->objects);
		put_bytes(out, s->object_bytes);
	}
	fputs("\n  waived     ", out);
	for (const char *const *w = info->waived; *w; w++) {
		fputs(w == info->waived ? "" : ", ", out);
		printable_put(out, *w);
	}
	fputs(*info->waived ? "\n" : "nothing\n", out);
	vec_for_each (fs, &s->tmpfs) {
		fputs("  tmpfs      ", out);
		printable_put(out, fs->point ? fs->point : "");
		fprintf(out, ": %s, ", fs->name);
		put_bytes(out, fs->size);
		fputc('\n', out);
	}
}

static void text_file(FILE *out, const struct shown_file *f)
{
	if (!f) {
		fputs("not described", out);
		return;
	}
	fputs(f->kind, out);
	if (f->name) {
		fputc(' ', out);
		printable_put(out, f->name);
	}
	if (f->deleted)
		fputs(" (deleted)", out);
	if (f->pos)
		fprintf(out, " at %" PRIu64, f->pos);
}

static void text_memory(FILE *out, const struct shown_task *t, int indent)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < SHOWN_VMA_KINDS; i++)
		total += t->bytes[i];
	fprintf(out, "%*smemory   %" PRIu64 " mappings of ", indent, "", t->mappings);
	put_bytes(out, total);
	fputs(", saved ", out);
	put_bytes(out, t->saved);
	for (unsigned i = 0; i < SHOWN_VMA_KINDS; i++) {
		if (!t->bytes[i])
			continue;
		fprintf(out, "; %s ", shown_vma_kind(i));
		put_bytes(out, t->bytes[i]);
	}
	fputc('\n', out);
}

static void text_task(FILE *out, const struct shown_task *t)
{
	/* a tree as deep as a hostile image likes is not drawn wider than a screen */
	int indent = 2 + 2 * (t->depth < 30 ? t->depth : 30);

	fprintf(out, "%*s%u ", indent, "", t->rec.pid);
	printable_put(out, t->comm);
	fprintf(out, "  (parent %u, group %u, session %u)", t->rec.ppid, t->rec.pgid, t->rec.sid);
	if (t->rec.state != CKPT_TASK_ALIVE)
		fprintf(out, " %s", shown_task_state(t->rec.state));
	fputc('\n', out);
	if (t->rec.state == CKPT_TASK_ZOMBIE)
		return;
	indent += 4;
	if (t->exe && t->exe->name) {
		fprintf(out, "%*sprogram  ", indent, "");
		printable_put(out, t->exe->name);
		fputc('\n', out);
	}
	if (t->cwd && t->cwd->name) {
		fprintf(out, "%*scwd      ", indent, "");
		printable_put(out, t->cwd->name);
		fputc('\n', out);
	}
	fprintf(out, "%*sthreads  %zu:", indent, "", t->threads.count);
	vec_for_each (thread, &t->threads) {
		fprintf(out, " %u ", thread->tid);
		printable_put(out, thread->comm);
		if (thread->exited)
			fprintf(out, " (has exited, status %#x)", thread->exit_code);
		fputs(thread + 1 < t->threads.items + t->threads.count ? "," : "", out);
	}
	fputc('\n', out);
	text_memory(out, t, indent);
	fprintf(out, "%*sfiles    %zu open\n", indent, "", t->fds.count);
	vec_for_each (fd, &t->fds) {
		fprintf(out, "%*s%4u  ", indent, "", fd->fd);
		text_file(out, fd->file);
		fputc('\n', out);
	}
}

char *show_text(struct image_reader *r, const struct shown_image *s)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool failed;

	if (!out)
		return NULL;
	text_head(out, r, s);
	fputs("\nprocesses\n", out);
	vec_for_each (t, &s->tasks)
		text_task(out, t);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

static void json_head(struct json *j, struct image_reader *r, const struct shown_image *s)
{
	json_add_string(j, "image", image_reader_path(r));
	json_add_uint(j, "formatVersion", CKPT_FORMAT_VERSION);
	manifest_add_info(j, image_reader_manifest(r)->id, image_reader_info(r));
	json_key(j, "sharedMemory");
	json_object_begin(j);
	json_add_uint(j, "objects", s->objects);
	json_add_uint(j, "bytes", s->object_bytes);
	json_add_uint(j, "saved", s->object_saved);
	json_object_end(j);
	json_key(j, "tmpfs");
	json_array_begin(j);
	vec_for_each (fs, &s->tmpfs) {
		json_object_begin(j);
		json_add_string(j, "mountPoint", fs->point);
		json_add_string(j, "file", fs->name);
		json_add_uint(j, "bytes", fs->size);
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_fds(struct json *j, const struct shown_task *t)
{
	json_key(j, "files");
	json_array_begin(j);
	vec_for_each (fd, &t->fds) {
		json_object_begin(j);
		json_add_uint(j, "fd", fd->fd);
		json_add_uint(j, "description", fd->description);
		json_add_bool(j, "closeOnExec", fd->cloexec);
		if (fd->file) {
			json_add_string(j, "kind", fd->file->kind);
			json_add_string(j, "name", fd->file->name);
			json_add_uint(j, "offset", fd->file->pos);
			json_add_bool(j, "deleted", fd->file->deleted);
		}
		json_object_end(j);
	}
	json_array_end(j);
}

static void json_task(struct json *j, const struct shown_task *t)
{
	json_object_begin(j);
	json_add_uint(j, "pid", t->rec.pid);
	json_add_uint(j, "ppid", t->rec.ppid);
	json_add_uint(j, "pgid", t->rec.pgid);
	json_add_uint(j, "sid", t->rec.sid);
	json_add_string(j, "state", shown_task_state(t->rec.state));
	json_add_string(j, "comm", t->comm);
	json_add_string(j, "program", t->exe ? t->exe->name : NULL);
	json_add_string(j, "cwd", t->cwd ? t->cwd->name : NULL);
	json_key(j, "threads");
	json_array_begin(j);
	vec_for_each (thread, &t->threads) {
		json_object_begin(j);
		json_add_uint(j, "tid", thread->tid);
		json_add_string(j, "comm", thread->comm);
		if (thread->exited)
			json_add_uint(j, "exitStatus", thread->exit_code);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "memory");
	json_object_begin(j);
	json_add_uint(j, "mappings", t->mappings);
	for (unsigned i = 0; i < SHOWN_VMA_KINDS; i++)
		json_add_uint(j, shown_vma_kind(i), t->bytes[i]);
	json_add_uint(j, "saved", t->saved);
	json_object_end(j);
	json_fds(j, t);
	json_object_end(j);
}

char *show_json(struct image_reader *r, const struct shown_image *s)
{
	__cleanup_json struct json *j = json_new(true);

	json_object_begin(j);
	json_head(j, r, s);
	json_key(j, "processes");
	json_array_begin(j);
	vec_for_each (t, &s->tasks)
		json_task(j, t);
	json_array_end(j);
	json_object_end(j);
	return json_text(j);
}

int image_show(struct image_reader *r, const struct image_show_options *o, char **text,
	       struct error **err)
{
	struct shown_image s = {0};
	int ret = shown_image_read(r, &s, err);

	if (!ret) {
		*text = o->json ? show_json(r, &s) : show_text(r, &s);
		if (!*text)
			ret = error_errno(err, ENOMEM, "showing the image");
	}
	shown_image_free(&s);
	return ret;
}
