/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/docker_config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "attach/image_labels.h"
#include "attach/oci.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "policy/image.h"

/* Labels that Compose sets on containers and on images, and one that it sets on containers alone. */
static const char *const composed[] = { "com.docker.compose.project",
	                                "com.docker.compose.service" };
static const char composer[] = "com.docker.compose.config-hash";

void docker_container_clear(struct docker_container *c)
{
	for (size_t i = 0; i < c->labels; i++) {
		free(c->label[i].key);
		free(c->label[i].value);
	}
	free(c->label);
	free(c->id);
	free(c->name);
	free(c->image);
	free(c->image_id);
	free(c->driver);
	*c = (struct docker_container){ 0 };
}

static int parse_object(const char *text, size_t len, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	int r = json_parse_foreign(text, len, &top, e);

	if (r == 0 && !json_is_object(top))
		r = err_set(e, -EINVAL, "it is no JSON object");
	if (r == 0)
		*ret = TAKE_PTR(top);
	return r;
}

/* A container's labels, as Docker wrote them; *ret stays NULL if it has none. */
static int find_labels(const json_t *top, json_t **ret, struct err *e)
{
	json_t *config = NULL;
	int r = json_get_object(top, "Config", false, &config, e);

	return r < 0 || !config ? r : json_get_object(config, "Labels", false, ret, e);
}

/* One that is longer than a condition can be matches nothing, and is left out. */
static int take_labels(const json_t *top, struct docker_container *c, struct err *e)
{
	json_t *labels = NULL, *value;
	const char *key;
	int r = find_labels(top, &labels, e);

	if (r < 0 || json_object_size(labels) == 0)
		return r;
	c->label = calloc(json_object_size(labels), sizeof(*c->label));
	if (!c->label)
		return err_set(e, -ENOMEM, "out of memory");
	json_object_foreach (labels, key, value) {
		const char *text = json_string_value(value);
		struct docker_label *label = &c->label[c->labels];

		if (!text)
			return err_set(e, -EINVAL, "a label is no text");
		if (strlen(key) > OCI_ATTRIBUTE_MAX || strlen(text) > OCI_ATTRIBUTE_MAX)
			continue;
		*label = (struct docker_label){ strdup(key), strdup(text), false };
		c->labels++;
		if (!label->key || !label->value)
			return err_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int take_texts(const json_t *top, struct docker_container *c, struct err *e)
{
	const char *id = NULL, *name = NULL, *image = "", *image_id = "", *driver = "";
	json_t *config = NULL;
	int r = json_get_string(top, "ID", true, &id, e);

	if (r < 0 || (r = json_get_string(top, "Name", true, &name, e)) < 0 ||
	    (r = json_get_string(top, "Image", false, &image_id, e)) < 0 ||
	    (r = json_get_string(top, "Driver", false, &driver, e)) < 0 ||
	    (r = json_get_object(top, "Config", false, &config, e)) < 0 ||
	    (config && (r = json_get_string(config, "Image", false, &image, e)) < 0))
		return r;
	if (!oci_id_ok(id))
		return err_set(e, -EINVAL, "its id is no container's");
	if (name[0] != '/' || !name[1])
		return err_set(e, -EINVAL, "its name does not begin with '/'");
	if (image_digest(image_id) != image_id)
		image_id = "";
	if (!oci_id_ok(driver))
		driver = "";
	c->id = strdup(id);
	c->name = strdup(name + 1);
	c->image = strdup(image);
	c->image_id = strdup(image_id);
	c->driver = strdup(driver);
	if (!c->id || !c->name || !c->image || !c->image_id || !c->driver)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

int docker_container_parse(const char *text, size_t len, struct docker_container *ret,
                           struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	SCOPED(docker_container_clear) struct docker_container c = { 0 };
	int r = parse_object(text, len, &top, e);

	if (r < 0 || (r = take_texts(top, &c, e)) < 0 || (r = take_labels(top, &c, e)) < 0)
		return r;
	*ret = c;
	c = (struct docker_container){ 0 };
	return 0;
}

static const struct docker_label *starters(const struct docker_container *c, const char *key)
{
	for (size_t i = 0; i < c->labels; i++)
		if (strcmp(c->label[i].key, key) == 0)
			return c->label[i].from_image ? NULL : &c->label[i];
	return NULL;
}

static void set_composed(struct docker_container *c)
{
	if (!starters(c, composer))
		return;
	for (size_t i = 0; i < c->labels; i++)
		for (size_t j = 0; j < ARRAY_LEN(composed); j++)
			if (strcmp(c->label[i].key, composed[j]) == 0)
				c->label[i].from_image = false;
}

int docker_container_image(const char *text, size_t len, struct docker_container *c, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *labels = NULL;
	int r = parse_object(text, len, &top, e);

	if (r == 0)
		r = image_labels(top, &labels, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < c->labels; i++) {
		const char *own = json_string_value(json_object_get(labels, c->label[i].key));

		c->label[i].from_image = own && strcmp(own, c->label[i].value) == 0;
	}
	set_composed(c);
	return 0;
}

void docker_container_distrust(struct docker_container *c)
{
	for (size_t i = 0; i < c->labels; i++)
		c->label[i].from_image = true;
}

int docker_digests_parse(const char *text, size_t len, const char *image_id,
                         char ret[][DOCKER_DIGEST_MAX], size_t max, struct err *e)
{
	SCOPED(json_ptr) json_t *top = NULL;
	json_t *repositories = NULL, *references, *id;
	const char *name, *reference;
	size_t count = 0;
	int r = parse_object(text, len, &top, e);

	if (r == 0)
		r = json_get_object(top, "Repositories", true, &repositories, e);
	if (r < 0)
		return r;
	json_object_foreach (repositories, name, references) {
		json_object_foreach (references, reference, id) {
			const char *is = json_string_value(id);
			const char *digest = image_digest(reference);

			if (count < max && is && digest && strcmp(is, image_id) == 0)
				memcpy(ret[count++], digest, DOCKER_DIGEST_MAX);
		}
	}
	return (int)count;
}
