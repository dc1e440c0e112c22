/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/settle.h"

#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"

struct settle {
	struct settle *next;
	struct containers *set;
	uint64_t generation;
	containers_settled done;
	void *arg;
	sd_event_source *limit;
};

/* Names of those that do not show the change: not there yet, or never to be. */
static size_t lagging(struct containers *set, uint64_t generation, char **names)
{
	size_t count = 0;

	for (struct container *c = set->first; c; c = c->next) {
		char label[512];

		if (c->gone || (c->settled >= generation && c->mount != MOUNT_FAILED &&
		                !c->update && !c->incomplete))
			continue;
		names[count] = strdup(container_label(c, label, sizeof(label)));
		if (names[count])
			count++;
	}
	return count;
}

static void answer(struct settle *s)
{
	char **names = calloc(s->set->count + 1, sizeof(char *));
	size_t count = names ? lagging(s->set, s->generation, names) : 0;

	s->done(s->arg, (const char *const *)names, count);
	while (count > 0)
		free(names[--count]);
	free(names);
	sd_event_source_disable_unref(s->limit);
	free(s);
}

/* While registrations of a predecessor are being taken up, nobody knows yet who is to show it. */
static bool all_settled(const struct containers *set, uint64_t generation)
{
	if (containers_loading(set))
		return false;
	for (const struct container *c = set->first; c; c = c->next)
		if (!c->gone && c->settled < generation &&
		    !(c->mount == MOUNT_MAKING && (c->peer_asked || c->holds_up)))
			return false;
	return true;
}

void settle_check(struct containers *set)
{
	struct settle **at = &set->settles;

	while (*at) {
		struct settle *s = *at;

		if (all_settled(set, s->generation)) {
			*at = s->next;
			answer(s);
			at = &set->settles; /* an answer may have changed the list */
		} else {
			at = &s->next;
		}
	}
}

static int on_limit(sd_event_source *source, uint64_t usec, void *arg)
{
	struct settle *s = arg;

	for (struct settle **at = &s->set->settles; *at; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	answer(s);
	return 0;
}

int settle_add(struct containers *set, containers_settled done, void *arg)
{
	struct settle *s = calloc(1, sizeof(*s));
	int result;

	if (!s)
		return -ENOMEM;
	*s = (struct settle){ .set = set, .generation = set->generation, .done = done, .arg = arg };
	result = sd_event_add_time_relative(set->b->event, &s->limit, CLOCK_BOOTTIME,
	                                    CONTAINERS_SETTLE_S * 1000000ULL, 0, on_limit, s);
	if (result < 0) {
		free(s);
		return result;
	}
	s->next = set->settles;
	set->settles = s;
	return 0;
}

void settle_drop_all(struct containers *set)
{
	while (set->settles) {
		struct settle *s = set->settles;

		set->settles = s->next;
		answer(s);
	}
}
