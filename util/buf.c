// SPDX-License-Identifier: GPL-2.0-only
#include "util/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *buf_add(struct buf *b, const void *data, size_t len)
{
	void *where;

	if (len > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
		return NULL;
	if (b->len + len > b->size || !b->data) {
		size_t size = b->size ? b->size : 256;
		void *grown;

		while (size < b->len + len)
			size *= 2;
		grown = realloc(b->data, size);
		if (!grown)
			return NULL;
		b->data = grown;
		b->size = size;
	}
	where = b->data + b->len;
	if (data && len)
		memcpy(where, data, len);
	else
		memset(where, 0, len);
	b->len += len;
	return where;
}

int buf_align(struct buf *b, size_t align)
{
	size_t pad = -b->len & (align - 1);

	if (pad && !buf_add(b, NULL, pad))
		return -ENOMEM;
	return 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

char *text_copy(const char *text, size_t len)
{
	char *copy = malloc(len + 1);

	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

void *vec_add_item(void **items, size_t *count, size_t *size, size_t item_size)
{
	void *item;

	if (*count == *size) {
		size_t grown = *size ? *size * 2 : 8;
		void *p = reallocarray(*items, grown, item_size);

		if (!p)
			return NULL;
		*items = p;
		*size = grown;
	}
	item = (char *)*items + *count * item_size;
	memset(item, 0, item_size);
	(*count)++;
	return item;
}
