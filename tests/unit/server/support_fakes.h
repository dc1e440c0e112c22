/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support_fakes.h - containers that are not there: what the server asks of flow/, answered as
 * `support_shared` says.
 */
#pragma once

#include "server/peer.h"
#include "support.h"

struct shared *support_shared;
char support_folder[64];

size_t containers_count(const struct containers *c)
{
	return 0;
}

size_t containers_matching(const struct containers *c, const struct grant *g)
{
	return 0;
}

bool containers_hold(struct containers *c, const struct peer *peer)
{
	return support_shared->all_cgroups || support_shared->container_cgroup == peer->cgroup_id;
}

int containers_refresh(struct containers *c, containers_settled done, void *arg)
{
	static const char *const names[] = { "runc/slow" };

	support_shared->refreshes++;
	if (done)
		done(arg, names, support_shared->lagging ? 1 : 0);
	return 0;
}

int containers_await_uptake(struct containers *c, const struct uptake_item *items, size_t n,
                            int64_t deadline_ns, containers_settled done, void *arg,
                            struct uptake **ret)
{
	static const char *const names[] = { "runc/slow" };

	if (support_shared->never_adopted)
		*ret = (struct uptake *)arg;
	else
		done(arg, names, support_shared->unadopted ? 1 : 0);
	return 0;
}

void containers_forget_uptake(struct containers *c, struct uptake *u)
{
	support_shared->forgotten++;
}

void containers_drain(struct containers *c)
{
	support_shared->drains++;
}

bool containers_known(const struct containers *c)
{
	return true;
}

bool containers_loading(const struct containers *c)
{
	return false;
}

void containers_withdraw(struct containers *c, const char *name)
{
}

void containers_log_flushed(struct containers *c)
{
}

void containers_take_pending(struct containers *c)
{
	support_shared->pending++;
}

void containers_stop_all(struct containers *c)
{
	support_shared->stops++;
}

#define FAKE_METHOD(name)                                                                \
	int name(struct broker *b, struct call *call, json_t *parameters, struct err *e) \
	{                                                                                \
		return call_reply(call, NULL);                                           \
	}
FAKE_METHOD(method_attach)
FAKE_METHOD(method_detach)
FAKE_METHOD(method_attachments)
FAKE_METHOD(method_explain)
FAKE_METHOD(method_register)
FAKE_METHOD(method_unregister)
