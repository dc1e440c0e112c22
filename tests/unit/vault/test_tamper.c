/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whoever can write to the disk can make the store unusable, and nothing else: no meddling with
 * records makes the vault serve a byte that was not stored under that name and number.
 */
#include "fixture.h"
#include "memory_store.h"
#include "vault/internal.h"

/* What the store under attack holds. Two names and two versions of like size, so that exchanges
 * look plausible. */
static const struct known {
	const char *name;
	uint64_t version;
	const char *value;
} known[] = {
	{ "a", 1, "a-one" },
	{ "a", 2, "a-two" },
	{ "b", 1, "b-one" },
	{ "c", 1, "" },
};

static struct memory_image good, image; /* as it was made; as it is after the attack */

static void put_all(void)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ck_assert_uint_eq(fixture_put(known[i].name, known[i].value), known[i].version);
	ck_ok(vault_doc_put(fix.vault, "grant", "1", "a for everyone", 14, &fix.err));
}

/* A second slot, so that there is a part of the header that opening the first doesn't touch. */
static void add_slot(void)
{
	struct vault_slot slot = { .kind = VAULT_SLOT_PASSPHRASE, .ops = 2, .memory = 64 << 20 };

	ck_ok(vault_add_slot(fix.vault, &slot, fix.key, &fix.err));
}

static void setup(void)
{
	memset(&good, 0, sizeof(good));
	memset(&image, 0, sizeof(image));
	fixture_empty();
	fixture_close();
	ck_ok(vault_open(memory_open(&good), &fix.vault, &fix.err));
	fixture_init();
	add_slot();
	put_all();
	fixture_close();
	memory_copy(&image, &good);
}

static void teardown(void)
{
	fixture_teardown();
	memory_clear(&good);
	memory_clear(&image);
}

static int visit_doc(void *arg, const char *id, const void *bytes, size_t len)
{
	ck_assert_str_eq(id, "1");
	ck_assert_uint_eq(len, 14);
	ck_assert_mem_eq(bytes, "a for everyone", 14);
	return 0;
}

/* Read everything: what comes is right. Returns how many reads were refused; a refusal says
 * -EBADMSG. */
static unsigned int refused_reads(const char *what)
{
	unsigned int refused = 0;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		SCOPED(secret_free_ptr) struct secret *value = NULL;

		r = vault_get(fix.vault, known[i].name, known[i].version, false, &value, NULL,
		              &fix.err);
		if (r < 0) {
			ck_assert_msg(r == -EBADMSG, "%s: %s %d: %s", what, known[i].name, r,
			              fix.err.text);
			ck_assert_msg(!value, "%s: a refusal and a value", what);
			refused++;
			continue;
		}
		ck_assert_msg(value->len == strlen(known[i].value) &&
		                      memcmp(value->bytes, known[i].value, value->len) == 0,
		              "%s: wrong bytes for %s", what, known[i].name);
	}
	r = vault_doc_each(fix.vault, "grant", visit_doc, NULL, &fix.err);
	if (r < 0) {
		ck_assert_msg(r == -EBADMSG, "%s: grant: %d", what, r);
		refused++;
	}
	return refused;
}

/* Open, unseal and read `store`. True if something was refused, and nothing wrong was served. */
static bool is_detected(struct store *store, const char *what)
{
	bool detected;
	int r;

	fixture_close();
	r = vault_open(store, &fix.vault, &fix.err);
	if (r < 0) {
		ck_assert_msg(r == -EBADMSG || r == -EPROTONOSUPPORT, "%s: open: %d: %s", what, r,
		              fix.err.text);
		return true;
	}
	r = fixture_try_unseal();
	if (r < 0) {
		ck_assert_msg(r == -EBADMSG || r == -EKEYREJECTED || r == -ENOENT,
		              "%s: unseal: %d: %s", what, r, fix.err.text);
		ck_assert_msg(fixture_try_get("a", 0) == -ENOKEY,
		              "%s: readable though not unsealed", what);
		detected = true;
	} else {
		detected = refused_reads(what) > 0;
	}
	fixture_close();
	return detected;
}

static void expect_detected(const char *what)
{
	ck_assert_msg(is_detected(memory_open(&image), what), "%s: not detected", what);
	memory_copy(&image, &good);
}

static struct memory_record *nth(enum store_class class, size_t n)
{
	for (size_t i = 0; i < image.n; i++)
		if (image.record[i].key[0] == class && n-- == 0)
			return &image.record[i];
	ck_abort_msg("no such record");
	return NULL;
}

