/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verb_wait.c - `wait` and `watch`: the broker's stream of what happens to secrets.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/times.h"
#include "fields.h"
#include "output.h"
#include "progress.h"

#define SHOWN_MAX 300 /* of a name in an error's sentence */

/* The stream, event by event. */
struct stream {
	struct call *call;
	json_t *reply;
	size_t at;
	int64_t deadline_ns; /* boot-time clock; 0: none */
	bool answered, over;
};

static void stream_clear(struct stream *s)
{
	json_decref(s->reply);
	call_free(s->call);
}

static int stream_begin(const struct client *c, const char *name, struct stream *s, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	int r = set_text(parameters, "name", name, e);

	if (r == 0)
		r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &s->call, e);
	if (r == 0)
		r = call_send(s->call,
		              &(struct call_request){
				      .method = "Watch", .parameters = parameters, .more = true },
		              e);
	return r;
}

static void set_patience(const struct stream *s)
{
	int64_t left_ms = CALL_FOREVER;

	if (s->deadline_ns) {
		left_ms = (s->deadline_ns - times_boottime()) / (NS_PER_S / 1000);
		left_ms = left_ms < 0 ? 0 : left_ms >= INT_MAX ? INT_MAX : left_ms + 1;
	} else if (!s->answered) {
		left_ms = CALL_TIMEOUT_MS;
	}
	call_set_timeout(s->call, (int)left_ms);
}

/* The next event, borrowed until the next call. -ETIME at the deadline. */
static int stream_next(struct stream *s, const json_t **ret, struct err *e)
{
	while (s->at >= json_array_size(json_object_get(s->reply, "events"))) {
		bool continues = false;
		int r;

		if (s->over)
			return err_set(e, -EPIPE, "the broker ended its answer: see its log");
		json_decref(TAKE_PTR(s->reply));
		s->at = 0;
		set_patience(s);
		r = call_next(s->call, &s->reply, &continues, e);
		if (r == -ETIMEDOUT && s->deadline_ns) {
			if (times_boottime() >= s->deadline_ns)
				return -ETIME;
			continue;
		}
		if (r == -ECONNRESET && s->answered)
			return err_set(e, r,
			               "the broker went away: what happened since is not known; "
			               "once it is "
			               "back, start again");
		if (r < 0)
			return r;
		s->answered = true;
		s->over = !continues;
	}
	*ret = json_array_get(json_object_get(s->reply, "events"), s->at++);
	return 0;
}

/* What is waited for. */
struct wish {
	const char *name;
	bool removed, has_base;
	int64_t base;         /* the version that is to be newer than this */
	int64_t version;      /* the last seen; 0: it is not there */
	const char *patience; /* as given, or NULL */
};

static bool is_event(const json_t *event, const char *kind)
{
	return strcmp(field_text(event, "event"), kind) == 0;
}

/* The wish is fulfilled by what is there at the start, or by what happens. */
static bool see(struct wish *w, const json_t *event)
{
	if (is_event(event, "now") || is_event(event, "put"))
		w->version = json_integer_value(json_object_get(event, "version"));
	else if (is_event(event, "remove") || is_event(event, "expire"))
		w->version = 0;
	else if (!is_event(event, "ready"))
		return false; /* of a later broker */
	if (is_event(event, "ready") && !w->has_base) {
		w->base = w->version;
		w->has_base = true;
	}
	if (is_event(event, "now"))
		return false; /* "ready" follows */
	return w->removed ? w->version == 0 : w->has_base && w->version > w->base;
}

static int too_late(const struct wish *w, struct err *e)
{
	char shown[SHOWN_MAX];

	name_escape(w->name, strlen(w->name), shown, sizeof(shown));
	if (w->removed)
		return err_set(e, -ETIME, "%s is still there after %s, at version %lld", shown,
		               w->patience, (long long)w->version);
	if (w->base == 0)
		return err_set(e, -ETIME, "%s did not come within %s", shown, w->patience);
	return err_set(e, -ETIME, "%s got no version newer than %lld within %s", shown,
	               (long long)w->base, w->patience);
}

static int print_wish(const struct client *c, const struct wish *w, struct err *e)
{
	SCOPED(json_ptr) json_t *answer = NULL;

	if (c->json) {
		answer = w->removed ? json_pack("{s:s, s:b}", "name", w->name, "removed", true)
		                    : json_pack("{s:s, s:I}", "name", w->name, "version",
		                                (json_int_t)w->version);
		return answer ? output_json(answer, e) : err_errno(e, -ENOMEM, "cannot print");
	}
	if (w->removed)
		return 0;
	output_text(stdout, w->name);
	printf(" %lld\n", (long long)w->version);
	return 0;
}

static int read_wish(const struct options *o, struct wish *w, int64_t *ret_ns, struct err *e)
{
	int r = options_number(o, "newer-than", 0, INT64_MAX, &w->base, e);

	w->name = o->word[0];
	w->has_base = r == 1;
	w->removed = options_has(o, "removed");
	w->patience = options_text(o, "timeout", 0);
	if (r < 0)
		return CLIENT_USAGE;
	if (w->removed && w->has_base)
		return err_set(e, CLIENT_USAGE, "--removed and --newer-than exclude each other");
	if (w->patience && times_parse_duration(w->patience, ret_ns, NULL) < 0)
		return err_set(e, CLIENT_USAGE, "--timeout wants a time such as 90s, 15m, 12h");
	return name_check(w->name, e) < 0 ? -EINVAL : 0;
}

int verb_wait(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(stream_clear) struct stream s = { 0 };
	SCOPED(progress_end) struct progress waiting = { .fd = -1 };
	struct wish w = { 0 };
	int64_t patience_ns = 0;
	bool done = false;
	int r = read_wish(o, &w, &patience_ns, e);

	if (r < 0)
		return r;
	s.deadline_ns = patience_ns ? times_boottime() + patience_ns : 0;
	progress_begin(&waiting, c, "waiting", PROGRESS_WAIT, 0);
	progress_note(&waiting, w.name);
	r = stream_begin(c, w.name, &s, e);
	if (r == 0)
		call_set_tick(s.call, progress_tick, &waiting);
	while (r == 0 && !done) {
		const json_t *event = NULL;

		r = stream_next(&s, &event, e);
		done = r == 0 && event && see(&w, event);
	}
	progress_end(&waiting);
	if (r == -ETIME)
		return too_late(&w, e);
	return r < 0 ? r : print_wish(c, &w, e);
}

static int print_event(const struct client *c, const json_t *event, struct err *e)
{
	char version[FIELD_NUMBER_MAX];
	int r = 0;

	if (c->json) {
		r = output_json(event, e);
	} else {
		output_text(stdout, field_text(event, "event"));
		if (json_object_get(event, "name")) {
			putchar(' ');
			output_text(stdout, field_text(event, "name"));
			printf(" %s", field_number(event, "version", version));
		}
		putchar('\n');
	}
	/* Who reads wants each line when it comes. */
	if (r == 0 && fflush(stdout) != 0)
		r = err_errno(e, -errno, "cannot write to standard output");
	return r;
}

int verb_watch(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(stream_clear) struct stream s = { 0 };
	int r = stream_begin(c, o->words ? o->word[0] : NULL, &s, e);

	while (r == 0) {
		const json_t *event = NULL;

		r = stream_next(&s, &event, e);
		if (r == 0)
			r = print_event(c, event, e);
	}
	return r;
}
