/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paths.h - which paths an attacher may be told. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "coffer/attach_proto.h"

/* "/run/secrets": absolute, at least one component, none empty, "." or "..", no '/' at the end. */
bool paths_folder_ok(const char *path);

/* "tls/key": as above, but relative. */
bool paths_below_ok(const char *path);

/*
 * Split a path that is ok into the folder it lies in ("." for none; `ret_folder` has
 * ATTACH_TEXT_MAX bytes) and its last component (inside `path`).
 */
const char *paths_split(const char *path, char *ret_folder);
