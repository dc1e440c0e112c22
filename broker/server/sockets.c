/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/times.h"
#include "server/config.h"
#include "server/folders.h"

#define BACKLOG 1024 /* a host's containers that all start at once */
#define FRESH ".new-socket"
#define FOREIGN ".not-a-socket" /* what a container put in the place of one */

/* Where one socket goes. */
struct place {
	int dirfd;
	const char *name;
	const char *shown; /* for people */
	mode_t mode;
	gid_t group;
	bool open; /* containers see this folder */
};

/* What is at the name may be replaced only if it is a socket: anything else is not ours. */
static int check_old(const struct place *p, struct err *e)
{
	struct stat st;

	if (fstatat(p->dirfd, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno, "cannot look at %s", p->shown);
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (p->open) {
		char aside[64];

		/* A name of its own each time: what was moved before may not be in the way. */
		snprintf(aside, sizeof(aside), FOREIGN "-%lld", (long long)times_now());
		log_warn("%s was no socket: a container that may write there made it; it is moved "
		         "to %s "
		         "beside it; bind-mount that folder read-only",
		         p->shown, aside);
		if (renameat(p->dirfd, p->name, p->dirfd, aside) == 0)
			return 0;
	}
	return err_set(e, -EEXIST, "%s is there and is no socket; remove it", p->shown);
}

/* Bind by way of the folder's descriptor: a path of any length fits, and no part of it can be
 * swapped. */
static int bind_fresh(const struct place *p, int fd, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t old;
	int r;

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", p->dirfd,
	         FRESH);
	if (unlinkat(p->dirfd, FRESH, 0) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "cannot remove what a start cut off left beside %s",
		                 p->shown);
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	r = r < 0 ? -errno : 0;
	umask(old);
	if (r < 0)
		return err_errno(e, r, "cannot make the socket %s", p->shown);
	if (fchownat(p->dirfd, FRESH, 0, p->group, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(p->dirfd, FRESH, p->mode, 0) < 0)
		return err_errno(e, -errno, "cannot set owner and mode of the socket %s", p->shown);
	return 0;
}

static int listen_at(const struct place *p, int *ret, struct err *e)
{
	SCOPED_FD int fd = -1;
	int r = check_old(p, e);

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make the socket %s", p->shown);
	r = bind_fresh(p, fd, e);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0 || renameat(p->dirfd, FRESH, p->dirfd, p->name) < 0)
		return err_errno(e, -errno, "cannot put the socket %s in place", p->shown);
	*ret = TAKE_FD(fd);
	return 0;
}

static int listen_operator(struct broker *b, int *ret, struct err *e)
{
	const struct group *group = getgrnam(b->config->operator_group);
	char shown[ERR_TEXT_MAX];
	const struct place place = {
		.dirfd = b->runtime_fd,
		.name = "operator.sock",
		.shown = shown,
		.mode = group ? 0660 : 0600,
		.group = group ? group->gr_gid : 0,
	};

	snprintf(shown, sizeof(shown), "%s/%s", b->config->runtime_dir, place.name);
	return listen_at(&place, ret, e);
}

static int listen_workload(struct broker *b, int *ret, struct err *e)
{
	SCOPED_FD int dirfd = openat(b->runtime_fd, FOLDER_WORKLOAD,
	                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char shown[ERR_TEXT_MAX];
	const struct place place = {
		.dirfd = dirfd,
		.name = "sock",
		.shown = shown,
		.mode = 0666,
		.open = true,
	};

	snprintf(shown, sizeof(shown), "%s/" FOLDER_WORKLOAD "/%s", b->config->runtime_dir,
	         place.name);
	if (dirfd < 0)
		return err_errno(e, -errno, "cannot open the folder of %s", shown);
	return listen_at(&place, ret, e);
}

/* A manager passes them as it likes; whoever accepts until there is no more must not wait. */
static bool make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Those that the manager passed. It passes the descriptor store as well; those are others' to take.
 */
static int take_passed(struct sockets *s, struct err *e)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(0, &names);

	if (n < 0)
		return err_errno(e, n, "cannot take the sockets of the service manager");
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		int *slot = strcmp(names[i], "operator") == 0   ? &s->operator_fd
		            : strcmp(names[i], "workload") == 0 ? &s->workload_fd
		                                                : NULL;

		if (slot && *slot < 0 && sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0 &&
		    make_nonblocking(fd))
			*slot = fd;
		free(names[i]);
	}
	free(names);
	return 0;
}

int sockets_open(struct broker *b, struct sockets *ret, struct err *e)
{
	struct sockets s = { -1, -1 };
	int r = take_passed(&s, e);

	if (r == 0 && s.operator_fd < 0)
		r = listen_operator(b, &s.operator_fd, e);
	if (r == 0 && s.workload_fd < 0)
		r = listen_workload(b, &s.workload_fd, e);
	if (r < 0) {
		sockets_close(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void sockets_close(struct sockets *s)
{
	s->operator_fd = fd_close(s->operator_fd);
	s->workload_fd = fd_close(s->workload_fd);
}
