/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.h - `coffer-enter create`: makes a FUSE superblock inside a container's pid namespace. Its
 * descriptors are enum enter_create_fd. Returns the process's exit status.
 */
#pragma once

int create_main(void);