START_TEST(an_untouched_store_is_read_whole)
{
	ck_assert(!is_detected(memory_open(&image), "untouched"));
	ck_assert_uint_eq(image.n,
	                  2 + 4 + 4); /* header and root, three secrets and a grant, four bodies */
}
END_TEST

START_TEST(every_flipped_bit_of_every_record_is_detected)
{
	char what[64];

	for (size_t i = 0; i < image.n; i++) {
		for (size_t bit = 0; bit < good.record[i].len * 8; bit++) {
			snprintf(what, sizeof(what), "class %d record %zu bit %zu",
			         good.record[i].key[0], i, bit);
			image.record[i].bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
			expect_detected(what);
		}
	}
}
END_TEST

START_TEST(every_flipped_bit_of_every_key_is_detected)
{
	char what[64];

	for (size_t i = 0; i < image.n; i++) {
		for (size_t bit = 0; bit < STORE_KEY_LEN * 8; bit++) {
			snprintf(what, sizeof(what), "class %d record %zu key bit %zu",
			         good.record[i].key[0], i, bit);
			image.record[i].key[bit / 8] ^= (unsigned char)(1u << bit % 8);
			expect_detected(what);
		}
	}
}
END_TEST

START_TEST(every_shortened_or_lengthened_record_is_detected)
{
	char what[64];

	for (size_t i = 0; i < image.n; i++) {
		for (size_t len = 0; len < good.record[i].len; len++) {
			snprintf(what, sizeof(what), "record %zu cut to %zu", i, len);
			image.record[i].len = len;
			expect_detected(what);
		}
		snprintf(what, sizeof(what), "record %zu lengthened", i);
		memory_set(&image.record[i], good.record[i].bytes, good.record[i].len + 1);
		expect_detected(what);
	}
}
END_TEST

START_TEST(every_removed_record_is_detected)
{
	for (size_t i = 0; i < good.n; i++) {
		memory_delete(&image, &image.record[i]);
		expect_detected("removed");
	}
}
END_TEST

/* Every record put in the place of every other one: exchanged, and copied over it. */
START_TEST(a_record_in_anothers_place_is_detected)
{
	char what[64];

	for (size_t i = 0; i < good.n; i++) {
		for (size_t j = 0; j < good.n; j++) {
			if (i == j)
				continue;
			snprintf(what, sizeof(what), "record %zu copied over %zu", i, j);
			memory_set(&image.record[j], good.record[i].bytes, good.record[i].len);
			expect_detected(what);
			snprintf(what, sizeof(what), "records %zu and %zu exchanged", i, j);
			memory_set(&image.record[j], good.record[i].bytes, good.record[i].len);
			memory_set(&image.record[i], good.record[j].bytes, good.record[j].len);
			expect_detected(what);
		}
	}
}
END_TEST

START_TEST(a_document_copied_under_a_new_key_is_detected)
{
	unsigned char key[STORE_KEY_LEN];
	struct memory_record *record;

	for (size_t i = 0; i < 4; i++) {
		record = nth(STORE_DOC, i);
		memcpy(key, record->key, sizeof(key));
		key[20] ^= 1;
		memory_add(&image, key, record->bytes, record->len);
		expect_detected("copied document");
	}
}
END_TEST

/* The records of one class as they were, among the others as they are. */
static void set_back(const struct memory_image *older, enum store_class class)
{
	for (size_t i = 0; i < older->n; i++) {
		struct memory_record *record = memory_find(&image, older->record[i].key);

		if (older->record[i].key[0] != class)
			continue;
		if (!record)
			memory_add(&image, older->record[i].key, older->record[i].bytes,
			           older->record[i].len);
		else
			memory_set(record, older->record[i].bytes, older->record[i].len);
	}
}

START_TEST(older_records_among_newer_ones_are_detected)
{
	struct memory_image older = { 0 };

	/* Newer: "a" has one more version, "b" is gone. The attacker kept a copy of before. */
	memory_copy(&older, &good);
	ck_ok(vault_open(memory_open(&good), &fix.vault, &fix.err));
	ck_ok(fixture_try_unseal());
	fixture_put("a", "a-new");
	ck_ok(vault_remove(fix.vault, "b", &fix.err));
	fixture_close();
	memory_copy(&image, &good);

	set_back(&older, STORE_DOC);
	ck_assert(is_detected(memory_open(&image), "older documents"));
	memory_copy(&image, &good);
	set_back(&older, STORE_ROOT);
	ck_assert(is_detected(memory_open(&image), "older root"));
	memory_copy(&image, &good);
	set_back(&older, STORE_DOC);
	set_back(&older, STORE_ROOT);
	memory_delete(&image, nth(STORE_DOC, 0));
	ck_assert(is_detected(memory_open(&image), "older root, one document missing"));
	memory_clear(&older);
}
END_TEST

