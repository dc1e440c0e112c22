/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "coffer/name.h"
#include "policy/image.h"

#define ALGORITHM "sha256:"
#define HEX_DIGITS 64

/* Where a digest would stand: behind the last '@', or the whole text if it begins like one. */
static const char *candidate(const char *image)
{
	const char *at = strrchr(image, '@');

	if (at)
		return at + 1;
	return strncmp(image, ALGORITHM, strlen(ALGORITHM)) == 0 ? image : NULL;
}

static bool is_digest(const char *text)
{
	const char *hex = text + strlen(ALGORITHM);

	return strncmp(text, ALGORITHM, strlen(ALGORITHM)) == 0 && strlen(hex) == HEX_DIGITS &&
	       strspn(hex, "0123456789abcdef") == HEX_DIGITS;
}

const char *image_digest(const char *image)
{
	const char *text = candidate(image);

	return text && is_digest(text) ? text : NULL;
}

int image_check(const char *image, struct err *e)
{
	char shown[160];

	if (!candidate(image) || image_digest(image))
		return 0;
	return err_set(e, -EINVAL,
	               "\"%s\" is no image digest: that is sha256: and 64 digits 0-9a-f, alone or "
	               "behind NAME@",
	               name_escape(image, strlen(image), shown, sizeof(shown)));
}
