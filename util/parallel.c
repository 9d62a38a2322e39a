// SPDX-License-Identifier: GPL-2.0-only
#include "util/parallel.h"

#include <pthread.h>
#include <sched.h>

#include "util/error.h"
#include "util/thread.h"

#define HELPERS_MAX 7

struct work {
	int (*fn)(void *ctx, size_t item, struct error **err);
	void *ctx;
	size_t count;
	pthread_mutex_t lock;
	/* with the lock held */
	size_t next;
	int result;
	struct error *error;
};

unsigned parallel_cpus(void)
{
	cpu_set_t set;

	/* not sysconf(): what this process may use counts */
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set);
}

static void *work_main(void *ctx)
{
	struct work *w = ctx;

	pthread_mutex_lock(&w->lock);
	while (!w->result && w->next < w->count) {
		size_t item = w->next++;
		struct error *error = NULL;
		int r;

		pthread_mutex_unlock(&w->lock);
		r = w->fn(w->ctx, item, &error);
		pthread_mutex_lock(&w->lock);
		if (r && !w->result) {
			w->result = r;
			w->error = error;
		} else {
			error_free(error);
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Fewer helpers than wished for do the same work. */
static unsigned start_helpers(struct work *w, pthread_t *helpers)
{
	unsigned wanted = parallel_cpus() - 1, started = 0;

	if (wanted > HELPERS_MAX)
		wanted = HELPERS_MAX;
	while (started < wanted && started + 1 < w->count &&
	       !thread_start(&helpers[started], NULL, work_main, w))
		started++;
	return started;
}

int parallel_each(size_t count, int (*fn)(void *ctx, size_t item, struct error **err), void *ctx,
		  struct error **err)
{
	struct work w = {.fn = fn, .ctx = ctx, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t helpers[HELPERS_MAX];
	unsigned started = start_helpers(&w, helpers);

	work_main(&w);
	for (unsigned i = 0; i < started; i++)
		pthread_join(helpers[i], NULL);
	if (err && !*err)
		*err = w.error;
	else
		error_free(w.error);
	return w.result;
}
