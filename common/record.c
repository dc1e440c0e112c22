/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/record.h"

int record_send(int sock, uint16_t type, uint64_t serial, const void *payload, size_t len,
                const void *tail, size_t tail_len, const int *fds, size_t nfds)
{
	struct record_header header = {
		.magic = RECORD_MAGIC,
		.type = type,
		.nfds = (uint16_t)nfds,
		.serial = serial,
	};
	struct iovec parts[3] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_len = len },
		{ .iov_len = tail ? tail_len : 0 },
	};
	size_t total = sizeof(header) + len + parts[2].iov_len;
	ssize_t n;

	if (len > RECORD_PAYLOAD_MAX || parts[2].iov_len > RECORD_PAYLOAD_MAX - len)
		return -EMSGSIZE;
	if (nfds > RECORD_FDS_MAX)
		return -EINVAL;
	/* sendmsg does not write to them; iov_base has no const. */
	memcpy(&parts[1].iov_base, &payload, sizeof(parts[1].iov_base));
	memcpy(&parts[2].iov_base, &tail, sizeof(parts[2].iov_base));
	n = io_sendv(sock, parts, ARRAY_LEN(parts), fds, nfds, 0);
	if (n < 0)
		return (int)n;
	/* A SEQPACKET message goes whole or not at all. */
	return (size_t)n == total ? 0 : -EIO;
}

int record_recv(int sock, struct record *r)
{
	struct record_header header;
	struct iovec parts[2] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = r->payload, .iov_len = sizeof(r->payload) },
	};
	size_t nfds = RECORD_FDS_MAX;
	ssize_t n;

	r->type = 0;
	r->serial = 0;
	r->len = 0;
	r->nfds = 0;
	n = io_recvv(sock, parts, ARRAY_LEN(parts), r->fds, &nfds, 0);
	if (n == -EMSGSIZE)
		return -EBADMSG;
	if (n < 0)
		return (int)n;
	r->nfds = nfds;
	if (n == 0 && nfds == 0)
		return 0;
	if ((size_t)n < sizeof(header) || header.magic != RECORD_MAGIC || header.nfds != nfds) {
		record_close_fds(r);
		return -EBADMSG;
	}
	r->type = header.type;
	r->serial = header.serial;
	r->len = (size_t)n - sizeof(header);
	return 1;
}

void record_close_fds(struct record *r)
{
	for (size_t i = 0; i < r->nfds; i++)
		r->fds[i] = fd_close(r->fds[i]);
	r->nfds = 0;
}

int record_get_text(const struct record *r, size_t *offset, char *buffer, size_t size)
{
	size_t at = *offset;
	uint16_t len;

	if (at > r->len || r->len - at < sizeof(len))
		return -EBADMSG;
	memcpy(&len, r->payload + at, sizeof(len));
	at += sizeof(len);
	if (r->len - at < len || (size_t)len >= size || memchr(r->payload + at, '\0', len))
		return -EBADMSG;
	memcpy(buffer, r->payload + at, len);
	buffer[len] = '\0';
	*offset = at + len;
	return 0;
}

int record_put_text(unsigned char *payload, size_t size, size_t *offset, const char *text)
{
	size_t len = strlen(text);
	uint16_t count = (uint16_t)len;

	if (len > UINT16_MAX || *offset > size || size - *offset < sizeof(count) ||
	    size - *offset - sizeof(count) < len)
		return -EMSGSIZE;
	memcpy(payload + *offset, &count, sizeof(count));
	memcpy(payload + *offset + sizeof(count), text, len);
	*offset += sizeof(count) + len;
	return 0;
}
