/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/throttle.h"

#include "coffer/log.h"
#include "coffer/times.h"
#include "flow/container.h"
#include "flow/report.h"
#include "flow/workload.h"
#include "server/config.h"

/* One that ends sooner than this after it was ready has crashed on what its successor gets too. */
#define CRASH_NS (NS_PER_S / 5)

static int on_pause_over(sd_event_source *source, uint64_t usec, void *arg)
{
	throttle_lift(arg);
	return 0;
}

static uint32_t next_pause(const struct container *c)
{
	const struct throttle *t = &c->throttle;
	uint32_t first = c->set->b->config->crash_pause_s;
	uint32_t most = first > THROTTLE_PAUSE_MAX_S ? first : THROTTLE_PAUSE_MAX_S;

	if (t->pause_s == 0 ||
	    times_boottime() - t->lifted_ns > (int64_t)THROTTLE_PAUSE_MAX_S * NS_PER_S)
		return first;
	return t->pause_s > most / 2 ? most : 2 * t->pause_s;
}

static void begin(struct container *c)
{
	struct throttle *t = &c->throttle;
	char label[256];

	t->pause_s = next_pause(c);
	t->refusing = true;
	if (sd_event_add_time_relative(c->set->b->event, &t->timer, CLOCK_BOOTTIME,
	                               t->pause_s * 1000000ULL, 0, on_pause_over, c) < 0)
		log_warn("cannot arm a timer; `coffer attach` ends the throttling of a container");
	err_set(&c->reason, -EIO,
	        "its worker crashed %d times in a row; readers get EIO for %u s, or until `coffer "
	        "attach`",
	        t->crashes, t->pause_s);
	report_container(c, "worker.throttled", c->reason.text);
	log_warn("%s: %s", container_label(c, label, sizeof(label)), c->reason.text);
	workload_drop_waiting(c);
}

static void end_pause(struct throttle *t)
{
	t->timer = sd_event_source_disable_unref(t->timer);
	if (t->refusing)
		t->lifted_ns = times_boottime();
	t->refusing = false;
	t->crashes = 0;
}

enum throttle_verdict throttle_on_end(struct container *c, bool ready, uint64_t request)
{
	struct throttle *t = &c->throttle;
	bool same = request != 0 && request == t->request;

	t->request = request;
	if (t->lifted) {
		t->lifted = false;
		return THROTTLE_SERVE;
	}
	if (ready && !same && times_boottime() - c->worker_ns >= CRASH_NS) {
		end_pause(t);
		return THROTTLE_SERVE;
	}
	t->crashes++;
	if (t->crashes <= THROTTLE_CRASHES_MAX)
		return THROTTLE_SERVE;
	if (!t->refusing)
		begin(c);
	return t->crashes <= THROTTLE_CRASHES_MAX + THROTTLE_REFUSERS_MAX ? THROTTLE_REFUSE
	                                                                  : THROTTLE_GIVE_UP;
}

void throttle_lift(struct container *c)
{
	bool refusing = c->throttle.refusing;

	end_pause(&c->throttle);
	if (!refusing)
		return;
	c->reason.text[0] = '\0';
	serving_renew(c);
}

void throttle_drop(struct container *c)
{
	end_pause(&c->throttle);
	c->throttle.lifted = false;
	c->throttle.request = 0;
}
