/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "api_connection.h"
#include "coffer/cleanup.h"
#include "coffer/secret.h"
#include "coffer/times.h"
#include "coffer/version.h"
#include "workload_interface.h"

#define INTERFACE "io.coffer.workload"
#define PATH_SIZE 4096 /* of a path below the mount */

static const char service_interface[] =
	"# What every Varlink service answers about itself.\n"
	"interface org.varlink.service\n\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n  product: string,\n  version: string,\n  url: string,\n"
	"  interfaces: []string\n)\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

/* Text that grows in wiping memory. */
struct text {
	char *bytes;
	size_t len, room;
};

static void text_free(struct text *t)
{
	secret_mfree(TAKE_PTR(t->bytes));
}

static int text_reserve(struct text *t, size_t more)
{
	size_t room = t->room * 2 > t->len + more ? t->room * 2 : t->len + more;
	char *bytes;

	if (t->room - t->len >= more)
		return 0;
	bytes = secret_malloc(room);
	if (!bytes)
		return -ENOMEM;
	if (t->len > 0)
		memcpy(bytes, t->bytes, t->len);
	secret_mfree(t->bytes);
	t->bytes = bytes;
	t->room = room;
	return 0;
}

static int text_add(struct text *t, const char *bytes, size_t len)
{
	int r = text_reserve(t, len);

	if (r == 0) {
		memcpy(t->bytes + t->len, bytes, len);
		t->len += len;
	}
	return r;
}

static int text_add_string(struct text *t, const char *string)
{
	return text_add(t, string, strlen(string));
}

/* The answer is complete: hand it to the connection with its NUL. */
static int text_send(struct text *t, struct api_connection *c)
{
	int r = text_add(t, "", 1);

	if (r == 0 && !c->oneway)
		api_send(c, TAKE_PTR(t->bytes), t->len);
	return r;
}

static int invalid_parameter(struct api_connection *c, const char *parameter)
{
	return api_error(c, VARLINK_SERVICE ".InvalidParameter",
	                 json_pack("{s:s}", "parameter", parameter));
}

static int audit_full(struct api_connection *c)
{
	return api_refuse(c, "Busy", "the audit log takes no more records; try again later");
}

static int get_info(struct api_connection *c, const struct varlink_call *call)
{
	return api_reply(c, json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "vendor", "Coffer",
	                              "product", "Coffer workload API", "version", COFFER_VERSION,
	                              "url", "", "interfaces", VARLINK_SERVICE, INTERFACE));
}

static int get_description(struct api_connection *c, const struct varlink_call *call)
{
	const char *name, *text = NULL;

	if (json_get_string(call->parameters, "interface", true, &name, NULL) < 0)
		return invalid_parameter(c, "interface");
	if (strcmp(name, INTERFACE) == 0)
		text = workload_interface;
	else if (strcmp(name, VARLINK_SERVICE) == 0)
		text = service_interface;
	if (!text)
		return api_error(c, VARLINK_SERVICE ".InterfaceNotFound",
		                 json_pack("{s:s}", "interface", name));
	return api_reply(c, json_pack("{s:s}", "description", text));
}

static int identity(struct api_connection *c, const struct varlink_call *call)
{
	const struct worker *w = c->api->w;
	char instance[sizeof(w->instance) * 2 + 1];

	sodium_bin2hex(instance, sizeof(instance), w->instance, sizeof(w->instance));
	return api_reply(c, json_pack("{s:s, s:s, s:s, s:s, s:b}", "instance", instance,
	                              "container", w->container, "runtime", w->runtime, "folder",
	                              w->folder, "mounted", w->device != NULL));
}

