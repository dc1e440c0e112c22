/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runc_bundle.h - the bundle on disk: its config.json gets the hook, and is replaced as a whole.
 */
#pragma once

#include "coffer/err.h"
#include "runc_config.h"

/*
 * `bundle`: a folder. Who reads config.json meanwhile sees the old one or the new one; owner and mode
 * stay. 0, also if the hook was there; or -errno with a sentence, and nothing is changed.
 */
int runc_bundle_add_hook(const char *bundle, const struct runc_hook *hook, struct err *e);
