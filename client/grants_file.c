/* SPDX-License-Identifier: Apache-2.0 */
#include "grants_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/name.h"

#define PATH_SHOWN_MAX 300

static int read_text(const char *path, char **ret, size_t *ret_len, struct err *e)
{
	bool standard = strcmp(path, "-") == 0;
	char shown[PATH_SHOWN_MAX];
	int r = io_read_file(AT_FDCWD, standard ? "/dev/stdin" : path, GRANTS_FILE_MAX, ret,
	                     ret_len);

	name_escape(path, strlen(path), shown, sizeof(shown));
	if (r == -EFBIG)
		return err_set(e, r, "%s holds more than %d bytes of grants: split it", shown,
		               GRANTS_FILE_MAX);
	return r < 0 ? err_errno(e, r, "cannot read %s", shown) : 0;
}

/* What the broker gives a grant is not the file's to say. */
static int strip(json_t *grants, struct err *e)
{
	json_t *grant = NULL;
	size_t i = 0;

	json_array_foreach (grants, i, grant) {
		if (!json_is_object(grant))
			return err_set(e, -EINVAL, "grant %zu is no JSON object", i + 1);
		json_object_del(grant, "id");
		json_object_del(grant, "created");
	}
	return 0;
}

int grants_file_read(const char *path, json_t **ret, struct err *e)
{
	static const char *const known[] = { "$schema", "grants", NULL };
	SCOPED(free_ptr) char *text = NULL;
	SCOPED(json_ptr) json_t *whole = NULL;
	char shown[PATH_SHOWN_MAX];
	json_t *grants = NULL;
	size_t len = 0;
	int r = read_text(path, &text, &len, e);

	if (r < 0)
		return r;
	r = json_parse(text, len, &whole, e);
	if (r == 0 && !json_is_object(whole))
		r = err_set(e, -EINVAL, "it is no object: {\"grants\": [...]} is wanted");
	if (r == 0)
		r = json_only_keys(whole, known, e);
	if (r == 0)
		r = json_get_array(whole, "grants", true, SIZE_MAX, &grants, e);
	if (r == 0)
		r = strip(grants, e);
	if (r < 0)
		return err_prefix(e, -EINVAL, "%s",
		                  name_escape(path, strlen(path), shown, sizeof(shown)));
	*ret = json_incref(grants);
	return 0;
}
