/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put_items.h - the items of a Put, taken out of the call and checked one by one.
 */
#pragma once

#include "server/server.h"

struct put_items {
	struct vault_item item[VAULT_ITEMS_MAX];
	struct vault_label *labels[VAULT_ITEMS_MAX]; /* what item[i].label points at; owned */
	struct secret *value[VAULT_ITEMS_MAX];       /* likewise */
	size_t count;
};

/* Names are borrowed from the call. -EINVAL and others with a sentence; call_about is set to the
 * item's name. */
int put_items_read(struct call *call, const json_t *parameters, struct put_items *ret,
                   struct err *e);
void put_items_clear(struct put_items *p);
