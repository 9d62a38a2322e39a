/* SPDX-License-Identifier: GPL-2.0-only */
/* A growing run of bytes, and typed vectors over it. */
#ifndef FIRN_UTIL_BUF_H
#define FIRN_UTIL_BUF_H

#include <stddef.h>
#include <stdint.h>

struct error;

struct buf {
	uint8_t *data;
	size_t len;
	size_t size;
};

/* Appends len bytes (zeros if data is NULL) and returns where they are, or NULL for want of memory.
 */
void *buf_add(struct buf *b, const void *data, size_t len);

/* Appends zeros until len is a multiple of align (a power of two). 0 or -ENOMEM. */
int buf_align(struct buf *b, size_t align);

void buf_free(struct buf *b);

/* len bytes and a NUL, for free(); or NULL. As strndup(), which wants a string and stops at one. */
char *text_copy(const char *text, size_t len);

#define __cleanup_buf __attribute__((cleanup(buf_free)))

/* A vector: struct { T *items; size_t count, size; }; vec_add() returns the new zeroed item or
 * NULL. */
#define VEC(T)                                                                                     \
	struct {                                                                                   \
		T *items;                                                                          \
		size_t count, size;                                                                \
	}
void *vec_add_item(void **items, size_t *count, size_t *size, size_t item_size);
#define vec_add(v)                                                                                 \
	((__typeof__((v)->items))vec_add_item((void **)&(v)->items, &(v)->count, &(v)->size,       \
					      sizeof(*(v)->items)))
#define vec_for_each(p, v)                                                                         \
	for (__typeof__(*(v)->items) *(p) = (v)->items; (p) && (p) < (v)->items + (v)->count; (p)++)
#define vec_free(v)                                                                                \
	do {                                                                                       \
		free((v)->items);                                                                  \
		(v)->items = NULL;                                                                 \
		(v)->count = (v)->size = 0;                                                        \
	} while (0)

#endif
