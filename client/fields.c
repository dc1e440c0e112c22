/* SPDX-License-Identifier: Apache-2.0 */
#include "fields.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"

const char *field_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

const char *field_number(const json_t *object, const char *key, char buffer[FIELD_NUMBER_MAX])
{
	const json_t *value = json_object_get(object, key);

	buffer[0] = '\0';
	if (json_is_integer(value))
		snprintf(buffer, FIELD_NUMBER_MAX, "%" JSON_INTEGER_FORMAT,
		         json_integer_value(value));
	return buffer;
}

bool field_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

char *field_labels(const json_t *object, const char *key)
{
	json_t *labels = json_object_get(object, key), *value = NULL;
	const char *name = NULL, *gap = "";
	char *text = NULL;
	size_t len = 0;
	FILE *stream = open_memstream(&text, &len);

	if (!stream)
		return NULL;
	json_object_foreach (labels, name, value) {
		const char *shown = json_string_value(value);

		fprintf(stream, "%s%s=%s", gap, name, shown ? shown : "?");
		gap = " ";
	}
	if (fclose(stream) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int labels_from_options(const struct options *o, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *labels = NULL;
	const char *label = NULL;

	for (size_t i = 0; (label = options_text(o, "label", i)); i++) {
		const char *equals = strchr(label, '=');
		SCOPED(free_ptr) char *key = NULL;
		char shown[NAME_LEN_MAX];

		if (!equals || equals == label)
			return err_set(e, CLIENT_USAGE, "--label wants KEY=VALUE");
		key = strndup(label, (size_t)(equals - label));
		if (!labels)
			labels = json_object();
		if (!key || !labels)
			return err_errno(e, -ENOMEM, "cannot take the labels");
		if (json_object_get(labels, key))
			return err_set(e, CLIENT_USAGE, "the label %s is given twice",
			               name_escape(key, strlen(key), shown, sizeof(shown)));
		if (json_object_set_new(labels, key, json_string(equals + 1)) < 0)
			return err_set(e, CLIENT_USAGE, "the label %s is no UTF-8 text",
			               name_escape(key, strlen(key), shown, sizeof(shown)));
	}
	*ret = TAKE_PTR(labels);
	return 0;
}

int set_new(json_t *object, const char *key, json_t *value, struct err *e)
{
	if (json_object_set_new(object, key, value) < 0)
		return err_errno(e, -ENOMEM, "cannot put the question together");
	return 0;
}

int set_text(json_t *object, const char *key, const char *text, struct err *e)
{
	json_t *value = NULL;

	if (!text)
		return 0;
	value = json_string(text);
	if (!value)
		return err_set(e, -EINVAL, "the %s is no UTF-8 text", key);
	return set_new(object, key, value, e);
}

int set_number(json_t *object, const char *key, bool given, int64_t number, struct err *e)
{
	return given ? set_new(object, key, json_integer(number), e) : 0;
}

int set_true(json_t *object, const char *key, bool given, struct err *e)
{
	return given ? set_new(object, key, json_true(), e) : 0;
}
