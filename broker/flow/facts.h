/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what an attacher found out about a process, taken out of its record and checked.
 *
 * The attacher parses what engines write; the broker takes only counted text and numbers from it.
 */
#pragma once

#include "coffer/attach_proto.h"
#include "coffer/record.h"
#include "policy/policy.h"

struct facts {
	struct ar_facts fixed;
	struct subject subject;
	char *bundle;
	char *root;  /* host side: its root until the runtime has changed to it; "" if not known */
	char *label; /* SELinux mount label, or "" */
	char *trouble; /* what its engine knows that could not be read, and why; or "" */
	int pidfd, cgroup_fd, mnt_fd, pid_fd, user_fd;
};

/* Takes the descriptors. -EBADMSG for what makes no sense. */
int facts_take(struct record *r, struct facts *ret, struct err *e);
void facts_clear(struct facts *f);

/* Inside → host ids. -ERANGE. */
int facts_map_uid(const struct facts *f, uint32_t inside, uint32_t *ret);
int facts_map_gid(const struct facts *f, uint32_t inside, uint32_t *ret);
