/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the command line `coffer`: one table of verbs gives dispatch and help.
 *
 * A handler talks to the broker and prints. It returns 0, a negative errno (exit status 1),
 * CLIENT_USAGE or CLIENT_TROUBLE (exit status 2), or a positive exit status of its own; the sentence in `e` is printed by client_run, on one line, and by
 * nobody else.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "coffer/err.h"
#include "options.h"

#define CLIENT_RUNTIME_DIR "/run/coffer"
#define CLIENT_USAGE (-9999)   /* no errno: how a handler says that it was called wrongly */
#define CLIENT_TROUBLE (-9998) /* failed, of a verb whose exit status 1 means something else */
#define CLIENT_EXIT_USAGE 2

struct client {
	const char *runtime_dir;
	bool json; /* --json: the answer as it came */
	bool tty;  /* standard output is a terminal: tables are aligned and have a heading */
};

typedef int (*verb_handler)(struct client *c, const struct options *o, struct err *e);

struct verb {
	const char *name;                 /* one word, or two with one space */
	const char *synopsis;             /* what follows the name */
	const char *help;                 /* one line */
	const char *details;              /* paragraphs for `coffer help VERB`; NULL: none */
	const struct option_row *options; /* NULL: none of its own */
	size_t words_min, words_max;
	verb_handler run;
};

extern const struct verb client_verbs[]; /* verbs.c; ended by a row without a name */
extern const struct option_row client_common_options[];

/* What the verbs are about: a topic begins at a verb and lasts to the next topic's. */
struct topic {
	const char *title;
	const char *first; /* its first verb */
};
extern const struct topic client_topics[]; /* verbs.c; ended by a row without a title */

/*
 * The verb that argv begins with, and how many words its name took (1 or 2). NULL if there is
 * none.
 */
const struct verb *client_find_verb(int argc, char **argv, int *ret_taken);

/* All of the program but process-wide preparation: returns the exit status. */
int client_run(int argc, char **argv);

/* One question, one answer. Takes `parameters` over (NULL: none); the caller decrefs *ret. */
int client_call(const struct client *c, const char *method, json_t *parameters, json_t **ret,
                struct err *e);

/*
 * A list that comes in as many answers as it takes: {FIELD: [everything]}. Borrows `parameters`;
 * the caller decrefs *ret.
 */
int client_collect(const struct client *c, const char *method, json_t *parameters,
                   const char *field, json_t **ret, struct err *e);

/*
 * A change was made: with --json the answer is printed, and in any case a warning names the
 * containers that do not show it yet. Returns 1 if it was printed, 0 if the handler is to print,
 * or -errno.
 */
int client_changed(const struct client *c, const json_t *reply, struct err *e);

/*
 * --wait-adopted of a change: 0 and milliseconds (0 if it was not given), or CLIENT_USAGE. And what
 * the answer says of it: -ETIME with a sentence that names the containers, if there are such.
 */
int client_wait_adopted(const struct options *o, int64_t *ret_ms, struct err *e);
int client_adopted(const json_t *reply, const char *text, struct err *e);

/* A change whose answer may take `wait_ms` more, with descriptors beside it (NULL: none). */
struct client_change {
	const char *method;
	json_t *parameters; /* borrowed */
	const int *fds;
	size_t nfds;
	int64_t wait_ms;
};
int client_change(const struct client *c, const struct client_change *change, json_t **ret,
                  struct err *e);

/* Handlers, by file. */
int verb_init(struct client *c, const struct options *o, struct err *e); /* verb_unseal.c */
int verb_unseal(struct client *c, const struct options *o, struct err *e);
int verb_seal(struct client *c, const struct options *o, struct err *e);
int verb_status(struct client *c, const struct options *o, struct err *e); /* verb_status.c */
int verb_put(struct client *c, const struct options *o, struct err *e);    /* verb_put.c */
int verb_get(struct client *c, const struct options *o, struct err *e);    /* verb_get.c */
int verb_wait(struct client *c, const struct options *o, struct err *e);   /* verb_wait.c */
int verb_watch(struct client *c, const struct options *o, struct err *e);
int verb_ls(struct client *c, const struct options *o, struct err *e);   /* verb_list.c */
int verb_info(struct client *c, const struct options *o, struct err *e); /* verb_info.c */
int verb_history(struct client *c, const struct options *o, struct err *e);
int verb_rollback(struct client *c, const struct options *o, struct err *e); /* verb_change.c */
int verb_rm(struct client *c, const struct options *o, struct err *e);
int verb_grant(struct client *c, const struct options *o, struct err *e); /* verb_grant.c */
int verb_revoke(struct client *c, const struct options *o, struct err *e);
int verb_grants(struct client *c, const struct options *o, struct err *e);
int verb_apply(struct client *c, const struct options *o, struct err *e); /* verb_apply.c */
int verb_diff(struct client *c, const struct options *o, struct err *e);
int verb_attach(struct client *c, const struct options *o, struct err *e); /* verb_attach.c */
int verb_detach(struct client *c, const struct options *o, struct err *e);
int verb_ps(struct client *c, const struct options *o, struct err *e);
int verb_explain(struct client *c, const struct options *o, struct err *e); /* verb_explain.c */
int verb_audit(struct client *c, const struct options *o, struct err *e);   /* verb_audit.c */
int verb_audit_verify(struct client *c, const struct options *o, struct err *e); /* verb_verify.c */
int verb_version(struct client *c, const struct options *o, struct err *e);      /* help.c */
int verb_help(struct client *c, const struct options *o, struct err *e);
int verb_complete(struct client *c, const struct options *o, struct err *e); /* complete.c */
