/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - one container that the broker knows: who it is, what serves it, where its mount is.
 *
 * Private to flow/. Life of the mount (enum mount_state):
 *
 *	NONE ──► MAKING ──► UP ──► LOST       unmounted from inside; until `attach`
 *	  ▲        │         │
 *	  │        │         └───► DETACHED   by the operator; until `attach`
 *	  │        └─────────────► FAILED     `reason` says why; tried again at the next change
 *	  └── attach ──── LOST, DETACHED, FAILED
 *
 * One flow at a time: `flow` is not IDLE while an attacher or the worker has a question of ours;
 * what comes meanwhile sets `dirty` and is looked at when the flow ends (container_step).
 */
#pragma once

#include <errno.h>
#include <systemd/sd-event.h>

#include "coffer/attach_proto.h"
#include "coffer/ring.h"
#include "flow/containers.h"
#include "flow/content.h"
#include "flow/facts.h"
#include "flow/operation.h"
#include "flow/throttle.h"
#include "flow/tree.h"
#include "flow/worker.h"

#define CONTAINER_ATTACH_S 15 /* a mount into a container, the worker's start included */
/* renames and page drops; behind a reader that holds the folder they wait */
#define CONTAINER_CHANGE_S 10

/* Why a service that was not given mounts of its own gets none of ours. */
#define HOST_MOUNTS_REASON                                                                   \
	"it shares the host's mount namespace, where a mount would be everybody's; use the " \
	"workload socket"

/* Whoever asked is not kept until the attacher has come out of there. */
#define HOLDS_UP_REASON                                                                        \
	"the container keeps the way to its mount folder from being walked (by a file system " \
	"of its own that does not answer?)"

enum mount_state { MOUNT_NONE, MOUNT_MAKING, MOUNT_UP, MOUNT_LOST, MOUNT_FAILED, MOUNT_DETACHED };

enum flow_state {
	FLOW_IDLE,
	FLOW_ADOPTING, /* a worker that an earlier broker left: waiting for ESCROW */
	FLOW_WORKER,   /* worker starting: waiting for READY */
	FLOW_EXISTING, /* attacher asked to mount: waiting for EXISTING */
	FLOW_MOUNTING, /* worker told to serve: waiting for MOUNTED of it */
	FLOW_SETTING,  /* attacher told to go: waiting for MOUNTED of it */
	FLOW_PREPARING,
	FLOW_CHANGING, /* attacher renames and unlinks */
	FLOW_FINISHING,
	FLOW_FOLDER, /* attacher makes the empty folder */
	FLOW_DETACHING,
	FLOW_CLEARING, /* a dead mount is taken off, before a new one or for good */
};

struct container;
struct reaction; /* reaction.h */

/* Someone who waits for the mount: the hook, an operator, a caller of the workload socket. */
struct waiter {
	struct waiter *next;
	void (*done)(void *arg, struct container *c, int error, const char *why);
	void *arg;
};

struct container {
	struct containers *set;
	struct container *next;
	uint8_t instance[16];
	char instance_text[33];
	struct facts facts;
	bool hook;     /* registered by a hook */
	bool explicit; /* `coffer attach`: mounted even while nothing is granted */
	int64_t since_ns;

	enum mount_state mount;
	int fuse_fd, clone_fd;
	uint64_t dev;
	char folder[256];
	struct err reason; /* of FAILED and LOST */

	struct worker *worker;
	bool worker_ready;
	struct throttle throttle;
	int64_t worker_ns; /* boot-time clock when it was ready; 0: before, or another broker's */
	int shared_fd, wake_fd;
	struct worker_shared *shared;
	size_t shared_size;
	struct ring *ring;   /* NULL: none, or shared is another build's (shared.c) */
	bool asked_for_life; /* PING sent, no PONG yet */
	bool folds_taken;    /* slots of its ring that are not the worker's again yet */
	bool counts_wait;    /* records taken from its ring are not lines of the log yet */
	bool releases_wait;  /* nodes that go when the log has all of them */
	bool ring_corrupt;   /* a hostile worker: ended as soon as the loop comes by */
	struct tree tree;

