/* SPDX-License-Identifier: Apache-2.0 */
#include "grant_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "fields.h"

static const char *const text_conditions[] = { "runtime", "container", "image", "unit" };
static const char *const texts[] = { "path", "mode" };
static const char *const numbers[] = { "uid", "gid" };

static const struct {
	const char *field, *shown;
} leaves[] = {
	{ "allow_tag", "tag" },
	{ "allow_weak", "weak" },
	{ "allow_unverified", "unverified" },
};

static void print_conditions(FILE *out, const json_t *grant, const char *gap)
{
	const json_t *conditions = json_object_get(grant, "conditions");
	json_t *labels = json_object_get(conditions, "labels"), *value = NULL;
	const char *key = NULL;

	for (size_t i = 0; i < ARRAY_LEN(text_conditions); i++) {
		const char *condition = field_text(conditions, text_conditions[i]);

		if (!condition[0])
			continue;
		fprintf(out, "%s%s=%s", gap, text_conditions[i], condition);
		gap = " ";
	}
	json_object_foreach (labels, key, value) {
		fprintf(out, "%slabel:%s=%s", gap, key,
		        json_is_string(value) ? json_string_value(value) : "?");
		gap = " ";
	}
}

static char *finish(FILE *out, char **text)
{
	if (fclose(out) == 0)
		return *text;
	free(*text);
	return NULL;
}

char *grant_conditions_text(const json_t *grant)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	print_conditions(out, grant, "");
	return finish(out, &text);
}

const char *grant_leaves_text(const json_t *grant, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		size_t used = strlen(text);

		if (field_true(grant, leaves[i].field))
			snprintf(text + used, size - used, "%s%s", used ? "," : "",
			         leaves[i].shown);
	}
	return text;
}

char *grant_line(const json_t *grant)
{
	char number[FIELD_NUMBER_MAX], allows[64];
	const char *on_rotate = field_text(grant, "on_rotate");
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs(field_text(grant, "name"), out);
	print_conditions(out, grant, " ");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (field_text(grant, texts[i])[0])
			fprintf(out, " %s=%s", texts[i], field_text(grant, texts[i]));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (field_number(grant, numbers[i], number)[0])
			fprintf(out, " %s=%s", numbers[i], number);
	if (grant_leaves_text(grant, allows, sizeof(allows))[0])
		fprintf(out, " allow=%s", allows);
	if (on_rotate[0])
		fprintf(out, " on-rotate=%s", on_rotate);
	return finish(out, &text);
}
