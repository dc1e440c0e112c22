/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is granted, against what runs: asked of the broker, which alone decides.
 */
#include <stdio.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/strong_label.h"
#include "doctor.h"
#include "fields.h"

#define ASKED_MAX 256 /* containers that are asked about: a call each */

void check_mounts(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"it does not have what it is granted",
		"coffer explain CONTAINER for the reason, then coffer attach CONTAINER"
	};
	json_t *attachment = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(d->attachments, "attachments"), i, attachment) {
		const char *state = field_text(attachment, "state");

		if (strcmp(state, "failed") != 0 && strcmp(state, "lost") != 0 &&
		    strcmp(state, "throttled") != 0)
			continue;
		doctor_found(d, DOCTOR_ERROR, &advice, "container %s: its mount is %s%s%s",
		             field_text(attachment, "container"), state,
		             field_text(attachment, "reason")[0] ? ": " : "",
		             field_text(attachment, "reason"));
	}
}

/* The best that any container makes of each grant: matched, or why it came near. */
struct verdict {
	bool matched;
	bool image_label; /* it would match, if the label were not the image's own */
};

static void take_matches(struct doctor *d, const json_t *answer, struct verdict *verdicts)
{
	json_t *grants = json_object_get(d->grants, "grants"), *match = NULL;
	size_t i = 0, count = json_array_size(grants);

	json_array_foreach (json_object_get(answer, "matches"), i, match) {
		for (size_t g = 0; g < count; g++) {
			if (strcmp(field_text(json_array_get(grants, g), "id"),
			           field_text(match, "grant")) != 0)
				continue;
			verdicts[g].matched |= field_true(match, "matches");
			verdicts[g].image_label |= field_true(match, "image_label");
		}
	}
}

static void ask_all(struct doctor *d, struct verdict *verdicts)
{
	json_t *attachment = NULL;
	size_t i = 0;

	json_array_foreach (json_object_get(d->attachments, "attachments"), i, attachment) {
		SCOPED(json_ptr) json_t *answer = NULL;
		json_t *pid = json_object_get(attachment, "pid");

		if (i == ASKED_MAX)
			return;
		if (client_call(d->client, "Explain", json_pack("{s:O}", "pid", pid), &answer,
		                NULL) == 0)
			take_matches(d, answer, verdicts);
	}
}

static void judge(struct doctor *d, const json_t *grant, const struct verdict *verdict)
{
	static const struct doctor_advice unused = {
		"the container does not run, or a condition is not what was meant: nobody gets the "
		"secret by it now",
		"coffer explain CONTAINER says which condition fails; coffer revoke ID if it is old"
	};
	static const struct doctor_advice label = {
		"a label that comes with an image is chosen by whoever made the image, so it never "
		"matches",
		"set the label where the container is started (docker run --label, compose "
		"labels:), or use another condition"
	};

	if (verdict->matched)
		return;
	if (verdict->image_label)
		doctor_found(d, DOCTOR_WARNING, &label,
		             "grant %s of %s would match by a label that the image brings",
		             field_text(grant, "id"), field_text(grant, "name"));
	else
		doctor_found(d, DOCTOR_NOTE, &unused,
		             "grant %s of %s matches no container that runs",
		             field_text(grant, "id"), field_text(grant, "name"));
}

void check_unused(struct doctor *d)
{
	json_t *grants = json_object_get(d->grants, "grants"), *grant = NULL;
	size_t count = json_array_size(grants), i = 0;
	SCOPED(free_ptr) struct verdict *verdicts = calloc(count + 1, sizeof(*verdicts));

	/* With more containers than can be asked about, nothing can be said of what none matched. */
	if (!verdicts || count == 0 ||
	    json_array_size(json_object_get(d->attachments, "attachments")) > ASKED_MAX)
		return;
	ask_all(d, verdicts);
	json_array_foreach (grants, i, grant)
		judge(d, grant, &verdicts[i]);
}

/* Whatever it matches, it matches by a strong condition. */
static bool is_strong(const json_t *grant)
{
	const json_t *conditions = json_object_get(grant, "conditions");
	json_t *labels = json_object_get(conditions, "labels"), *unused;
	const char *key;

	json_object_foreach (labels, key, unused) {
		if (strong_label(key, field_text(conditions, "runtime")))
			return true;
	}
	return field_text(conditions, "unit")[0] ||
	       (field_text(conditions, "image")[0] && !field_true(grant, "allow_tag"));
}

void check_conditions(struct doctor *d)
{
	static const struct doctor_advice advice = {
		"names, labels and tags keep containers apart, not people: whoever may start "
		"containers can choose them and get the secret",
		"add --image with a digest, --unit, or for pods --runtime with their namespace "
		"(docs/kubernetes.md), where people who start containers are not trusted with it"
	};
	static const struct doctor_advice allowed = {
		"the state of such a container is in a user's own hands",
		"grant without --allow-unverified where that is not meant"
	};
	json_t *grant = NULL;
	size_t i = 0, weak = 0;

	json_array_foreach (json_object_get(d->grants, "grants"), i, grant) {
		weak += !is_strong(grant);
		if (field_true(grant, "allow_unverified"))
			doctor_found(d, DOCTOR_NOTE, &allowed,
			             "grant %s of %s takes what users say of their containers",
			             field_text(grant, "id"), field_text(grant, "name"));
	}
	if (weak)
		doctor_found(d, DOCTOR_NOTE, &advice, "%zu of %zu grants have weak conditions only",
		             weak, json_array_size(json_object_get(d->grants, "grants")));
}
