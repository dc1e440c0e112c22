/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_proto.h - what broker and spawner, and broker and an attacher, say to each other.
 *
 * The spawner holds no key: it is forked from cofferd before any key is read, or is a service of its
 * own (flow/spawner_door.h), which is told what to work with first. It does nothing but start
 * processes: a worker (exec of cofferfs), or an attacher: a short-lived child that does one
 * operation on one container and talks with the broker over a socket of its own, so that what hangs
 * in a container hangs alone.
 *
 *	broker                                   spawner
 *	CONFIG, to a service of its own     ───►
 *	SPAWN_WORKER (channel)              ───►
 *	SPAWN_ATTACHER (operation's socket) ───►
 *	                                    ◄─── SPAWNED {pid} (pidfd), or FAILED
 *
 * Operations (first record on an operation's socket; the attacher ends after its last answer):
 *
 *	broker                                   attacher
 *	INSPECT  who is this?               ───►
 *	                                    ◄─── FACTS (pidfd, cgroup, mnt, pid, user namespace)
 *	MOUNT (pidfd, mnt, pid, user ns)    ───►
 *	                                    ◄─── EXISTING (/dev/fuse): what the folder holds now
 *	GO, when the worker serves          ───►
 *	                                    ◄─── MOUNTED (read-write clone)
 *	FOLDER  (as MOUNT)                  ───►
 *	                                    ◄─── DONE: the empty folder is there
 *	UNMOUNT (as MOUNT)                  ───►
 *	                                    ◄─── DONE: our mount is off again
 *	CHECK   (as MOUNT)                  ───►
 *	                                    ◄─── DONE: 0 our mount is at the folder, -ENOENT not
 *	CHANGE (clone, /dev/fuse)           ───►
 *	                                    ◄─── DONE {result, how many steps were made}
 *	REACT   (pidfd, mnt, pid, user ns)  ───►
 *	                                    ◄─── DONE {0, the program's wait status}
 *
 * Every failure is FAILED {errno} with a sentence.
 */
#pragma once

#include <stdint.h>

#define ATTACH_PROTO 1          /* a service of another build is refused */
#define ATTACH_TEXT_MAX 4096    /* a path */
#define ATTACH_STEPS_MAX 128    /* steps of one CHANGE */
#define ATTACH_EXISTING_MAX 128 /* entries the folder may hold before us; more is refused */
#define ATTACH_MAPS_MAX 32      /* lines of a uid or gid map taken over (the kernel allows 340) */
/* labels and annotations of one container that are taken over */
#define ATTACH_ATTRIBUTES_MAX 128

enum attach_record {
	AR_SPAWN_WORKER = 64,
	AR_SPAWN_ATTACHER,
	AR_SPAWNED,
	AR_FAILED,
	AR_INSPECT,
	AR_FACTS,
	AR_MOUNT,
	AR_EXISTING,
	AR_GO,
	AR_MOUNTED,
	AR_FOLDER,
	AR_UNMOUNT,
	AR_CHANGE,
	AR_DONE,
	AR_CHECK,
	AR_REACT,
	AR_CONFIG,
};

/*
 * CONFIG. Counted texts behind it: mount folder, worker's path, path of coffer-enter, then as many roots
 * of runc and of engines as are said here.
 */
struct ar_config {
	uint32_t proto; /* ATTACH_PROTO */
	uint32_t worker_uid, worker_gid;
	uint32_t runc_roots, engine_roots;
};

struct ar_spawned {
	int32_t pid;
};

/* FAILED: then a counted text: the sentence */
struct ar_failed {
	int32_t error; /* negative errno */
};

/* DONE */
struct ar_done {
	int32_t result;
	uint32_t steps; /* CHANGE: how many were made; REACT: the wait status (0 of a signal) */
};

/*
 * INSPECT: who is the container? By the hook's word (pid, id and bundle, all checked against the
 * kernel and the bundle), by an operator's (pid, or name), or for the peer of a workload connection
 * (pid).
 */
enum inspect_how {
	INSPECT_HOOK = 1, /* pid is the container's init; texts id and bundle are the hook's */
	INSPECT_PID,      /* pid is any process; its boundary is found */
	INSPECT_NAME,     /* text id is an engine's name or id of a running container */
	INSPECT_UNIT,     /* text id is a systemd unit: its main process */
};
struct ar_inspect {
	uint32_t how; /* enum inspect_how */
	int32_t pid;
	/* counted texts: id, bundle ("" if not given) */
};

enum facts_flag {
	FACTS_WEAK = 1,        /* shares the host's pid namespace */
	FACTS_HOST_MOUNTS = 2, /* shares the host's mount namespace: no mount, socket only */
	FACTS_PLAIN = 4,       /* no engine's state matches: a plain process group */
	FACTS_UNVERIFIED = 8,  /* its state is in a user's hands (rootless) */
	FACTS_SHARED_PID = 16, /* reserved: the broker sets it by comparing registrations */
	FACTS_USERNS = 32,     /* has a user namespace of its own */
};

struct facts_map {
	uint32_t inside, outside, count;
};

/*
 * FACTS. Descriptors: pidfd of its init, cgroup directory, mount, pid and user namespace (5).
 * Then counted texts: runtime, name, id, image, image digests (separated by a
 * space), unit, bundle, root path (host side, for a container still being created; "" once it runs),
 * SELinux mount label, what its engine knows that could not be read (a sentence, or ""); then `attributes`
 * times: flag text
 * ("c": set by who started it, "i": came with the image), key, value.
 */
struct ar_facts {
	int32_t pid;
	uint32_t flags;      /* enum facts_flag */
	uint64_t start_time; /* of init, clock ticks since boot, /proc/PID/stat field 22 */
	uint64_t cgroup_id;  /* st_ino of its directory in the hierarchy `cgroup_v2` says */
	uint32_t cgroup_v2;  /* 1: unified; 0: a v1 hierarchy (name=systemd, else the first) */
	uint32_t uid, gid;   /* the user it starts as, inside */
	uint32_t uid_maps, gid_maps;
	uint64_t mnt_ns, pid_ns, user_ns; /* inode numbers */
	struct facts_map uid_map[ATTACH_MAPS_MAX], gid_map[ATTACH_MAPS_MAX];
	uint32_t attributes;
	uint32_t reserved;
};

/*
 * MOUNT, FOLDER, UNMOUNT, CHECK: descriptors pidfd, mnt, pid, user namespace (4). Counted texts
 * behind it: root path (host side: the container's root while its runtime has not changed to it,
 * then its own counts; "" if not known), folder ("/run/secrets"), SELinux label.
 */
struct ar_mount {
	int32_t pid;
	uint32_t reserved;
	uint64_t dev; /* CHECK, UNMOUNT: st_dev of our mount, as MOUNTED gave it */
};

/* EXISTING: one descriptor (/dev/fuse, superblock made). Then `count` entries: */
struct ar_existing {
	uint32_t count;
	uint32_t reserved;
	uint64_t dev; /* st_dev of the mount to come: found by it if the attacher dies on the way */
	/* each: u32 kind (enum worker_node_kind: placeholder or symlink), counted texts name, link
	 * target */
};

/* MOUNTED: one descriptor: the read-write clone. */
struct ar_mounted {
	uint64_t dev; /* st_dev of the mount, which no other has */
};

/* CHANGE: descriptors: read-write clone, /dev/fuse (2). `steps` of these, in order; repeatable as a
 * whole: */
enum change_kind {
	CHANGE_RENAME = 1, /* texts: from, to: paths below the mount */
	CHANGE_UNLINK,     /* text: path; -ENOENT counts as done */
	CHANGE_MKDIR,      /* text: path; -EEXIST counts as done */
	CHANGE_RMDIR,      /* text: path; -ENOENT counts as done */
	CHANGE_DROP_PAGES, /* FUSE_NOTIFY_INVAL_INODE of `node`; -ENOENT counts as done */
};
struct ar_change {
	uint32_t steps;
	uint32_t reserved;
	/* each: u32 kind, u32 reserved, u64 node, counted texts from, to ("" where unused) */
};

/*
 * REACT: tell the container that versions were replaced: descriptors pidfd, mount, pid, user
 * namespace (4). For REACT_EXEC `words` + 1 counted texts behind it: "COFFER_ROTATED=" with the paths,
 * then the words of the command.
 */
enum react_kind { REACT_SIGNAL = 1, REACT_EXEC };
struct ar_react {
	int32_t pid;
	uint32_t kind;
	uint32_t signal;   /* REACT_SIGNAL */
	uint32_t uid, gid; /* REACT_EXEC: as seen inside */
	uint32_t words;
	uint32_t limit_s; /* the program is killed then */
	uint32_t reserved;
};
