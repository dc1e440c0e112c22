/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_proto.h - what broker and worker (cofferfs) say to each other, and the memory they share.
 *
 * A worker starts with one descriptor, its channel (fd 3). Life of a worker:
 *
 *	broker                              worker
 *	HELLO (shared memory, eventfd) ───►
 *	                               ◄─── READY
 *	NODE … NODE (memfd each file)  ───► builds its tree
 *	MOUNT (/dev/fuse descriptor)   ───► serves; answers INIT, or replays the saved one
 *	                               ◄─── MOUNTED
 *	STAGE … STAGE, PREPARE         ───► new versions under the staging folder; files of a set
 *	                                    are their callers' from here on, all at one time
 *	                               ◄─── PREPARED    (an attacher now renames, unlinks)
 *	FINISH                         ───► the announced end state holds, call seen or not
 *	                               ◄─── FINISHED
 *	DENY (node)                    ───► reads of that version fail from now on
 *	                               ◄─── DENIED      (an attacher now drops its pages)
 *	CONNECTION (socket)            ───► a workload connection, unread
 *	                               ◄─── ATTACH      a caller of it asks for its mount
 *	ATTACH_RESULT                  ───►
 *	CALLERS (cgroup ids)           ───► from now on callers are told apart by cgroup
 *	                               ◄─── RELEASED    nobody can reach this node; it is wiped
 *	KEEP (read-write clone)        ───► held for the next broker
 *	PING                           ───►
 *	                               ◄─── PONG
 *
 * When its broker is gone the worker listens on the socket that came with HELLO. It is bound in a
 * folder that only root can reach; a peer that is not root is dropped. On a new channel:
 *
 *	ADOPT                          ───►
 *	                               ◄─── ESCROW (shared memory, eventfd, /dev/fuse, clone)
 *
 * and everything goes on as before. The next broker knows the tree from its predecessor's notes;
 * ESCROW tells how far the change under way has come: a change that was staged but not prepared is
 * dropped by the worker, and told again.
 *
 * The channel keeps the order, and each kind of question has one answer, so that nothing is told
 * apart by serials. An unknown or unexpected record ends the sender.
 * The channel's end (broker gone): the worker goes on serving its mount, if it was told KEEP; a
 * mount that was still being made is given up.
 *
 * Nodes. A node id is never used for two things in one mount. 1 is the root folder. Folders and
 * placeholders keep theirs for life; a file's node is one version of one path and immutable. A file
 * told with an empty name has lost its name, but a descriptor may still read it.
 *
 * Staging. While a change is prepared the root holds a hidden folder named WORKER_STAGING_PREFIX +
 * 32 hex digits of the change's random token, never listed, found only by a caller from outside the
 * container. In it the file to come for node N is named by N in decimal. A rename of STAGING/N to
 * the announced folder and name makes N the file of that name. RENAME, UNLINK, MKDIR and RMDIR are
 * refused for anything not announced, and answer 0 for a step that is already done, so that a
 * change cut off can be repeated whole. A PREPARED with an error says that the change was dropped
 * as a whole.
 *
 * Sets. The files that one grant of a prefix brings are a set, and one process sees them change as
 * one (fuse/sets.h has the rule). The broker numbers the changes of a container that touch a set:
 * generations. A file's node has been what its name stands for `since` a generation, up to that of
 * the node that took its place. With PREPARE the generation of the staged files is the current one,
 * before any of the renames. What a rename replaces stays to be found by who needs it for
 * WORKER_RETIRED_NS.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "coffer/ring.h"

#define WORKER_CHANNEL_FD 3
#ifndef WORKER_PROTO
#define WORKER_PROTO 2 /* raised when a record's layout changes; READY carries the worker's */
#endif

#define WORKER_NODES_MAX 4096 /* files and folders of one mount */
#define WORKER_NAME_MAX 255
/* cgroup ids known as the container's, where pid namespaces are shared */
#define WORKER_CGROUPS_MAX 32
/* the longest request a mount that refuses writes needs (kernel: 8 KiB) */
#define WORKER_RECV_MAX (64 * 1024)
#define WORKER_INIT_MAX 256 /* FUSE_INIT is 104 bytes in protocol 7.38 */
#define WORKER_STAGING_PREFIX ".coffer-"
#define WORKER_ROOT_NODE 1
/* from its rename on; a pass ends after two seconds, and some are late to begin */
#define WORKER_RETIRED_NS 2500000000LL

enum worker_record {
	WR_HELLO = 1,
	WR_READY,
	WR_NODE,
	WR_MOUNT,
	WR_MOUNTED,
	WR_STAGE,
	WR_PREPARE,
	WR_PREPARED,
	WR_FINISH,
	WR_FINISHED,
	WR_DENY,
	WR_DENIED,
	WR_CONNECTION,
	WR_ATTACH,
	WR_ATTACH_RESULT,
	WR_RELEASED,
	WR_PING,
	WR_PONG,
	WR_CALLERS,
	WR_KEEP,
	WR_ADOPT,
	WR_ESCROW,
};

