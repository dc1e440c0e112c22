/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/bolt.h"

#include <errno.h>
#include <string.h>

#define MAGIC 0xED0CDAEDu
#define VERSION 2
#define HEADER_SIZE 16
#define ELEMENT_SIZE 16
#define BUCKET_SIZE 16
#define META_SIZE 64
#define META_CHECKED 56 /* what the checksum is over */
#define PAGE_SIZE_MIN 1024
#define PAGE_SIZE_MAX (64 * 1024) /* of the kernels with the largest pages */
#define PAGE_FIRST 2              /* behind the two meta pages */

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_META = 4 };
enum { ELEMENT_BUCKET = 1 };

/* A page with what runs over into the pages behind it, or the inline page of a bucket. */
struct page {
	const unsigned char *at;
	size_t len;
	uint16_t flags, count;
};

struct element {
	struct bolt_bytes key, value; /* value: of a leaf */
	uint64_t page;                /* of a branch */
	bool is_bucket;
};

static uint16_t get_16(const unsigned char *at)
{
	uint16_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static uint32_t get_32(const unsigned char *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static uint64_t get_64(const unsigned char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static uint64_t checksum(const unsigned char *at, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ at[i]) * 0x100000001b3u;
	return sum;
}

static int broken(struct err *e, const char *what)
{
	return err_set(e, -EBADMSG, "the bbolt file is damaged, or is none: %s", what);
}

/* ---- the file ---- */

static bool take_meta(const unsigned char *bytes, size_t len, size_t at, struct bolt *ret)
{
	const unsigned char *meta = bytes + at + HEADER_SIZE;
	struct bolt db = { .bytes = bytes, .len = len };

	if (at + HEADER_SIZE + META_SIZE > len || !(get_16(bytes + at + 8) & PAGE_META) ||
	    get_32(meta) != MAGIC || get_32(meta + 4) != VERSION ||
	    get_64(meta + META_CHECKED) != checksum(meta, META_CHECKED))
		return false;
	db.page_size = get_32(meta + 8);
	if (db.page_size < PAGE_SIZE_MIN || db.page_size > PAGE_SIZE_MAX ||
	    (db.page_size & (db.page_size - 1)))
		return false;
	db.pages = get_64(meta + 40);
	if (db.pages > len / db.page_size)
		db.pages = len / db.page_size;
	db.root = get_64(meta + 16);
	db.txid = get_64(meta + 48);
	*ret = db;
	return true;
}

int bolt_open(const void *bytes, size_t len, struct bolt *ret, struct err *e)
{
	struct bolt db[2];
	bool valid[2] = { take_meta(bytes, len, 0, &db[0]), false };

	if (len > BOLT_FILE_MAX)
		return err_set(e, -EBADMSG, "the bbolt file is larger than %d bytes",
		               BOLT_FILE_MAX);
	/* Where the second meta page lies is told by the first, unless that one is the damaged. */
	for (size_t size = valid[0] ? db[0].page_size : PAGE_SIZE_MIN;
	     size <= PAGE_SIZE_MAX && !valid[1]; size *= 2) {
		valid[1] = take_meta(bytes, len, size, &db[1]) && db[1].page_size == size;
		if (valid[0])
			break;
	}
	if (!valid[0] && !valid[1])
		return broken(e, "it has no valid meta page");
	*ret = db[valid[1] && (!valid[0] || db[1].txid > db[0].txid)];
	return 0;
}

/* ---- pages ---- */

static int take_page(const unsigned char *at, size_t len, struct page *ret, struct err *e)
{
	struct page p = { .at = at, .len = len };

	p.flags = get_16(at + 8);
	p.count = get_16(at + 10);
	if (p.flags != PAGE_BRANCH && p.flags != PAGE_LEAF)
		return broken(e, "a page is neither branch nor leaf");
	if (p.count > (len - HEADER_SIZE) / ELEMENT_SIZE)
		return broken(e, "a page has more elements than fit");
	if (p.flags == PAGE_BRANCH && p.count == 0)
		return broken(e, "a branch leads nowhere");
	*ret = p;
	return 0;
}

static int page_at(const struct bolt *db, uint64_t id, struct page *ret, struct err *e)
{
	const unsigned char *at;
	uint64_t over;

	if (id < PAGE_FIRST || id >= db->pages)
		return broken(e, "a page lies outside it");
	at = db->bytes + id * db->page_size;
	over = get_32(at + 12);
	if (get_64(at) != id)
		return broken(e, "a page has another one's number");
	if (over >= db->pages - id)
		return broken(e, "a page reaches beyond its end");
	return take_page(at, (over + 1) * db->page_size, ret, e);
}

static int bucket_page(const struct bolt_bucket *b, struct page *ret, struct err *e)
{
	if (b->page)
		return page_at(b->db, b->page, ret, e);
	if (b->inside_len < HEADER_SIZE)
		return broken(e, "a bucket is cut off");
	return take_page(b->inside, b->inside_len, ret, e);
}

/* Keys and values lie behind the elements of their page, and within it. */
static int element_at(const struct page *p, size_t i, struct element *ret, struct err *e)
{
	const unsigned char *at = p->at + HEADER_SIZE + i * ELEMENT_SIZE;
	size_t left = p->len - (size_t)(at - p->at), rest = (p->count - i) * ELEMENT_SIZE;
	bool leaf = p->flags == PAGE_LEAF;
	size_t pos = get_32(leaf ? at + 4 : at), key = get_32(leaf ? at + 8 : at + 4);
	size_t value = leaf ? get_32(at + 12) : 0;

	if (pos < rest || pos > left || key > left - pos || value > left - pos - key)
		return broken(e, "a key or value reaches beyond its page");
	*ret = (struct element){
		.key = { at + pos, key },
		.value = { at + pos + key, value },
		.page = leaf ? 0 : get_64(at + 8),
		.is_bucket = leaf && get_32(at) & ELEMENT_BUCKET,
	};
	return 0;
}

static int compare(struct bolt_bytes a, struct bolt_bytes b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common ? memcmp(a.at, b.at, common) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/*
 * The last element of a page whose key is not above `key`, into *ret. 1, 0 if all are above it, or -EBADMSG.
 */
static int search_page(const struct page *p, struct bolt_bytes key, struct element *ret,
                       struct err *e)
{
	size_t low = 0,
	       high = p->count; /* what is asked for is below `high`, at or above low - 1 */
	struct element element;
	int r;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		r = element_at(p, middle, &element, e);
		if (r < 0)
			return r;
		if (compare(element.key, key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	r = element_at(p, low - 1, ret, e);
	return r < 0 ? r : 1;
}

static int take_bucket(const struct bolt *db, struct bolt_bytes value, struct bolt_bucket *ret,
                       struct err *e)
{
	if (value.len < BUCKET_SIZE)
		return broken(e, "a bucket is cut off");
	*ret = (struct bolt_bucket){ .db = db, .page = get_64(value.at) };
	if (ret->page == 0) {
		ret->inside = value.at + BUCKET_SIZE;
		ret->inside_len = value.len - BUCKET_SIZE;
	}
	return 0;
}

/* ---- what is asked ---- */

struct bolt_bucket bolt_root(const struct bolt *db)
{
	return (struct bolt_bucket){ .db = db, .page = db->root };
}

static int find(const struct bolt_bucket *in, struct bolt_bytes key, struct element *ret,
                struct err *e)
{
	struct element element;
	struct page p;
	int r = bucket_page(in, &p, e);

	for (int depth = 0; r == 0 && p.flags == PAGE_BRANCH; depth++) {
		if (depth == BOLT_DEPTH_MAX)
			return broken(e, "its pages are nested too deep");
		if (!in->page)
			return broken(e, "an inline bucket has a branch");
		r = search_page(&p, key, &element, e);
		if (r == 0)
			r = element_at(&p, 0, &element, e);
		if (r >= 0)
			r = page_at(in->db, element.page, &p, e);
	}
	if (r < 0)
		return r;
	r = search_page(&p, key, &element, e);
	if (r <= 0)
		return r;
	if (compare(element.key, key) != 0)
		return 0;
	*ret = element;
	return 1;
}

int bolt_bucket(const struct bolt_bucket *in, const void *key, size_t key_len,
                struct bolt_bucket *ret, struct err *e)
{
	struct element element;
	int r = find(in, (struct bolt_bytes){ key, key_len }, &element, e);

	if (r <= 0 || !element.is_bucket)
		return r < 0 ? r : 0;
	r = take_bucket(in->db, element.value, ret, e);
	return r < 0 ? r : 1;
}

int bolt_value(const struct bolt_bucket *in, const void *key, size_t key_len,
               struct bolt_bytes *ret, struct err *e)
{
	struct element element;
	int r = find(in, (struct bolt_bytes){ key, key_len }, &element, e);

	if (r <= 0 || element.is_bucket)
		return r < 0 ? r : 0;
	*ret = element.value;
	return 1;
}

int bolt_get(const struct bolt *db, const char *const *path, struct bolt_bytes *ret, struct err *e)
{
	struct bolt_bucket at = bolt_root(db);

	for (; path[1]; path++) {
		struct bolt_bucket next;
		int r = bolt_bucket(&at, path[0], strlen(path[0]), &next, e);

		if (r <= 0)
			return r;
		at = next;
	}
	return bolt_value(&at, path[0], strlen(path[0]), ret, e);
}

/* A walk through one bucket. */
struct walk {
	const struct bolt *db;
	bolt_visit visit;
	void *arg;
	uint64_t budget; /* pages that may still be visited: no tree has more than the file */
};

static int visit_leaf(const struct walk *w, const struct page *p, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < p->count && r == 0; i++) {
		struct bolt_bucket bucket;
		struct element element;

		r = element_at(p, i, &element, e);
		if (r == 0 && element.is_bucket)
			r = take_bucket(w->db, element.value, &bucket, e);
		if (r == 0)
			r = w->visit(w->arg, element.key, element.value,
			             element.is_bucket ? &bucket : NULL);
	}
	return r;
}

/* A branch page and how far the walk through it has come. */
struct level {
	struct page page;
	size_t next;
};

/* The leaf behind the last one, below the branches that the walk stands in. 1, 0 at the end, or -EBADMSG. */
static int next_leaf(struct walk *w, struct level *level, size_t *depth, struct page *ret,
                     struct err *e)
{
	while (*depth > 0) {
		struct level *top = &level[*depth - 1];
		struct element element;
		struct page p;
		int r;

		if (top->next == top->page.count) {
			(*depth)--;
			continue;
		}
		if (w->budget-- == 0)
			return broken(e, "its pages go in a circle");
		if ((r = element_at(&top->page, top->next++, &element, e)) < 0 ||
		    (r = page_at(w->db, element.page, &p, e)) < 0)
			return r;
		if (p.flags == PAGE_LEAF) {
			*ret = p;
			return 1;
		}
		if (*depth == BOLT_DEPTH_MAX)
			return broken(e, "its pages are nested too deep");
		level[(*depth)++] = (struct level){ .page = p };
	}
	return 0;
}

int bolt_each(const struct bolt_bucket *in, bolt_visit visit, void *arg, struct err *e)
{
	struct walk w = { .db = in->db, .visit = visit, .arg = arg, .budget = in->db->pages };
	struct level level[BOLT_DEPTH_MAX];
	size_t depth = 1;
	struct page p;
	int r = bucket_page(in, &p, e);

	if (r < 0)
		return r;
	if (p.flags == PAGE_LEAF)
		return visit_leaf(&w, &p, e);
	if (!in->page)
		return broken(e, "an inline bucket has a branch");
	level[0] = (struct level){ .page = p };
	while ((r = next_leaf(&w, level, &depth, &p, e)) > 0) {
		r = visit_leaf(&w, &p, e);
		if (r != 0)
			return r;
	}
	return r;
}
