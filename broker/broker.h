/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - what the broker's parts share: one event loop, one of each.
 *
 * Order of birth (main.c): configuration → spawner forked (no key has been read yet) → event loop →
 * audit → vault → containers → sockets → keyfile read and unsealed → ready. Each part keeps a
 * borrowed pointer to this.
 */
#pragma once

#include <systemd/sd-event.h>

#include "audit/audit.h"
#include "policy/policy.h"
#include "vault/vault.h"

struct config;     /* server/config.h */
struct server;     /* server/server.h */
struct audit_pump; /* server/audit_pump.h */
struct feed;       /* server/feed.h */
struct backup;     /* server/methods_backup.c */
struct restoring;  /* server/restore.c */
struct containers; /* flow/containers.h */
struct workload;   /* flow/workload.h */
struct spawner;    /* flow/spawner.h: our end of the key-less half */

/*
 * Containers first: what workers say is at NORMAL, a worker's death at NORMAL + 1 (after its last
 * words). Then operators, all of one priority, so that none of them keeps out another however busy
 * it is; then a copy of the store.
 */
enum {
	PRIORITY_ANSWERS = SD_EVENT_PRIORITY_NORMAL + 2,
	PRIORITY_COPY,
};

struct broker {
	struct config *config;
	int state_fd, runtime_fd; /* the two folders */
	sd_event *event;
	struct vault *vault;
	struct policy *policy; /* empty while sealed: grants are sealed too */
	struct audit *audit;
	struct audit_pump *audit_pump;
	struct feed *feed;
	struct backup *backup;       /* the one that is being made, or NULL */
	struct restoring *restoring; /* whose half copy lies in the state folder, or NULL */
	struct spawner *spawner;
	struct containers *containers;
	struct server *server;
	struct workload *workload;
};
