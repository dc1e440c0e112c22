/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view_path.h - where a grant shows a secret, below the mount. Pure.
 *
 *	grant of      --as     secret       path
 *	db/password            db/password  password
 *	db/password   app/pw   db/password  app/pw
 *	a/tls/                 a/tls/x/key  tls/x/key
 *	a/tls/        certs    a/tls/x/key  certs/x/key
 */
#pragma once

#include "policy/policy.h"

/* `name` is the grant's, or under its prefix. The caller frees; NULL without memory. */
char *view_path(const struct grant *g, const char *name);
