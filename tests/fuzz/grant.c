/* SPDX-License-Identifier: Apache-2.0 */
/* grant_from_json: what is taken keeps every rule of a grant, and reads back as the same grant. */
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fuzz.h"
#include "policy/image.h"
#include "policy/policy.h"

static void condition(const char *text)
{
	if (!text)
		return;
	MUST(*text && strlen(text) <= POLICY_TEXT_MAX + sizeof(".service"));
	for (; *text; text++)
		MUST((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void keeps_the_rules(const struct grant *g)
{
	size_t len = strlen(g->name);
	bool prefix = len > 0 && g->name[len - 1] == '/';

	MUST((prefix ? name_check_prefix(g->name, NULL) : name_check(g->name, NULL)) == 0);
	MUST(!g->path || name_check_path(g->path, NULL) == 0);
	MUST(g->runtime || g->container || g->image || g->unit || g->labels > 0);
	condition(g->runtime);
	condition(g->container);
	condition(g->image);
	condition(g->unit);
	MUST(!g->image || image_digest(g->image) || g->allow_tag);
	MUST(!g->unit || strrchr(g->unit, '.'));
	MUST(g->labels <= POLICY_LABELS_MAX);
	for (size_t i = 0; i < g->labels; i++) {
		condition(g->label[i].key);
		MUST(g->label[i].value && strlen(g->label[i].value) <= POLICY_TEXT_MAX);
	}
	MUST(g->mode <= 0777 && (g->has_mode || g->mode == 0));
	MUST(g->uid < UINT32_MAX && g->gid < UINT32_MAX);
	MUST(!*g->id || strspn(g->id, "0123456789abcdef") == POLICY_ID_LEN);
}

/* An empty subject has nothing that a condition could find. */
static void does_not_match_nobody(const struct grant *g)
{
	char nothing[] = "";
	const struct subject s = { .runtime = nothing,
		                   .name = nothing,
		                   .id = nothing,
		                   .image = nothing,
		                   .digest = nothing,
		                   .unit = nothing };
	enum strength strength = STRENGTH_STRONG;
	struct err why = { 0 };

	MUST(!policy_matches(g, &s, &strength, &why));
	MUST(strength == STRENGTH_NONE && *why.text);
}

static void reads_back(const struct grant *g)
{
	SCOPED(json_ptr) json_t *written = grant_to_json(g);
	SCOPED(json_ptr) json_t *again = NULL;
	struct grant *second = NULL;
	struct err e = { 0 };

	MUST(written);
	/* Not yet the broker's: it has no id, and so none that could be read. */
	if (!*g->id)
		MUST(json_object_del(written, "id") == 0);
	MUST(grant_from_json(written, &second, &e) == 0);
	again = grant_to_json(second);
	MUST(again);
	if (!*g->id)
		MUST(json_object_del(again, "id") == 0);
	MUST(json_equal(written, again));
	MUST(grant_compare(g, second) == 0 && grant_compare(second, g) == 0);
	grant_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SCOPED(json_ptr) json_t *object = NULL;
	struct grant *g = NULL;
	struct err e = { 0 };
	int r;

	if (json_parse((const char *)data, size, &object, NULL) < 0)
		return 0;
	r = grant_from_json(object, &g, &e);
	if (r < 0) {
		MUST(!g);
		fuzz_refused(r, &e);
		return 0;
	}
	keeps_the_rules(g);
	does_not_match_nobody(g);
	reads_back(g);
	grant_free(g);
	return 0;
}
