/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bbolt files: whatever the bytes, what is found lies within them, and a search finds what a walk shows in a
 * file whose keys are in order. The input is a file; its meta pages are given right checksums first, so that
 * changed bytes are not all refused at the door.
 */
#include "attach/bolt.h"

#include <errno.h>

#include "fuzz.h"

#define DEPTH_MAX 3 /* buckets in buckets that are walked */
#define VISITS_MAX 20000

struct walk {
	const struct bolt *db;
	const struct bolt_bucket *in;
	struct bolt_bytes last;
	bool ordered;
	int depth, *visits;
};

static void within(const struct bolt *db, struct bolt_bytes b)
{
	MUST(b.at >= db->bytes && b.len <= db->len);
	MUST((size_t)(b.at - db->bytes) <= db->len - b.len);
}

static int compare(struct bolt_bytes a, struct bolt_bytes b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.at, b.at, common) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int walk(const struct bolt *db, const struct bolt_bucket *in, int depth, int *visits);

static int visit(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                 const struct bolt_bucket *bucket)
{
	struct walk *w = arg;
	struct bolt_bytes found = { 0 };
	struct bolt_bucket inner;
	int r;

	within(w->db, key);
	within(w->db, value);
	if (w->last.at && compare(w->last, key) >= 0)
		w->ordered = false;
	w->last = key;
	if (++*w->visits > VISITS_MAX)
		return 1;
	r = bucket ? bolt_bucket(w->in, key.at, key.len, &inner, NULL)
	           : bolt_value(w->in, key.at, key.len, &found, NULL);
	MUST(r == 0 || r == 1 || r == -EBADMSG);
	if (r == 1 && !bucket)
		within(w->db, found);
	return bucket && w->depth < DEPTH_MAX ? walk(w->db, bucket, w->depth + 1, w->visits) : 0;
}

/* In a bucket of one leaf with its keys in order every key is found, and as the same. */
static int search(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                  const struct bolt_bucket *bucket)
{
	const struct bolt_bucket *in = arg;
	struct bolt_bytes found = { 0 };

	if (!bucket) {
		MUST(bolt_value(in, key.at, key.len, &found, NULL) == 1);
		MUST(found.at == value.at && found.len == value.len);
	}
	return 0;
}

static int walk(const struct bolt *db, const struct bolt_bucket *in, int depth, int *visits)
{
	struct walk w = { .db = db, .in = in, .ordered = true, .depth = depth, .visits = visits };
	struct err e = { "" };
	int r = bolt_each(in, visit, &w, &e);

	MUST(r == 0 || r == 1 || r == -EBADMSG);
	if (r == -EBADMSG && e.text[0])
		fuzz_refused(r, &e);
	if (r == 0 && w.ordered && in->page == 0)
		(void)bolt_each(in, search, (void *)(uintptr_t)in, NULL);
	return r == 1;
}

static void seal(unsigned char *bytes, size_t size, size_t at)
{
	uint64_t sum = 0xcbf29ce484222325u;

	if (at + 80 > size)
		return;
	for (size_t i = 0; i < 56; i++)
		sum = (sum ^ bytes[at + 16 + i]) * 0x100000001b3u;
	memcpy(bytes + at + 72, &sum, sizeof(sum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const path[] = { "ctr", "one", "config", NULL };
	unsigned char *bytes = malloc(size ? size : 1); /* a block that ends where the file does */
	struct bolt_bucket root;
	struct bolt_bytes value;
	struct bolt db = { 0 };
	struct err e = { "" };
	int visits = 0, r;

	MUST(bytes);
	memcpy(bytes, data, size);
	seal(bytes, size, 0);
	for (size_t at = 1024; at <= 65536; at *= 2)
		if (at + 20 <= size && memcmp(bytes + at + 16, "\xed\xda\x0c\xed", 4) == 0)
			seal(bytes, size, at);
	r = bolt_open(bytes, size, &db, &e);
	if (r < 0) {
		fuzz_refused(r, &e);
		MUST(!db.bytes);
	} else {
		MUST(db.pages <= size / db.page_size);
		root = bolt_root(&db);
		(void)walk(&db, &root, 0, &visits);
		r = bolt_get(&db, path, &value, &e);
		MUST(r == 0 || r == 1 || r == -EBADMSG);
		if (r == 1)
			within(&db, value);
	}
	free(bytes);
	return 0;
}
