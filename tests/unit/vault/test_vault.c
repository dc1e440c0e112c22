/* SPDX-License-Identifier: Apache-2.0 */
#include "coffer/times.h"
#include "fixture.h"

START_TEST(an_empty_folder_is_an_uninitialised_store)
{
	struct vault_secret secret;

	ck_assert_int_eq(vault_state(fix.vault), VAULT_UNINITIALISED);
	ck_assert_str_eq(vault_store_id(fix.vault), "");
	ck_fails(-ENOKEY, fixture_try_unseal());
	ck_fails(-ENOKEY, vault_find(fix.vault, "a", &secret));
	ck_fails(-ENOKEY, fixture_try_get("a", 0));
	fixture_init();
	ck_assert_int_eq(vault_state(fix.vault), VAULT_UNSEALED);
	ck_assert_uint_eq(strlen(vault_store_id(fix.vault)), 32);
	ck_assert_uint_eq(vault_epoch(fix.vault), 1);
}
END_TEST

START_TEST(a_store_is_made_once)
{
	struct vault_slot slot = { .kind = VAULT_SLOT_KEYFILE };

	ck_fails(-EEXIST, vault_init(fix.vault, &slot, fix.key, &fix.err));
	fixture_reopen();
	ck_fails(-EEXIST, vault_init(fix.vault, &slot, fix.key, &fix.err));
}
END_TEST

START_TEST(values_survive_a_restart)
{
	static const char bytes[] = { 'a', '\0', '\n', (char)0xff };
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	uint64_t version;

	fixture_put("db/password", "hunter2");
	ck_ok(fixture_try_put("binary", bytes, sizeof(bytes), &version));
	ck_ok(fixture_try_put("empty", "", 0, &version));
	fixture_restart();
	fixture_expect("db/password", 0, "hunter2");
	fixture_expect("empty", 0, "");
	ck_ok(vault_get(fix.vault, "binary", 0, false, &value, NULL, &fix.err));
	ck_assert_uint_eq(value->len, sizeof(bytes));
	ck_assert_mem_eq(value->bytes, bytes, sizeof(bytes));
	ck_assert_uint_eq(vault_count(fix.vault), 3);
}
END_TEST

START_TEST(a_value_may_have_one_mebibyte_and_no_more)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_new(SECRET_VALUE_MAX);
	SCOPED(secret_free_ptr) struct secret *longer = secret_new(SECRET_VALUE_MAX + 1);
	SCOPED(secret_free_ptr) struct secret *back = NULL;
	struct vault_item item = { .name = "large", .value = value };
	uint64_t version;

	ck_assert(value && longer);
	randombytes_buf(value->bytes, value->len);
	ck_ok(vault_put(fix.vault, &item, 1, &version, &fix.err));
	item.value = longer;
	ck_fails(-EFBIG, vault_put(fix.vault, &item, 1, &version, &fix.err));
	fixture_restart();
	ck_ok(vault_get(fix.vault, "large", 0, false, &back, NULL, &fix.err));
	ck_assert_uint_eq(back->len, value->len);
	ck_assert_mem_eq(back->bytes, value->bytes, value->len);
}
END_TEST

