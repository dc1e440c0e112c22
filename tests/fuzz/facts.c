/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts_take: an attacher that was taken over can send any record. What is taken is whole and in
 * range, each descriptor has one owner, and ids map to where a line of the map says.
 *
 * Input: how many descriptors (a byte), an id to map (4), then the payload.
 */
#include "flow/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "fuzz.h"

static void id_maps(const struct facts *f, uint32_t inside)
{
	uint32_t outside = 0;
	bool there = false;

	if (facts_map_uid(f, inside, &outside) < 0)
		return;
	MUST(outside != UINT32_MAX);
	for (uint32_t i = 0; i < f->fixed.uid_maps; i++) {
		const struct facts_map *m = &f->fixed.uid_map[i];

		there |= inside >= m->inside && inside - m->inside < m->count &&
		         outside == (uint64_t)m->outside + (inside - m->inside);
	}
	MUST(there);
}

/* What all that was taken is long; a flag may be of up to 7 bytes and is not kept. */
static bool fits_in(const struct facts *f, size_t len)
{
	const struct subject *s = &f->subject;
	const char *const texts[] = { s->runtime, s->name,   s->id,   s->image, s->digest,
		                      s->unit,    f->bundle, f->root, f->label, f->trouble };
	size_t least = sizeof(f->fixed);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		least += 2 + strlen(texts[i]);
	for (size_t i = 0; i < s->attributes; i++)
		least += 6 + strlen(s->attribute[i].key) + strlen(s->attribute[i].value);
	return len >= least && len - least <= 7 * s->attributes;
}

static void is_whole(const struct facts *f, size_t len)
{
	const struct subject *s = &f->subject;
	const char *const texts[] = { s->runtime, s->name,   s->id,   s->image, s->digest,
		                      s->unit,    f->bundle, f->root, f->label, f->trouble };
	const int fds[] = { f->pidfd, f->cgroup_fd, f->mnt_fd, f->pid_fd, f->user_fd };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		MUST(texts[i] && strlen(texts[i]) <= ATTACH_TEXT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		MUST(fds[i] >= 0 && fcntl(fds[i], F_GETFD) >= 0);
	MUST(f->fixed.pid > 1 && s->attributes == f->fixed.attributes);
	MUST(s->attributes <= ATTACH_ATTRIBUTES_MAX);
	for (size_t i = 0; i < s->attributes; i++)
		MUST(s->attribute[i].key && s->attribute[i].value);
	MUST(fits_in(f, len));
	MUST(f->fixed.uid_maps <= ATTACH_MAPS_MAX && f->fixed.gid_maps <= ATTACH_MAPS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record r;
	struct fuzz_input in = { data, size };
	size_t nfds = (size_t)fuzz_number(&in, 1) % (RECORD_FDS_MAX + 1);
	uint32_t inside = (uint32_t)fuzz_number(&in, 4);
	const uint8_t *bytes = fuzz_take(&in, RECORD_PAYLOAD_MAX, &r.len);
	int lowest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0), result;
	struct facts f = { 0 };
	struct err e = { 0 };

	fd_close(lowest);
	memcpy(r.payload, bytes, r.len);
	for (r.nfds = 0; r.nfds < nfds; r.nfds++)
		MUST((r.fds[r.nfds] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0);
	result = facts_take(&r, &f, &e);
	if (result == 0) {
		is_whole(&f, r.len);
		for (size_t i = 0; i < r.nfds; i++)
			MUST(r.fds[i] == -1);
		id_maps(&f, inside);
		facts_clear(&f);
	} else {
		fuzz_refused(result, &e);
	}
	record_close_fds(&r);
	result = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	MUST(result == lowest);
	fd_close(result);
	return 0;
}
