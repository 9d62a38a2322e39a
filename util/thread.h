/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FIRN_UTIL_THREAD_H
#define FIRN_UTIL_THREAD_H

#include <pthread.h>
#include <signal.h>

/* pthread_create(3); the thread takes no signals: they are for the one that called. An errno. */
static inline int thread_start(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			       void *ctx)
{
	sigset_t all, old;
	int code;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	code = pthread_create(thread, attr, fn, ctx);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return code;
}

#endif
