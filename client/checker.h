/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checker.h - the store in a backup, looked at by coffer-verify (broker/verify/main.c): a process of
 * its own, which knows stores and is not trusted with anything but what it is passed.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "coffer/err.h"
#include "coffer/secret.h"
#include "options.h"
#include "progress.h"

/* What an operator holds, as --keyfile or --passphrase-file name it; neither: kind "none". */
struct checker_key {
	const char *kind;
	struct secret *content;
};
int checker_key_take(const struct options *o, struct checker_key *ret, struct err *e);
void checker_key_clear(struct checker_key *key);

/*
 * Check `size` bytes of `fd` from `offset` on. 0 and what was found (the caller decrefs); -EBADMSG,
 * -EPROTONOSUPPORT, -EKEYREJECTED with a sentence; another errno where it could not be run.
 */
struct checker_job {
	int fd;
	uint64_t offset, size;
	const struct checker_key *key;
	struct progress *progress;
};
int checker_run(const struct checker_job *job, json_t **ret, struct err *e);
