/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_recv and record_get_text: a message is a record or is refused, its descriptors closed;
 * counted texts are read inside the payload only, and put back give the same bytes.
 *
 * Input: how many descriptors travel beside (a byte), then the raw message.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/record.h"
#include "fuzz.h"

#define TEXT_SIZE 300

static void texts(const struct record *r)
{
	static unsigned char again[RECORD_PAYLOAD_MAX];
	size_t at = 0, put = 0;
	char *text = malloc(TEXT_SIZE);

	MUST(text);
	while (record_get_text(r, &at, text, TEXT_SIZE) == 0) {
		MUST(at <= r->len && strlen(text) < TEXT_SIZE);
		MUST(record_put_text(again, sizeof(again), &put, text) == 0);
		MUST(put == at && memcmp(again, r->payload, at) == 0);
	}
	MUST(at <= r->len && put == at);
	/* Where reading stopped: too few bytes for a length, or for the text, or none that fits. */
	if (r->len - at >= 2) {
		size_t len = r->payload[at] | (size_t)r->payload[at + 1] << 8;

		MUST(len > r->len - at - 2 || len >= TEXT_SIZE ||
		     memchr(r->payload + at + 2, '\0', len));
	}
	at = r->len + 1;
	MUST(record_get_text(r, &at, text, TEXT_SIZE) == -EBADMSG);
	free(text);
}

static void is_what_was_sent(const struct record *r, const uint8_t *bytes, size_t len, size_t nfds)
{
	struct record_header header;

	MUST(len >= sizeof(header));
	memcpy(&header, bytes, sizeof(header));
	MUST(header.magic == RECORD_MAGIC && header.nfds == nfds && r->nfds == nfds);
	MUST(r->type == header.type && r->serial == header.serial);
	MUST(r->len == len - sizeof(header));
	MUST(memcmp(r->payload, bytes + sizeof(header), r->len) == 0);
	for (size_t i = 0; i < nfds; i++)
		MUST(fcntl(r->fds[i], F_GETFD) == FD_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record r;
	struct fuzz_input in = { data, size };
	size_t nfds = (size_t)fuzz_number(&in, 1) % (RECORD_FDS_MAX + 3), len;
	int pair[2], fds[RECORD_FDS_MAX + 3], result, lowest;
	const uint8_t *bytes =
		fuzz_take(&in, sizeof(struct record_header) + RECORD_PAYLOAD_MAX, &len);

	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	for (size_t i = 0; i < nfds; i++)
		fds[i] = STDERR_FILENO;
	MUST(io_send(pair[0], bytes, len, fds, nfds, 0) == (ssize_t)len);
	lowest = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	fd_close(lowest);
	result = record_recv(pair[1], &r);
	if (result == 1) {
		is_what_was_sent(&r, bytes, len, nfds);
		texts(&r);
	} else {
		MUST(result == -EBADMSG || (result == 0 && len == 0 && nfds == 0));
	}
	record_close_fds(&r);
	/* The lowest free descriptor is free again: none was left open. */
	result = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	MUST(result == lowest);
	fd_close(result);
	fd_close(pair[0]);
	fd_close(pair[1]);
	return 0;
}