static json_t *secret_object(const struct tree_node *n, const char *path)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:I}", "path", path, "name", n->text, "version",
	                           (json_int_t)n->version, "size", (json_int_t)n->size);
	char expires[TIMES_TEXT_MAX];

	if (object && n->expires_ns != 0 &&
	    json_object_set_new(object, "expires",
	                        json_string(times_format(n->expires_ns, expires))) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static int add_secret(struct text *t, const struct tree_node *n, bool first)
{
	SCOPED(json_ptr) json_t *object = NULL;
	SCOPED(json_text_ptr) char *json = NULL;
	char path[PATH_SIZE];
	int r = tree_path(n, path, sizeof(path));

	if (r < 0)
		return r;
	object = secret_object(n, path);
	json = object ? json_text(object) : NULL;
	if (!json)
		return -ENOMEM;
	r = first ? 0 : text_add_string(t, ",");
	return r < 0 ? r : text_add_string(t, json);
}

/*
 * Built entry by entry: as one object a tree of 4,096 files would want some MiB of locked memory.
 */
static int list(struct api_connection *c, const struct varlink_call *call)
{
	struct tree *tree = c->api->w->tree;
	SCOPED(text_free) struct text t = { 0 };
	struct tree_node *n = tree_root(tree);
	int64_t now_ns = times_now();
	bool first = true;
	int r;

	if (api_audit(c, RING_API_LIST, 0, NULL, NULL) < 0)
		return audit_full(c);
	r = text_add_string(&t, "{\"parameters\":{\"secrets\":[");
	while (r == 0 && n && (n = tree_next(tree, n))) {
		if (n->kind != NODE_FILE || tree_withheld(n, now_ns))
			continue;
		r = add_secret(&t, n, first);
		first = false;
	}
	if (r == 0)
		r = text_add_string(&t, "]}}");
	return r < 0 ? r : text_send(&t, c);
}

/*
 * …,"value":"BASE64"}}: encoded straight from the mapping into the answer, in memory that is wiped.
 */
static int add_value(struct text *t, const struct tree_node *n)
{
	size_t size = sodium_base64_ENCODED_LEN(n->size, sodium_base64_VARIANT_ORIGINAL);
	int r = text_add_string(t, ",\"value\":\"");

	if (r == 0)
		r = text_reserve(t, size + sizeof("\"}}"));
	if (r < 0)
		return r;
	sodium_bin2base64(t->bytes + t->len, size, n->bytes, n->size,
	                  sodium_base64_VARIANT_ORIGINAL);
	t->len += size - 1; /* it counts a NUL */
	return text_add_string(t, "\"}}");
}

static int reply_value(struct api_connection *c, const struct tree_node *n, const char *path)
{
	SCOPED(json_ptr)
	json_t *head = json_pack("{s:s, s:I}", "path", path, "version", (json_int_t)n->version);
	SCOPED(json_text_ptr) char *json = head ? json_text(head) : NULL;
	SCOPED(text_free) struct text t = { 0 };
	int r;

	if (!json)
		return -ENOMEM;
	/* Without its last brace: the value goes in front of that. */
	r = text_add_string(&t, "{\"parameters\":");
	if (r == 0)
		r = text_add(&t, json, strlen(json) - 1);
	if (r == 0)
		r = add_value(&t, n);
	return r < 0 ? r : text_send(&t, c);
}

static int get(struct api_connection *c, const struct varlink_call *call)
{
	static const char *const known[] = { "path", NULL };
	const struct tree_node *n;
	const char *path;

	if (json_only_keys(call->parameters, known, NULL) < 0 ||
	    json_get_string(call->parameters, "path", true, &path, NULL) < 0)
		return invalid_parameter(c, "path");
	n = tree_walk(c->api->w->tree, path);
	/* Absent, not granted, revoked, expired, a folder: all the same to the caller. */
	if (!n || n->kind != NODE_FILE || tree_withheld(n, times_now())) {
		api_audit(c, RING_API_GET, -ENOENT, NULL, path);
		return api_error(c, INTERFACE ".NotFound", json_pack("{s:s}", "path", path));
	}
	if (api_audit(c, RING_API_GET, 0, n, NULL) < 0)
		return audit_full(c);
	return reply_value(c, n, path);
}

static int attach(struct api_connection *c, const struct varlink_call *call)
{
	const struct wr_attach ask = { .id = c->id };
	int r = channel_send(&c->api->w->channel, WR_ATTACH, 0, &ask, sizeof(ask));

	if (r == -ENOBUFS)
		return api_refuse(c, "Busy", "the broker is busy; try again later");
	if (r < 0)
		return api_refuse(c, "AttachFailed", "the broker is not there; try again later");
	c->attaching = true;
	c->api->attaching++;
	return 0;
}

static const struct method {
	const char *name;
	int (*handle)(struct api_connection *c, const struct varlink_call *call);
} methods[] = {
	{ VARLINK_SERVICE ".GetInfo", get_info },
	{ VARLINK_SERVICE ".GetInterfaceDescription", get_description },
	{ INTERFACE ".Identity", identity },
	{ INTERFACE ".List", list },
	{ INTERFACE ".Get", get },
	{ INTERFACE ".Attach", attach },
};

static int unknown_method(struct api_connection *c, const char *method)
{
	return api_error(c, VARLINK_SERVICE ".MethodNotFound",
	                 json_pack("{s:s}", "method", method));
}

static void call_clear_ptr(struct varlink_call *call)
{
	varlink_call_clear(call);
}

int api_call(struct api_connection *c, const char *text, size_t len)
{
	SCOPED(call_clear_ptr) struct varlink_call call = { 0 };
	struct err why;

	if (varlink_parse_call(text, len, &call, &why) < 0) {
		api_audit(c, RING_API_REFUSED, -EINVAL, NULL, "malformed message");
		c->closing = true;
		return api_refuse(c, "InvalidMessage", why.text);
	}
	c->oneway = call.oneway;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		int r;

		if (strcmp(methods[i].name, call.method) != 0)
			continue;
		r = methods[i].handle(c, &call);
		return r == -ENOMEM
		               ? api_refuse(c, "Busy", "no locked memory left; try again later")
		               : r;
	}
	return unknown_method(c, call.method);
}
