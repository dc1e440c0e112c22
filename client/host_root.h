/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_root.h - whether we are root of the host, and not of a user namespace below it.
 */
#pragma once

#include <stdbool.h>

bool host_root(void);
