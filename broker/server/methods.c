/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every method of io.coffer.operator: who may call it, what it takes, who answers. A method that is
 * not here does not exist; a parameter that is not here is refused.
 */
#include "server/methods.h"

#define NAMES(...)                              \
	(const char *const[])                   \
	{                                       \
		__VA_ARGS__ __VA_OPT__(, ) NULL \
	}

const struct method operator_methods[] = {
	{ "Status", WHO_GROUP, NAMES(), false, method_status },
	{ "Init", WHO_ROOT, NAMES("kind", "key", "fd", "salt", "ops", "memory"), false,
	  method_init },
	{ "Unseal", WHO_GROUP, NAMES("slot", "key", "fd", "accept_rollback"), false,
	  method_unseal },
	{ "Seal", WHO_GROUP, NAMES(), false, method_seal },

	{ "Put", WHO_GROUP, NAMES("items", "wait_adopted"), false, method_put },
	{ "Get", WHO_GROUP, NAMES("name", "version", "memfd"), false, method_get },
	{ "List", WHO_GROUP, NAMES("prefix"), true, method_list },
	{ "Info", WHO_GROUP, NAMES("name"), false, method_info },
	{ "Rollback", WHO_GROUP, NAMES("name", "to", "wait_adopted"), false, method_rollback },
	{ "Remove", WHO_GROUP, NAMES("name"), false, method_remove },
	{ "Watch", WHO_GROUP, NAMES("name"), true, method_watch },

	{ "Grant", WHO_GROUP, NAMES("grant"), false, method_grant },
	{ "Revoke", WHO_GROUP, NAMES("id"), false, method_revoke },
	{ "Grants", WHO_GROUP, NAMES(), true, method_grants },
	{ "ApplyGrants", WHO_GROUP, NAMES("grants", "prune", "dry_run"), false,
	  method_apply_grants },

	{ "Attach", WHO_ROOT, NAMES("container", "pid"), false, method_attach },
	{ "Detach", WHO_ROOT, NAMES("container"), false, method_detach },
	{ "Attachments", WHO_GROUP, NAMES(), false, method_attachments },
	{ "Explain", WHO_GROUP, NAMES("container", "pid"), false, method_explain },
	{ "Register", WHO_ROOT, NAMES("id", "pid", "bundle"), false, method_register },
	{ "Unregister", WHO_ROOT, NAMES("id", "bundle"), false, method_unregister },

	{ "Audit", WHO_GROUP, NAMES("follow"), true, method_audit },
	{ "AuditFiles", WHO_GROUP, NAMES(), false, method_audit_files },
	{ 0 },
};
