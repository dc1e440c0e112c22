/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update_attach.c - the attacher's part of a change: pages are dropped, then its steps made, in
 * pieces of what one attacher takes.
 */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "coffer/cleanup.h"
#include "flow/container.h"
#include "flow/report.h"
#include "flow/update.h"

/* after an attacher that failed: what blocks it (a reader, a limit) may be gone */
#define RETRY_USEC 1000000

/* One step as the attacher is told it. */
static int put_step(unsigned char *payload, size_t size, size_t *len, const struct update *update,
                    uint32_t kind, const struct node *n)
{
	struct {
		uint32_t kind, reserved;
		uint64_t node;
	} fixed = { kind, 0, n->id };
	char staging[64], hex[33];
	const char *from = "", *to = "";

	if (kind == CHANGE_RENAME) {
		sodium_bin2hex(hex, sizeof(hex), update->token, sizeof(update->token));
		snprintf(staging, sizeof(staging), WORKER_STAGING_PREFIX "%s/%llu", hex,
		         (unsigned long long)n->id);
		from = staging;
		to = n->path;
	} else if (kind != CHANGE_DROP_PAGES) {
		from = n->path;
	}
	if (*len + sizeof(fixed) > size)
		return -EMSGSIZE;
	memcpy(payload + *len, &fixed, sizeof(fixed));
	*len += sizeof(fixed);
	if (record_put_text(payload, size, len, from) < 0 ||
	    record_put_text(payload, size, len, to) < 0)
		return -EMSGSIZE;
	return 0;
}

static const uint32_t change_kind_of[] = {
	[STAGE_PUT] = CHANGE_RENAME,
	[STAGE_UNLINK] = CHANGE_UNLINK,
	[STAGE_MKDIR] = CHANGE_MKDIR,
	[STAGE_RMDIR] = CHANGE_RMDIR,
};

/* Pages first, by themselves: a name whose folder a reader keeps locked must not keep them. */
static int put_drops(struct container *c, unsigned char *payload, size_t size, size_t *len,
                     uint32_t *count)
{
	struct update *update = c->update;
	int result = 0;

	for (size_t i = update->dropped;
	     i < update->denials && result >= 0 && *count < ATTACH_STEPS_MAX; i++) {
		const struct node *n = tree_by_id(&c->tree, update->denied[i]);

		update->dropping++;
		if (!n)
			continue; /* nobody could reach it any more */
		result = put_step(payload, size, len, update, CHANGE_DROP_PAGES, n);
		++*count;
	}
	return result;
}

/* As many of the next steps as one attacher takes. */
static int put_steps(struct container *c, unsigned char *payload, size_t size, size_t *len,
                     uint32_t *count)
{
	struct update *update = c->update;

	update->dropping = update->making = 0;
	if (update->dropped < update->denials)
		return put_drops(c, payload, size, len, count);
	for (size_t i = update->made; i < update->steps && *count < ATTACH_STEPS_MAX; i++) {
		const struct node *n = tree_by_id(&c->tree, update->step[i].node);
		size_t before = *len;
		int result = n ? put_step(payload, size, len, update,
		                          change_kind_of[update->step[i].kind], n)
		               : 0;

		if (result == -EMSGSIZE && *count > 0) {
			*len = before;
			return 0;
		}
		if (result < 0)
			return result;
		update->making++;
		*count += n != NULL;
	}
	return 0;
}

static bool is_made(const struct update *update)
{
	return update->dropped >= update->denials && update->made >= update->steps;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *arg)
{
	struct container *c = arg;

	c->retry_timer = sd_event_source_disable_unref(c->retry_timer);
	if (c->flow == FLOW_CHANGING && !c->op && !c->throttle.refusing)
		update_run(c);
	return 0;
}

static void retry_later(struct container *c, const char *why)
{
	if (c->withdrawing) { /* what could be done is done */
		mount_gone(c);
		return;
	}
	if (c->update && !c->update->said)
		report_container(c, "change.failed", why);
	if (c->update)
		c->update->said = true;
	sd_event_source_disable_unref(c->retry_timer);
	c->retry_timer = NULL;
	sd_event_add_time_relative(c->set->b->event, &c->retry_timer, CLOCK_BOOTTIME, RETRY_USEC, 0,
	                           on_retry, c);
}

static void on_changed(void *arg, struct operation_news *news)
{
	struct container *c = arg;
	const struct ar_done *done;

	if (news->event == OPERATION_SLOW) {
		report_container(c, "change.slow",
		                 "a reader in the container keeps its folder locked");
		if (c->update)
			c->update->said = true;
		return;
	}
	c->op = NULL;
	c->op_is_update = false;
	if (news->event == OPERATION_FAILED && news->error == -EPIPE && c->update &&
	    !c->update->repeated) {
		/* It was killed, and the container has no part in that. A worker that is not ready
		 * hears of the change first: then it goes on from there. */
		c->update->repeated = true;
		if (c->worker_ready && c->flow == FLOW_CHANGING)
			update_run(c);
		return;
	}
	if (news->event == OPERATION_FAILED) {
		retry_later(c, news->why.text);
		return;
	}
	done = (const struct ar_done *)news->record->payload;
	if (news->record->type != AR_DONE || news->record->len < sizeof(*done) ||
	    done->result < 0) {
		retry_later(c, "a rename or removal in the mount failed");
		return;
	}
	c->update->dropped += c->update->dropping;
	c->update->made += c->update->making;
	/* A successor that takes up the change says PREPARED first. */
	if (c->worker_ready && c->flow != FLOW_PREPARING)
		update_run(c);
}

void update_run(struct container *c)
{
	static const size_t size = RECORD_PAYLOAD_MAX;
	SCOPED(free_ptr) unsigned char *payload = malloc(size);
	struct ar_change head = { 0 };
	const int fds[] = { c->clone_fd, c->fuse_fd };
	size_t len = 0;
	int result;

	assert(!c->op);
	if (is_made(c->update)) {
		update_finish(c);
		return;
	}
	result = payload ? put_steps(c, payload, size - sizeof(head), &len, &head.steps) : -ENOMEM;

	c->flow = FLOW_CHANGING;
	if (result >= 0) {
		const struct operation_request request = {
			.type = AR_CHANGE,
			.payload = &head,
			.len = sizeof(head),
			.tail = payload,
			.tail_len = len,
			.fds = fds,
			.nfds = ARRAY_LEN(fds),
			.limit_s = CONTAINER_CHANGE_S,
		};

		result = operation_start(c->set->b, &request, on_changed, c, &c->op);
		c->op_is_update = result >= 0;
	}
	if (result < 0)
		retry_later(c, "no attacher could be started");
}
