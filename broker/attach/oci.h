/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oci.h - what is taken out of a container's bundle and out of its runtime's state. Pure: bytes in,
 * structs out.
 *
 * config.json is the OCI runtime specification's; state.json is what runc (libcontainer) keeps of a
 * running container at ROOT/ID/, status is what crun keeps there. All are read as strict JSON (json.h) and only the fields named
 * here are looked at. Nothing in them is believed that the kernel can say: namespaces, cgroup and
 * id maps in them are not even read.
 *
 * Errors: -EINVAL with a sentence, -ENOMEM. On failure the output is untouched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "coffer/attach_proto.h"
#include "coffer/err.h"

#define OCI_FILE_MAX (4 * 1024 * 1024) /* Kubernetes' largest are some 100 KiB */
#define OCI_ID_MAX 255                 /* it is a folder's name below the runtime's root */
#define OCI_ATTRIBUTE_MAX 1024 /* bytes of a key or value: no condition of a grant is longer */

/* An id: what runc allows (letters, digits, '_', '+', '-', '.', ','), not "." or "..", not empty.
 */
bool oci_id_ok(const char *id);

struct oci_state {
	char *id;
	pid_t pid;
	uint64_t start; /* of the init, as kern_start_time counts */
	char *bundle;   /* absolute */
};
int oci_state_parse(const char *text, size_t len, struct oci_state *ret, struct err *e);

/* crun's ROOT/ID/status, which does not say the id. */
int oci_status_parse(const char *text, size_t len, const char *id, struct oci_state *ret,
                     struct err *e);
void oci_state_clear(struct oci_state *s);

struct oci_annotation {
	char *key, *value;
};

/*
 * Annotations longer than OCI_ATTRIBUTE_MAX are left out, and so are those beyond
 * ATTACH_ATTRIBUTES_MAX: what is left out can match no grant.
 */
struct oci_config {
	uint32_t uid, gid; /* the user it starts as, inside */
	char *root;        /* as written: absolute, or relative to the bundle */
	char *mount_label; /* "" if there is none */
	struct oci_annotation *annotation;
	size_t annotations;
};
int oci_config_parse(const char *text, size_t len, struct oci_config *ret, struct err *e);
void oci_config_clear(struct oci_config *c);

/* The value of an annotation, or NULL. */
const char *oci_annotation(const struct oci_config *c, const char *key);
