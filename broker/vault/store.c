/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/store.h"

void store_close(struct store *s)
{
	if (s)
		s->backend->close(s);
}