START_TEST(the_wrong_key_opens_nothing)
{
	SCOPED(secret_free_ptr) struct secret *wrong = secret_copy(fix.key->bytes, fix.key->len);

	fixture_put("a", "value");
	fixture_reopen();
	for (size_t bit = 0; bit < wrong->len * 8; bit++) {
		wrong->bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
		ck_fails(-EKEYREJECTED, vault_unseal(fix.vault, 1, wrong, 0, false, &fix.err));
		ck_assert_int_eq(vault_state(fix.vault), VAULT_SEALED);
		wrong->bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	secret_truncate(wrong, 31);
	ck_fails(-EKEYREJECTED, vault_unseal(fix.vault, 1, wrong, 0, false, &fix.err));
	ck_fails(-ENOENT, vault_unseal(fix.vault, 2, fix.key, 0, false, &fix.err));
	ck_ok(fixture_try_unseal());
	fixture_expect("a", 0, "value");
}
END_TEST

START_TEST(while_sealed_every_call_on_names_says_so)
{
	struct vault_secret secret;
	uint64_t version;

	fixture_put("a", "value");
	vault_seal(fix.vault);
	ck_assert_int_eq(vault_state(fix.vault), VAULT_SEALED);
	ck_fails(-ENOKEY, vault_find(fix.vault, "a", &secret));
	ck_fails(-ENOKEY, vault_list(fix.vault, "", NULL, NULL));
	ck_fails(-ENOKEY, vault_history(fix.vault, "a", NULL, NULL, &fix.err));
	ck_fails(-ENOKEY, fixture_try_get("a", 0));
	ck_fails(-ENOKEY, fixture_try_put("a", "x", 1, &version));
	ck_fails(-ENOKEY, vault_remove(fix.vault, "a", &fix.err));
	ck_fails(-ENOKEY, vault_rollback(fix.vault, "a", 1, &version, &fix.err));
	ck_fails(-ENOKEY, vault_doc_put(fix.vault, "grant", "1", "x", 1, &fix.err));
	ck_fails(-ENOKEY, vault_doc_remove(fix.vault, "grant", "1", &fix.err));
	ck_fails(-ENOKEY, vault_doc_each(fix.vault, "grant", NULL, NULL, &fix.err));
	ck_fails(-ENOKEY, vault_mark_time(fix.vault, &fix.err));
	ck_assert_ptr_null(vault_audit_seed(fix.vault));
	ck_assert_uint_eq(vault_count(fix.vault), 0);
	ck_ok(fixture_try_unseal());
	ck_fails(-EALREADY, fixture_try_unseal());
	fixture_expect("a", 0, "value");
}
END_TEST

START_TEST(every_slot_opens_the_same_store)
{
	SCOPED(secret_free_ptr) struct secret *other = secret_new(VAULT_KEY_LEN);
	struct vault_slot slot = { .kind = VAULT_SLOT_PASSPHRASE,
		                   .salt = "0123456789abcde",
		                   .ops = 3,
		                   .memory = 1 << 28 };
	const struct vault_slot *slots = NULL;
	int r = 0;

	fixture_put("a", "value");
	memset(other->bytes, 7, other->len);
	ck_ok(vault_add_slot(fix.vault, &slot, other, &fix.err));
	ck_assert_uint_eq(slot.id, 2);
	fixture_reopen();
	ck_assert_uint_eq(vault_slots(fix.vault, &slots), 2);
	ck_assert_uint_eq(slots[1].id, 2);
	ck_assert_uint_eq(slots[1].ops, 3);
	ck_assert_uint_eq(slots[1].memory, 1 << 28);
	ck_assert_mem_eq(slots[1].salt, "0123456789abcde", VAULT_SALT_LEN);
	ck_fails(-EKEYREJECTED, vault_unseal(fix.vault, 1, other, 0, false, &fix.err));
	ck_fails(-EKEYREJECTED, vault_unseal(fix.vault, 2, fix.key, 0, false, &fix.err));
	ck_ok(vault_unseal(fix.vault, 2, other, 0, false, &fix.err));
	fixture_expect("a", 0, "value");
	for (size_t i = 2; i < VAULT_SLOTS_MAX; i++)
		ck_ok(vault_add_slot(fix.vault, &slot, other, &fix.err));
	r = vault_add_slot(fix.vault, &slot, other, &fix.err);
	ck_assert_int_eq(r, -ENOSPC);
	fixture_restart();
}
END_TEST

START_TEST(versions_count_from_one_and_go_on_after_a_removal)
{
	ck_assert_uint_eq(fixture_put("a", "one"), 1);
	ck_assert_uint_eq(fixture_put("a", "two"), 2);
	fixture_expect("a", 1, "one");
	fixture_expect("a", 0, "two");
	ck_ok(vault_remove(fix.vault, "a", &fix.err));
	ck_fails(-ENOENT, fixture_try_get("a", 0));
	ck_fails(-ENOENT, fixture_try_get("a", 1));
	ck_fails(-ENOENT, vault_remove(fix.vault, "a", &fix.err));
	ck_assert_uint_eq(vault_count(fix.vault), 0);
	fixture_restart();
	ck_fails(-ENOENT, fixture_try_get("a", 2));
	ck_assert_uint_eq(vault_count(fix.vault), 0);
	ck_assert_uint_eq(fixture_put("a", "three"), 3);
	fixture_expect("a", 0, "three");
	ck_fails(-ENOENT, fixture_try_get("a", 2));
}
END_TEST

static int collect_number(void *arg, const struct vault_version *version)
{
	uint64_t **at = arg;

	*(*at)++ = version->number;
	return 0;
}

START_TEST(ten_versions_are_kept_newest_first)
{
	uint64_t numbers[VAULT_KEEP_VERSIONS + 5] = { 0 }, *at = numbers;

	for (int i = 1; i <= VAULT_KEEP_VERSIONS + 2; i++)
		fixture_put("a", "x");
	ck_ok(vault_history(fix.vault, "a", collect_number, &at, &fix.err));
	ck_assert_int_eq(at - numbers, VAULT_KEEP_VERSIONS);
	for (uint64_t i = 0; i < VAULT_KEEP_VERSIONS; i++)
		ck_assert_uint_eq(numbers[i], VAULT_KEEP_VERSIONS + 2 - i);
	ck_fails(-ENOENT, fixture_try_get("a", 2));
	fixture_expect("a", 3, "x");
	fixture_close();
	sqlite3 *db = fixture_db();
	sqlite3_stmt *st = NULL;

	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT count(*) FROM large", -1, &st, NULL),
	                 SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(st), SQLITE_ROW);
	ck_assert_int_eq(sqlite3_column_int(st, 0), VAULT_KEEP_VERSIONS);
	sqlite3_finalize(st);
	sqlite3_close(db);
}
END_TEST

