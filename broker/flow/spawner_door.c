/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/spawner_door.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "coffer/attach_proto.h"
#include "coffer/cleanup.h"
#include "coffer/record.h"
#include "server/peer.h"

static size_t count_roots(const char *const *roots)
{
	size_t count = 0;

	while (count < ATTACH_ROOTS_MAX && roots[count])
		count++;
	return count;
}

static int send_config(int sock, const struct attach_config *c)
{
	const struct ar_config fixed = {
		.proto = ATTACH_PROTO,
		.worker_uid = c->worker_uid,
		.worker_gid = c->worker_gid,
		.runc_roots = (uint32_t)count_roots(c->runc_roots),
		.engine_roots = (uint32_t)count_roots(c->engine_roots),
	};
	const char *const programs[] = { c->mount_folder, c->worker_path, c->enter_path };
	SCOPED(free_ptr) unsigned char *texts = malloc(RECORD_PAYLOAD_MAX - sizeof(fixed));
	size_t len = 0, size = RECORD_PAYLOAD_MAX - sizeof(fixed);
	int r = texts ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(programs); i++)
		r = record_put_text(texts, size, &len, programs[i]);
	for (size_t i = 0; r == 0 && i < fixed.runc_roots; i++)
		r = record_put_text(texts, size, &len, c->runc_roots[i]);
	for (size_t i = 0; r == 0 && i < fixed.engine_roots; i++)
		r = record_put_text(texts, size, &len, c->engine_roots[i]);
	return r < 0 ? r
	             : record_send(sock, AR_CONFIG, 0, &fixed, sizeof(fixed), texts, len, NULL, 0);
}

int spawner_door_connect(int runtime_fd, const struct attach_config *config, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	SCOPED_FD int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred creds;
	socklen_t len = sizeof(creds);
	int r;

	if (sock < 0)
		return err_errno(e, -errno, "cannot make the spawner's socket");
	snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/" SPAWNER_SOCKET, runtime_fd);
	if (connect(sock, (struct sockaddr *)&at, sizeof(at)) < 0)
		return errno == ENOENT || errno == ECONNREFUSED
		               ? -ENOENT
		               : err_errno(e, -errno, "cannot connect to the spawner");
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &creds, &len) < 0)
		return err_errno(e, -errno, "the kernel does not say who the spawner is");
	if (creds.uid != geteuid())
		return err_set(e, -EPERM,
		               "uid %u listens where the spawner should; see who can write in the "
		               "runtime folder",
		               creds.uid);
	r = send_config(sock, config);
	return r < 0 ? err_errno(e, r, "cannot tell the spawner what to work with") : TAKE_FD(sock);
}

/* What arrived, and a configuration that borrows from it. */
struct told {
	struct record record;
	char texts[3 + 2 * ATTACH_ROOTS_MAX][ATTACH_TEXT_MAX];
	struct attach_config config;
};

static int read_config(struct told *t, struct err *e)
{
	const struct ar_config *fixed = (const struct ar_config *)t->record.payload;
	struct attach_config *c = &t->config;
	size_t at = sizeof(*fixed), count;

	if (t->record.type != AR_CONFIG || t->record.nfds || t->record.len < sizeof(*fixed) ||
	    fixed->runc_roots > ATTACH_ROOTS_MAX || fixed->engine_roots > ATTACH_ROOTS_MAX)
		return err_set(e, -EBADMSG, "what connected is no broker");
	if (fixed->proto != ATTACH_PROTO)
		return err_set(e, -EPROTO,
		               "the broker is of another build; start it anew (systemctl restart "
		               "cofferd)");
	count = 3 + fixed->runc_roots + fixed->engine_roots;
	for (size_t i = 0; i < count; i++)
		if (record_get_text(&t->record, &at, t->texts[i], sizeof(t->texts[i])) < 0)
			return err_set(e, -EBADMSG, "what the broker told makes no sense");
	if (at != t->record.len)
		return err_set(e, -EBADMSG, "what the broker told makes no sense");
	c->mount_folder = t->texts[0];
	c->worker_path = t->texts[1];
	c->enter_path = t->texts[2];
	c->enter_fd = -1;
	c->worker_uid = fixed->worker_uid;
	c->worker_gid = fixed->worker_gid;
	for (size_t i = 0; i < fixed->runc_roots; i++)
		c->runc_roots[i] = t->texts[3 + i];
	for (size_t i = 0; i < fixed->engine_roots; i++)
		c->engine_roots[i] = t->texts[3 + fixed->runc_roots + i];
	return 0;
}

/* Root, and not that of a container into which the runtime folder was mounted. */
static int check_broker(int sock, struct err *e)
{
	struct peer_home home;
	struct peer p;
	int r = peer_identify(sock, &p, e);

	if (r < 0)
		return r;
	r = peer_home_read(&home, e);
	if (r == 0 && (p.uid != 0 || p.pid_ns != home.pid_ns || p.user_ns != home.user_ns))
		r = err_set(e, -EACCES, "process %d is not the host's broker", p.pid);
	peer_clear(&p);
	return r;
}

/* One of these, listening, is what the manager passes. */
static int take_listener(struct err *e)
{
	int n = sd_listen_fds(1);

	if (n != 1 || sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 1) <= 0)
		return err_set(e, -EINVAL,
		               "--spawner is for a service manager, which passes the socket of a "
		               "broker: see coffer-spawner.socket");
	return SD_LISTEN_FDS_START;
}

int spawner_door_serve(struct err *e)
{
	SCOPED(free_ptr) struct told *t = calloc(1, sizeof(*t));
	SCOPED_FD int listener = take_listener(e);
	SCOPED_FD int sock = -1;
	int r;

	if (!t)
		return err_set(e, -ENOMEM, "out of memory");
	if (listener < 0)
		return listener;
	sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (sock < 0)
		return err_errno(e, -errno, "cannot take the broker's connection");
	listener = fd_close(listener);
	r = check_broker(sock, e);
	if (r < 0)
		return r;
	r = record_recv(sock, &t->record);
	if (r <= 0)
		return r == 0 ? 0 : err_errno(e, r, "the broker said nothing that can be read");
	r = read_config(t, e);
	record_close_fds(&t->record);
	if (r < 0)
		return r;
	r = spawner_main(sock, &t->config);
	return r < 0 ? err_errno(e, r, "the spawner broke off") : 0;
}
