/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enter.h - what an attacher and coffer-enter agree on.
 *
 * coffer-enter is the program of every process of ours that comes into a container's pid namespace:
 * the one that makes a FUSE superblock there, and the one that becomes a program for a reaction. Its
 * /proc/PID/exe can be named in the container (as the interpreter of a script, by whoever may
 * trace), and be held until it can be written to; so it must not be a file of the host. The spawner
 * keeps a copy of it in sealed memory, and attachers run that.
 *
 *	attacher ─ fork ─► child ─ exec ─► coffer-enter        joins the namespaces, becomes the user,
 *	    │                                   │              gives up everything
 *	    │                                   └─ clone ─► the program, a child of the attacher
 *	    └─ reads reports, waits for the program
 *
 * It is given everything by descriptor number, and its plan through a pipe. It opens one path, the
 * container's /dev/null, when it has no more rights than the container's user.
 *
 *	attacher ─ fork ─► child ─ exec ─► coffer-enter create    joins the pid namespace, installs
 *	    └─ waits for it                     │                 its filter
 *	                                        └─ clone ─► makes the superblock, ends
 */
#pragma once

#include <stdint.h>

enum enter_fd {
	ENTER_REPORT_FD = 3, /* pipe: struct enter_report, written by it; closed by the last exec */
	ENTER_PLAN_FD,       /* pipe: struct enter_plan and its texts */
	ENTER_ROOT_FD,       /* the root folder of the container's first process */
	ENTER_NS_FD,         /* this and the next: namespaces, as `namespaces` of the plan says */
	ENTER_SELF_FD = ENTER_NS_FD + 8, /* the sealed copy; close-on-exec */
	ENTER_FDS,
};

/* In the order in which they are joined: the user namespace last, since whoever is in it has no
 * rights over namespaces that are owned outside. */
enum enter_ns {
	ENTER_NS_CGROUP,
	ENTER_NS_IPC,
	ENTER_NS_UTS,
	ENTER_NS_NET,
	ENTER_NS_TIME,
	ENTER_NS_PID,
	ENTER_NS_MNT,
	ENTER_NS_USER,
	ENTER_NS_COUNT,
};

#define ENTER_TEXTS_MAX 8192 /* words of the command and one line of environment */
#define ENTER_WORDS_MAX 32

struct enter_plan {
	uint32_t namespaces; /* bit 1 << enum enter_ns: to be joined, and its descriptor is there */
	uint32_t uid, gid;   /* as seen inside */
	uint32_t words;
	uint32_t len; /* bytes behind this: COFFER_ROTATED=…, then the words, each with its NUL */
};

enum enter_stage {
	ENTER_PLAN,
	ENTER_CGROUP,
	ENTER_JOIN,
	ENTER_ROOT,
	ENTER_USER,
	ENTER_PRIVILEGES,
	ENTER_NULL,
	ENTER_FILTER,
	ENTER_FORK,
	ENTER_STARTED, /* no failure: `pid` is the program's */
	ENTER_EXEC,
	ENTER_STAGES,
};

struct enter_report {
	uint32_t stage;
	int32_t error; /* negative errno */
	int32_t pid;
};

/* Of `coffer-enter create`. */
enum enter_create_fd {
	ENTER_CREATE_PID_NS_FD = 3,
	ENTER_CREATE_FS_FD,      /* of fsopen, configured */
	ENTER_CREATE_OUTCOME_FD, /* memory for struct enter_outcome */
	/* FUSE's option names it by number, and kernels look it up when the option is set or when
	 * the superblock is made: it has this number in the attacher too. */
	ENTER_CREATE_FUSE_FD = 16,
	ENTER_CREATE_SELF_FD,
};

/* Written to where no system call is left to write. `created` may be anybody's word. */
struct enter_outcome {
	int entered, created; /* negative errno; 0 done */
};
