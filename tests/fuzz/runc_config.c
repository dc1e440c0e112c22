/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_config_add_hook: whatever a bundle holds, what comes out is the same with something inserted, is
 * well-formed, and has the hook.
 */
#include "runc_config.h"

#include "coffer/json.h"
#include "fuzz.h"

static void hook_is_in(const json_t *config, const char *stage, const char *path)
{
	const json_t *list = json_object_get(json_object_get(config, "hooks"), stage);
	bool found = false;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *at =
			json_string_value(json_object_get(json_array_get(list, i), "path"));

		found = found || (at && strcmp(strrchr(at, '/') ? strrchr(at, '/') : at,
		                               strrchr(path, '/')) == 0);
	}
	MUST(found);
}

/* `before` is left when bytes are taken out of `after`; a `null` may have been replaced. */
static void only_inserted(const char *before, size_t before_len, const char *after, size_t len)
{
	size_t i = 0;

	for (size_t j = 0; j < len && i < before_len; j++)
		if (before[i] == after[j])
			i++;
		else if (before_len - i >= 4 && memcmp(before + i, "null", 4) == 0)
			i += 4;
	MUST(i == before_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct runc_hook hook = { "/usr/bin/coffer-hook", size % 2 ? "/run/other" : NULL };
	const char *text = (const char *)data;
	char *after = NULL, *again = NULL;
	json_t *config = NULL;
	size_t len = 0;
	struct err e = { 0 };
	int r = runc_config_add_hook(text, size, &hook, &after, &len, &e);

	if (r <= 0) {
		MUST(!after && len == 0);
		if (r < 0)
			fuzz_refused(r, &e);
		return 0;
	}
	MUST(r == 1 && strlen(after) == len && len > size && len <= RUNC_CONFIG_MAX);
	only_inserted(text, size, after, len);
	MUST(json_parse_foreign(after, len, &config, &e) == 0);
	hook_is_in(config, "createRuntime", hook.path);
	hook_is_in(config, "poststop", hook.path);
	MUST(runc_config_add_hook(after, len, &hook, &again, &len, &e) == 0 && !again);
	json_decref(config);
	free(after);
	return 0;
}
