/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "grant_text.h"
#include "grants_file.h"

#define SENTENCE_MAX 480
#define LOOK_BACK 100 /* older grants of one path that each is held against */

struct place {
	char path[NAME_LEN_MAX + 1];
	size_t age; /* place in the list */
	const json_t *grant;
};

/* Where a grant's file or folder lies: --as, or the last segment of what it names. */
static void take_place(const json_t *grant, size_t age, struct place *ret)
{
	const char *path = field_text(grant, "path"), *name = field_text(grant, "name");
	size_t len = strlen(name);

	if (!path[0]) {
		if (len > 0 && name[len - 1] == '/')
			len--;
		path = name;
		for (size_t i = 0; i < len; i++)
			if (name[i] == '/')
				path = name + i + 1;
		len -= (size_t)(path - name);
	} else {
		len = strlen(path);
	}
	snprintf(ret->path, sizeof(ret->path), "%.*s", (int)len, path);
	ret->age = age;
	ret->grant = grant;
}

static int by_path(const void *a, const void *b)
{
	const struct place *one = a, *two = b;
	int r = strcmp(one->path, two->path);

	return r ? r : (one->age > two->age) - (one->age < two->age);
}

/* Whether each member of `part` is in `whole` with the same value. */
static bool is_part(json_t *part, json_t *whole)
{
	const char *key = NULL;
	json_t *value = NULL;

	json_object_foreach (part, key, value) {
		json_t *other = json_object_get(whole, key);

		if (json_is_null(value) || (json_is_object(value) && json_object_size(value) == 0))
			continue;
		if (json_is_object(value) ? !json_is_object(other) || !is_part(value, other)
		                          : !json_equal(value, other))
			return false;
	}
	return true;
}

/* Of two grants with the conditions of `older` among those of `younger`, the older always wins. */
static bool always_wins(const json_t *older, const json_t *younger)
{
	static const char *const leaves[] = { "allow_tag", "allow_weak", "allow_unverified" };

	for (size_t i = 0; i < ARRAY_LEN(leaves); i++)
		if (field_true(younger, leaves[i]) && !field_true(older, leaves[i]))
			return false;
	return is_part(json_object_get(older, "conditions"),
	               json_object_get(younger, "conditions"));
}

static void say_clash(const struct place *older, const struct place *younger,
                      void (*say)(void *arg, const char *sentence), void *arg)
{
	SCOPED(free_ptr) char *one = grant_line(older->grant);
	SCOPED(free_ptr) char *two = grant_line(younger->grant);
	char text[SENTENCE_MAX];

	snprintf(text, sizeof(text),
	         "two grants want %s, and the first has it wherever the second matches: \"%.150s\" "
	         "and \"%.150s\"",
	         older->path, one ? one : "", two ? two : "");
	say(arg, text);
}

void grants_clashes(const json_t *grants, void (*say)(void *arg, const char *sentence), void *arg)
{
	size_t n = json_array_size(grants);
	struct place *place = calloc(n + 1, sizeof(*place));

	if (!place)
		return;
	for (size_t i = 0; i < n; i++)
		take_place(json_array_get(grants, i), i, &place[i]);
	qsort(place, n, sizeof(*place), by_path);
	for (size_t i = 1; i < n; i++)
		for (size_t k = i;
		     k-- > 0 && i - k <= LOOK_BACK && strcmp(place[k].path, place[i].path) == 0;)
			if (strcmp(field_text(place[k].grant, "name"),
			           field_text(place[i].grant, "name")) != 0 &&
			    always_wins(place[k].grant, place[i].grant)) {
				say_clash(&place[k], &place[i], say, arg);
				break;
			}
	free(place);
}