START_TEST(rollback_makes_a_new_version_of_the_old_bytes_and_labels)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("old", 3);
	struct vault_label label = { (char *)(uintptr_t) "team", (char *)(uintptr_t) "payments" };
	struct vault_item item = { .name = "a",
		                   .value = value,
		                   .label = &label,
		                   .labels = 1,
		                   .expires_ns = times_now() + 1000 * NS_PER_S };
	struct vault_secret secret;
	uint64_t version = 0;

	ck_ok(vault_put(fix.vault, &item, 1, &version, &fix.err));
	fixture_put("a", "new");
	ck_ok(vault_rollback(fix.vault, "a", 1, &version, &fix.err));
	ck_assert_uint_eq(version, 3);
	fixture_restart();
	fixture_expect("a", 0, "old");
	ck_ok(vault_find(fix.vault, "a", &secret));
	ck_assert_uint_eq(secret.current.number, 3);
	ck_assert_int_eq(secret.current.expires_ns, item.expires_ns);
	ck_assert_uint_eq(secret.current.labels, 1);
	ck_assert_str_eq(secret.current.label[0].key, "team");
	ck_assert_str_eq(secret.current.label[0].value, "payments");
	ck_fails(-ENOENT, vault_rollback(fix.vault, "a", 9, &version, &fix.err));
	ck_fails(-ENOENT, vault_rollback(fix.vault, "b", 1, &version, &fix.err));
	ck_fails(-EINVAL, vault_rollback(fix.vault, "a", 0, &version, &fix.err));
}
END_TEST

START_TEST(an_expired_version_is_not_handed_out_and_rolls_back_without_its_expiry)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("old", 3), *got = NULL;
	struct vault_item item = { .name = "a",
		                   .value = value,
		                   .expires_ns = times_now() - NS_PER_S };
	struct vault_version version;
	struct vault_secret secret;
	uint64_t number = 0;

	ck_ok(vault_put(fix.vault, &item, 1, &number, &fix.err));
	ck_fails(-EKEYEXPIRED, fixture_try_get("a", 0));
	ck_ok(vault_get(fix.vault, "a", 0, true, &got, &version, &fix.err));
	ck_assert_int_eq(version.expires_ns, item.expires_ns);
	ck_ok(vault_rollback(fix.vault, "a", 1, &number, &fix.err));
	fixture_expect("a", 0, "old");
	ck_ok(vault_find(fix.vault, "a", &secret));
	ck_assert_int_eq(secret.current.expires_ns, 0);
}
END_TEST

