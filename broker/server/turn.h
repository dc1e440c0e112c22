/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.h - work that goes on in a later turn of the loop, in line with all else of its priority.
 *
 * sd-event's deferred sources will not do for that: one that is armed again keeps its old place,
 * before all that came since. These are timers that are due at once.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

/* Armed for once when it is made. 0 or a negative errno; *ret is the caller's, as any source. */
int turn_new(sd_event *event, int64_t priority, sd_event_time_handler_t handler, void *arg,
             sd_event_source **ret);
void turn_arm(sd_event_source *turn);