enum worker_flag {
	WORKER_CHECK_CGROUP =
		1, /* pid namespace is shared: a non-zero pid says nothing, compare cgroups */
	WORKER_FULL_SERVE =
		2, /* audit ring full: serve and record the gap (default: refuse with EIO) */
};

/* HELLO: descriptors: shared memory (struct worker_shared), eventfd that wakes the ring's consumer.
 */
struct wr_hello {
	uint32_t proto;
	uint32_t flags; /* enum worker_flag */
	uint8_t instance[16];
	uint32_t connections_max;  /* workload connections at one time */
	uint32_t calls_per_second; /* of one workload connection */
	uint64_t statfs_files;
	/* counted texts: container name, runtime, mount folder ("/run/secrets"), for Identity */
};

struct wr_ready {
	uint32_t proto;
};

enum worker_node_kind {
	NODE_DIR = 1,
	NODE_FILE,            /* a secret's version; one descriptor: its sealed memfd */
	NODE_PLACEHOLDER_DIR, /* something of the container's is mounted over it */
	NODE_PLACEHOLDER_FILE,
	NODE_SYMLINK, /* of the folder as it was before; `target` says where to */
};

/*
 * NODE: one entry of the tree, parents first. Not for staged files (STAGE). With an empty name and
 * parent 0, to a successor: what has lost its name but may still be held open. `retired`, to a
 * successor as well: the name is lost, but a little while ago, to another file of its set; told
 * behind what has the name now, later ones first.
 */
struct wr_node {
	uint64_t node, parent;
	uint32_t kind;     /* enum worker_node_kind */
	uint32_t mode;     /* permission bits only */
	uint32_t uid, gid; /* host side */
	uint64_t size;
	uint64_t version;
	int64_t mtime_ns;
	int64_t expires_ns; /* 0: never. For the xattr and the API; the broker ends it in time */
	uint64_t set;       /* of a file: the set that it belongs to; 0: none */
	uint64_t since;     /* of a set's file: the generation in which it came to its name */
	uint32_t retired;   /* 0 or 1 */
	uint32_t reserved;
	/* counted texts: name; secret's full name (files) or link target (symlinks) */
};

/*
 * MOUNT: descriptors: /dev/fuse of a superblock that exists; it may carry a second: the pid namespace
 * in which that was made, to tell processes from threads.
 *
 * REFUSE: workers that served it crashed again and again. This one is told no tree and answers every
 * request with EIO, the one that its predecessor had in hand as well; it is replaced later.
 */
enum worker_resume {
	RESUME_NOT = 0,
	RESUME_SERVE = 1, /* a dead worker served it before */
	RESUME_REFUSE = 2,
};
struct wr_mount {
	uint32_t resume; /* enum worker_resume */
};

/* STAGE: one step of the change to come. `kind` STAGE_PUT: `node` describes the new file, with its
 * memfd. Counted texts as for NODE. */
enum worker_stage_kind {
	STAGE_PUT = 1, /* STAGING/N is to become parent/name (new, or in place of the file there) */
	STAGE_UNLINK,  /* the file parent/name goes */
	STAGE_MKDIR,   /* the folder parent/name comes, with node.node as its id */
	STAGE_RMDIR,   /* the empty folder parent/name goes */
};
struct wr_stage {
	uint32_t kind; /* enum worker_stage_kind */
	uint32_t reserved;
	struct wr_node node; /* UNLINK, RMDIR: node and parent as they are now */
};

/* PREPARE: the staged steps may now be made by rename(2), unlink(2)… through the mount. */
struct wr_prepare {
	uint8_t token[16]; /* names the staging folder */
};

/* PREPARED, FINISHED, DENIED: */
struct wr_result {
	int32_t result; /* 0 or negative errno */
};

struct wr_deny {
	uint64_t node;
};

/*
 * CONNECTION: the connected socket, no byte read and already identified, and a pidfd of the process
 * that connected: once it is dead the socket may be in anybody's hands and is answered no more.
 */
struct wr_connection {
	uint64_t id;
	uint32_t uid, gid; /* host side */
	int32_t pid;       /* host side, for the audit record only */
};

/* ATTACH, and ATTACH_RESULT to it (counted text: the reason, or the folder) */
struct wr_attach {
	uint64_t id;    /* the connection */
	int32_t result; /* ATTACH_RESULT only */
};

struct wr_released {
	uint64_t node;
};

/*
 * CALLERS: cgroup ids that count as inside (WORKER_CHECK_CGROUP). May carry one descriptor: the pid
 * namespace in which the superblock was made. Without one the worker takes that to be its own, as
 * it is for a container in the host's.
 */
