/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wants.c - what a container is to see now: policy's view of its grants, with the current versions
 * and host ids.
 */
#include <stdlib.h>
#include <string.h>

#include "flow/container.h"

/* Names for the policy: what is stored and has not expired. */
struct names_walk {
	struct containers *set;
	int (*visit)(void *arg, const char *name);
	void *arg;
	int64_t now_ns;
};

static bool is_live(const struct vault_version *v, int64_t now_ns)
{
	return v->expires_ns == 0 || v->expires_ns > now_ns;
}

static int visit_secret(void *arg, const struct vault_secret *secret)
{
	struct names_walk *w = arg;

	return is_live(&secret->current, w->now_ns) ? w->visit(w->arg, secret->name) : 0;
}

static int each_name(void *arg, const char *name, int (*visit)(void *visit_arg, const char *name),
                     void *visit_arg)
{
	struct containers *set = arg;
	struct names_walk w = { set, visit, visit_arg, vault_now(set->b->vault) };
	struct vault_secret secret;
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '/')
		return vault_list(set->b->vault, name, visit_secret, &w);
	if (vault_find(set->b->vault, name, &secret) < 0)
		return 0;
	return visit_secret(&w, &secret);
}

/* What a grant of a prefix brings is a set. */
static uint64_t set_of(const struct grant *g)
{
	size_t len = strlen(g->name);

	return len > 0 && g->name[len - 1] == '/' ? strtoull(g->id, NULL, 16) : 0;
}

static int want_fill(struct container *c, const struct view_file *f, struct want *want,
                     struct err *e)
{
	struct vault_secret secret;
	int result = vault_find(c->set->b->vault, f->name, &secret);

	if (result < 0)
		return err_set(e, result, "secret %s is gone", f->name);
	*want = (struct want){
		.path = f->path,
		.name = f->name,
		.grant = f->grant->id,
		.version = secret.current.number,
		.size = secret.current.size,
		.mtime_ns = secret.current.created_ns,
		.expires_ns = secret.current.expires_ns,
		.set = set_of(f->grant),
		.mode = f->has_mode ? f->mode
		                    : policy_default_mode(&c->facts.subject,
		                                          secret.current.flags & VAULT_PRIVATE_KEY),
	};
	result = facts_map_uid(&c->facts, f->uid, &want->uid);
	if (result == 0)
		result = facts_map_gid(&c->facts, f->gid, &want->gid);
	if (result < 0)
		return err_set(e, result,
		               "grant %s: owner %u:%u of %s does not exist in the container's user "
		               "namespace; choose another with --uid and --gid",
		               f->grant->id, f->uid, f->gid, f->path);
	return 0;
}

int wants_make(struct container *c, struct wants *ret, struct err *e)
{
	const struct policy_names names = { each_name, c->set };
	struct wants w = { 0 };
	int result = policy_view(c->set->b->policy, &c->facts.subject, &names, &w.view, e);

	if (result >= 0 && w.view.files) {
		w.want = calloc(w.view.files, sizeof(*w.want));
		if (!w.want)
			result = err_set(e, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < w.view.files && result >= 0; i++) {
		struct err why;

		result = want_fill(c, &w.view.file[i], &w.want[w.count], &why);
		if (result == -ERANGE) { /* this file can't be shown; the others can */
			err_set(&c->reason, result, "%s", why.text);
			result = 0;
			continue;
		}
		if (result < 0)
			err_set(e, result, "%s", why.text);
		else
			w.count++;
	}
	if (result < 0) {
		wants_clear(&w);
		return result;
	}
	*ret = w;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct want *)a)->path, ((const struct want *)b)->path);
}

int wants_unexpired(struct container *c, struct wants *ret)
{
	int64_t now = vault_now(c->set->b->vault);
	struct want *want = calloc(c->tree.count + 1, sizeof(*want));
	int expired = 0;

	if (!want)
		return -ENOMEM;
	*ret = (struct wants){ .want = want };
	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];

		if (n->kind != NODE_FILE || !n->linked)
			continue;
		if (n->expires_ns && n->expires_ns <= now) {
			expired = 1;
			continue;
		}
		want[ret->count++] = (struct want){ n->path, n->name,     n->grant,      n->version,
			                            n->size, n->mtime_ns, n->expires_ns, n->mode,
			                            n->uid,  n->gid,      n->set };
	}
	qsort(want, ret->count, sizeof(*want), by_path);
	return expired;
}

/* The file as its grant has it, if that, and the secret, are still there. */
static bool still_granted(struct container *c, const struct node *n, struct view_file *ret)
{
	const struct subject *s = &c->facts.subject;
	const struct grant *g = policy_find(c->set->b->policy, n->grant);
	struct vault_secret secret;

	if (!g || !policy_matches(g, s, NULL, NULL) ||
	    vault_find(c->set->b->vault, n->name, &secret) < 0 ||
	    !is_live(&secret.current, vault_now(c->set->b->vault)))
		return false;
	*ret = (struct view_file){
		.path = n->path,
		.name = n->name,
		.grant = g,
		.mode = g->mode,
		.has_mode = g->has_mode,
		.uid = g->has_uid ? g->uid : s->uid,
		.gid = g->has_gid ? g->gid : s->gid,
	};
	return true;
}

int wants_kept(struct container *c, struct wants *ret)
{
	struct wants w = { .want = calloc(c->tree.count + 1, sizeof(*w.want)) };

	if (!w.want)
		return -ENOMEM;
	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];
		struct view_file file;
		struct err why;

		if (n->kind == NODE_FILE && n->linked && still_granted(c, n, &file) &&
		    want_fill(c, &file, &w.want[w.count], &why) == 0)
			w.count++;
	}
	qsort(w.want, w.count, sizeof(*w.want), by_path);
	*ret = w;
	return 0;
}

void wants_clear(struct wants *w)
{
	free(w->want);
	view_clear(&w->view);
	*w = (struct wants){ 0 };
}
