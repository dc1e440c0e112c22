/* SPDX-License-Identifier: Apache-2.0 */
#include "server/secret_json.h"

#include "coffer/times.h"

json_t *secret_json_version(const struct vault_version *version)
{
	char created[TIMES_TEXT_MAX], expires[TIMES_TEXT_MAX];
	json_t *labels = json_object(), *object;

	for (uint32_t i = 0; i < version->labels; i++)
		json_object_set_new(labels, version->label[i].key,
		                    json_string(version->label[i].value));
	object = json_pack("{s:I, s:s, s:I, s:b, s:b, s:o}", "version", (json_int_t)version->number,
	                   "created", times_format(version->created_ns, created), "size",
	                   (json_int_t)version->size, "private_key",
	                   (version->flags & VAULT_PRIVATE_KEY) != 0, "certificate",
	                   (version->flags & VAULT_CERTIFICATE) != 0, "labels", labels);
	if (object && version->expires_ns)
		json_object_set_new(object, "expires",
		                    json_string(times_format(version->expires_ns, expires)));
	return object;
}

json_t *secret_json_current(const struct vault_secret *secret, int64_t now_ns)
{
	const struct vault_version *current = &secret->current;
	json_t *object = secret_json_version(current);

	if (!object)
		return NULL;
	json_object_set_new(object, "name", json_string(secret->name));
	json_object_set_new(object, "expired",
	                    json_boolean(current->expires_ns && current->expires_ns <= now_ns));
	return object;
}
