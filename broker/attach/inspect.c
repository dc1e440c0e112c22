/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INSPECT: who is this? Everything that identifies comes from the kernel (found.c, boundary.c);
 * files of engines only say what the container so identified is called and starts as.
 */
#include <errno.h>
#include <string.h>

#include "attach/attacher.h"
#include "attach/engine.h"
#include "coffer/cleanup.h"

struct question {
	uint32_t how;
	pid_t pid;
	char id[ATTACH_TEXT_MAX + 1], bundle[ATTACH_TEXT_MAX + 1];
};

static void found_ptr(struct found *f)
{
	found_clear(f);
}

static void state_ptr(struct oci_state *s)
{
	oci_state_clear(s);
}

/* An id that oci_id_ok allowed. Until its engine says otherwise a container's name is its id. */
static void set_id(struct found *f, const char *id)
{
	memcpy(f->id, id, strlen(id) + 1);
	memcpy(f->name, id, strlen(id) + 1);
}

/* The container that a runtime's state names: `f` becomes its first process. */
static int take_state(const struct attach_config *c, const struct oci_state *state, struct found *f,
                      struct err *e)
{
	int r;

	if (f->facts.pid != state->pid) {
		found_clear(f);
		*f = (struct found)FOUND_EMPTY;
		r = found_process(state->pid, f, e);
		if (r < 0)
			return r;
	}
	if (f->facts.start_time != state->start)
		return err_set(e, -ESRCH, "container %s has ended", state->id);
	set_id(f, state->id);
	r = engine_read_bundle(c, state->bundle, f, e);
	if (r < 0)
		return err_prefix(e, r, "container %s", state->id);
	(void)engine_systemd_unit(f, false, NULL); /* beside the rest: the unit it runs in */
	return 0;
}

static int by_hook(const struct attach_config *c, const struct question *q, struct found *f,
                   struct err *e)
{
	SCOPED(state_ptr) struct oci_state other = { 0 };
	int r;

	if (!oci_id_ok(q->id))
		return err_set(e, -EINVAL,
		               "the container's id is empty, longer than %d bytes or has "
		               "characters beside "
		               "letters, digits, '_', '+', '-', '.' and ','",
		               OCI_ID_MAX);
	r = found_process(q->pid, f, e);
	if (r < 0)
		return r;
	if (f->facts.flags & FACTS_WEAK && f->facts.flags & FACTS_HOST_MOUNTS)
		return err_set(e, -EPERM,
		               "process %d is in the host's own namespaces: it is in no container",
		               q->pid);
	r = engine_runc_by_init(c, q->pid, q->id, &other, e);
	if (r < 0)
		return r;
	if (r > 0 && strcmp(other.id, q->id) != 0)
		return err_set(e, -EPERM, "process %d is the first one of container %s, not of %s",
		               q->pid, other.id, q->id);
	set_id(f, q->id);
	r = engine_read_bundle(c, q->bundle, f, e);
	if (r == 0)
		(void)engine_systemd_unit(f, false, NULL);
	return r;
}

static int by_pid(const struct attach_config *c, const struct question *q, struct found *f,
                  struct err *e)
{
	SCOPED(state_ptr) struct oci_state state = { 0 };
	bool host = false;
	pid_t init;
	int r = boundary_of(q->pid, &init, &host, e);

	if (r < 0 || (r = found_process(init, f, e)) < 0)
		return r;
	r = engine_runc_by_init(c, init, q->id, &state, e);
	if (r == 0 && host)
		r = engine_runc_by_cgroup(c, f, &state, e);
	if (r == 0 && !host && (r = engine_runc_of_user(f, &state, e)) > 0)
		f->facts.flags |= FACTS_UNVERIFIED;
	if (r != 0)
		return r < 0 ? r : take_state(c, &state, f, e);
	/* In a pid namespace of its own it is no unit itself, but may run in one. */
	r = engine_systemd_unit(f, host, e);
	if (r < 0)
		return r;
	if (!f->runtime[0])
		f->facts.flags |= FACTS_PLAIN;
	return 0;
}

static int by_name(const struct attach_config *c, const struct question *q, struct found *f,
                   struct err *e)
{
	SCOPED(state_ptr) struct oci_state state = { 0 };
	char id[OCI_ID_MAX + 1];
	/* The names of some engines are no ids. */
	int r = oci_id_ok(q->id) ? engine_runc_by_id(c, q->id, &state, e) : 0;

	if (r == 0)
		r = engine_id_of(c, q->id, id, e);
	if (r > 0 && !state.id)
		r = engine_runc_by_id(c, id, &state, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, -ENOENT,
			"no running container is called %.100s; give the name or id that its "
			"engine lists, or its process with --pid",
			q->id);
	return take_state(c, &state, f, e);
}

static int by_unit(const struct attach_config *c, const struct question *q, struct found *f,
                   struct err *e)
{
	pid_t pid = 0;
	int r = engine_systemd_main(q->id, &pid, e);

	if (r < 0 || (r = found_process(pid, f, e)) < 0)
		return r;
	r = engine_systemd_unit(f, true, e);
	if (r < 0)
		return r;
	if (r == 0 || strcmp(f->unit, q->id) != 0)
		return err_set(e, -ENOENT, "%s is no unit of the host's service manager", q->id);
	return 0;
}

static const struct {
	uint32_t how;
	int (*find)(const struct attach_config *c, const struct question *q, struct found *f,
	            struct err *e);
} ways[] = {
	{ INSPECT_HOOK, by_hook },
	{ INSPECT_PID, by_pid },
	{ INSPECT_NAME, by_name },
	{ INSPECT_UNIT, by_unit },
};

static int take_question(const struct record *r, struct question *q)
{
	struct ar_inspect fixed;
	size_t at = sizeof(fixed);
	int result;

	memcpy(&fixed, r->payload, sizeof(fixed));
	q->how = fixed.how;
	q->pid = fixed.pid;
	result = record_get_text(r, &at, q->id, sizeof(q->id));
	if (result == 0)
		result = record_get_text(r, &at, q->bundle, sizeof(q->bundle));
	return result == 0 && at != r->len ? -EBADMSG : result;
}

int inspect_run(struct operation_call *call, struct err *e)
{
	SCOPED(found_ptr) struct found f = FOUND_EMPTY;
	struct question q;
	int r = take_question(call->request, &q);

	if (r < 0)
		return err_set(e, r, "the inspection's request is malformed");
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (ways[i].how != q.how)
			continue;
		r = ways[i].find(call->config, &q, &f, e);
		return r < 0 ? r : found_send(call->sock, call->request->serial, &f, e);
	}
	return err_set(e, -EBADMSG, "the inspection's request is malformed");
}
