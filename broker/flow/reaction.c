/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/reaction.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/report.h"
#include "policy/on_rotate.h"

static void free_one(struct reaction *r)
{
	free(r->on_rotate);
	free(r->paths);
	free(r->running_paths);
	free(r);
}

static struct reaction *find(const struct container *c, const char *grant)
{
	for (struct reaction *r = c->reactions; r; r = r->next)
		if (strcmp(r->grant, grant) == 0)
			return r;
	return NULL;
}

struct reaction *reaction_get(struct container *c, const char *grant, const char *on_rotate)
{
	struct reaction **at = &c->reactions, *r;
	size_t count = 0;

	for (; *at; at = &(*at)->next, count++)
		if (strcmp((*at)->grant, grant) == 0)
			return *at;
	r = count < REACTIONS_MAX ? calloc(1, sizeof(*r)) : NULL;
	if (!r)
		return NULL;
	snprintf(r->grant, sizeof(r->grant), "%s", grant);
	r->on_rotate = strdup(on_rotate);
	if (!r->on_rotate) {
		free(r);
		return NULL;
	}
	*at = r;
	return r;
}

static void report(const struct container *c, const struct reaction *r, const char *why, int status)
{
	json_t *fields = report_fields(c);

	json_object_set_new(fields, "grant", json_string(r->grant));
	json_object_set_new(fields, "on_rotate", json_string(r->on_rotate));
	if (status >= 0)
		json_object_set_new(fields, "status", json_integer(status));
	if (why)
		json_object_set_new(fields, "reason", json_string(why));
	audit_add(c->set->b->audit, why ? "reaction.failed" : "reaction", fields);
}

void reaction_note(struct container *c)
{
	const struct policy *p = c->set->b->policy;

	for (size_t i = 0; i < c->tree.count; i++) {
		const struct node *n = &c->tree.node[i];
		const struct grant *g;

		if (n->kind != NODE_FILE || !n->staged || find(c, n->grant))
			continue;
		g = policy_find(p, n->grant);
		if (g && g->on_rotate && !reaction_get(c, g->id, g->on_rotate))
			log_warn("a container has more than %d grants with --on-rotate, or there "
			         "is no memory: that of grant %s will not be done",
			         REACTIONS_MAX, g->id);
	}
}

