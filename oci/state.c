// SPDX-License-Identifier: GPL-2.0-only
#include "oci/state.h"

#include "util/json_write.h"

static bool is_last(const struct oci_pairs *pairs, const struct oci_pair *pair)
{
	return oci_pairs_get(pairs, pair->key) == pair->value;
}

void oci_state_write(struct json *j, const struct oci_state *state)
{
	json_object_begin(j);
	json_add_string(j, "ociVersion", state->oci_version ? state->oci_version : OCI_VERSION);
	json_add_string(j, "id", state->id);
	json_add_int(j, "pid", state->pid);
	json_add_string(j, "status", state->status);
	json_add_string(j, "bundle", state->bundle);
	json_add_string(j, "rootfs", state->rootfs);
	json_add_string(j, "created", state->created);
	if (state->annotations && state->annotations->count) {
		json_key(j, "annotations");
		json_object_begin(j);
		vec_for_each (pair, state->annotations)
			if (is_last(state->annotations, pair))
				json_add_string(j, pair->key, pair->value);
		json_object_end(j);
	}
	json_add_string(j, "owner", state->owner);
	/* last: what matches the text of runc's finds the members where it expects them */
	json_add_string(j, "firn", state->firn);
	json_object_end(j);
}

char *oci_state_json(const struct oci_state *state)
{
	__cleanup_json struct json *j = json_new(true);

	oci_state_write(j, state);
	return json_text(j);
}
