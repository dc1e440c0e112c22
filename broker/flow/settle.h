/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle.h - who waits until every container shows a change (see containers_refresh).
 */
#pragma once

#include "flow/container.h"

int settle_add(struct containers *set, containers_settled done, void *arg);
void settle_drop_all(struct containers *set); /* answers everybody with what is so */
