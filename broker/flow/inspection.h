/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspection.h - from a pid, a name or a hook's word to a registered container, by way of an
 * attacher.
 */
#pragma once

#include <jansson.h>

#include "flow/container.h"

#define INSPECTIONS_MAX 256 /* at one time; each is a child of the spawner */
/* Of those, of peers of the workload socket: anybody can be one. Hooks and operators keep room. */
#define INSPECTIONS_PEERS_MAX 32
#define INSPECTION_S 10 /* reading an engine's state files */

typedef void (*inspection_done)(void *arg, struct container *c, int error, const char *why);

struct inspection_request {
	uint32_t how; /* enum inspect_how */
	pid_t pid;
	char id[1025], bundle[4097];
	uint64_t start_time; /* 0: any */
	bool hook, explicit, detached;
	bool running; /* its root is its own by now, whatever the bundle says */
	bool peer;    /* asked by a connection to the workload socket */
	bool dry; /* do not register; `done` gets a container only if it is registered already */
	bool has_instance;
	uint8_t instance[16];
	json_t *saved;        /* what an earlier broker wrote of it (registry_json.h); referenced */
	uint64_t old_dev;     /* a mount of an earlier broker to be taken off first */
	inspection_done done; /* called once, from the loop; may be NULL */
	void *arg;
	void (*facts)(void *arg, const struct facts *f); /* dry: what was found */
};

/* Copies the request. 0, or -errno with a sentence (then `done` is not called). */
int inspection_start(struct containers *set, const struct inspection_request *request,
                     struct err *e);
void inspection_drop_all(struct containers *set);
