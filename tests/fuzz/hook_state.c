/* SPDX-License-Identifier: Apache-2.0 */
/* hook_state_parse: what is taken for a container's state is fit to be sent on to the broker. */
#include "hook_state.h"

#include "fuzz.h"

static bool climbs(const char *path)
{
	size_t len = strlen(path);

	return strcmp(path, "..") == 0 || strncmp(path, "../", 3) == 0 || strstr(path, "/../") ||
	       (len >= 3 && strcmp(path + len - 3, "/..") == 0);
}

static void annotations_are_texts(json_t *annotations)
{
	const char *key;
	json_t *value;

	MUST(json_object_size(annotations) <= HOOK_ANNOTATIONS_MAX);
	json_object_foreach (annotations, key, value) {
		MUST(*key && strlen(key) <= HOOK_ANNOTATION_KEY_MAX);
		MUST(fuzz_printable(key) && !climbs(key));
		MUST(json_is_string(value) && strncmp(json_string_value(value), "../", 3) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_state s = { .pid = -7 };
	struct err e = { 0 };
	int r = hook_state_parse((const char *)data, size, &s, &e);

	if (r < 0) {
		MUST(s.pid == -7 && !s.root);
		fuzz_refused(r, &e);
		return 0;
	}
	MUST(s.stage == HOOK_CREATE || s.stage == HOOK_STOP);
	MUST(*s.id && strlen(s.id) <= HOOK_ID_MAX && fuzz_printable(s.id));
	MUST(s.bundle[0] == '/' && strlen(s.bundle) <= HOOK_BUNDLE_MAX && !climbs(s.bundle));
	MUST(s.pid >= (s.stage == HOOK_CREATE ? 2 : 0) && s.pid <= HOOK_PID_MAX);
	annotations_are_texts(s.annotations);
	hook_state_clear(&s);
	MUST(!s.root && !s.id);
	return 0;
}
