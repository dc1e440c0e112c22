/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

struct policy {
	struct grant **grant; /* owned, the oldest first */
	size_t count, room;
};

struct policy *policy_new(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		grant_free(p->grant[i]);
	free(p->grant);
	free(p);
}

static int make_room(struct policy *p)
{
	size_t room = p->room ? p->room * 2 : 16;
	struct grant **larger;

	if (p->count < p->room)
		return 0;
	larger = reallocarray(p->grant, room, sizeof(struct grant *));
	if (!larger)
		return -ENOMEM;
	p->grant = larger;
	p->room = room;
	return 0;
}

static int admit(struct policy *p, const struct grant *g, struct err *e)
{
	if (strlen(g->id) != POLICY_ID_LEN)
		return err_set(e, -EINVAL, "a grant of \"%s\" has no id", g->name);
	if (policy_find(p, g->id))
		return err_set(e, -EEXIST, "there is a grant %s already", g->id);
	if (p->count >= POLICY_GRANTS_MAX)
		return err_set(e, -ENOSPC,
		               "there are %d grants, and that is the limit; revoke some "
		               "(coffer grants), or grant a prefix instead of single names",
		               POLICY_GRANTS_MAX);
	if (make_room(p) < 0)
		return err_set(e, -ENOMEM, "out of memory for one more grant");
	return 0;
}

int policy_add(struct policy *p, struct grant *g, struct err *e)
{
	size_t at = p->count;
	int r = admit(p, g, e);

	if (r < 0) {
		grant_free(g);
		return r;
	}
	if (g->order == 0)
		g->order = p->count ? p->grant[p->count - 1]->order + 1 : 1;
	while (at > 0 && p->grant[at - 1]->order > g->order)
		at--;
	memmove(p->grant + at + 1, p->grant + at, (p->count - at) * sizeof(struct grant *));
	p->grant[at] = g;
	p->count++;
	return 0;
}

int policy_remove(struct policy *p, const char *id)
{
	for (size_t i = 0; i < p->count; i++) {
		if (strcmp(p->grant[i]->id, id) != 0)
			continue;
		grant_free(p->grant[i]);
		p->count--;
		memmove(p->grant + i, p->grant + i + 1, (p->count - i) * sizeof(struct grant *));
		return 0;
	}
	return -ENOENT;
}

size_t policy_count(const struct policy *p)
{
	return p->count;
}

const struct grant *policy_at(const struct policy *p, size_t i)
{
	return i < p->count ? p->grant[i] : NULL;
}

const struct grant *policy_find(const struct policy *p, const char *id)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->grant[i]->id, id) == 0)
			return p->grant[i];
	return NULL;
}
