/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit_reader.h - the lines of the retained audit files, oldest first, a bounded number at a time.
 *
 * Only whole lines are handed out. A file that is rotated while it is read stays readable; what was
 * written to newer files meanwhile comes too. Reading is from the page cache in pieces of
 * AUDIT_READER_PIECE.
 */
#pragma once

#include <jansson.h>

#include "audit/audit.h"

#define AUDIT_READER_PIECE (256u * 1024)

struct audit_reader;
int audit_reader_new(struct audit *a, struct audit_reader **ret, struct err *e);
void audit_reader_free(struct audit_reader *r);

/* An array of lines (text, without newline). Empty: everything that is on disk now has been read.
 */
int audit_reader_next(struct audit_reader *r, json_t **ret, struct err *e);
