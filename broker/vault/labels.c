/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/labels.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One block holds the array and, behind it, every text: a secret with labels costs one allocation.
 */
int labels_copy(const struct vault_label *label, size_t n, const struct vault_label **ret)
{
	size_t size = n * sizeof(*label);
	struct vault_label *copy;
	char *text;

	if (n == 0) {
		*ret = NULL;
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		size += strlen(label[i].key) + strlen(label[i].value) + 2;
	copy = malloc(size);
	if (!copy)
		return -ENOMEM;
	text = (char *)(copy + n);
	for (size_t i = 0; i < n; i++) {
		copy[i].key = text;
		text = stpcpy(text, label[i].key) + 1;
		copy[i].value = text;
		text = stpcpy(text, label[i].value) + 1;
	}
	*ret = copy;
	return 0;
}

void labels_free(const struct vault_label *label)
{
	free((void *)(uintptr_t)label); /* const for those who read; ours to free */
}
