/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - what on this host keeps Coffer from working, or from keeping its promises: a table of
 * small checks, each of which finds nothing, or says what it is, why it matters, and what to do.
 *
 * Checks look, and change nothing. They run as root or as an operator, with a broker or without one;
 * what may not be read is passed over (each check knows whether that is a finding). What others
 * wrote (bundles, engines' files) is read as data of theirs: bounded, strict JSON, shown escaped.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "client.h"
#include "coffer/err.h"

#define DOCTOR_PATH_MAX 4096
#define DOCTOR_FILE_MAX (4 * 1024 * 1024) /* an OCI configuration is some 100 KiB at most */
#define DOCTOR_CONTAINERS_MAX 4096        /* that are looked at; as many as a broker takes */

enum severity { DOCTOR_NOTE, DOCTOR_WARNING, DOCTOR_ERROR, DOCTOR_SEVERITIES };

/* A container of an engine's, as its runtime's root-owned state tells. All owned. */
struct doctor_container {
	char *id;
	pid_t pid;      /* 0: its state could not be read, nor whether it runs */
	json_t *config; /* of its bundle; NULL: it could not be read */
	char *unread;   /* what of it could not be read, and why; NULL where all could */
};

struct doctor {
	const struct client *client;
	const char *root;      /* stands before every path of the host; "" */
	const char *must_wait; /* the hook's list */
	const char *check;     /* the id of the one that runs */
	json_t *findings;      /* {check, severity, what, why, do} */
	size_t count[DOCTOR_SEVERITIES];

	/* Of the broker: NULL where it could not be had. */
	json_t *status, *attachments, *grants;
	struct err broker; /* why it could not be reached */
	pid_t broker_pid;  /* 0: not known */

	struct doctor_container *container;
	size_t containers;
	bool roots_seen; /* at least one folder of runc's could be looked into */
	bool barred;     /* something in them is not ours to read */
};

struct doctor_check {
	const char *id;    /* stable */
	const char *title; /* what is asked: "the kernel can make FUSE mounts" */
	void (*run)(struct doctor *d);
};
extern const struct doctor_check doctor_checks[]; /* ended by a row without an id */

/* Runs them all, or only the one with the id `only`, if that is not NULL. */
void doctor_run(struct doctor *d, const char *only);

/* What is known of broker and containers; before doctor_run. doctor_clear undoes it. */
void doctor_ask_broker(struct doctor *d);
void doctor_find_containers(struct doctor *d);
void doctor_clear(struct doctor *d);

/* A finding of the check that runs. `what` is a sentence with its particulars, escaped here. */
struct doctor_advice {
	const char *why, *todo;
};
void doctor_found(struct doctor *d, enum severity severity, const struct doctor_advice *advice,
                  const char *what, ...) __attribute__((format(printf, 4, 5)));

/* The host's path, below d->root. Returns `buffer`. */
const char *doctor_path(const struct doctor *d, const char *path, char buffer[DOCTOR_PATH_MAX]);

/*
 * A regular file's text, as far as DOCTOR_FILE_MAX; the caller frees. -errno; never waits. `path` as
 * it is, without d->root.
 */
int doctor_read(const char *path, char **ret, size_t *ret_len);
/* The same of JSON that others wrote; -EINVAL: it is none. A sentence goes with it. */
int doctor_load(const char *path, json_t **ret, struct err *why);
json_t *doctor_read_json(const char *path); /* NULL: not there, not readable or no JSON */

bool doctor_ends_with(const char *text, const char *end);

/* Files whose name ends in `suffix`, in a folder, by name; `visit` gets whole paths. */
void doctor_each_file(struct doctor *d, const char *folder, const char *suffix,
                      void (*visit)(struct doctor *d, const char *path, void *arg), void *arg);

/* Where an engine's settings are, of which later ones count. */
struct doctor_config {
	const char *files[3]; /* in their order; ended by NULL */
	const char *folder, *suffix;
};
void doctor_each_config(struct doctor *d, const struct doctor_config *config,
                        void (*visit)(struct doctor *d, const char *path, void *arg), void *arg);

/*
 * Whether an engine runs coffer-hook: looked for in the folders of hooks that its settings name, or
 * else the usual ones. What is wrong with the hook is told. (doctor_hooks.c)
 */
bool doctor_has_hook(struct doctor *d, const char *engine, const struct doctor_config *config);

/* The program that an engine is told to run: tells if it is not there, or not to be run. */
void doctor_program_of(struct doctor *d, const char *engine, const char *program);

/* The checks, by file. */
void check_fuse(struct doctor *d); /* doctor_kernel.c */
void check_mount_calls(struct doctor *d);
void check_pidfd(struct doctor *d);
void check_landlock(struct doctor *d);
void check_seccomp(struct doctor *d);
void check_cgroup(struct doctor *d);
void check_memfd(struct doctor *d);
void check_broker(struct doctor *d); /* doctor_broker.c */
void check_store(struct doctor *d);
void check_version(struct doctor *d);
void check_program(struct doctor *d);
void check_trouble(struct doctor *d);
void check_disk(struct doctor *d);
void check_memlock(struct doctor *d);
void check_sockets(struct doctor *d);
void check_group(struct doctor *d);
void check_swap(struct doctor *d); /* doctor_host.c */
void check_core(struct doctor *d);
void check_must_wait(struct doctor *d);
void check_units(struct doctor *d);  /* doctor_units.c */
void check_docker(struct doctor *d); /* doctor_engine.c */
void check_podman(struct doctor *d);
void check_containerd(struct doctor *d);
void check_crio(struct doctor *d);
void check_registered(struct doctor *d); /* doctor_container.c */
void check_power(struct doctor *d);
void check_reach(struct doctor *d);
void check_namespaces(struct doctor *d);
void check_mounts(struct doctor *d); /* doctor_grant.c */
void check_unused(struct doctor *d);
void check_conditions(struct doctor *d);
