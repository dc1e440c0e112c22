/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of bbolt files, on what Podman 4.3 wrote: with one container (all in leaves), and with 72 of 75
 * left (branches, pages that run over, free pages).
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/bolt.h"
#include "attach/bolt_file.h"
#include "coffer/cleanup.h"
#include "recorded.h"

#define ONE "podman-4.3/bolt_state.db.gz"
#define MANY "podman-4.3/bolt_state-many.db.gz"
#define MANY_CONTAINERS 73
#define ID "dd7552649b9185f0829f8eec1d809adc65b65fdf66d30fcbfc2719c57de79830"
#define PAGE 4096

static void write_32(char *at, uint32_t n)
{
	memcpy(at, &n, sizeof(n));
}

static void write_64(char *at, uint64_t n)
{
	memcpy(at, &n, sizeof(n));
}

static uint64_t read_64(const char *at)
{
	uint64_t n;

	memcpy(&n, at, sizeof(n));
	return n;
}

static void seal_meta(char *page)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < 56; i++)
		sum = (sum ^ (unsigned char)page[16 + i]) * 0x100000001b3u;
	write_64(page + 72, sum);
}

static struct bolt opened(const char *bytes, size_t len)
{
	struct err e = { "" };
	struct bolt db = { 0 };
	int r = bolt_open(bytes, len, &db, &e);

	ck_assert_msg(r == 0, "%d %s", r, e.text);
	return db;
}

START_TEST(values_below_buckets_are_found)
{
	static const char *const names[] = { ONE, MANY };
	static const char *const config[] = { "ctr", ID, "config", NULL };
	static const char *const by_name[] = { "name-registry", "shop", NULL };
	static const char *const nobody[] = { "ctr", "dd", "config", NULL };
	static const char *const no_bucket[] = { "name-registry", "shop", "config", NULL };
	static const char *const no_value[] = { "ctr", ID, NULL };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t len;
		SCOPED(free_ptr) char *bytes = recorded(names[i], &len);
		struct bolt db = opened(bytes, len);
		struct bolt_bytes value = { 0 };

		ck_assert_int_eq(bolt_get(&db, config, &value, NULL), 1);
		ck_assert_ptr_nonnull(memmem(value.at, value.len, "\"name\":\"shop\"", 13));
		ck_assert(value.at[0] == '{' && value.at[value.len - 1] == '}');
		ck_assert_int_eq(bolt_get(&db, by_name, &value, NULL), 1);
		ck_assert(value.len == strlen(ID) && memcmp(value.at, ID, value.len) == 0);
		ck_assert_int_eq(bolt_get(&db, nobody, &value, NULL), 0);
		ck_assert_int_eq(bolt_get(&db, no_bucket, &value, NULL), 0);
		ck_assert_int_eq(bolt_get(&db, no_value, &value, NULL), 0);
	}
}
END_TEST

struct seen {
	const struct bolt_bucket *in;
	struct bolt_bytes last;
	size_t count, buckets;
};

static int look(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                const struct bolt_bucket *bucket)
{
	struct seen *s = arg;
	struct bolt_bytes found;
	struct bolt_bucket inner;
	size_t common = key.len < s->last.len ? key.len : s->last.len;

	if (s->count > 0)
		ck_assert(memcmp(s->last.at, key.at, common) < 0 || s->last.len < key.len);
	s->last = key;
	s->count++;
	s->buckets += bucket != NULL;
	if (bucket) {
		ck_assert_int_eq(bolt_bucket(s->in, key.at, key.len, &inner, NULL), 1);
		ck_assert(inner.page == bucket->page && inner.inside == bucket->inside);
		ck_assert_int_eq(bolt_value(s->in, key.at, key.len, &found, NULL), 0);
	} else {
		ck_assert_int_eq(bolt_value(s->in, key.at, key.len, &found, NULL), 1);
		ck_assert(found.at == value.at && found.len == value.len);
	}
	return 0;
}

