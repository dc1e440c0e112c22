/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "fields.h"

#define PATH_SHOWN_MAX 300

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

/* Renaming over a device or a link would take its place: only a file, or nothing, is replaced. */
static int write_out(const char *path, const struct secret *value, struct err *e)
{
	char shown[PATH_SHOWN_MAX];
	struct stat st;
	int r = 0;

	name_escape(path, strlen(path), shown, sizeof(shown));
	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
		return err_set(
			e, -EEXIST,
			"%s is there and no regular file: name another, or use standard output",
			shown);
	r = io_write_file_atomic(AT_FDCWD, path, value->bytes, value->len, 0600);
	return r < 0 ? err_errno(e, r, "cannot write %s", shown) : 0;
}

int verb_get(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	const char *out = options_text(o, "out", 0);
	int64_t version = 0;
	int given = options_number(o, "version", 1, INT64_MAX, &version, e), r = 0;

	if (given < 0)
		return CLIENT_USAGE;
	if (c->json)
		return err_set(e, CLIENT_USAGE, "get writes the value's own bytes: no --json");
	r = set_text(parameters, "name", o->word[0], e);
	if (r == 0)
		r = set_number(parameters, "version", given, version, e);
	if (r == 0)
		r = set_true(parameters, "memfd", true, e);
	if (r == 0)
		r = fetch(c, parameters, &value, e);
	if (r < 0 || !value)
		return r;
	if (out)
		return write_out(out, value, e);
	/* write(2), not stdio, whose buffer would keep a copy. */
	r = io_write_all(STDOUT_FILENO, value->bytes, value->len);
	return r < 0 ? err_errno(e, r, "cannot write the value to standard output") : 0;
}
