/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "policy/policy.h"

void subject_clear(struct subject *s)
{
	for (size_t i = 0; s->attribute && i < s->attributes; i++) {
		free(s->attribute[i].key);
		free(s->attribute[i].value);
	}
	free(s->attribute);
	free(s->runtime);
	free(s->name);
	free(s->id);
	free(s->image);
	free(s->digest);
	free(s->unit);
	*s = (struct subject){ 0 };
}

uint32_t policy_default_mode(const struct subject *s, bool private_key)
{
	return s->uid == 0 && !private_key ? 0444 : 0400;
}
