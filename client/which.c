/* SPDX-License-Identifier: Apache-2.0 */
#include "which.h"

#include <errno.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "fields.h"

#define PID_LARGEST 4194304 /* the kernel's PID_MAX_LIMIT */

int which_container(const struct options *o, json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *which = json_object();
	int64_t pid = 0;
	int given = options_number(o, "pid", 1, PID_LARGEST, &pid, e), r = 0;

	if (given < 0)
		return CLIENT_USAGE;
	if (given + (int)o->words != 1)
		return err_set(e, CLIENT_USAGE, "say which: CONTAINER or --pid PID, one of them");
	r = set_number(which, "pid", given, pid, e);
	if (r == 0 && o->words)
		r = set_text(which, "container", o->word[0], e);
	if (r == 0)
		*ret = TAKE_PTR(which);
	return r;
}