START_TEST(every_key_of_a_walk_is_found_by_search)
{
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded(MANY, &len);
	struct bolt db = opened(bytes, len);
	struct bolt_bucket root = bolt_root(&db), bucket;
	static const char *const of_containers[] = { "ctr", "id-registry", "name-registry" };

	for (size_t i = 0; i < ARRAY_LEN(of_containers); i++) {
		struct seen s = { .in = &bucket };

		ck_assert_int_eq(bolt_bucket(&root, of_containers[i], strlen(of_containers[i]),
		                             &bucket, NULL),
		                 1);
		ck_assert_int_eq(bolt_each(&bucket, look, &s, NULL), 0);
		ck_assert_msg(s.count == MANY_CONTAINERS, "%s: %zu", of_containers[i], s.count);
		ck_assert_uint_eq(s.buckets, i == 0 ? MANY_CONTAINERS : 0);
	}
}
END_TEST

static int stop(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                const struct bolt_bucket *bucket)
{
	++*(int *)arg;
	return 7;
}

START_TEST(a_walk_ends_where_its_visitor_says)
{
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded(ONE, &len);
	struct bolt db = opened(bytes, len);
	struct bolt_bucket root = bolt_root(&db);
	int visits = 0;

	ck_assert_int_eq(bolt_each(&root, stop, &visits, NULL), 7);
	ck_assert_int_eq(visits, 1);
}
END_TEST

START_TEST(the_newer_valid_meta_page_counts)
{
	size_t len, newer;
	SCOPED(free_ptr) char *bytes = recorded(ONE, &len);
	uint64_t txid[2] = { read_64(bytes + 64), read_64(bytes + PAGE + 64) };
	struct bolt db;

	newer = txid[1] > txid[0];
	ck_assert_uint_eq(opened(bytes, len).txid, txid[newer]);
	bytes[newer * PAGE + 40] ^= 1;
	ck_assert_uint_eq(opened(bytes, len).txid, txid[!newer]);
	bytes[!newer * PAGE + 40] ^= 1;
	ck_assert_int_eq(bolt_open(bytes, len, &db, NULL), -EBADMSG);
}
END_TEST

/* The page of the newer meta's root bucket. */
static char *root_page(char *bytes, size_t len)
{
	return bytes + opened(bytes, len).root * PAGE;
}

static void spoil_root_id(char *bytes, size_t len)
{
	for (size_t i = 0; i < 2; i++) {
		write_64(bytes + i * PAGE + 32, UINT64_MAX / PAGE);
		seal_meta(bytes + i * PAGE);
	}
}

static void spoil_root_is_meta(char *bytes, size_t len)
{
	for (size_t i = 0; i < 2; i++) {
		write_64(bytes + i * PAGE + 32, 0);
		seal_meta(bytes + i * PAGE);
	}
}

static void spoil_flags(char *bytes, size_t len)
{
	root_page(bytes, len)[8] = 3;
}

static void spoil_number(char *bytes, size_t len)
{
	root_page(bytes, len)[0] ^= 1;
}

static void spoil_count(char *bytes, size_t len)
{
	memset(root_page(bytes, len) + 10, 0xff, 2);
}

static void spoil_overflow(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 12, UINT32_MAX);
}

static void spoil_position(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 16 + 4, PAGE);
}

static void spoil_position_in_elements(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 16 + 4, 16);
}

static void spoil_key_length(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 16 + 8, UINT32_MAX);
}

static void spoil_value_length(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 16 + 12, UINT32_MAX - 64);
}

static void spoil_bucket_length(char *bytes, size_t len)
{
	write_32(root_page(bytes, len) + 16 + 12, 15);
}

/* A branch that leads to itself: below every key, for ever. */
static void spoil_circle(char *bytes, size_t len)
{
	uint64_t root = opened(bytes, len).root;
	char *page = bytes + root * PAGE;

	page[8] = 1;
	page[10] = 1;
	page[11] = 0;
	write_32(page + 16, 16);
	write_32(page + 20, 0);
	write_64(page + 24, root);
}

static const struct {
	const char *name;
	void (*spoil)(char *bytes, size_t len);
} damages[] = {
	{ "root bucket outside the file", spoil_root_id },
	{ "root bucket in a meta page", spoil_root_is_meta },
	{ "page of two kinds", spoil_flags },
	{ "page with another number", spoil_number },
	{ "more elements than a page holds", spoil_count },
	{ "page that runs over the end", spoil_overflow },
	{ "key behind its page", spoil_position },
	{ "key among the elements", spoil_position_in_elements },
	{ "key longer than its page", spoil_key_length },
	{ "value longer than its page", spoil_value_length },
	{ "bucket shorter than its header", spoil_bucket_length },
	{ "pages in a circle", spoil_circle },
};

