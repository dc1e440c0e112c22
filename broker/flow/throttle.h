/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle.h - a worker that crashes again and again: its container gets EIO instead of a spin.
 *
 *	SERVING ── crash, THROTTLE_CRASHES_MAX times in a row and once more ──► REFUSING
 *	   ▲                                                                       │
 *	   └──────── the pause is over (it doubles each time), or `attach` ────────┘
 *
 * While REFUSING a worker without a tree (RESUME_REFUSE) keeps the mount and answers every request
 * with EIO; changes wait. If even that one crashes the mount is given up.
 *
 * A crash is an end before the worker was ready, or soon after, or with the very request in hand
 * that its predecessor ended with. A worker that was killed after it had served for a while is none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define THROTTLE_CRASHES_MAX 10
#define THROTTLE_REFUSERS_MAX 3 /* of refusing workers that end as quickly */
#define THROTTLE_PAUSE_MAX_S 600

struct container;

struct throttle {
	int crashes;      /* in a row */
	uint64_t request; /* that the last worker had in hand; 0: none */
	bool refusing;
	bool lifted;       /* the one that refused is being ended for that */
	uint32_t pause_s;  /* the last one */
	int64_t lifted_ns; /* boot-time clock at its end */
	sd_event_source *timer;
};

enum throttle_verdict {
	THROTTLE_SERVE,  /* an ordinary successor */
	THROTTLE_REFUSE, /* one that refuses; said in the log */
	THROTTLE_GIVE_UP,
};

/* The worker of a mount has ended; `ready`: it had been, `request`: what it had in hand. */
enum throttle_verdict throttle_on_end(struct container *c, bool ready, uint64_t request);

/* An ordinary successor may be tried, and is started if a refusing worker is there. */
void throttle_lift(struct container *c);

/* There is nothing to throttle any more. */
void throttle_drop(struct container *c);
