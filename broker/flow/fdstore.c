/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/fdstore.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"

static const char *const roles[] = { "fuse", "clone", "shared" };

void fdstore_keep(const struct container *c)
{
	const int fds[] = { c->fuse_fd, c->clone_fd, c->shared_fd };

	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		char text[128];

		/* FDPOLL=0: a mount's descriptor cannot be polled, and the others need not be. */
		snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s-%s\nFDPOLL=0", c->instance_text,
		         roles[i]);
		if (sd_pid_notify_with_fds(0, 0, text, &fds[i], 1) < 0) {
			log_warn("the service manager does not take the descriptors of a mount");
			return;
		}
	}
}

void fdstore_drop(const char *instance)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%.32s-%s", instance, roles[i]);
}

/* The store gives them in any order, and one that was stored twice comes twice: the last counts. */
static int find(char **names, int count, const char *instance, const char *role)
{
	char wanted[64];
	int found = -ENOENT;

	snprintf(wanted, sizeof(wanted), "%.32s-%s", instance, role);
	for (int i = 0; i < count; i++)
		if (strcmp(names[i], wanted) == 0)
			found = SD_LISTEN_FDS_START + i;
	return found < 0 ? found : fcntl(found, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START);
}

int fdstore_take(const char *instance, struct fdstore_mount *ret)
{
	SCOPED_FD int fuse = -1, clone = -1, shared = -1;
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);

	if (count > 0) {
		fuse = find(names, count, instance, "fuse");
		clone = find(names, count, instance, "clone");
		shared = find(names, count, instance, "shared");
	}
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	if (fuse < 0 || clone < 0 || shared < 0)
		return -ENOENT;
	*ret = (struct fdstore_mount){ TAKE_FD(fuse), TAKE_FD(clone), TAKE_FD(shared) };
	return 0;
}