START_TEST(if_version_compares_before_it_sets)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("x", 1);
	struct vault_item items[] = {
		{ .name = "b", .value = value },
		{ .name = "a", .value = value, .has_if_version = true, .if_version = 1 }
	};
	struct vault_secret secret;
	uint64_t versions[2], epoch;

	ck_fails(-EAGAIN, vault_put(fix.vault, items, 2, versions, &fix.err));
	ck_fails(-ENOENT, vault_find(fix.vault, "b", &secret));
	items[1].if_version = 0;
	ck_ok(vault_put(fix.vault, items, 2, versions, &fix.err));
	epoch = vault_epoch(fix.vault);
	ck_fails(-EAGAIN, vault_put(fix.vault, items, 2, versions, &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), epoch);
	ck_ok(vault_find(fix.vault, "b", &secret));
	ck_assert_uint_eq(secret.current.number, 1);
	items[1].if_version = 1;
	ck_ok(vault_put(fix.vault, items, 2, versions, &fix.err));
	ck_assert_uint_eq(versions[1], 2);
	ck_ok(vault_remove(fix.vault, "a", &fix.err));
	ck_fails(-EAGAIN, vault_put(fix.vault, &items[1], 1, versions, &fix.err));
	items[1].if_version = 0;
	ck_ok(vault_put(fix.vault, &items[1], 1, versions, &fix.err));
	ck_assert_uint_eq(versions[0], 3);
}
END_TEST

static struct vault_label labels[VAULT_LABELS_MAX + 1];
static char long_text[VAULT_LABEL_LEN_MAX + 2];

static const struct bad_item {
	const char *what;
	struct vault_item item;
	int error;
} bad_items[] = {
	{ "name of a parent", { .name = "../x" }, -EINVAL },
	{ "empty name", { .name = "" }, -EINVAL },
	{ "line feed", { .name = "a\nb" }, -EINVAL },
	{ "dash first", { .name = "-a" }, -EINVAL },
	{ "negative expiry", { .name = "a", .expires_ns = -1 }, -EINVAL },
	{ "too many labels",
	  { .name = "a", .label = labels, .labels = VAULT_LABELS_MAX + 1 },
	  -EINVAL },
	{ "two equal labels", { .name = "a", .label = labels, .labels = 2 }, -EINVAL },
};

START_TEST(what_breaks_a_rule_is_refused_whole)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("x", 1);
	struct vault_item items[2] = { { .name = "good", .value = value }, bad_items[_i].item };
	struct vault_secret secret;
	uint64_t versions[2] = { 77, 77 };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		labels[i] =
			(struct vault_label){ (char *)(uintptr_t) "k", (char *)(uintptr_t) "v" };
	items[1].value = value;
	r = vault_put(fix.vault, items, 2, versions, &fix.err);
	ck_assert_msg(r == bad_items[_i].error, "%s: %d", bad_items[_i].what, r);
	ck_assert_uint_ne(strlen(fix.err.text), 0);
	ck_assert_uint_eq(versions[0], 77);
	ck_fails(-ENOENT, vault_find(fix.vault, "good", &secret));
	ck_assert_uint_eq(vault_count(fix.vault), 0);
	ck_assert_uint_eq(vault_epoch(fix.vault), 1);
}
END_TEST

START_TEST(labels_have_at_most_128_bytes)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("x", 1);
	struct vault_label label = { long_text, long_text };
	struct vault_item item = { .name = "a", .value = value, .label = &label, .labels = 1 };
	uint64_t version;

	memset(long_text, 'l', VAULT_LABEL_LEN_MAX);
	ck_ok(vault_put(fix.vault, &item, 1, &version, &fix.err));
	long_text[VAULT_LABEL_LEN_MAX] = 'l';
	ck_fails(-EINVAL, vault_put(fix.vault, &item, 1, &version, &fix.err));
	label.value = (char *)(uintptr_t) "";
	label.key = (char *)(uintptr_t) "";
	ck_fails(-EINVAL, vault_put(fix.vault, &item, 1, &version, &fix.err));
	fixture_restart();
}
END_TEST

START_TEST(one_put_names_a_secret_once_and_128_at_most)
{
	SCOPED(secret_free_ptr) struct secret *value = secret_copy("x", 1);
	struct vault_item items[VAULT_ITEMS_MAX + 1];
	char names[VAULT_ITEMS_MAX + 1][16];
	uint64_t versions[VAULT_ITEMS_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		snprintf(names[i], sizeof(names[i]), "n%zu", i);
		items[i] = (struct vault_item){ .name = names[i], .value = value };
	}
	ck_fails(-EINVAL, vault_put(fix.vault, items, VAULT_ITEMS_MAX + 1, versions, &fix.err));
	ck_fails(-EINVAL, vault_put(fix.vault, items, 0, versions, &fix.err));
	items[1].name = items[0].name;
	ck_fails(-EINVAL, vault_put(fix.vault, items, 2, versions, &fix.err));
	items[1].name = names[1];
	ck_ok(vault_put(fix.vault, items, VAULT_ITEMS_MAX, versions, &fix.err));
	ck_assert_uint_eq(vault_count(fix.vault), VAULT_ITEMS_MAX);
	fixture_restart();
	ck_assert_uint_eq(vault_count(fix.vault), VAULT_ITEMS_MAX);
}
END_TEST

