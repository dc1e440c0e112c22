/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h - a fixed sequence of changes, and what a store must look like after each. For the
 * tests that stop it in the middle: whatever happens, the store is as after the last acknowledged
 * change or, whole, as after the next one.
 */
#pragma once

#include "fixture.h"

#define WORKLOAD_LARGE 40000 /* bytes: some ten pages, so that a commit takes many writes */
#define WORKLOAD_NAMES 4

struct workload_item {
	const char *name;
	char fill; /* the value is `len` times this byte; 0: remove the secret */
	size_t len;
};

/* One transaction each, but for the first, which makes the store. */
static const struct workload_step {
	struct workload_item item[2];
} workload[] = {
	{ { { NULL } } },
	{ { { "a", '1', 10 } } },
	{ { { "b", '2', 100 }, { "c", '3', 100 } } },
	{ { { "d", '4', WORKLOAD_LARGE }, { "a", '5', 11 } } },
	{ { { "b", 0, 0 } } },
	{ { { "d", '6', 100 } } },
	{ { { "b", '7', 0 }, { "c", '8', WORKLOAD_LARGE } } },
};

static const char *const workload_names[WORKLOAD_NAMES] = { "a", "b", "c", "d" };

static inline int workload_apply(struct vault *v, const struct secret *key, size_t step,
                                 struct err *e)
{
	const struct workload_step *s = &workload[step];
	struct vault_slot slot = { .kind = VAULT_SLOT_KEYFILE };
	SCOPED(secret_free_ptr) struct secret *first = NULL, *second = NULL;
	struct vault_item items[2] = { { .name = s->item[0].name }, { .name = s->item[1].name } };
	uint64_t versions[2];

	if (step == 0)
		return vault_init(v, &slot, key, e);
	if (!s->item[0].fill)
		return vault_remove(v, s->item[0].name, e);
	items[0].value = first = secret_new(s->item[0].len);
	items[1].value = second = secret_new(s->item[1].len);
	memset(first->bytes, s->item[0].fill, first->len);
	memset(second->bytes, s->item[1].fill, second->len);
	return vault_put(v, items, s->item[1].name ? 2 : 1, versions, e);
}

/* What `name` is after the first `steps` steps: its item (fill 0: not there) and its version
 * number. */
static inline struct workload_item workload_item(const char *name, size_t steps,
                                                 uint64_t *ret_version)
{
	struct workload_item found = { 0 };

	*ret_version = 0;
	for (size_t i = 0; i < steps; i++) {
		for (size_t j = 0; j < 2; j++) {
			const struct workload_item *item = &workload[i].item[j];

			if (!item->name || strcmp(item->name, name) != 0)
				continue;
			found = *item;
			*ret_version += item->fill != 0;
		}
	}
	return found;
}

/* Whether an unsealed vault is as after `steps` steps, every byte of it. */
static inline bool workload_is(struct vault *v, size_t steps)
{
	if (steps == 0)
		return vault_state(v) == VAULT_UNINITIALISED;
	if (vault_state(v) != VAULT_UNSEALED || vault_epoch(v) != steps)
		return false;
	for (size_t i = 0; i < WORKLOAD_NAMES; i++) {
		SCOPED(secret_free_ptr) struct secret *value = NULL;
		struct vault_version version;
		uint64_t number;
		struct workload_item item = workload_item(workload_names[i], steps, &number);
		int r = vault_get(v, workload_names[i], 0, false, &value, &version, NULL);

		if (!item.fill) {
			if (r != -ENOENT)
				return false;
			continue;
		}
		if (r < 0 || version.number != number || value->len != item.len)
			return false;
		for (size_t j = 0; j < value->len; j++)
			if (value->bytes[j] != (unsigned char)item.fill)
				return false;
	}
	return true;
}

/* Open what is left, and check it; then see that it can go on from there to the end. */
static inline void workload_check(size_t acknowledged, const char *what)
{
	size_t at;
	int r = vault_open(fixture_store(), &fix.vault, &fix.err);

	ck_assert_msg(r == 0, "%s: open: %d: %s", what, r, fix.err.text);
	if (vault_state(fix.vault) != VAULT_UNINITIALISED) {
		r = vault_unseal(fix.vault, 1, fix.key, acknowledged, false, &fix.err);
		ck_assert_msg(r == 0, "%s: unseal: %d: %s", what, r, fix.err.text);
	}
	at = acknowledged;
	if (!workload_is(fix.vault, at))
		at++;
	ck_assert_msg(at <= ARRAY_LEN(workload) && workload_is(fix.vault, at),
	              "%s: neither as after change %zu nor as after the next", what, acknowledged);
	for (size_t step = at; step < ARRAY_LEN(workload); step++) {
		r = workload_apply(fix.vault, fix.key, step, &fix.err);
		ck_assert_msg(r == 0, "%s: change %zu afterwards: %d: %s", what, step, r,
		              fix.err.text);
	}
	ck_assert_msg(workload_is(fix.vault, ARRAY_LEN(workload)), "%s: wrong at the end", what);
	fixture_close();
}
