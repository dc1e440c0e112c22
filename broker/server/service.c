/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.varlink.service: what this socket speaks, for varlinkctl and libraries
 * (https://varlink.org/Service).
 */
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/version.h"
#include "server/connection.h"

extern const char coffer_operator_varlink[]; /* made by CMake from
                                                include/coffer/io.coffer.operator.varlink */

static const char service_varlink[] =
	"# What every Varlink service tells of itself.\n"
	"interface org.varlink.service\n"
	"\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static const struct {
	const char *name, *description;
} interfaces[] = {
	{ VARLINK_SERVICE, service_varlink },
	{ "io.coffer.operator", coffer_operator_varlink },
};

/* The first parameter that `known` (may be NULL: none) does not name. */
static const char *unknown_parameter(const json_t *parameters, const char *known)
{
	void *item = json_object_iter((json_t *)(uintptr_t)parameters);

	while (item) {
		if (!known || strcmp(json_object_iter_key(item), known) != 0)
			return json_object_iter_key(item);
		item = json_object_iter_next((json_t *)(uintptr_t)parameters, item);
	}
	return NULL;
}

static void invalid(struct call *call, const char *parameter)
{
	call_error(call, VARLINK_SERVICE ".InvalidParameter",
	           json_pack("{s:s}", "parameter", parameter));
}

static void get_info(struct call *call, const json_t *parameters)
{
	const char *unknown = unknown_parameter(parameters, NULL);
	json_t *names;

	if (unknown) {
		invalid(call, unknown);
		return;
	}
	names = json_array();
	for (size_t i = 0; i < ARRAY_LEN(interfaces); i++)
		json_array_append_new(names, json_string(interfaces[i].name));
	call_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "Coffer", "product",
	                           "cofferd", "version", COFFER_VERSION, "url",
	                           "https://varlink.org", "interfaces", names));
}

static void get_description(struct call *call, const json_t *parameters)
{
	const char *unknown = unknown_parameter(parameters, "interface");
	const char *name = json_string_value(json_object_get(parameters, "interface"));

	if (unknown || !name) {
		invalid(call, unknown ? unknown : "interface");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(interfaces); i++) {
		if (strcmp(interfaces[i].name, name) != 0)
			continue;
		call_reply(call, json_pack("{s:s}", "description", interfaces[i].description));
		return;
	}
	call_error(call, VARLINK_SERVICE ".InterfaceNotFound",
	           json_pack("{s:s}", "interface", name));
}

void service_call(struct call *call, const char *method, const json_t *parameters)
{
	if (strcmp(method, "GetInfo") == 0)
		get_info(call, parameters);
	else if (strcmp(method, "GetInterfaceDescription") == 0)
		get_description(call, parameters);
	else
		call_error(call, VARLINK_SERVICE ".MethodNotFound",
		           json_pack("{s:s+}", "method", VARLINK_SERVICE ".", method));
}
