/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - which container gets which secret, under which path, owner and mode. Pure: facts in,
 * answer out.
 *
 * A grant names a secret, or a prefix ("tls/"), and conditions. Conditions of one grant are ANDed,
 * grants are ORed. Two grants that want one path: the older wins, and explain names both. Values
 * are compared whole and case-sensitively, never as patterns.
 *
 * Strength: image digest, Kubernetes namespace (under containerd and CRI-O) and unit are strong;
 * runtime, names, labels, tags weak. Labels that came with the image never match; a label that
 * whoever started the container set to two different values (as label and as annotation) matches
 * neither.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "coffer/err.h"
#include "coffer/name.h"

#define POLICY_GRANTS_MAX 10000
#define POLICY_LABELS_MAX 16 /* label conditions of one grant */
#define POLICY_TEXT_MAX 1024 /* bytes of one condition's value */
#define POLICY_ID_LEN 16     /* a grant's id: hex digits of 8 random bytes */

struct attribute {
	char *key, *value;
	bool from_image;
};

/* What is known of a container. Filled by the flow code from an attacher's FACTS; plain data. */
struct subject {
	char *runtime; /* docker podman containerd crio runc systemd nspawn, or "" for a plain
	                  process group */
	char *name, *id;
	char *image;  /* as its engine names it ("nginx:1.25") */
	char *digest; /* what the image is known by: "sha256:…", several separated by a
	                                space, or "" */
	char *unit;   /* systemd unit of its cgroup, or "" */
	struct attribute *attribute; /* labels and annotations */
	size_t attributes;
	bool weak;         /* shares the host's pid namespace */
	bool host_mounts;  /* shares the host's mount namespace */
	bool plain;        /* no engine's state matched: only unit conditions can match */
	bool unverified;   /* its state is in a user's hands */
	uint32_t uid, gid; /* the user it starts as, inside */
};
void subject_clear(struct subject *s);

struct grant {
	char id[POLICY_ID_LEN + 1];
	uint64_t order; /* grows with each grant: the older has the smaller; 0: none yet */
	int64_t created_ns;
	char *name;                               /* secret, or prefix with its '/' */
	char *runtime, *container, *image, *unit; /* conditions; NULL: none */
	struct attribute *label;
	size_t labels;
	char *path; /* --as; NULL: last segment, or the prefix's last segment as a folder */
	bool has_mode, has_uid, has_gid;
	uint32_t mode, uid, gid; /* as seen inside */
	bool allow_tag, allow_weak, allow_unverified;
	char *on_rotate; /* on_rotate.h, as it formats it; NULL: nothing */
};
void grant_free(struct grant *g);

/*
 * From and to the JSON of io.coffer.operator's Grant type (order is kept as "order"); checks every
 * rule. "id", "created" and "order" may be absent, as in a request: the caller fills in id and
 * created_ns, policy_add the order. A unit without a known suffix becomes a ".service". An image
 * that is no digest needs allow_tag. -EINVAL with a sentence.
 */
int grant_from_json(const json_t *object, struct grant **ret, struct err *e);
json_t *grant_to_json(const struct grant *g);

/*
 * An order of grants by all but id and age (<0, 0, >0, as strcmp): 0 are two that say the same.
 * The order of labels does not matter.
 */
int grant_compare(const struct grant *a, const struct grant *b);

enum strength { STRENGTH_NONE, STRENGTH_WEAK, STRENGTH_STRONG };

/*
 * Whether a grant's conditions hold. `why` (caller's, may be NULL) gets a sentence either way:
 * every condition with its strength, or all that failed. *ret_strength (may be NULL) is that of the
 * strongest condition, NONE without a match.
 */
bool policy_matches(const struct grant *g, const struct subject *s, enum strength *ret_strength,
                    struct err *why);

/* Whether it does not match only since labels of the image never count: they say what it wants. */
bool policy_wants_image_label(const struct grant *g, const struct subject *s);

/* The grants, ordered by age. */
struct policy;
struct policy *policy_new(void);
void policy_free(struct policy *p);

/*
 * Takes g over, also on failure; an order of 0 becomes the next. -EINVAL without an id, -EEXIST for
 * a known id, -ENOSPC above POLICY_GRANTS_MAX.
 */
int policy_add(struct policy *p, struct grant *g, struct err *e);
int policy_remove(struct policy *p, const char *id); /* 0 or -ENOENT */
size_t policy_count(const struct policy *p);
const struct grant *policy_at(const struct policy *p, size_t i);
const struct grant *policy_find(const struct policy *p, const char *id);

/* One file that a container is to have. `grant` points into the policy: good until a grant is
 * removed. */
struct view_file {
	char *path; /* below the mount; always one that name_check_path takes */
	char *name; /* the secret */
	const struct grant *grant;
	uint32_t mode, uid, gid; /* inside */
	bool has_mode;           /* false: mode is the default, which the value's kind decides (see
	                            policy_default_mode) */
};
struct view_clash {
	char *path;
	const struct grant *winner, *loser;
};
/* A file that cannot be shown: --as and the rest of the name make too long or too deep a path. */
struct view_unfit {
	char *path;
	const struct grant *grant;
};
struct view {
	struct view_file *file; /* ordered by path */
	size_t files;
	struct view_clash *clash;
	size_t clashes;
	struct view_unfit *unfit;
	size_t unfits;
};
void view_clear(struct view *v);

/* Iterates over stored names: calls `visit` for every name with the prefix (or the name itself). */
struct policy_names {
	int (*each)(void *arg, const char *name_or_prefix,
	            int (*visit)(void *visit_arg, const char *name), void *visit_arg);
	void *arg;
};

/*
 * All files that `s` is to see. A path that lies below another file's path ("a" and "a/b") is a
 * clash too; within one grant the upper file wins. -ENOSPC with a sentence above VIEW_FILES_MAX.
 */
#define VIEW_FILES_MAX 2048
int policy_view(const struct policy *p, const struct subject *s, const struct policy_names *names,
                struct view *ret, struct err *e);

/* 0400, or 0444 where the container starts as root and the value is no private key. */
uint32_t policy_default_mode(const struct subject *s, bool private_key);

/* Inside id → host id through a uid or gid map (lines of inside, outside, count). -ERANGE if it is
 * not mapped. */
struct id_map {
	uint32_t inside, outside, count;
};
int policy_map_id(const struct id_map *map, size_t lines, uint32_t inside, uint32_t *ret);
