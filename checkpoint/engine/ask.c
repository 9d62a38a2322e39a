// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/engine/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint/engine/engine.h"
#include "checkpoint/engine/provider.h"
#include "util/error.h"

void ask_add(struct questions *q, const struct remote_call *call)
{
	/* what is too much shows in start_asking() */
	if (q->count < REMOTE_CALLS_MAX)
		remote_calls(q->remote)[q->count] = *call;
	q->count++;
}

uint64_t ask_room(struct questions *q, size_t len)
{
	size_t at = q->data;

	q->data += (len + 15) & ~15ul;
	if (q->data <= REMOTE_DATA_SIZE)
		memset((char *)remote_data(q->remote) + at, 0, len);
	return remote_data_address(q->remote) + at;
}

static int start_asking(struct questions *q, pid_t tid, struct error **err)
{
	if (q->count > REMOTE_CALLS_MAX || q->data > REMOTE_DATA_SIZE)
		return error_set(err, E2BIG, "%u calls and %zu bytes to ask task %d", q->count,
				 q->data, tid);
	return remote_start_run(q->remote, tid, q->count, err);
}

static int take_answers(struct questions *q, pid_t tid, struct answers *a, struct error **err)
{
	struct timespec now;
	int r = remote_finish(q->remote, err);

	if (r)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &now);
	a->monotonic = now.tv_sec * 1000000000ull + now.tv_nsec;
	a->calls = malloc(q->count * sizeof(*a->calls));
	a->data = malloc(q->data + 1);
	if (!a->calls || !a->data)
		return error_errno(err, ENOMEM, "asking task %d", tid);
	memcpy(a->calls, remote_calls(q->remote), q->count * sizeof(*a->calls));
	memcpy(a->data, remote_data(q->remote), q->data);
	a->address = remote_data_address(q->remote);
	return 0;
}

int ask_thread(struct questions *q, pid_t tid, struct answers *a, struct error **err)
{
	int r = start_asking(q, tid, err);

	return r ? r : take_answers(q, tid, a, err);
}

static int hear(struct questions *q, struct dump_task *t, struct error **err)
{
	int r = take_answers(q, t->speaker, &t->answers, err);

	remote_rest(q->remote);
	return r;
}

static int ask_task(struct checkpoint *c, struct dump_task *t, struct questions *q,
		    struct error **err)
{
	*q = (struct questions){.remote = &t->remote};
	for (unsigned i = 0; resource_classes[i]; i++) {
		const struct resource_class *class = resource_classes[i];

		t->answers.first[i] = q->count;
		if (class->ask && !provider_is_kernel(&c->kernel, class))
			class->ask(t, q);
	}
	return start_asking(q, t->speaker, err);
}

/*
 * One is asked while the one before it answers: no longer, since some answers tell times. Who
 * makes its calls one by one takes too long for that.
 */
int ask_tasks(struct checkpoint *c, struct error **err)
{
	struct dump_task *asked = NULL;
	struct questions q, next;
	int r = 0;

	vec_for_each (t, &c->tasks) {
		if (r || t->rec.state == CKPT_TASK_ZOMBIE)
			continue;
		if (asked && !t->remote.stop_signal) {
			r = hear(&q, asked, err);
			asked = NULL;
		}
		if (!r)
			r = ask_task(c, t, &next, err);
		if (!r && asked)
			r = hear(&q, asked, err);
		asked = t;
		q = next;
	}
	return r || !asked ? r : hear(&q, asked, err);
}

const struct remote_call *answers_of(const struct dump_task *t, const struct resource_class *class)
{
	unsigned i = 0;

	while (resource_classes[i] != class)
		i++;
	return &t->answers.calls[t->answers.first[i]];
}

const void *answer_data(const struct answers *a, uint64_t address)
{
	return a->data + (address - a->address);
}

void answers_free(struct answers *a)
{
	free(a->calls);
	free(a->data);
}
