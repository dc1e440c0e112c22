/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bolt_file.h - a bbolt file that its owner may be writing to, as one consistent state (bolt.h).
 *
 * No lock is taken: the engine may hold its own while it waits for our hook, and nobody has to wait for a
 * reader. bbolt never writes to a page that its last committed transaction uses, so what is read is that
 * transaction's state if no other was committed meanwhile, which the meta pages tell. Else it is read again.
 */
#pragma once

#include <stdbool.h>

#include "attach/bolt.h"

struct bolt_file {
	struct bolt db;
	unsigned char *bytes; /* that db borrows */
};

/*
 * Read `name` in `folder` (trusted.h; *by_root as trusted_read). -ENOENT where there is none, -EAGAIN where it
 * kept changing, -EFBIG above BOLT_FILE_MAX, else -errno, each with a sentence. Caller clears.
 */
int bolt_file_read(int folder, const char *name, struct bolt_file *ret, bool *by_root,
                   struct err *e);
void bolt_file_clear(struct bolt_file *f);