static int collect_name(void *arg, const struct vault_secret *secret)
{
	char *text = arg;

	strcat(text, secret->name);
	strcat(text, " ");
	return strcmp(secret->name, "stop") == 0 ? 5 : 0;
}

START_TEST(a_listing_is_sorted_and_bounded_by_its_prefix)
{
	char text[256] = "";

	fixture_put("tls/key", "x");
	fixture_put("a", "x");
	fixture_put("tls-other", "x");
	fixture_put("tls/cert", "x");
	fixture_put("tls/gone", "x");
	ck_ok(vault_remove(fix.vault, "tls/gone", &fix.err));
	ck_ok(vault_list(fix.vault, "", collect_name, text));
	ck_assert_str_eq(text, "a tls-other tls/cert tls/key ");
	text[0] = '\0';
	fixture_restart();
	ck_ok(vault_list(fix.vault, "tls/", collect_name, text));
	ck_assert_str_eq(text, "tls/cert tls/key ");
	text[0] = '\0';
	ck_ok(vault_list(fix.vault, "tls", collect_name, text));
	ck_assert_str_eq(text, "tls-other tls/cert tls/key ");
	text[0] = '\0';
	fixture_put("stop", "x");
	ck_assert_int_eq(vault_list(fix.vault, "", collect_name, text), 5);
	ck_assert_str_eq(text, "a stop ");
}
END_TEST

static const struct pem {
	const char *text;
	bool private, certificate;
} pems[] = {
	{ "-----BEGIN PRIVATE KEY-----\nMIIE", true },
	{ "-----BEGIN RSA PRIVATE KEY-----\nMIIE", true },
	{ "cert first\n-----BEGIN CERTIFICATE-----\nx\n-----BEGIN EC PRIVATE KEY-----\n", true,
	  true },
	{ "-----BEGIN ENCRYPTED PRIVATE KEY-----", true },
	{ "-----BEGIN OPENSSH PRIVATE KEY-----", true },
	{ "-----BEGIN PGP PRIVATE KEY BLOCK-----", true },
	{ "{\"key\":\"-----BEGIN PRIVATE KEY-----\\nMIIE\"}", true },
	{ "-----BEGIN PRIVATE KEY----", false },
	{ "-----BEGIN PUBLIC KEY-----", false },
	{ "-----BEGIN CERTIFICATE-----\nPRIVATE KEY-----", false, true },
	{ "-----BEGIN TRUSTED CERTIFICATE-----", false, true },
	{ "-----BEGIN CERTIFICATE REQUEST-----", false },
	{ "0\x09"
	  "0\x07\xa0\x03\x02\x01\x02\x02\x01",
	  false, true },
	{ "0\x09"
	  "0\x08\xa0\x03\x02\x01\x02\x02\x01",
	  false },
	{ "0\x0a"
	  "0\x07\xa0\x03\x02\x01\x02\x02\x01",
	  false },
	{ "0\x09"
	  "0\x07\xa0\x03\x02\x01\x01\x02\x01",
	  false },
	{ "0\x84", false },
	{ "0\x80", false },
	{ "0", false },
	{ "-----BEGIN ", false },
	{ "PRIVATE KEY", false },
	{ "", false },
};

START_TEST(private_keys_and_certificates_are_recognised_at_put)
{
	struct vault_secret secret;

	fixture_put("k", pems[_i].text);
	ck_ok(vault_find(fix.vault, "k", &secret));
	ck_assert_msg(!(secret.current.flags & VAULT_PRIVATE_KEY) == !pems[_i].private, "%s",
	              pems[_i].text);
	ck_assert_msg(!(secret.current.flags & VAULT_CERTIFICATE) == !pems[_i].certificate, "%s",
	              pems[_i].text);
	fixture_restart();
	ck_ok(vault_find(fix.vault, "k", &secret));
	ck_assert_msg(!(secret.current.flags & VAULT_PRIVATE_KEY) == !pems[_i].private, "%s",
	              pems[_i].text);
	ck_assert_uint_eq(secret.current.size, strlen(pems[_i].text));
}
END_TEST

