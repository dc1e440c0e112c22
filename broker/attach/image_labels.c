/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/image_labels.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "coffer/json.h"

/* What folds to ASCII is ASCII, but for a few characters beyond it: none of those is in such a key. */
static bool may_fold(const char *is, const char *key)
{
	for (const char *p = is; *p; p++)
		if ((unsigned char)*p >= 0x80)
			return true;
	return strcasecmp(is, key) == 0;
}

int image_spelt(const json_t *object, const char *key, struct err *e)
{
	const char *is;
	json_t *unused;

	json_object_foreach ((json_t *)(uintptr_t)object, is, unused)
		if (strcmp(is, key) != 0 && may_fold(is, key))
			return err_set(
				e, -EINVAL,
				"it spells a key that is, or may be taken for, \"%s\" in a way of "
				"its own: somebody wants its engine to see what we do not",
				key);
	return 0;
}

int image_labels(const json_t *image, json_t **ret, struct err *e)
{
	json_t *config = NULL;
	int r = image_spelt(image, "config", e);

	*ret = NULL;
	if (r == 0)
		r = json_get_object(image, "config", false, &config, e);
	if (r < 0 || !config)
		return r;
	r = image_spelt(config, "Labels", e);
	return r < 0 ? r : json_get_object(config, "Labels", false, ret, e);
}
