/* SPDX-License-Identifier: Apache-2.0 */
#include "server/value.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"

static int from_fd(int fd, size_t max, struct secret **ret, struct err *e)
{
	int r;

	if (fd < 0)
		return err_set(e, -EINVAL, "\"fd\" names no descriptor beside this message");
	/* Only files in memory have seals; no others can be asked for them. */
	if (fcntl(fd, F_GET_SEALS) < 0)
		return err_set(e, -EINVAL, "the descriptor beside the message must be a memfd");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "cannot read the descriptor beside the message");
	r = secret_from_fd(fd, max, ret);
	if (r == -EFBIG)
		return err_set(e, r, "the value is longer than %zu bytes", max);
	return r < 0 ? err_errno(e, r, "cannot read the descriptor beside the message") : 0;
}

static int from_base64(const char *key, const char *text, size_t max, struct secret **ret,
                       struct err *e)
{
	size_t len = strlen(text);
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	int r;

	if (len > (max + 2) / 3 * 4)
		return err_set(e, -EFBIG, "\"%s\" is longer than %zu bytes", key, max);
	r = secret_from_base64(text, len, &value);
	if (r == -EINVAL)
		return err_set(e, r, "\"%s\" is not base64", key);
	if (r < 0)
		return err_set(e, r, "no (locked) memory for \"%s\"", key);
	if (value->len > max)
		return err_set(e, -EFBIG, "\"%s\" is longer than %zu bytes", key, max);
	*ret = TAKE_PTR(value);
	return 0;
}

int value_read(struct call *call, const json_t *object, const char *key, size_t max,
               struct secret **ret, struct err *e)
{
	const char *text = NULL;
	int64_t fd = -1;
	int r = json_get_string(object, key, false, &text, e);

	if (r == 0)
		r = json_get_int(object, "fd", false, 0, SERVER_FDS_MAX - 1, &fd, e);
	if (r < 0)
		return r;
	if ((text != NULL) == (fd >= 0))
		return err_set(e, -EINVAL, "either \"%s\" or \"fd\" must be given", key);
	return text ? from_base64(key, text, max, ret, e) : from_fd(call_fd(call, fd), max, ret, e);
}