START_TEST(the_epoch_grows_by_one_with_each_change)
{
	uint64_t version, epoch = vault_epoch(fix.vault);

	fixture_put("a", "x");
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	ck_ok(vault_rollback(fix.vault, "a", 1, &version, &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	ck_ok(vault_doc_put(fix.vault, "grant", "1", "x", 1, &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	ck_ok(vault_doc_remove(fix.vault, "grant", "1", &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	ck_ok(vault_remove(fix.vault, "a", &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	ck_ok(vault_mark_time(fix.vault, &fix.err));
	ck_assert_uint_eq(vault_epoch(fix.vault), ++epoch);
	fixture_restart();
	ck_assert_uint_eq(vault_epoch(fix.vault), epoch);
}
END_TEST

START_TEST(the_audit_seed_stays_the_same_and_is_no_other_stores)
{
	SCOPED(secret_free_ptr)
	struct secret *before = vault_audit_seed(fix.vault), *after = NULL, *other = NULL;

	fixture_restart();
	after = vault_audit_seed(fix.vault);
	ck_assert(before && after && before->len == 32 && after->len == 32);
	ck_assert_mem_eq(before->bytes, after->bytes, 32);
	fixture_teardown();
	fixture_setup();
	other = vault_audit_seed(fix.vault);
	ck_assert_mem_ne(before->bytes, other->bytes, 32);
}
END_TEST

START_TEST(labels_of_an_old_version_can_be_read)
{
	SCOPED(secret_free_ptr)
	struct secret *value = secret_copy("x", 1), *got = NULL, *again = NULL;
	struct vault_label label = { (char *)(uintptr_t) "stage", (char *)(uintptr_t) "test" };
	struct vault_item item = { .name = "a", .value = value, .label = &label, .labels = 1 };
	struct vault_version version;
	uint64_t number;

	ck_ok(vault_put(fix.vault, &item, 1, &number, &fix.err));
	fixture_put("a", "y");
	ck_ok(vault_get(fix.vault, "a", 1, false, &got, &version, &fix.err));
	ck_assert_uint_eq(version.number, 1);
	ck_assert_str_eq(version.label[0].value, "test");
	ck_ok(vault_get(fix.vault, "a", 0, false, &again, &version, &fix.err));
	ck_assert_uint_eq(version.labels, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vault");
	TCase *empty = tcase_create("empty"), *tests = tcase_create("made");

	tcase_add_checked_fixture(empty, fixture_empty, fixture_teardown);
	tcase_add_test(empty, an_empty_folder_is_an_uninitialised_store);
	tcase_add_checked_fixture(tests, fixture_setup, fixture_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_store_is_made_once);
	tcase_add_test(tests, values_survive_a_restart);
	tcase_add_test(tests, a_value_may_have_one_mebibyte_and_no_more);
	tcase_add_test(tests, the_wrong_key_opens_nothing);
	tcase_add_test(tests, while_sealed_every_call_on_names_says_so);
	tcase_add_test(tests, every_slot_opens_the_same_store);
	tcase_add_test(tests, versions_count_from_one_and_go_on_after_a_removal);
	tcase_add_test(tests, ten_versions_are_kept_newest_first);
	tcase_add_test(tests, rollback_makes_a_new_version_of_the_old_bytes_and_labels);
	tcase_add_test(tests,
	               an_expired_version_is_not_handed_out_and_rolls_back_without_its_expiry);
	tcase_add_test(tests, if_version_compares_before_it_sets);
	tcase_add_loop_test(tests, what_breaks_a_rule_is_refused_whole, 0, ARRAY_LEN(bad_items));
	tcase_add_test(tests, labels_have_at_most_128_bytes);
	tcase_add_test(tests, one_put_names_a_secret_once_and_128_at_most);
	tcase_add_test(tests, a_listing_is_sorted_and_bounded_by_its_prefix);
	tcase_add_loop_test(tests, private_keys_and_certificates_are_recognised_at_put, 0,
	                    ARRAY_LEN(pems));
	tcase_add_test(tests, the_epoch_grows_by_one_with_each_change);
	tcase_add_test(tests, the_audit_seed_stays_the_same_and_is_no_other_stores);
	tcase_add_test(tests, labels_of_an_old_version_can_be_read);
	suite_add_tcase(suite, empty);
	suite_add_tcase(suite, tests);
	return fixture_main(suite);
}