	enum flow_state flow;
	bool dirty;
	bool incomplete;       /* not all that it may see can be shown; `reason` says why */
	uint64_t generation;   /* of its sets' files (worker_proto.h) */
	uint64_t settled;      /* the newest generation of the set that it shows */
	struct update *update; /* under way */
	struct operation *op, *check;
	struct operation *reacting; /* reaction.h */
	struct reaction *reactions;
	enum mount_state withdrawing; /* to what; MOUNT_NONE: not */
	const char *withdraw_event;
	bool peer_asked; /* for its mount, at the workload socket: nobody else waits for that */
	int64_t peer_asked_ns;
	bool failing;      /* `op` makes a mount that is not to be; `reason` says why */
	bool op_is_update; /* `op` makes the steps of `update` */
	bool check_again;  /* the mounts changed while `check` was looking */
	bool holds_up; /* it kept an attacher waiting at its folder for too long: nobody waits again */
	bool check_repeated; /* one that was killed, once */
	pid_t left_worker; /* serves since an earlier broker: its pid and start time, 0 if there is none */
	uint64_t left_worker_start;
	bool lost_watch; /* its mount was seen at its place: it may be lost */
	bool gone;       /* it has ended, and is nobody to anyone any more: */
	bool ending; /* its records are on their way to the disk; else they are to be had (farewell.c) */
	bool unsafe;  /* records of it were taken since the log was last on disk */
	bool unsaved; /* its registration on disk is behind */
	struct waiter *waiters;
	struct waiting *connections; /* of the workload socket, until its worker is ready */
	uint32_t connections_waiting;
	bool folder_due; /* at its start: the empty folder, if nothing is mounted */
	bool must_wait;  /* must not start without its secrets: not answered while sealed */
	sd_event_source *adopt_timer;
	int adopt_turns;
	sd_event_source *left_source; /* the end of a left worker that could not be reached */
	sd_event_source *end_source, *mounts_source, *wake_source, *drain_timer, *retry_timer;
	int mounts_fd;
};

struct containers {
	struct broker *b;
	struct container *first;
	size_t count;
	uint64_t generation;
	struct contents *contents;
	struct runs *runs;
	struct settle *settles;
	struct uptake *uptakes;
	struct inspection *inspections;
	size_t inspecting, inspecting_peers;
	char **to_load; /* files of registrations that wait for their turn; NULL-terminated */
	size_t loaded, restoring;
	struct fdstore *fdstore;
	bool load_noted;
	bool leaving; /* the broker goes, its mounts stay */
	sd_event_source *expiry_timer, *watch_timer, *pending_source;
	int64_t expiry_due_ns;   /* for which it is armed */
	struct audit_fold *fold; /* budgets of the audit log */
	/* of the log, so far: counts made lines, of these on disk, and flushes */
	uint64_t folds, folds_flushed, flushes;
	sd_event_source *fold_timer, *save_timer, *ending_timer;
};

/*
 * registration.c: a container from an attacher's facts. Refuses what may not be one, with a
 * sentence. Not saved: what an earlier broker wrote of it stands until the caller has taken it over.
 */
int container_register(struct containers *set, struct facts *facts, const uint8_t *instance,
                       struct container **ret, struct err *e);
/*
 * Its record is made, and nothing more happens for it. What it opened is on disk before worker, memory
 * and registration go, with that of others that end: a moment later, unless there is nothing to wait for.
 */
void container_end(struct container *c, const char *why);
void container_end_all(struct containers *set); /* those that wait for that, now */
/* A zeroed one, without facts. `instance` NULL: a random one. */
void container_init(struct container *c, struct containers *set, const uint8_t *instance);
/*
 * By "runtime/name", instance, engine's name or id, or unit. NULL with `*ambiguous` if the name is that of several.
 */
struct container *container_find(struct containers *set, const char *name, bool *ambiguous);
/* Ids count within one hierarchy: `unified`, or the v1 one that kern_cgroup_of prefers. */
struct container *container_by_cgroup(struct containers *set, bool unified, uint64_t id);
struct container *container_by_pid(struct containers *set, pid_t pid, uint64_t start_time);
const char *container_label(const struct container *c, char *buffer, size_t size); /* "runc/web" */

/* registry.c: registrations on disk, below RUNTIME/containers. Failure is logged: the container
 * runs all the same. */
void registry_save(struct container *c);
/* What it would be a pity to lose, but no harm: opens, and nodes let go of. Within half a second. */
void registry_save_soon(struct container *c);
void registry_remove(struct container *c);
void registry_load(struct containers *set);
void registry_load_more(struct containers *set); /* some have come through: take the next */
/* A saved registration came to nothing: dropped, unless it was for want of resources. */
void registry_give_up(struct containers *set, const json_t *saved, int error);
/* If all are registered again the doors open; if all has been taken over that is said, once. */
void registry_note_loaded(struct containers *set);
void registry_free(struct containers *set);

/* step.c: bring it towards what it is to see; starts at most one flow. Safe to call at any time. */
void container_step(struct container *c);
void container_flow_done(
	struct container *c); /* a flow ended: step again if dirty, tell who waits */
void container_failed(struct container *c,
                      const char *why); /* a change could not be made as a whole */
void container_stuck(
	struct container *c); /* a flow failed: nothing is tried before the next change */
void container_wait_mount(struct container *c, struct waiter *waiter); /* takes it over */
void container_tell_waiters(struct container *c, int error, const char *why);
void container_note_clash(struct container *c,
                          const char *path); /* a path that is the container's own already */

/* wants.c */
struct wants {
	struct want *want; /* ordered by path */
	size_t count;
	struct view view; /* owns the texts that `want` borrows */
};
int wants_make(struct container *c, struct wants *ret, struct err *e);
/* While sealed: what it shows now, but for what has expired. 1 if something has, else 0, or -errno.
 */