START_TEST(a_record_replaced_under_a_running_vault_is_not_served)
{
	struct memory_image older = { 0 };

	memory_copy(&older, &good);
	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_ok(fixture_try_unseal());
	fixture_put("a", "a-new");
	set_back(&older, STORE_DOC);
	ck_fails(-EBADMSG, fixture_try_get("a", 0));
	ck_fails(-EBADMSG, vault_remove(fix.vault, "a", &fix.err));
	fixture_expect("b", 0, "b-one");
	for (size_t i = 0; i < 5; i++)
		nth(STORE_BODY, i)->bytes[100] ^= 1;
	ck_fails(-EBADMSG, fixture_try_get("b", 0));
	memory_clear(&older);
}
END_TEST

/* Even by someone with the keys: what a document says of its bodies is what is served, or nothing.
 */
START_TEST(another_body_sealed_for_the_same_version_is_detected)
{
	SCOPED(secret_free_ptr) struct secret *other = secret_copy("a-TWO", 5);
	SCOPED(encoder_clear) struct encoder version = { 0 }, body = { 0 };
	SCOPED(meta_clear) struct meta meta = { 0 };
	const struct seal_place place = { META_KIND, "a", 2 };
	unsigned char key[STORE_KEY_LEN];

	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_ok(fixture_try_unseal());
	ck_ok(vault_read_meta(fix.vault, "a", &meta, &fix.err));
	meta_encode_version(&meta.version[1].version, &version);
	ck_ok(seal_body(seal_keys(fix.vault->keys), &place,
	                (struct store_bytes){ version.bytes, version.len }, other, &body));
	seal_record_key(seal_keys(fix.vault->keys), STORE_BODY, &place, key);
	memory_set(memory_find(&image, key), body.bytes, body.len);
	ck_fails(-EBADMSG, fixture_try_get("a", 2));
	ck_ok(fixture_try_get("a", 1));
}
END_TEST

START_TEST(a_change_by_another_host_makes_ours_fail_whole)
{
	struct memory_image older = { 0 };
	uint64_t version;

	memory_copy(&older, &good);
	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_ok(fixture_try_unseal());
	fixture_put("a", "a-new");
	set_back(&older, STORE_ROOT);
	ck_fails(-EAGAIN, fixture_try_put("d", "x", 1, &version));
	ck_fails(-ENOENT, fixture_try_get("d", 0));
	memory_clear(&older);
}
END_TEST

START_TEST(records_of_another_store_with_the_same_slot_key_are_detected)
{
	struct memory_image other = { 0 };

	ck_ok(vault_open(memory_open(&other), &fix.vault, &fix.err));
	fixture_init();
	put_all();
	fixture_close();
	memory_set(nth(STORE_HEADER, 0), other.record[0].bytes, other.record[0].len);
	expect_detected("header of another store");
	memory_clear(&other);
}
END_TEST

START_TEST(a_whole_older_copy_is_reported_against_the_audit_heads_epoch)
{
	struct memory_image older = { 0 };
	uint64_t epoch;

	memory_copy(&older, &good);
	ck_ok(vault_open(memory_open(&good), &fix.vault, &fix.err));
	ck_ok(fixture_try_unseal());
	fixture_put("a", "a-new");
	epoch = vault_epoch(fix.vault);
	fixture_close();

	ck_ok(vault_open(memory_open(&older), &fix.vault, &fix.err));
	ck_fails(-ESTALE, vault_unseal(fix.vault, 1, fix.key, epoch, false, &fix.err));
	ck_assert_int_eq(vault_state(fix.vault), VAULT_SEALED);
	ck_fails(-ENOKEY, fixture_try_get("a", 0));
	/* Accepted, it stands above both, so that the copy given up is now the one that was set
	 * back. */
	ck_ok(vault_unseal(fix.vault, 1, fix.key, epoch, true, &fix.err));
	ck_assert_uint_gt(vault_epoch(fix.vault), epoch);
	fixture_expect("a", 0, "a-two");
	epoch = vault_epoch(fix.vault);
	fixture_close();
	ck_ok(vault_open(memory_open(&good), &fix.vault, &fix.err));
	ck_fails(-ESTALE, vault_unseal(fix.vault, 1, fix.key, epoch, false, &fix.err));
	fixture_close();
	ck_ok(vault_open(memory_open(&older), &fix.vault, &fix.err));
	ck_ok(vault_unseal(fix.vault, 1, fix.key, epoch, false, &fix.err));
	memory_clear(&older);
}
END_TEST

