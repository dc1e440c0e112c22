/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <errno.h>

#include "call.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "fields.h"

static int fetch(const struct client *c, json_t *parameters, struct secret **ret, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED_FD int fd = -1;
	int64_t index = -1;
	int r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);

	if (r < 0)
		return r;
	r = call_once(call, &(struct call_request){ .method = "Get", .parameters = parameters },
	              &reply, e);
	if (r == 0)
		r = json_get_int(reply, "fd", true, 0, IO_FDS_MAX, &index, e);
	if (r < 0)
		return r;
	fd = call_take_fd(call, index);
	if (fd < 0)
		return err_set(
			e, -EBADMSG,
			"the broker's answer came without its value: are client and broker of "
			"one version?");
	r = secret_from_fd(fd, SECRET_VALUE_MAX, ret);
	return r < 0 ? err_errno(e, r, "cannot read the value that the broker passed") : 0;
}

int value_get(const struct client *c, const char *name, int64_t version, struct secret **ret,
              struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	int r = set_text(parameters, "name", name, e);

	if (r == 0)
		r = set_number(parameters, "version", version > 0, version, e);
	if (r == 0)
		r = set_true(parameters, "memfd", true, e);
	return r < 0 ? r : fetch(c, parameters, ret, e);
}
