/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_file.h - the JSON half of config.h: one object whose keys docs/configuration.md lists.
 */
#pragma once

#include "server/config.h"

#define CONFIG_FILE_MAX (64u * 1024) /* 64 wait entries with long texts are some 20 KiB */
#define CONFIG_TEXT_MAX 1024         /* bytes of one text; a path or a condition */

/*
 * Read `path` over what is in `c`. -EPERM: not a regular file of root's that only root may write;
 * -EINVAL: a key or value is wrong, with a sentence that names file and key; else -errno of open or
 * read.
 */
int config_file_read(struct config *c, const char *path, struct err *e);

/* Replace an owned string. 0 or -ENOMEM. */
int config_set(char **slot, const char *value);

/* Whether `path` is absolute, normal (no "." or ".." segment, no "//") and not "/". Pure. */
bool config_path_is_plain(const char *path);