static const struct greedy {
	const char *from, *to;
} greedy[] = {
	{ "\"memory\":67108864", "\"memory\":1099511627776" },
	{ "\"memory\":67108864", "\"memory\":1073741825" },
	{ "\"memory\":67108864", "\"memory\":-1" },
	{ "\"memory\":67108864", "\"memory\":18446744073709551616" },
	{ "\"memory\":67108864", "\"memory\":1" },
	{ "\"memory\":67108864", "\"memory\":6.7e7" },
	{ "\"memory\":67108864", "\"memory\":\"67108864\"" },
	{ "\"ops\":2", "\"ops\":11" },
	{ "\"ops\":2", "\"ops\":0" },
	{ "\"ops\":2", "\"ops\":4294967298" },
	{ "\"id\":1", "\"id\":0" },
	{ "\"id\":1", "\"id\":4294967297" },
	{ "\"kind\":\"passphrase\"", "\"kind\":\"keyfile\"" },
	{ "\"kind\":\"passphrase\"", "\"kind\":\"tpm\"" },
	{ "\"slots\":[", "\"slots\":[],\"more\":[" },
	{ "\"format\":1", "\"format\":\"1\"" },
	{ "{", "{\"format\":1," },
};

/* The header with one part of its text exchanged. */
static void rewrite_header(const char *from, const char *to)
{
	struct memory_record *record = nth(STORE_HEADER, 0);
	char text[4096], *at;
	size_t head;

	record->bytes[record->len] = '\0';
	at = strstr((char *)record->bytes, from);
	ck_assert_msg(at != NULL, "the header has no %s", from);
	head = (size_t)(at - (char *)record->bytes);
	snprintf(text, sizeof(text), "%.*s%s%s", (int)head, (const char *)record->bytes, to,
	         at + strlen(from));
	memory_set(record, text, strlen(text));
}

static void make_passphrase_store(void)
{
	struct vault_slot slot = {
		.kind = VAULT_SLOT_PASSPHRASE, .salt = "salt", .ops = 2, .memory = 64 << 20
	};

	memory_clear(&image);
	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_ok(vault_init(fix.vault, &slot, fix.key, &fix.err));
	fixture_close();
}

