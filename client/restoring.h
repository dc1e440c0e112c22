/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restoring.h - a backup's file, read and checked: what `backup verify` and `restore` have in
 * common.
 */
#pragma once

#include "backup_file.h"
#include "checker.h"
#include "client.h"

struct checked {
	int fd;
	struct checker_key key;
	struct backup_file file;
	json_t *found; /* what coffer-verify says */
};

/* Open the file that the command names, take the key that it names, and check the file's own sums. */
int checked_read(const struct client *c, const struct options *o, struct checked *ret,
                 struct err *e);

/* Have the store in it checked, and see that it is the one that the file says. */
int checked_store(const struct client *c, struct checked *k, struct err *e);
void checked_clear(struct checked *k);
