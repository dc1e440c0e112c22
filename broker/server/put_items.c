/* SPDX-License-Identifier: Apache-2.0 */
#include "server/put_items.h"

#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/times.h"
#include "server/value.h"

static int read_label(struct vault_label *label, const char *key, const json_t *value,
                      struct err *e)
{
	const char *text = json_string_value(value);

	if (!text)
		return err_set(e, -EINVAL, "a label's value must be text");
	if (!*key || strlen(key) > VAULT_LABEL_LEN_MAX || strlen(text) > VAULT_LABEL_LEN_MAX)
		return err_set(e, -EINVAL, "a label's key has 1 to %d bytes, its value at most %d",
		               VAULT_LABEL_LEN_MAX, VAULT_LABEL_LEN_MAX);
	label->key = strdup(key);
	label->value = strdup(text);
	return label->key && label->value ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int read_labels(struct put_items *p, size_t i, const json_t *object, struct err *e)
{
	json_t *labels = NULL, *value;
	const char *key;
	int r = json_get_object(object, "labels", false, &labels, e);

	if (r < 0 || !labels || json_object_size(labels) == 0)
		return r;
	if (json_object_size(labels) > VAULT_LABELS_MAX)
		return err_set(e, -EINVAL, "a version has at most %d labels", VAULT_LABELS_MAX);
	p->labels[i] = calloc(VAULT_LABELS_MAX, sizeof(struct vault_label));
	if (!p->labels[i])
		return err_set(e, -ENOMEM, "out of memory");
	p->item[i].label = p->labels[i];
	json_object_foreach (labels, key, value) {
		r = read_label(&p->labels[i][p->item[i].labels], key, value, e);
		if (r < 0)
			return r;
		p->item[i].labels++;
	}
	return 0;
}

static int read_expiry(struct vault_item *item, const json_t *object, struct err *e)
{
	const char *text = NULL;
	int r = json_get_string(object, "expires", false, &text, e);

	if (r < 0 || !text)
		return r;
	r = times_parse(text, &item->expires_ns, e);
	if (r < 0)
		return r;
	if (item->expires_ns <= times_now())
		return err_set(e, -EINVAL, "the time of expiry is over already");
	return 0;
}

static int read_item(struct call *call, struct put_items *p, size_t i, const json_t *object,
                     struct err *e)
{
	static const char *const known[] = { "name",       "value",  "fd", "expires",
		                             "if_version", "labels", NULL };
	struct vault_item *item = &p->item[i];
	int64_t if_version = -1;
	int r = json_get_string(object, "name", true, &item->name, e);

	if (r < 0)
		return r;
	call_about(call, item->name);
	r = json_only_keys(object, known, e);
	if (r == 0)
		r = name_check(item->name, e);
	for (size_t k = 0; r == 0 && k < i; k++)
		if (strcmp(p->item[k].name, item->name) == 0)
			r = err_set(e, -EINVAL, "%s is there twice", item->name);
	if (r == 0)
		r = json_get_int(object, "if_version", false, 0, INT64_MAX, &if_version, e);
	if (r == 0)
		r = read_expiry(item, object, e);
	if (r == 0)
		r = read_labels(p, i, object, e);
	if (r == 0)
		r = value_read(call, object, "value", SECRET_VALUE_MAX, &p->value[i], e);
	item->value = p->value[i];
	item->has_if_version = if_version >= 0;
	item->if_version = if_version >= 0 ? (uint64_t)if_version : 0;
	return r;
}

int put_items_read(struct call *call, const json_t *parameters, struct put_items *ret,
                   struct err *e)
{
	json_t *list = NULL;
	int r = json_get_array(parameters, "items", true, VAULT_ITEMS_MAX, &list, e);

	if (r == 0 && json_array_size(list) == 0)
		r = err_set(e, -EINVAL, "\"items\" is empty");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		ret->count = i + 1;
		r = read_item(call, ret, i, json_array_get(list, i), e);
	}
	return r;
}

void put_items_clear(struct put_items *p)
{
	for (size_t i = 0; i < p->count; i++) {
		for (size_t k = 0; p->labels[i] && k < VAULT_LABELS_MAX; k++) {
			free(p->labels[i][k].key);
			free(p->labels[i][k].value);
		}
		free(p->labels[i]);
		secret_free(p->value[i]);
	}
}
