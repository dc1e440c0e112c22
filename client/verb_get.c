/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "value.h"

#define PATH_SHOWN_MAX 300

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
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	const char *out = options_text(o, "out", 0);
	int64_t version = 0;
	int given = options_number(o, "version", 1, INT64_MAX, &version, e), r = 0;

	if (given < 0)
		return CLIENT_USAGE;
	if (c->json)
		return err_set(e, CLIENT_USAGE, "get writes the value's own bytes: no --json");
	r = value_get(c, o->word[0], given ? version : 0, &value, e);
	if (r < 0 || !value)
		return r;
	if (out)
		return write_out(out, value, e);
	/* write(2), not stdio, whose buffer would keep a copy. */
	r = io_write_all(STDOUT_FILENO, value->bytes, value->len);
	return r < 0 ? err_errno(e, r, "cannot write the value to standard output") : 0;
}
