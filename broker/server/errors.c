/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/name.h"
#include "server/connection.h"

static const struct {
	int code;
	const char *name;
	const char *about; /* a second parameter that the interface gives this error, or NULL */
} rows[] = {
	{ -ENOENT, "NotFound", "what" },
	{ -EKEYEXPIRED, "NotFound", "what" },
	{ -EEXIST, "Exists", "what" },
	{ -EAGAIN, "Conflict", "name" },
	{ -EINVAL, "Invalid", "field" },
	{ -EFBIG, "Invalid", "field" },
	{ -EMSGSIZE, "Invalid", "field" },
	{ -ERANGE, "Invalid", "field" },
	{ -ENAMETOOLONG, "Invalid", "field" },
	{ -E2BIG, "Invalid", "field" },
	{ -EPERM, "Denied", NULL },
	{ -EACCES, "Denied", NULL },
	{ -ENOKEY, "Sealed", NULL },
	{ -EKEYREJECTED, "WrongKey", NULL },
	{ -ESTALE, "RolledBack", NULL },
	{ -EBADMSG, "Damaged", NULL },
	{ -EPROTONOSUPPORT, "Damaged", NULL },
	{ -ENOSPC, "NoSpace", NULL },
	{ -EDQUOT, "NoSpace", NULL },
	{ -EBUSY, "Busy", NULL },
	{ -ECONNABORTED, "AttachFailed", NULL },
};

const char *errors_name(int code, enum vault_state state)
{
	if (code == -ENOKEY && state == VAULT_UNINITIALISED)
		return "Uninitialised";
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].code == code)
			return rows[i].name;
	return "Internal";
}

/* A sentence may hold bytes of a path that are not UTF-8, which JSON cannot. */
static json_t *text_of(const char *text)
{
	char shown[ERR_TEXT_MAX];
	json_t *value = json_string(text);

	return value ? value : json_string(name_escape(text, strlen(text), shown, sizeof(shown)));
}

json_t *errors_parameters(const char *name, const char *about, const char *message)
{
	json_t *parameters = json_object();

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].about || strcmp(rows[i].name, name) != 0)
			continue;
		json_object_set_new(parameters, rows[i].about, text_of(about ? about : ""));
		break;
	}
	json_object_set_new(parameters, "message", text_of(message));
	return parameters;
}
