/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REACT: tell a container that its secrets changed: a signal to its first process, or a program run
 * inside (react_exec.c).
 */
#include "attach/react.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/attacher.h"
#include "attach/proc.h"
#include "attach/sys.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/kern.h"

#define STATUS_MAX (64 * 1024) /* /proc/PID/status is some 1.5 KiB, more with many groups */
#define MOUNTINFO_MAX (64 * 1024 * 1024) /* 100,000 mounts, the kernel's own limit, at 600 bytes */

static int read_of(pid_t pid, const char *file, size_t max, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return io_read_file(AT_FDCWD, path, max, ret, NULL);
}

int react_check_process(const struct reaction_request *q, struct err *e)
{
	pid_t pid;

	if (kern_pidfd_pid(q->fds[REACT_PIDFD], &pid) < 0 || pid != q->fixed.pid ||
	    !kern_pidfd_alive(q->fds[REACT_PIDFD]))
		return err_set(e, -ESRCH, "the container has ended");
	return 0;
}

/*
 * Between creation and start its first process is the runtime's, which a signal would end: by the
 * mount that its program lies in, which is then none of the container's.
 */
static int check_started(pid_t pid, struct err *e)
{
	SCOPED(free_ptr) char *mounts = NULL;
	SCOPED_FD int program = -1;
	struct sys_place place;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	program = open(path, O_PATH | O_CLOEXEC);
	r = program < 0 ? -errno : sys_place_of(program, &place);
	if (r == 0)
		r = read_of(pid, "mountinfo", MOUNTINFO_MAX, &mounts);
	if (r == 0)
		r = proc_mount_is_shared(mounts, place.mount);
	if (r == -ENOENT)
		return err_set(e, -EAGAIN,
		               "its first process runs no program of the container (is it still "
		               "being started? then it reads the new version by itself)");
	return r < 0 ? err_errno(e, r, "cannot look at the container's first process") : 0;
}

/* A pid namespace's first process gets no signal that it does not handle; nobody would notice. */
static int check_handled(pid_t pid, int signal, struct err *e)
{
	SCOPED(free_ptr) char *status = NULL;
	pid_t inside = 0;
	uint64_t caught = 0, blocked = 0, bit = 1ULL << (signal - 1);
	int depth, r = read_of(pid, "status", STATUS_MAX, &status);

	if (r < 0)
		return err_errno(e, r, "cannot look at the container's first process");
	depth = proc_parse_nspid(status, &inside);
	r = depth < 0 ? depth : proc_parse_mask(status, "SigCgt", &caught);
	if (r == 0)
		r = proc_parse_mask(status, "SigBlk", &blocked);
	if (r < 0)
		return err_errno(e, r, "cannot tell which signals its first process handles");
	if (depth < 2 || inside != 1 || (caught | blocked) & bit)
		return 0;
	return err_set(e, -EOPNOTSUPP,
	               "its first process does not handle the signal, and the kernel keeps from "
	               "a container's first process what it does not handle: nothing happened");
}

static int send_signal(const struct reaction_request *q, struct err *e)
{
	int r = check_handled(q->fixed.pid, (int)q->fixed.signal, e);

	if (r == 0)
		r = react_check_process(q, e);
	if (r < 0)
		return r;
	r = kern_pidfd_send_signal(q->fds[REACT_PIDFD], (int)q->fixed.signal);
	if (r == -ESRCH)
		return err_set(e, r, "the container has ended");
	return r < 0 ? err_errno(e, r, "cannot signal the container's first process") : 0;
}

static int take_request(const struct record *r, struct reaction_request *q)
{
	size_t at = sizeof(q->fixed), room = sizeof(q->texts);
	uint32_t texts;
	char *to = q->texts;

	memcpy(&q->fixed, r->payload, sizeof(q->fixed));
	q->fds = r->fds;
	if (q->fixed.pid < 2 || q->fixed.words > ENTER_WORDS_MAX)
		return -EBADMSG;
	texts = q->fixed.kind == REACT_EXEC ? q->fixed.words + 1 : 0;
	for (uint32_t i = 0; i < texts; i++) {
		int result = record_get_text(r, &at, to, room);

		if (result < 0)
			return result;
		room -= strlen(to) + 1;
		to += strlen(to) + 1;
	}
	q->len = (uint32_t)(to - q->texts);
	return at == r->len ? 0 : -EBADMSG;
}

int react_run(struct operation_call *call, struct err *e)
{
	SCOPED(free_ptr) struct reaction_request *q = calloc(1, sizeof(*q));
	uint32_t status = 0;
	int r = q ? take_request(call->request, q) : -ENOMEM;

	if (r < 0)
		return err_set(e, r, "the request for a reaction is malformed");
	q->sock = call->sock;
	r = react_check_process(q, e);
	if (r == 0)
		r = check_started(q->fixed.pid, e);
	if (r < 0)
		return r;
	if (q->fixed.kind == REACT_SIGNAL && q->fixed.signal > 0 && q->fixed.signal < NSIG)
		r = send_signal(q, e);
	else if (q->fixed.kind == REACT_EXEC && q->fixed.words > 0)
		r = react_exec(q, call->config, &status, e);
	else
		r = err_set(e, -EBADMSG, "the request for a reaction is malformed");
	return r < 0 ? r : attacher_done(call->sock, call->request->serial, 0, status);
}
