/* SPDX-License-Identifier: Apache-2.0 */
#include "server/audit_pump.h"

#include <errno.h>
#include <stdlib.h>

#include "coffer/log.h"
#include "flow/containers.h"

#define US_PER_S (1000 * 1000ULL)

struct audit_pump {
	struct broker *b;
	sd_event_source *timer, *post;
	struct err trouble; /* "" while all is well */
	unsigned int retry_s;
};

static void arm(struct audit_pump *p, uint64_t after_us)
{
	if (sd_event_source_set_time_relative(p->timer, after_us) < 0 ||
	    sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT) < 0)
		log_error("cannot set the timer that writes the audit log");
}

int audit_pump_flush(struct audit_pump *p, struct err *e)
{
	struct err why = { 0 };
	int r = audit_flush(p->b->audit, &why);

	if (r == 0) {
		if (p->trouble.text[0])
			log_info("the audit log can be written again");
		p->trouble.text[0] = '\0';
		p->retry_s = 0;
		sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
		if (p->b->containers)
			containers_log_flushed(p->b->containers);
		return 0;
	}
	if (!p->trouble.text[0])
		log_error("the audit log cannot be written: %s", why.text);
	p->trouble = why;
	return err_set(e, r, "%s", why.text);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct audit_pump *p = arg;

	if (audit_pump_flush(p, NULL) == 0)
		return 0;
	p->retry_s = p->retry_s == 0 ? 1 : p->retry_s * 2;
	if (p->retry_s > AUDIT_PUMP_RETRY_MAX_S)
		p->retry_s = AUDIT_PUMP_RETRY_MAX_S;
	arm(p, p->retry_s * US_PER_S);
	return 0;
}

/* After each turn of the loop: did it leave lines behind? */
static int on_post(sd_event_source *source, void *arg)
{
	struct audit_pump *p = arg;
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(p->timer, &enabled);
	if (enabled == SD_EVENT_OFF && audit_dirty(p->b->audit))
		arm(p, AUDIT_PUMP_US);
	return 0;
}

int audit_pump_new(struct broker *b, struct audit_pump **ret, struct err *e)
{
	struct audit_pump *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->b = b;
	r = sd_event_add_time_relative(b->event, &p->timer, CLOCK_BOOTTIME, AUDIT_PUMP_US, 0,
	                               on_timer, p);
	if (r >= 0)
		r = sd_event_add_post(b->event, &p->post, on_post, p);
	if (r < 0) {
		audit_pump_free(p);
		return err_errno(e, r, "cannot set the timer that writes the audit log");
	}
	*ret = p;
	return 0;
}

void audit_pump_free(struct audit_pump *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->timer);
	sd_event_source_disable_unref(p->post);
	free(p);
}

const char *audit_pump_trouble(const struct audit_pump *p)
{
	return p->trouble.text[0] ? p->trouble.text : NULL;
}
