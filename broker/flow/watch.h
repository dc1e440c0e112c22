/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - finds workers that hang (stopped, spinning, stuck) while a reader waits for them.
 *
 * Once a second, while there are mounts, one poll(2) over all /dev/fuse descriptors, without
 * waiting: a mount with an unread request, or one in hand, has its worker asked for a sign of life;
 * one that gave none by the next look is replaced by a successor on the same descriptor. So a reader
 * waits at most some two seconds, and idle workers are never woken.
 */
#pragma once

#include "flow/container.h"

/* A mount has come up: look from now on. Safe to call again. */
void watch_arm(struct containers *set);
void watch_free(struct containers *set);

/* PONG. */
void watch_sign_of_life(struct container *c);
