/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "coffer/times.h"

/*
 * An eventfd whose counter is full wakes its reader without our help: nothing to do about a
 * failure.
 */
static void wake_consumer(int fd)
{
	static const uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

int audit_put(const struct audit *a, const struct audit_event *event)
{
	struct ring_record record = {
		.time_ns = times_now(),
		.node = event->node,
		.version = event->version,
		.uid = event->uid,
		.pid = event->pid,
		.count = 1,
		.event = (uint16_t)event->event,
		.result = (int16_t)event->result,
	};
	bool wake = false;
	int r;

	if (event->text)
		memcpy(record.text, event->text, strnlen(event->text, RING_TEXT_MAX));
	r = ring_put(a->ring, &record, event->request, &wake);
	if (wake)
		wake_consumer(a->wake);
	if (r == 0)
		return 0;
	if (a->serve_when_full || event->result < 0)
		ring_note_gap(a->ring);
	return a->serve_when_full ? 0 : -EIO;
}
