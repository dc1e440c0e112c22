/* SPDX-License-Identifier: Apache-2.0 */
/*
 * containers.h - every container that the broker knows, and what each is to see.
 *
 * Owns the registrations (persisted below RUNTIME/containers), each one's worker, mount and shared
 * memory, and brings what a container sees to what policy and vault say. Everything here runs on
 * the loop and never blocks: what touches a container happens in attacher children, what it serves
 * in its worker.
 */
#pragma once

#include "broker.h"

struct containers;
int containers_new(struct broker *b, struct containers **ret, struct err *e);
void containers_free(struct containers *c);

size_t containers_count(const struct containers *c);

/* How many of them a grant's conditions hold for. */
struct grant;
size_t containers_matching(const struct containers *c, const struct grant *g);

/* Whether all containers that an earlier broker served are registered again. NULL is fine. */
bool containers_known(const struct containers *c);

/*
 * Whether what an earlier broker left is still being taken over; ready_announce is called when that
 * is done. NULL is fine.
 */
bool containers_loading(const struct containers *c);

/*
 * Whether a peer's cgroup is, or lies in, that of a registered container (for the doors of the
 * operator socket). Services and plain processes of the host, which live in its mount namespace, do
 * not count: an operator's shell may be one.
 */
struct peer;
bool containers_hold(struct containers *c, const struct peer *peer);

/*
 * Names, values or grants changed, the vault was opened or sealed: bring every container up to
 * date. `done` is called once, when all show it or after CONTAINERS_SETTLE_S, with the names of
 * those that do not yet ("runc/web"). `done` may be NULL.
 */
#define CONTAINERS_SETTLE_S 5
typedef void (*containers_settled)(void *arg, const char *const *lagging, size_t count);
int containers_refresh(struct containers *c, containers_settled done, void *arg);

/*
 * A secret was removed: what is open of it is not read on, even if another of its name is put before
 * the containers have been brought up to date. Before containers_refresh.
 */
void containers_withdraw(struct containers *c, const char *name);

/*
 * Wait until every reader has opened a version. A reader of a name is a container that has opened
 * an earlier version of a file that shows it, since that file is there; one that shows the file and
 * never opened it is none, and whoever ends or loses the file is one no longer. `done` is called
 * once, from the loop: when there is no reader left that has not opened its version, or at
 * `deadline_ns` (boot-time clock), with the names of those. Items are copied. Nothing is looked at
 * again and again: the audit records of opens decide.
 */
struct uptake;
struct uptake_item {
	const char *name;
	uint64_t version;
};
#define UPTAKE_LIMIT_MS \
	(3600 * 1000) /* who has not opened it within an hour is not waiting for it */
int containers_await_uptake(struct containers *c, const struct uptake_item *items, size_t n,
                            int64_t deadline_ns, containers_settled done, void *arg,
                            struct uptake **ret);
void containers_forget_uptake(struct containers *c, struct uptake *u); /* `done` is not called */

/* Take the audit records out of every worker's ring (before the log is shown). */
void containers_drain(struct containers *c);

/* The audit log is on disk as far as it goes: the rings may use the room of what was taken again.
 */
void containers_log_flushed(struct containers *c);

/* The vault was opened: registrations that waited in RUNTIME/pending are taken in. */
void containers_take_pending(struct containers *c);

/* The vault was sealed and the configuration says that workers stop with it. */
void containers_stop_all(struct containers *c);