static bool lists(const char *paths, const char *path)
{
	size_t len = strlen(path);

	for (const char *at = paths; at && *at; at += strcspn(at, " "), at += *at == ' ')
		if (strncmp(at, path, len) == 0 && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

/* A list that gets too long becomes the folder: all may have changed. */
static void add_path(struct reaction *r, const char *folder, const char *path)
{
	char *longer = NULL, whole[sizeof(((struct container *)0)->folder) + NAME_LEN_MAX + 2];

	snprintf(whole, sizeof(whole), "%s/%s", folder, path);
	if (lists(r->paths, whole) || lists(r->paths, folder))
		return;
	if (r->paths && strlen(r->paths) + strlen(whole) + 1 > REACTION_PATHS_MAX)
		longer = strdup(folder);
	else if (asprintf(&longer, "%s%s%s", r->paths ? r->paths : "", r->paths ? " " : "", whole) <
	         0)
		longer = NULL;
	if (!longer)
		return;
	free(r->paths);
	r->paths = longer;
}

void reaction_replaced(struct container *c, const struct node *old, const struct node *n)
{
	struct reaction *r;

	if (!old || old->kind != NODE_FILE || old->version == n->version ||
	    strcmp(old->name, n->name) != 0 || strcmp(old->grant, n->grant) != 0)
		return;
	r = find(c, n->grant);
	if (!r)
		return;
	r->due = true;
	r->tries = 0;
	add_path(r, c->folder, n->path);
}

/* What its grant no longer asks for. While sealed nothing is known of grants, and what is due is
 * done. */
static void prune(struct container *c)
{
	struct reaction **at = &c->reactions;

	if (vault_state(c->set->b->vault) != VAULT_UNSEALED)
		return;
	while (*at) {
		struct reaction *r = *at;

		if (r->running || policy_find(c->set->b->policy, r->grant)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		free_one(r);
	}
}

static struct reaction *running(const struct container *c)
{
	for (struct reaction *r = c->reactions; r; r = r->next)
		if (r->running)
			return r;
	return NULL;
}

static void finish(struct container *c, struct reaction *r, const char *why, int status)
{
	char label[256];

	r->running = false;
	free(r->running_paths);
	r->running_paths = NULL;
	r->last_ns = times_now();
	err_set(&r->result, 0, "%s", why ? why : "");
	if (why)
		log_warn("%s: %s of grant %s failed: %s", container_label(c, label, sizeof(label)),
		         r->on_rotate, r->grant, why);
	report(c, r, why, status);
	registry_save(c);
}

/* The attacher was killed before it could say how far it had come. */
static bool try_again(struct container *c, struct reaction *r)
{
	if (++r->tries >= REACTION_TRIES)
		return false;
	r->running = false;
	r->due = true;
	if (!r->paths) {
		r->paths = TAKE_PTR(r->running_paths);
	} else if (r->running_paths) { /* of both, the folder stands for all */
		char *folder = strdup(c->folder);

		if (folder) {
			free(r->paths);
			r->paths = folder;
		}
	}
	return true;
}

static void take_status(struct container *c, struct reaction *r, const struct ar_done *done)
{
	int status = (int)done->steps;
	struct err why;

	if (strncmp(r->on_rotate, "exec:", strlen("exec:")) != 0) {
		finish(c, r, NULL, -1);
	} else if (WIFSIGNALED(status)) {
		err_set(&why, 0, "the program was ended by signal %d (%s)", WTERMSIG(status),
		        strsignal(WTERMSIG(status)));
		finish(c, r, why.text, -1);
	} else if (WEXITSTATUS(status) != 0) {
		err_set(&why, 0, "the program ended with status %d", WEXITSTATUS(status));
		finish(c, r, why.text, WEXITSTATUS(status));
	} else {
		finish(c, r, NULL, 0);
	}
}

static void on_reacted(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	struct reaction *r = running(c);

	if (!r || news->event == OPERATION_SLOW) /* told again when it is gone */
		return;
	c->reacting = NULL;
	if (news->event == OPERATION_FAILED) {
		if (news->error != -EPIPE || !try_again(c, r))
			finish(c, r, news->why.text, -1);
	} else if (news->record->len < sizeof(struct ar_done)) {
		finish(c, r, "the attacher gave an answer that makes no sense", -1);
	} else {
		take_status(c, r, (const struct ar_done *)news->record->payload);
	}
	reaction_run(c);
}

static int put_texts(const struct reaction *r, const struct on_rotate *what, unsigned char *texts,
                     size_t size, size_t *len)
{
	SCOPED(free_ptr) char *rotated = NULL;
	int result;

	if (what->signal)
		return 0;
	if (asprintf(&rotated, "COFFER_ROTATED=%s", r->paths ? r->paths : "") < 0)
		return -ENOMEM;
	result = record_put_text(texts, size, len, rotated);
	for (unsigned int i = 0; i < what->words && result >= 0; i++)
		result = record_put_text(texts, size, len, what->word[i]);
	return result;
}

static int ask(struct container *c, const struct reaction *r, const struct on_rotate *what)
{
	const struct facts *f = &c->facts;
	const struct ar_react fixed = {
		.pid = f->fixed.pid,
		.kind = what->signal ? REACT_SIGNAL : REACT_EXEC,
		.signal = (uint32_t)what->signal,
		.uid = f->fixed.uid,
		.gid = f->fixed.gid,
		.words = what->words,
		.limit_s = REACTION_LIMIT_S,
	};
	const int fds[] = { f->pidfd, f->mnt_fd, f->pid_fd, f->user_fd };
	unsigned char texts[REACTION_PATHS_MAX + 2 * ON_ROTATE_TEXT_MAX];
	struct operation_request request = {
		.type = AR_REACT,
		.payload = &fixed,
		.len = sizeof(fixed),
		.tail = texts,
		.fds = fds,
		.nfds = ARRAY_LEN(fds),
		.limit_s = REACTION_GRACE_S + (what->signal ? 0 : REACTION_LIMIT_S),
	};
	int result = put_texts(r, what, texts, sizeof(texts), &request.tail_len);

	return result < 0 ? result
	                  : operation_start(c->set->b, &request, on_reacted, c, &c->reacting);
}

static void begin(struct container *c, struct reaction *r)
{
	struct on_rotate what;
	struct err why;
	int result = on_rotate_parse(r->on_rotate, &what, &why);

	if (result >= 0) {
		result = ask(c, r, &what);
		if (result < 0)
			err_errno(&why, result, "no attacher could be started");
	}
	r->due = false;
	r->running = true;
	free(r->running_paths);
	r->running_paths = TAKE_PTR(r->paths);
	if (result < 0)
		finish(c, r, why.text, -1);
}

void reaction_run(struct container *c)
{
	prune(c);
	for (struct reaction *r = c->reactions; r; r = r->next) {
		if (c->reacting || c->mount != MOUNT_UP || c->set->leaving)
			return;
		if (r->due)
			begin(c, r);
	}
}

void reaction_drop(struct container *c)
{
	operation_cancel(c->reacting);
	c->reacting = NULL;
	while (c->reactions) {
		struct reaction *next = c->reactions->next;

		free_one(c->reactions);
		c->reactions = next;
	}
}
