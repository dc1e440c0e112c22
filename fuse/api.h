/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the workload connections of one container: Varlink, io.coffer.workload.
 *
 * The broker identified each peer before it passed the socket on; nothing that a peer sends says
 * who it is. Peers are hostile: number of connections, size of a message, calls per second and the
 * time a half message or an unread answer may lie around are all bounded, and of one connection
 * only one call at a time is under way: the next is read when the answer has left. Descriptors
 * that a peer sends are dropped by the kernel, since none are received.
 *
 * A value is encoded straight from its mapping into locked memory, which is wiped once it is sent.
 * Every Get and List has its audit record before a byte leaves.
 */
#pragma once

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "coffer/worker_proto.h"

#define API_CONNECTIONS_MAX 256     /* whatever the broker says: a poll set stays small */
#define API_MESSAGE_MAX (64 * 1024) /* our longest call, Get of a path, is under 2 KiB */
#define API_STALL_S 10              /* a half message, or an answer that nobody reads */

struct worker;
struct api;

int api_new(struct worker *w, uint32_t connections_max, uint32_t calls_per_second,
            struct api **ret);
void api_free(struct api *a); /* closes every connection; NULL is fine */

/* Takes `fd` and `pidfd` (of who connected, or -1) over in any case. 0 (also when refused: that is the peer's affair) or -errno. */
int api_add(struct api *a, const struct wr_connection *connection, int fd, int pidfd);

/* Close every connection: the broker is gone. */
void api_close_all(struct api *a);

/*
 * Fill `fds` (API_CONNECTIONS_MAX of them) for poll(2); returns how many. *timeout_ms, in and out:
 * shortened to the nearest deadline (-1 is none).
 */
size_t api_poll(struct api *a, struct pollfd *fds, int *timeout_ms);

/*
 * Serve what poll(2) found, and drop who stalls. `fds` as filled by api_poll, nothing added in
 * between.
 */
void api_serve(struct api *a, const struct pollfd *fds, size_t count);

/*
 * The broker's answer to an ATTACH: `text` is the folder or the reason. -EBADMSG: none was asked
 * for.
 */
int api_attach_result(struct api *a, uint64_t id, int result, const char *text);