START_TEST(a_slot_that_asks_too_much_is_refused_before_any_key_is_made)
{
	make_passphrase_store();
	rewrite_header(greedy[_i].from, greedy[_i].to);
	ck_fails(-EBADMSG, vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_assert_ptr_null(fix.vault);
	ck_assert_ptr_nonnull(strstr(fix.err.text, "header"));
}
END_TEST

START_TEST(a_slot_weakened_in_the_header_does_not_open)
{
	make_passphrase_store();
	rewrite_header("\"memory\":67108864", "\"memory\":8192");
	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_fails(-EKEYREJECTED, fixture_try_unseal());
}
END_TEST

START_TEST(a_slot_may_not_be_made_with_too_much_either)
{
	struct vault_slot slot = { .kind = VAULT_SLOT_PASSPHRASE, .ops = 2, .memory = 1ULL << 40 };

	memory_clear(&image);
	ck_ok(vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_fails(-EINVAL, vault_init(fix.vault, &slot, fix.key, &fix.err));
	slot.memory = 1 << 20;
	slot.ops = 11;
	ck_fails(-EINVAL, vault_init(fix.vault, &slot, fix.key, &fix.err));
	slot.kind = 9;
	ck_fails(-EINVAL, vault_init(fix.vault, &slot, fix.key, &fix.err));
	ck_assert_int_eq(vault_state(fix.vault), VAULT_UNINITIALISED);
	ck_assert_uint_eq(image.n, 0);
}
END_TEST

START_TEST(another_format_version_is_named)
{
	make_passphrase_store();
	rewrite_header("\"format\":1", "\"format\":2");
	ck_fails(-EPROTONOSUPPORT, vault_open(memory_open(&image), &fix.vault, &fix.err));
	ck_assert_ptr_nonnull(strstr(fix.err.text, "format 2"));
}
END_TEST

/* The same, through the file: SQLite lies between and may refuse first. */
static size_t file_records(sqlite3 *db, const char *table)
{
	char sql[128];
	sqlite3_stmt *st = NULL;
	size_t n;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	n = (size_t)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* Flip one bit in byte `at` of the nth record of a table; twice is nothing. False: the record is
 * shorter. */
static bool file_flip(const char *table, size_t n, size_t at)
{
	sqlite3 *db = fixture_db();
	sqlite3_stmt *st = NULL;
	unsigned char value[4096], key[STORE_KEY_LEN];
	char sql[128];
	size_t len;

	snprintf(sql, sizeof(sql), "SELECT key, value FROM %s ORDER BY key LIMIT 1 OFFSET %zu",
	         table, n);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	len = (size_t)sqlite3_column_bytes(st, 1);
	ck_assert_uint_lt(len, sizeof(value));
	memcpy(key, sqlite3_column_blob(st, 0), sizeof(key));
	memcpy(value, sqlite3_column_blob(st, 1), len);
	sqlite3_finalize(st);
	if (at < len) {
		value[at] ^= (unsigned char)(1u << at % 8);
		snprintf(sql, sizeof(sql), "UPDATE %s SET value = ?2 WHERE key = ?1", table);
		fixture_sql(db, "PRAGMA synchronous = OFF");
		ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
		sqlite3_bind_blob(st, 1, key, sizeof(key), SQLITE_STATIC);
		sqlite3_bind_blob(st, 2, value, (int)len, SQLITE_STATIC);
		ck_assert_int_eq(sqlite3_step(st), SQLITE_DONE);
		ck_assert_int_eq(sqlite3_changes(db), 1);
		sqlite3_finalize(st);
	}
	sqlite3_close(db);
	return at < len;
}

START_TEST(bytes_changed_in_the_database_file_are_detected)
{
	static const char *const tables[] = { "small", "large" };
	const char *table = tables[_i];
	char what[64];
	size_t n;
	sqlite3 *db;

	fixture_reopen();
	fixture_init();
	put_all();
	fixture_close();
	db = fixture_db();
	n = file_records(db, table);
	sqlite3_close(db);
	for (size_t i = 0; i < n; i++) {
		for (size_t at = 0; file_flip(table, i, at); at += 7) {
			snprintf(what, sizeof(what), "%s record %zu byte %zu", table, i, at);
			ck_assert_msg(is_detected(fixture_store(), what), "%s: not detected", what);
			file_flip(table, i, at);
		}
	}
	ck_assert(!is_detected(fixture_store(), "all put back"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tamper");
	TCase *tests = tcase_create("tamper");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, an_untouched_store_is_read_whole);
	tcase_add_test(tests, every_flipped_bit_of_every_record_is_detected);
	tcase_add_test(tests, every_flipped_bit_of_every_key_is_detected);
	tcase_add_test(tests, every_shortened_or_lengthened_record_is_detected);
	tcase_add_test(tests, every_removed_record_is_detected);
	tcase_add_test(tests, a_record_in_anothers_place_is_detected);
	tcase_add_test(tests, a_document_copied_under_a_new_key_is_detected);
	tcase_add_test(tests, older_records_among_newer_ones_are_detected);
	tcase_add_test(tests, a_record_replaced_under_a_running_vault_is_not_served);
	tcase_add_test(tests, another_body_sealed_for_the_same_version_is_detected);
	tcase_add_test(tests, a_change_by_another_host_makes_ours_fail_whole);
	tcase_add_test(tests, records_of_another_store_with_the_same_slot_key_are_detected);
	tcase_add_test(tests, a_whole_older_copy_is_reported_against_the_audit_heads_epoch);
	tcase_add_loop_test(tests, a_slot_that_asks_too_much_is_refused_before_any_key_is_made, 0,
	                    ARRAY_LEN(greedy));
	tcase_add_test(tests, a_slot_weakened_in_the_header_does_not_open);
	tcase_add_test(tests, a_slot_may_not_be_made_with_too_much_either);
	tcase_add_test(tests, another_format_version_is_named);
	tcase_add_loop_test(tests, bytes_changed_in_the_database_file_are_detected, 0, 2);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
