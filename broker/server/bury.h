/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bury.h - closing what others have put something into.
 *
 * A descriptor that a peer sent, and a connection that nobody read, may hold the last reference to a file
 * of the peer's choice. Letting go of that can block: a TCP socket with SO_LINGER waits for its other end
 * (tcp_close), and in the kernel it is whoever closes last who waits. A process that is dying does not
 * (PF_EXITING). So the last close is left to a child that does nothing but die.
 *
 * Where the kernel can be told that no descriptors may come (SO_PASSRIGHTS, Linux 6.16), it is.
 */
#pragma once

#include <stddef.h>
#include <systemd/sd-event.h>

/* Takes them; negative ones are passed over. Where no child can be had they are closed here. */
void bury(sd_event *event, const int *fds, size_t n);

/* A connection that is refused, read or not. */
void bury_connection(sd_event *event, int sock);

/* No peer of this socket, or of those that it accepts, can send a descriptor, where the kernel can do that. */
void bury_refuse_descriptors(int sock);
