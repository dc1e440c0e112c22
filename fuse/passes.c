/* SPDX-License-Identifier: Apache-2.0 */
#include "passes.h"

#include <stddef.h>

/* Places that a pass may have. */
#define PASS_WINDOW 16
/*
 * Places of the files of a pass: a few near those of its neighbours, and what does not fit there
 * anywhere. Processes come one after the other, so that in an ordinary container all of it is in
 * two pages.
 */
#define NEAR_WINDOW (WORKER_OPENED_MAX / WORKER_PASSES_MAX)
#define FAR_WINDOW 32
#define FAR_RUN 4 /* so many beside each other; where neighbours are, all may be taken */

/* The finalizer of MurmurHash3, 64 bits: every bit of the input moves every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

/* What began later than now is nonsense, or of a clock that is gone. */
static bool is_live(int64_t begun_ns, int64_t now_ns)
{
	return begun_ns > 0 && begun_ns <= now_ns && now_ns - begun_ns < PASS_NS;
}

static uint64_t home_of(uint32_t process, uint64_t set)
{
	return mix(set) + process;
}

static size_t pass_place(const struct pass_key *key, size_t i)
{
	return (home_of(key->process, key->set) + i) % WORKER_PASSES_MAX;
}

static bool is_of(const struct worker_pass *pass, const struct pass_key *key)
{
	return pass->process == key->process && pass->set == key->set;
}

struct worker_pass *passes_find(struct worker_passes *p, const struct pass_key *key)
{
	for (size_t i = 0; i < PASS_WINDOW; i++) {
		struct worker_pass *pass = &p->pass[pass_place(key, i)];

		if (is_of(pass, key))
			return is_live(pass->begun_ns, key->now_ns) ? pass : NULL;
	}
	return NULL;
}

static uint64_t opened_key(const struct worker_pass *pass, uint64_t file)
{
	uint64_t key =
		mix(pass->set ^ mix(pass->process)) ^ mix((uint64_t)pass->begun_ns) ^ mix(file);

	key = mix(key);
	return key ? key : 1;
}

static struct worker_opened *near_at(struct worker_passes *p, const struct worker_pass *pass,
                                     size_t i)
{
	uint64_t home = home_of(pass->process, pass->set) * NEAR_WINDOW;

	return &p->opened[(home + i) % WORKER_OPENED_MAX];
}

static struct worker_opened *far_at(struct worker_passes *p, uint64_t key, size_t i)
{
	return &p->opened[(mix(key + i / FAR_RUN) + i % FAR_RUN) % WORKER_OPENED_MAX];
}

static bool is_opened(struct worker_passes *p, const struct worker_pass *pass, uint64_t file)
{
	uint64_t key = opened_key(pass, file);

	for (size_t i = 0; i < NEAR_WINDOW; i++)
		if (near_at(p, pass, i)->key == key)
			return true;
	for (size_t i = 0; pass->spread && i < FAR_WINDOW; i++)
		if (far_at(p, key, i)->key == key)
			return true;
	return false;
}

bool passes_ended_by(struct worker_passes *p, const struct worker_pass *pass, uint64_t file)
{
	return pass->first == file || is_opened(p, pass, file);
}

void passes_add(struct worker_passes *p, struct worker_pass *pass, uint64_t file, int64_t now_ns)
{
	uint64_t key = opened_key(pass, file);
	const struct worker_opened opened = { key, pass->begun_ns };
	struct worker_opened *oldest = far_at(p, key, 0);

	if (is_opened(p, pass, file))
		return;
	for (size_t i = 0; i < NEAR_WINDOW; i++) {
		struct worker_opened *at = near_at(p, pass, i);

		if (!is_live(at->begun_ns, now_ns)) {
			*at = opened;
			return;
		}
	}
	for (size_t i = 0; i < FAR_WINDOW; i++)
		if (far_at(p, key, i)->begun_ns < oldest->begun_ns)
			oldest = far_at(p, key, i);
	*oldest = opened;
	pass->spread = 1;
}

/* Its own place if it has one, else that of the oldest: the free are older than any other. */
static struct worker_pass *place_for(struct worker_passes *p, const struct pass_key *key)
{
	struct worker_pass *oldest = &p->pass[pass_place(key, 0)];

	for (size_t i = 0; i < PASS_WINDOW; i++) {
		struct worker_pass *pass = &p->pass[pass_place(key, i)];

		if (is_of(pass, key))
			return pass;
		if (pass->begun_ns < oldest->begun_ns)
			oldest = pass;
	}
	*oldest = (struct worker_pass){ .process = key->process, .set = key->set };
	return oldest;
}

void passes_begin(struct worker_passes *p, const struct pass_key *key, uint64_t generation,
                  uint64_t file)
{
	struct worker_pass *pass = place_for(p, key);
	bool late = pass->begun_ns > 0 && !is_live(pass->begun_ns, key->now_ns) &&
	            key->now_ns - pass->begun_ns < PASS_CUT_NS;

	/* In the middle of its files: else it begins them again, in whatever order. */
	if (!late || is_opened(p, pass, file))
		pass->first = file;
	/* Never at the time of the one before it, whose opened files would count for it. */
	pass->begun_ns = pass->begun_ns == key->now_ns ? key->now_ns - 1 : key->now_ns;
	pass->generation = generation;
	pass->spread = 0;
	passes_add(p, pass, file, key->now_ns);
}

bool passes_send_back(struct worker_passes *p, const struct pass_key *key)
{
	struct worker_pass *pass = place_for(p, key);

	/* Of a predecessor the time may be anything. */
	if (pass->sent_back && pass->sent_back_ns > 0 && pass->sent_back_ns <= key->now_ns &&
	    key->now_ns - pass->sent_back_ns < PASS_RETURN_NS)
		return false;
	pass->sent_back = key->thread;
	pass->sent_back_ns = key->now_ns;
	return true;
}

void passes_come_back(struct worker_passes *p, const struct pass_key *key)
{
	struct worker_pass *pass = place_for(p, key);

	if (pass->sent_back == key->thread)
		pass->sent_back = 0;
}

bool passes_decided(struct worker_passes *p, const struct pass_key *key, uint64_t request,
                    bool *ret_sent_back)
{
	const struct worker_pass *pass = place_for(p, key);

	if (pass->last_request != request)
		return false;
	*ret_sent_back = pass->last_sent_back != 0;
	return true;
}

void passes_note_decided(struct worker_passes *p, const struct pass_key *key, uint64_t request,
                         bool sent_back)
{
	struct worker_pass *pass = place_for(p, key);

	pass->last_sent_back = sent_back;
	pass->last_request = request;
}
