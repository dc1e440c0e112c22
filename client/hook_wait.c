/* SPDX-License-Identifier: Apache-2.0 */
#include "hook_wait.h"

#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"

static bool runtime_holds(const char *wanted, const struct hook_facts *f)
{
	if (!f->runtimes)
		return true;
	for (const char *const *runtime = f->runtimes; *runtime; runtime++)
		if (strcmp(*runtime, wanted) == 0)
			return true;
	return false;
}

static bool container_holds(const char *wanted, const struct hook_facts *f)
{
	return strcmp(f->id, wanted) == 0 || !f->name || strcmp(f->name, wanted) == 0;
}

static bool has_pair(const json_t *object, const char *key, size_t key_len, const char *value)
{
	const char *found = json_string_value(json_object_getn(object, key, key_len));

	return found && strcmp(found, value) == 0;
}

static bool label_holds(const char *wanted, const struct hook_facts *f)
{
	const char *equals = strchr(wanted, '=');
	size_t len = (size_t)(equals - wanted);

	if (f->pod && strncmp(wanted, "io.kubernetes.", strlen("io.kubernetes.")) == 0)
		return has_pair(f->pod, wanted, len, equals + 1);
	return !f->labels || has_pair(f->labels, wanted, len, equals + 1) ||
	       has_pair(f->annotations, wanted, len, equals + 1);
}

static bool unknowable(const char *wanted, const struct hook_facts *f)
{
	(void)wanted;
	(void)f;
	return true;
}

static const struct {
	const char *key;
	bool (*holds)(const char *wanted, const struct hook_facts *f);
} conditions[] = {
	{ "runtime", runtime_holds }, { "container", container_holds }, { "label", label_holds },
	{ "image", unknowable },      { "unit", unknowable },
};

static bool is_condition(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		if (strcmp(conditions[i].key, key) == 0)
			return true;
	return false;
}

static int check_entry(json_t *entry, struct err *e)
{
	const char *key = NULL, *label = NULL;
	json_t *value = NULL;

	if (!json_is_object(entry) || json_object_size(entry) == 0)
		return err_set(e, -EINVAL, "each entry must be an object with a condition");
	json_object_foreach (entry, key, value) {
		if (!is_condition(key) || !json_is_string(value))
			return err_set(e, -EINVAL,
			               "an entry may have runtime, container, label, image and "
			               "unit, all text");
	}
	label = json_string_value(json_object_get(entry, "label"));
	if (label && (label[0] == '=' || !strchr(label, '=')))
		return err_set(e, -EINVAL, "\"label\" must look like \"key=value\"");
	return 0;
}

int hook_wait_parse(const char *text, size_t len, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *list = NULL;
	json_t *entry = NULL;
	size_t i = 0;
	int r = json_parse(text, len, &list, e);

	if (r < 0)
		return r;
	if (!json_is_array(list) || json_array_size(list) > HOOK_WAIT_MAX)
		return err_set(e, -EINVAL, "it must be a list of at most %d entries",
		               HOOK_WAIT_MAX);
	json_array_foreach (list, i, entry) {
		r = check_entry(entry, e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(list);
	return 0;
}

static bool entry_matches(const json_t *entry, const struct hook_facts *facts)
{
	for (size_t i = 0; i < ARRAY_LEN(conditions); i++) {
		const char *wanted = json_string_value(json_object_get(entry, conditions[i].key));

		if (wanted && !conditions[i].holds(wanted, facts))
			return false;
	}
	return true;
}

bool hook_wait_matches(const json_t *list, const struct hook_facts *facts)
{
	json_t *entry = NULL;
	size_t i = 0;

	json_array_foreach (list, i, entry) {
		if (entry_matches(entry, facts))
			return true;
	}
	return false;
}