static int ignore(void *arg, struct bolt_bytes key, struct bolt_bytes value,
                  const struct bolt_bucket *bucket)
{
	return 0;
}

START_TEST(what_is_damaged_is_refused)
{
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded(ONE, &len);
	struct err e = { "" };
	struct bolt_bucket root;
	struct bolt_bytes value = { (const unsigned char *)"kept", 4 };
	struct bolt db;
	int r;

	damages[_i].spoil(bytes, len);
	db = opened(bytes, len);
	root = bolt_root(&db);
	r = bolt_each(&root, ignore, NULL, &e);
	ck_assert_msg(r == -EBADMSG && e.text[0], "%s: %d", damages[_i].name, r);
	r = bolt_value(&root, "", 0, &value, &e);
	ck_assert_msg(r == 0 || r == -EBADMSG, "%s: %d", damages[_i].name, r);
	ck_assert_mem_eq(value.at, "kept", 4);
}
END_TEST

START_TEST(no_cut_of_a_file_is_read_beyond_its_end)
{
	static const char *const config[] = { "ctr", ID, "config", NULL };
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded(ONE, &len);

	for (size_t cut = 0; cut < len; cut += cut < 3 * PAGE ? 64 : 1024) {
		SCOPED(free_ptr) char *part = malloc(cut + 1);
		struct bolt_bytes value;
		struct bolt db;

		ck_assert_ptr_nonnull(part);
		memcpy(part, bytes, cut);
		if (bolt_open(part, cut, &db, NULL) == 0)
			(void)bolt_get(&db, config, &value, NULL);
		else
			ck_assert_uint_lt(cut, PAGE + 80);
	}
}
END_TEST

START_TEST(a_file_is_read_with_what_is_known_of_its_owner)
{
	char dir[] = "/tmp/bolt-test-XXXXXX";
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded(ONE, &len);
	SCOPED_FD int folder = -1;
	struct bolt_file file = { 0 };
	bool by_root = true;
	struct err e = { "" };
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(folder, 0);
	ck_assert_int_eq(bolt_file_read(folder, "db", &file, &by_root, &e), -ENOENT);
	fd = openat(folder, "db", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	ck_assert_int_eq(bolt_file_read(folder, "db", &file, &by_root, &e), 0);
	ck_assert_uint_eq(file.db.txid, opened(bytes, len).txid);
	ck_assert(by_root == (geteuid() == 0));
	bolt_file_clear(&file);
	ck_assert_int_eq(fchmod(fd, 0622), 0);
	ck_assert_int_eq(bolt_file_read(folder, "db", &file, &by_root, &e), 0);
	ck_assert(!by_root);
	bolt_file_clear(&file);
	ck_assert_int_eq(symlinkat("db", folder, "link"), 0);
	ck_assert_int_eq(bolt_file_read(folder, "link", &file, &by_root, &e), -ELOOP);
	ck_assert_int_eq(ftruncate(fd, BOLT_FILE_MAX + 1), 0);
	ck_assert_int_eq(bolt_file_read(folder, "db", &file, &by_root, &e), -EFBIG);
	ck_assert_int_eq(ftruncate(fd, 79), 0);
	ck_assert_int_eq(bolt_file_read(folder, "db", &file, &by_root, &e), -EBADMSG);
	ck_assert_ptr_null(file.bytes);
	close(fd);
	unlinkat(folder, "link", 0);
	unlinkat(folder, "db", 0);
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bolt");
	TCase *tests = tcase_create("bolt");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, values_below_buckets_are_found);
	tcase_add_test(tests, every_key_of_a_walk_is_found_by_search);
	tcase_add_test(tests, a_walk_ends_where_its_visitor_says);
	tcase_add_test(tests, the_newer_valid_meta_page_counts);
	tcase_add_loop_test(tests, what_is_damaged_is_refused, 0, (int)ARRAY_LEN(damages));
	tcase_add_test(tests, no_cut_of_a_file_is_read_beyond_its_end);
	tcase_add_test(tests, a_file_is_read_with_what_is_known_of_its_owner);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
