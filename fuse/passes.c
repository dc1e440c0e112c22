/* SPDX-License-Identifier: Apache-2.0 */
#include "passes.h"

#include <stddef.h>

/* Places that one key may have. */
#define PASS_WINDOW 16
#define OPENED_WINDOW 32

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

static size_t pass_place(const struct pass_key *key, size_t i)
{
	return (mix(key->set ^ mix(key->process)) + i) % WORKER_PASSES_MAX;
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

static struct worker_opened *opened_at(struct worker_passes *p, uint64_t key, size_t i)
{
	return &p->opened[(key + i) % WORKER_OPENED_MAX];
}

bool passes_opened(struct worker_passes *p, const struct worker_pass *pass, uint64_t file)
{
	uint64_t key = opened_key(pass, file);

	for (size_t i = 0; i < OPENED_WINDOW; i++)
		if (opened_at(p, key, i)->key == key)
			return true;
	return false;
}

void passes_add(struct worker_passes *p, const struct worker_pass *pass, uint64_t file)
{
	uint64_t key = opened_key(pass, file);
	struct worker_opened *oldest = opened_at(p, key, 0);

	for (size_t i = 0; i < OPENED_WINDOW; i++) {
		struct worker_opened *opened = opened_at(p, key, i);

		if (opened->key == key)
			return;
		if (opened->begun_ns < oldest->begun_ns)
			oldest = opened;
	}
	*oldest = (struct worker_opened){ key, pass->begun_ns };
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

	/* Never at the time of the one before it, whose opened files would count for it. */
	pass->begun_ns = pass->begun_ns == key->now_ns ? key->now_ns - 1 : key->now_ns;
	pass->generation = generation;
	passes_add(p, pass, file);
}

bool passes_send_back(struct worker_passes *p, const struct pass_key *key)
{
	struct worker_pass *pass = place_for(p, key);

	if (pass->sent_back && key->now_ns - pass->sent_back_ns < PASS_RETURN_NS)
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
