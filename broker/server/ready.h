/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ready.h - what the service manager (if there is one) hears of us.
 *
 * READY=1 is said when the broker can serve: at once, but with a keyfile not before the store is
 * unsealed (or is there no store yet), so that engines ordered behind us do not start containers
 * that we cannot serve. STATUS= says the state in words. Saying it again is harmless.
 */
#pragma once

#include "broker.h"

void ready_announce(struct broker *b);
void ready_stopping(void);
