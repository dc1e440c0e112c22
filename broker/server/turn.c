/* SPDX-License-Identifier: Apache-2.0 */
#include "server/turn.h"

#include <errno.h>
#include <time.h>

#include "coffer/log.h"

#define AT_ONCE_USEC 0
#define ACCURACY_USEC 1 /* 0 stands for a quarter of a second */

int turn_new(sd_event *event, int64_t priority, sd_event_time_handler_t handler, void *arg,
             sd_event_source **ret)
{
	sd_event_source *turn = NULL;
	int r = sd_event_add_time_relative(event, &turn, CLOCK_MONOTONIC, AT_ONCE_USEC,
	                                   ACCURACY_USEC, handler, arg);

	if (r >= 0)
		r = sd_event_source_set_priority(turn, priority);
	if (r < 0) {
		sd_event_source_disable_unref(turn);
		return r;
	}
	*ret = turn;
	return 0;
}

void turn_arm(sd_event_source *turn)
{
	if (sd_event_source_set_time_relative(turn, AT_ONCE_USEC) < 0 ||
	    sd_event_source_set_enabled(turn, SD_EVENT_ONESHOT) < 0)
		log_error("a timer cannot be set, and an answer is not finished; ask again, or "
		          "restart the broker");
}
