/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log, as lines (and new ones as they come) or as the files themselves.
 */
#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "flow/containers.h"
#include "server/audit_pump.h"
#include "server/audit_reader.h"
#include "server/methods.h"
#include "server/pages.h"

/* Lines that may wait for a follower that reads slower than they come; then it is cut off. */
#define FOLLOW_QUEUE_MAX (1024u * 1024)
/* Of a reply without "more": quoting may double a line. */
#define WHOLE_MAX (SERVER_MESSAGE_MAX / 2)

/* One reader of the log: first what is on disk, then (follow) what is added. */
struct watch {
	struct broker *b;
	struct pages *pages;
	struct audit_reader *reader; /* NULL: everything on disk has been sent */
	bool follow;
	int subscription;
	json_t *queue;
	size_t queued;
	bool too_slow;
};

static void watch_release(void *arg)
{
	struct watch *w = arg;

	if (w->subscription >= 0)
		audit_unsubscribe(w->b->audit, w->subscription);
	audit_reader_free(w->reader);
	json_decref(w->queue);
	free(w);
}

/* Only notes the line: this runs wherever the log is written. */
static void on_line(void *arg, const char *line, size_t len)
{
	struct watch *w = arg;

	while (len > 0 && line[len - 1] == '\n')
		len--;
	w->queued += len;
	if (w->queued > FOLLOW_QUEUE_MAX ||
	    json_array_append_new(w->queue, json_stringn(line, len)) < 0)
		w->too_slow = true;
	pages_pull(w->pages);
}

static int subscribe(struct watch *w, struct err *e)
{
	int id = audit_subscribe(w->b->audit, on_line, w);

	if (id < 0)
		return err_errno(e, id, "cannot follow the audit log");
	w->subscription = id;
	audit_reader_free(TAKE_PTR(w->reader));
	return 0;
}

static int next_from_disk(struct watch *w, json_t **ret, bool *ret_last, struct err *e)
{
	json_t *lines = NULL;
	int r = audit_reader_next(w->reader, &lines, e);

	if (r < 0)
		return r;
	if (json_array_size(lines) == 0 && w->follow) {
		json_decref(lines);
		return subscribe(w, e);
	}
	*ret_last = json_array_size(lines) == 0;
	*ret = json_pack("{s:o}", "lines", lines);
	return *ret ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int watch_next(void *arg, json_t **ret, bool *ret_last, struct err *e)
{
	struct watch *w = arg;

	if (w->too_slow)
		return err_set(e, -EBUSY, "lines came faster than they were read; follow again");
	if (w->reader)
		return next_from_disk(w, ret, ret_last, e);
	if (json_array_size(w->queue) == 0)
		return 0;
	*ret = json_pack("{s:O}", "lines", w->queue);
	json_decref(w->queue);
	w->queue = json_array();
	w->queued = 0;
	return *ret && w->queue ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int watch_start(struct broker *b, struct call *call, bool follow, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));
	const struct pages_source source = { watch_next, watch_release, w };
	int r;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->b = b;
	w->follow = follow;
	w->subscription = -1;
	w->queue = json_array();
	r = audit_reader_new(b->audit, &w->reader, e);
	if (r < 0) {
		watch_release(w);
		return r;
	}
	return pages_start(b, call, &source, &w->pages, e);
}

/* All lines in one reply, if they fit. */
static int reply_whole(struct broker *b, struct call *call, struct err *e)
{
	struct audit_reader *reader = NULL;
	SCOPED(json_ptr) json_t *all = json_array();
	size_t size = 0, count;
	int r = audit_reader_new(b->audit, &reader, e);

	do {
		SCOPED(json_ptr) json_t *lines = NULL;

		if (r == 0)
			r = audit_reader_next(reader, &lines, e);
		count = json_array_size(lines);
		for (size_t i = 0; i < count; i++)
			size += json_string_length(json_array_get(lines, i)) + 4;
		if (r == 0 && size > WHOLE_MAX)
			r = err_set(e, -EBUSY,
			            "the log is longer than one reply; call with \"more\"");
		if (r == 0 && json_array_extend(all, lines) < 0)
			r = err_set(e, -ENOMEM, "out of memory");
	} while (r == 0 && count > 0);
	audit_reader_free(reader);
	return r < 0 ? r : call_reply(call, json_pack("{s:O}", "lines", all));
}

/* What workers have noted and what waits in memory belongs to the log that is shown. */
static int bring_in(struct broker *b, struct err *e)
{
	containers_drain(b->containers);
	return audit_pump_flush(b->audit_pump, e);
}

int method_audit(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	bool follow = false;
	int r = json_get_bool(parameters, "follow", false, &follow, e);

	if (r < 0)
		return r;
	if (follow && !call_wants_more(call))
		return err_set(e, -EINVAL, "\"follow\" needs a call with \"more\"");
	/* A log that cannot be written can still be read. */
	(void)bring_in(b, NULL);
	return call_wants_more(call) ? watch_start(b, call, follow, e) : reply_whole(b, call, e);
}

int method_audit_files(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(free_ptr) char *head = NULL;
	int fds[AUDIT_FILES_MAX + 1];
	char names[AUDIT_FILES_MAX + 1][64], public_key[65] = "";
	json_t *files = json_array(), *indexes = json_array(), *reply;
	int r = bring_in(b, e), n = 0;

	if (r == 0)
		r = n = audit_files(b->audit, fds, names);
	if (r >= 0)
		r = audit_head_text(b->audit, &head, public_key);
	for (int i = 0; i < n; i++) {
		json_array_append_new(files, json_string(names[i]));
		json_array_append_new(indexes, json_integer(i));
	}
	reply = json_pack("{s:o, s:o, s:s, s:s*}", "files", files, "fds", indexes, "head",
	                  head ? head : "", "public_key", public_key[0] ? public_key : NULL);
	if (r >= 0)
		r = call_reply_fds(call, reply, fds, (size_t)n);
	else
		json_decref(reply);
	for (int i = 0; i < n; i++)
		fd_close(fds[i]);
	return r < 0 && e && !e->text[0] ? err_errno(e, r, "cannot read the audit log") : r;
}