int wants_unexpired(struct container *c, struct wants *ret);
/* Where wants_make fails: what it shows now, in the current versions, but for what it may see no
 * longer. 0 or -ENOMEM. */
int wants_kept(struct container *c, struct wants *ret);
void wants_clear(struct wants *w);

/* mount.c, update.c, serving.c: the flows; each sets c->flow or fails at once with a negative
 * errno. */
int mount_begin(struct container *c, struct err *e);
void mount_on_worker(struct container *c, const struct record *r);
void mount_drop(struct container *c); /* close our ends */
void mount_failed(struct container *c, const char *why);
/*
 * The mount is to end in `state`: what is open of it is cut off first, while its worker can still
 * say no. `event` is recorded when that is done, with c->reason.
 */
void mount_withdraw(struct container *c, enum mount_state state, const char *event);
void mount_gone(struct container *c);         /* that is done */
int update_withdraw_all(struct container *c); /* reads of every file fail, and its pages go */
int mount_folder(struct container *c);        /* the empty folder only */
int mount_detach(struct container *c);
void mount_clear_old(
	struct container *c); /* a mount that an earlier broker left: `dev` says which */
/* Notice when it is unmounted from inside; or, if it is an earlier broker's mount, was meanwhile. */
void mount_watch(struct container *c, bool taken_over);
int update_begin(struct container *c, struct plan *plan, struct err *e);
void update_finish(struct container *c); /* the worker is told that all steps are made */
void update_run(struct container *c);    /* the attacher's part, (again) */
/* 0, or -EBADMSG: it said what it may not say now. */
int update_on_worker(struct container *c, const struct record *r);
bool update_has_leftovers(const struct container *c); /* something held open has expired */
void update_proceed(struct container *c);             /* the worker is prepared */
void update_commit(
	struct container *c); /* our tree says what the worker's says; the change is over */
void update_abandon(struct container *c);
int update_resume(struct container *c); /* a new worker is told of the change under way */
/* The same where what is to come cannot be had, and none of it was made: what goes, goes. */
int update_resume_without(struct container *c);
/* released.c: the worker says that nobody can reach a node any more; those without a name go. */
void update_released(struct container *c, uint64_t node);
void update_drop_released(struct container *c);
void update_released_before(struct container *c); /* an earlier broker was told so */
/* A node for a step of a plan. `linked`: nobody has seen this tree yet. */
int update_add_node(struct container *c, const struct step *step, bool linked, struct node **ret,
                    struct err *e);
int serving_new_tree(struct container *c);             /* its root folder */
int serving_start(struct container *c, struct err *e); /* a worker, and the tree it is to have */
void serving_stop(struct container *c);
int serving_adopt(struct container *c, int sock); /* one that an earlier broker left */
int serving_send_mount(struct container *c, enum worker_resume resume);
/* By a successor on the same mount, as soon as it is dead: two must not be at one request. */
void serving_replace(struct container *c);
void serving_renew(struct container *c);         /* likewise, and its end is no news */
void serving_keep(struct container *c);          /* it holds the clone for the next broker */
void serving_check_callers(struct container *c); /* its pid namespace is shared: compare cgroups */
int serving_send_node(struct container *c, uint16_t type, const struct node *n,
                      const struct wr_stage *stage);
void serving_attach_result(struct container *c, uint64_t id, int result, const char *text);

/* shared.c */
int shared_make(struct container *c, struct err *e);
/* What an earlier broker left; takes both descriptors. -EBADMSG: it is none that we made. */
int shared_take(struct container *c, int shared_fd, int wake_fd);
/* What a worker gives back, before it is taken: by what the kernel says alone. */
bool shared_looks_right(int shared_fd, int wake_fd);
/* No worker lives: if the memory is another build's, what counts comes into memory of our own. */
int shared_renew(struct container *c, struct err *e);
void shared_drop(struct container *c);

/* drain.c */
int drain_new(struct containers *set, struct err *e);
void drain_free(struct containers *set); /* writes what is folded */
/* Takes what its ring has. False if something is left: what was taken before has to be safe first. */
bool drain_now(struct container *c);
void drain_promptly(struct container *c); /* what is easily had, and again soon */
/* Before its ring goes: all that is in it becomes lines; and these are on disk, if that can be written. */
void drain_lines(struct container *c);
void drain_settle(struct container *c);
void drain_last(struct container *c); /* it has ended: its budget is forgotten */
int drain_watch(struct container *c);
void drain_arm_fold(struct containers *set);
void drain_all(struct containers *set); /* every ring, and what is folded */

/* pending.c */
int pending_watch(struct containers *set);

/* settle.c */
void settle_check(struct containers *set);

/* uptake.c: whether somebody waits for what this container has just opened, or lost */
void uptake_check(struct containers *set, const struct container *c);

/* expiry.c: the one timer for all. Arm it for what is shown now; or for what a container shows since
 * its change was made, if that is due earlier. */
void expiry_arm(struct containers *set);
void expiry_shown(struct container *c);