struct wr_callers {
	uint32_t count;
	uint64_t cgroups[WORKER_CGROUPS_MAX];
};

/* HELLO may carry a third descriptor: the listening socket for the next broker. */

/* KEEP: one descriptor: the read-write clone of the mount */

/* ADOPT: the first record of a new broker. Its layout never changes. */
struct wr_adopt {
	uint32_t proto; /* the broker's WORKER_PROTO */
	uint32_t reserved;
};

/*
 * ESCROW: the answer. Its layout never changes. Descriptors: shared memory, eventfd; then, if
 * `mounted`, /dev/fuse and the clone. A broker that speaks another WORKER_PROTO replaces the worker
 * by one of its own on these descriptors.
 */
#define ESCROW_REFUSES 2
struct wr_escrow {
	uint32_t proto;       /* the worker's WORKER_PROTO */
	uint32_t mounted;     /* 0, 1, or ESCROW_REFUSES: it was told RESUME_REFUSE */
	uint8_t prepared[16]; /* token of the change that is prepared now, else zeros */
	uint8_t finished[16]; /* token of the last that was finished, else zeros */
};

#define WORKER_SHARED_MAGIC 0x434f4646524d454dULL

/*
 * Raised when the memory below changes. What lies before `ring`, and the ring's place, never do: so
 * a broker can move a request in hand, and the records, from the memory of another layout into its
 * own, be that an older one or a newer one (ring_layout.h has the same of the ring).
 */
#ifndef WORKER_SHARED_LAYOUT
#define WORKER_SHARED_LAYOUT 4
#endif

#define WORKER_PASSES_MAX 4096   /* processes in a pass at one time; beyond, the oldest is lost */
#define WORKER_OPENED_MAX 16384U /* files opened in them, likewise */

/* The passes of the container's processes (fuse/passes.h): they go on when a worker dies. */
struct worker_pass {
	uint32_t process;   /* 0: none */
	uint32_t sent_back; /* a thread of it, at */
	int64_t sent_back_ns;
	uint64_t set, generation;
	int64_t begun_ns;        /* boot-time clock; 0: not begun */
	uint32_t spread;         /* 1: some of its files are not near its own place */
	uint32_t last_sent_back; /* how the open that was decided last came out: 0 or 1 */
	uint64_t last_request;   /* and which it was */
	uint64_t first; /* the file that began it, or the one before, which ran out of time */
};

struct worker_opened {
	uint64_t key; /* of pass and file */
	int64_t begun_ns;
};

struct worker_passes {
	struct worker_pass pass[WORKER_PASSES_MAX];
	struct worker_opened opened[WORKER_OPENED_MAX];
};

/*
 * Which steps of a prepared change were made through the mount, in the order in which they were
 * staged: what the kernel shows is the new state there, and a successor that is told the change
 * again has to answer look-ups so. Else who repeats the rename would find the old inode under the
 * name, and watchers would hear of it twice. A step is marked before it is answered, and what is
 * not answered yet is in hand.
 */
struct worker_made {
	uint8_t token[16]; /* of the change */
	uint8_t steps[WORKER_NODES_MAX / 8];
};

/*
 * Memory shared by broker and worker (a memfd sealed against resize), from the first day: what a
 * successor needs to go on. recv_len != 0 says: the request in recv is in hand and has not been
 * answered.
 */
struct worker_shared {
	uint64_t magic;
	uint32_t layout; /* WORKER_SHARED_LAYOUT */
	uint32_t init_len;
	uint8_t init[WORKER_INIT_MAX]; /* the raw FUSE_INIT of this superblock */
	uint32_t recv_len;
	struct worker_made made;
	uint8_t recv[WORKER_RECV_MAX] __attribute__((aligned(4096)));
	uint8_t ring[] __attribute__((aligned(4096))); /* ring_size() bytes, then the passes */
};
_Static_assert(offsetof(struct worker_shared, init_len) == 12 &&
                       offsetof(struct worker_shared, init) == 16 &&
                       offsetof(struct worker_shared, recv_len) == 272 &&
                       offsetof(struct worker_shared, made) == 276 &&
                       offsetof(struct worker_shared, recv) == 4096 &&
                       offsetof(struct worker_shared, ring) == 69632,
               "the places of every version");

static inline uint64_t worker_passes_offset(void)
{
	const uint64_t page = 4096;

	return sizeof(struct worker_shared) + (ring_size() + page - 1) / page * page;
}

static inline uint64_t worker_shared_size(void)
{
	return worker_passes_offset() + sizeof(struct worker_passes);
}

static inline struct worker_passes *worker_passes_of(struct worker_shared *shared)
{
	return (struct worker_passes *)(void *)((uint8_t *)shared + worker_passes_offset());
}
