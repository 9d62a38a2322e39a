// SPDX-License-Identifier: GPL-2.0-only
#include "checkpoint/resource/files.h"
#include <string.h>
static bool matches(const struct description *d)
{
	return false;
}
const struct file_kind file_kind_inet = {
	.type = CKPT_INET, .size = sizeof(struct ckpt_inet), .matches = matches};
