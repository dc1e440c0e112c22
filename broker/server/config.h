/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what `cofferd` was told: defaults, then --config FILE (JSON, docs/configuration.md),
 * then options.
 *
 * An unknown key, a wrong type or a value out of range is an error that names file and key. The
 * file must be owned by root and not writable by others.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/err.h"

#define CONFIG_ROOTS_MAX 8
#define CONFIG_WAIT_MAX 64

/* Containers that must not run without their secrets: conditions as a grant's, all must hold. */
struct config_wait {
	char *runtime, *container, *image, *unit;
	char *label_key, *label_value;
};

struct config {
	char *state_dir;   /* /var/lib/coffer */
	char *runtime_dir; /* /run/coffer */
	char *keyfile; /* default: the unit's credential "coffer.key" if there is one; NULL: none */
	bool spawner;  /* be the spawner of a broker that connects; nothing else is set then */
	bool foreground;    /* log to stderr without journal prefixes */
	char *mount_folder; /* /run/secrets: absolute, no "..", no symlink is followed on the way */
	char *worker_path;  /* default: beside cofferd (build tree), else COFFER_LIBEXEC/cofferfs */
	char *enter_path;   /* coffer-enter: beside cofferd or the worker, else in COFFER_LIBEXEC */
	char *worker_user;  /* "coffer-worker"; where there is no such user, nobody's uid 65534 with
	                       a warning */
	uid_t worker_uid;
	gid_t worker_gid;
	char *operator_group;  /* "coffer" */
	bool audit_full_serve; /* "audit_when_full": "refuse" (default) or "serve" */
	bool seal_stops;       /* "on_seal": "serve" (default) or "stop" */
	/* /run/runc and the engines' own; NULL-terminated */
	char *runc_roots[CONFIG_ROOTS_MAX + 1];
	char *engine_roots[CONFIG_ROOTS_MAX + 1];
	struct config_wait wait[CONFIG_WAIT_MAX];
	size_t waits;
	uint32_t connections_max;  /* workload connections of one container: 64 */
	uint32_t calls_per_second; /* of one workload connection: 1000 */
	uint32_t containers_max;   /* 4096 */
	uint32_t crash_pause_s;    /* of a container whose worker crashes again and again: 30 */
	uint64_t audit_budget;     /* audit lines of one container in a minute before they fold by
	                              count: 6000 */
};

/* 0; 1: --help or --version was printed; 2: usage error was printed. */
int config_load(int argc, char **argv, struct config **ret, struct err *e);
void config_free(struct config *c);
