/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/watch.h"

#include <poll.h>
#include <stdlib.h>

#include "coffer/log.h"
#include "flow/report.h"

#define LOOK_USEC 1000000
#define ACCURACY_USEC 100000 /* lets the kernel join the wake-up with others */

static bool has_mount(const struct container *c)
{
	return c->mount == MOUNT_UP && c->worker && c->worker_ready && !c->gone;
}

static bool request_in_hand(const struct container *c)
{
	return __atomic_load_n(&c->shared->recv_len, __ATOMIC_RELAXED) != 0;
}

static void look_at(struct container *c, bool unread)
{
	char label[256];

	if (c->asked_for_life && worker_has_news(c->worker))
		return;          /* it has answered, and it is we who were busy */
	if (c->asked_for_life) { /* since the last look */
		c->asked_for_life = false;
		report_container(c, "worker.hung", "it gave no sign of life for a second");
		log_warn("%s: its worker hangs and is replaced",
		         container_label(c, label, sizeof(label)));
		serving_replace(c);
	} else if (unread || request_in_hand(c) || c->flow == FLOW_PREPARING ||
	           c->flow == FLOW_FINISHING) {
		c->asked_for_life = worker_send(c->worker, WR_PING, NULL, 0, NULL, 0, NULL, 0) >= 0;
	}
}

static int on_look(sd_event_source *source, uint64_t usec, void *arg)
{
	struct containers *set = arg;
	struct pollfd *fds = calloc(set->count + 1, sizeof(*fds));
	size_t count = 0, at = 0;

	set->watch_timer = sd_event_source_disable_unref(set->watch_timer);
	for (struct container *c = set->first; c; c = c->next)
		if (fds && has_mount(c))
			fds[count++] = (struct pollfd){ .fd = c->fuse_fd, .events = POLLIN };
	if (fds && count > 0 && poll(fds, count, 0) >= 0) {
		struct container *next;

		/* A replaced worker changes no list, and each container is looked at once. */
		for (struct container *c = set->first; c && at < count; c = next) {
			next = c->next;
			if (c->fuse_fd == fds[at].fd && has_mount(c))
				look_at(c, fds[at++].revents & POLLIN);
		}
	}
	free(fds);
	for (const struct container *c = set->first; c; c = c->next)
		if (c->mount == MOUNT_UP) { /* its worker may just be on its way */
			watch_arm(set);
			break;
		}
	return 0;
}

void watch_arm(struct containers *set)
{
	if (!set->watch_timer &&
	    sd_event_add_time_relative(set->b->event, &set->watch_timer, CLOCK_MONOTONIC, LOOK_USEC,
	                               ACCURACY_USEC, on_look, set) < 0)
		log_warn("cannot arm the timer that looks after workers; one that hangs is not "
		         "replaced");
}

void watch_free(struct containers *set)
{
	set->watch_timer = sd_event_source_disable_unref(set->watch_timer);
}

void watch_sign_of_life(struct container *c)
{
	c->asked_for_life = false;
}
