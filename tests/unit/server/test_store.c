/* SPDX-License-Identifier: Apache-2.0 */
/* The store through the operator socket: what is kept, what is refused, what is recorded. */
#include "support.h"
#include "support_fakes.h"

static struct host *host;
static int client;

static void setup_empty(void)
{
	host = host_new();
	host_start(host);
	client = client_connect(host);
}

static void setup(void)
{
	setup_empty();
	host_init_store(host);
}

static void teardown(void)
{
	close(client);
	host_free(host);
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	ck_assert_msg(text != NULL, "no text \"%s\"", key);
	return text;
}

static json_int_t number_at(const json_t *object, const char *key)
{
	ck_assert_msg(json_is_integer(json_object_get(object, key)), "no number \"%s\"", key);
	return json_integer_value(json_object_get(object, key));
}

static void done(const char *method, const char *parameters)
{
	json_decref(client_ok(client, method, parameters));
}

static void expect_state(const char *state)
{
	json_t *reply = client_ok(client, "Status", NULL);

	ck_assert_str_eq(text_at(reply, "state"), state);
	json_decref(reply);
}

static void expect_value(const char *name, const char *base64)
{
	char parameters[400];
	json_t *reply;

	snprintf(parameters, sizeof(parameters), "{\"name\":\"%s\"}", name);
	reply = client_ok(client, "Get", parameters);
	ck_assert_str_eq(text_at(reply, "value"), base64);
	json_decref(reply);
}

static void restart(void)
{
	close(client);
	host_kill(host);
	host_start(host);
	client = client_connect(host);
}

#define ITEM_A "{\"items\":[{\"name\":\"a\",\"value\":\"YWFh\"}]}"

START_TEST(a_new_broker_waits_for_init)
{
	expect_state("uninitialised");
	client_expect_error(client, "Put", ITEM_A, "Uninitialised");
	client_expect_error(client, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}",
	                    "Uninitialised");
	host_init_store(host);
	expect_state("unsealed");
	ck_assert_uint_eq(host_audit_count(host, "init", "\"uid\":0"), 1);
}
END_TEST

START_TEST(init_is_refused_where_there_is_a_store)
{
	client_expect_error(client, "Init", "{\"kind\":\"keyfile\",\"key\":\"" KEY_BASE64 "\"}",
	                    "Exists");
}
END_TEST

static const struct refused {
	const char *name, *parameters;
} bad_inits[] = {
	{ "short key", "{\"kind\":\"keyfile\",\"key\":\"AAEC\"}" },
	{ "no key", "{\"kind\":\"keyfile\"}" },
	{ "key and fd", "{\"kind\":\"keyfile\",\"key\":\"" KEY_BASE64 "\",\"fd\":0}" },
	{ "fd that is not there", "{\"kind\":\"keyfile\",\"fd\":0}" },
	{ "unknown kind", "{\"kind\":\"tpm\",\"key\":\"" KEY_BASE64 "\"}" },
	{ "passphrase without salt", "{\"kind\":\"passphrase\",\"key\":\"" KEY_BASE64 "\"}" },
	{ "a terabyte of memory", "{\"kind\":\"passphrase\",\"key\":\"" KEY_BASE64
	                          "\",\"salt\":\"AAAAAAAAAAAAAAAAAAAAAA==\",\"ops\":3,"
	                          "\"memory\":1099511627776}" },
};

START_TEST(a_slot_that_makes_no_sense_is_refused)
{
	client_expect_error(client, "Init", bad_inits[_i].parameters, "Invalid");
	expect_state("uninitialised");
}
END_TEST

START_TEST(a_restarted_broker_is_sealed_and_opens_with_the_right_key_only)
{
	char parameters[200];
	json_t *reply;
	int slot;

	done("Put", ITEM_A);
	restart();
	expect_state("sealed");
	client_expect_error(client, "Get", "{\"name\":\"a\"}", "Sealed");
	client_expect_error(client, "List", NULL, "Sealed");
	client_expect_error(client, "Put", ITEM_A, "Sealed");
	client_expect_error(client, "Grants", NULL, "Sealed");
	reply = client_ok(client, "Status", NULL);
	slot = (int)number_at(json_array_get(json_object_get(reply, "slots"), 0), "id");
	json_decref(reply);
	snprintf(parameters, sizeof(parameters), "{\"slot\":%d,\"key\":\"" OTHER_KEY_BASE64 "\"}",
	         slot);
	client_expect_error(client, "Unseal", parameters, "WrongKey");
	expect_state("sealed");
	ck_assert_uint_eq(host_audit_count(host, "unseal.failed", NULL), 1);
	snprintf(parameters, sizeof(parameters), "{\"slot\":%d,\"key\":\"" KEY_BASE64 "\"}", slot);
	done("Unseal", parameters);
	expect_value("a", "YWFh");
	ck_assert_uint_eq(host_audit_count(host, "unseal", NULL), 1);
	ck_assert_uint_ge(host->shared->pending, 1);
}
END_TEST

START_TEST(an_unsealed_store_tells_a_right_key_from_a_wrong_one)
{
	json_t *reply = client_ok(client, "Status", NULL);
	int slot = (int)number_at(json_array_get(json_object_get(reply, "slots"), 0), "id");
	char parameters[200];

	json_decref(reply);
	done("Put", ITEM_A);
	snprintf(parameters, sizeof(parameters), "{\"slot\":%d,\"key\":\"" OTHER_KEY_BASE64 "\"}",
	         slot);
	client_expect_error(client, "Unseal", parameters, "WrongKey");
	ck_assert_uint_eq(host_audit_count(host, "unseal.failed", NULL), 1);
	snprintf(parameters, sizeof(parameters), "{\"slot\":%d,\"key\":\"" KEY_BASE64 "\"}", slot);
	done("Unseal", parameters);
	expect_state("unsealed");
	expect_value("a", "YWFh");
	ck_assert_uint_eq(host_audit_count(host, "unseal", NULL), 0);
}
END_TEST

START_TEST(seal_shuts_the_store_and_is_recorded)
{
	done("Seal", NULL);
	expect_state("sealed");
	client_expect_error(client, "Get", "{\"name\":\"a\"}", "Sealed");
	ck_assert_uint_eq(host_audit_count(host, "seal", "\"by\":\"Seal\""), 1);
	ck_assert_uint_eq(host->shared->stops, 0);
}
END_TEST

START_TEST(put_numbers_versions_and_get_returns_each)
{
	json_t *reply = client_ok(client, "Put", ITEM_A), *stored;

	stored = json_array_get(json_object_get(reply, "stored"), 0);
	ck_assert_str_eq(text_at(stored, "name"), "a");
	ck_assert_int_eq(number_at(stored, "version"), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(reply, "lagging")), 0);
	json_decref(reply);
	done("Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YmJi\"}]}");
	expect_value("a", "YmJi");
	reply = client_ok(client, "Get", "{\"name\":\"a\",\"version\":1}");
	ck_assert_str_eq(text_at(reply, "value"), "YWFh");
	json_decref(reply);
	ck_assert_uint_eq(host_audit_count(host, "put", "\"name\":\"a\""), 2);
	ck_assert_uint_eq(host_audit_count(host, "get", "\"version\":1"), 1);
}
END_TEST

START_TEST(no_value_reaches_the_audit_log)
{
	done("Put", "{\"items\":[{\"name\":\"a\",\"value\":\"Y2FuYXJ5\"}]}");
	expect_value("a", "Y2FuYXJ5");
	ck_assert_uint_eq(host_audit_count(host, "put", "canary"), 0);
	ck_assert_uint_eq(host_audit_count(host, "put", "Y2FuYXJ5"), 0);
}
END_TEST

START_TEST(put_of_several_is_all_or_nothing)
{
	done("Put", ITEM_A);
	client_expect_error(client, "Put",
	                    "{\"items\":[{\"name\":\"b\",\"value\":\"\"},"
	                    "{\"name\":\"a\",\"value\":\"\",\"if_version\":0}]}",
	                    "Conflict");
	client_expect_error(client, "Get", "{\"name\":\"b\"}", "NotFound");
	done("Put", "{\"items\":[{\"name\":\"b\",\"value\":\"\",\"if_version\":0},"
	            "{\"name\":\"a\",\"value\":\"\",\"if_version\":1}]}");
	expect_value("b", "");
}
END_TEST

START_TEST(a_conflict_says_the_version_that_is_there)
{
	json_t *message, *parameters;

	done("Put", ITEM_A);
	client_send(client, "Put", "{\"items\":[{\"name\":\"a\",\"value\":\"\",\"if_version\":7}]}",
	            NULL);
	message = client_receive(client, NULL);
	parameters = json_object_get(message, "parameters");
	ck_assert_str_eq(text_at(parameters, "name"), "a");
	ck_assert_int_eq(number_at(parameters, "version"), 1);
	json_decref(message);
}
END_TEST

static const struct refused bad_puts[] = {
	{ "no items", "{}" },
	{ "empty items", "{\"items\":[]}" },
	{ "item is text", "{\"items\":[\"a\"]}" },
	{ "no value", "{\"items\":[{\"name\":\"a\"}]}" },
	{ "value is a number", "{\"items\":[{\"name\":\"a\",\"value\":1}]}" },
	{ "value is no base64", "{\"items\":[{\"name\":\"a\",\"value\":\"%%%%\"}]}" },
	{ "unknown field", "{\"items\":[{\"name\":\"a\",\"value\":\"\",\"mode\":\"0400\"}]}" },
	{ "name twice",
	  "{\"items\":[{\"name\":\"a\",\"value\":\"\"},{\"name\":\"a\",\"value\":\"\"}]}" },
	{ "expired", "{\"items\":[{\"name\":\"a\",\"value\":\"\","
	             "\"expires\":\"2001-01-01T00:00:00Z\"}]}" },
	{ "no time", "{\"items\":[{\"name\":\"a\",\"value\":\"\",\"expires\":\"soon\"}]}" },
	{ "negative version", "{\"items\":[{\"name\":\"a\",\"value\":\"\",\"if_version\":-1}]}" },
	{ "label is a number",
	  "{\"items\":[{\"name\":\"a\",\"value\":\"\",\"labels\":{\"k\":1}}]}" },
	{ "dot segment", "{\"items\":[{\"name\":\"a/../b\",\"value\":\"\"}]}" },
	{ "hidden", "{\"items\":[{\"name\":\".a\",\"value\":\"\"}]}" },
	{ "leading dash", "{\"items\":[{\"name\":\"-rf\",\"value\":\"\"}]}" },
	{ "newline", "{\"items\":[{\"name\":\"a\\nb\",\"value\":\"\"}]}" },
	{ "escape", "{\"items\":[{\"name\":\"a\\u001b[2J\",\"value\":\"\"}]}" },
	{ "upper case", "{\"items\":[{\"name\":\"A\",\"value\":\"\"}]}" },
	{ "empty name", "{\"items\":[{\"name\":\"\",\"value\":\"\"}]}" },
	{ "absolute", "{\"items\":[{\"name\":\"/a\",\"value\":\"\"}]}" },
};

START_TEST(a_put_that_breaks_a_rule_is_refused_and_nothing_is_stored)
{
	json_t *reply;

	client_expect_error(client, "Put", bad_puts[_i].parameters, "Invalid");
	reply = client_ok(client, "List", NULL);
	ck_assert_msg(json_array_size(json_object_get(reply, "secrets")) == 0, "%s",
	              bad_puts[_i].name);
	json_decref(reply);
}
END_TEST

START_TEST(control_bytes_of_a_refused_name_do_not_come_back)
{
	json_t *message;
	const char *sentence;

	client_send(client, "Put", "{\"items\":[{\"name\":\"a\\r\\n\\u001b[2J\",\"value\":\"\"}]}",
	            NULL);
	message = client_receive(client, NULL);
	sentence = text_at(json_object_get(message, "parameters"), "message");
	for (const char *c = sentence; *c; c++)
		ck_assert_msg((unsigned char)*c >= ' ' && *c != 0x7f, "%s", sentence);
	json_decref(message);
}
END_TEST

START_TEST(a_value_of_one_mebibyte_is_kept_and_one_byte_more_is_refused)
{
	static char text[1500000];
	size_t head =
		(size_t)snprintf(text, sizeof(text), "{\"items\":[{\"name\":\"a\",\"value\":\"");
	size_t digits = (1024 * 1024 + 2) / 3 * 4; /* 1 MiB is 1 more than a multiple of 3 */

	memset(text + head, 'A', digits);
	strcpy(text + head + digits - 2, "==\"}]}");
	done("Put", text);
	strcpy(text + head + digits - 2, "A=\"}]}");
	client_expect_error(client, "Put", text, "Invalid");
}
END_TEST

/* A memfd with text in it, its offset at the end. */
static int memfd_with(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_all(fd, text, strlen(text)), 0);
	return fd;
}

static json_t *put_fd(int fd)
{
	const char call[] = "{\"method\":\"io.coffer.operator.Put\",\"parameters\":"
			    "{\"items\":[{\"name\":\"a\",\"fd\":0}]}}";

	ck_assert_int_eq(io_send(client, call, sizeof(call), &fd, 1, 0), sizeof(call));
	return client_receive(client, NULL);
}

START_TEST(values_travel_as_memory_files_both_ways)
{
	int fd = memfd_with("through memory"), got = -1;
	char bytes[64] = "";
	json_t *message = put_fd(fd);

	ck_assert_ptr_null(json_object_get(message, "error"));
	json_decref(message);
	close(fd);
	client_send(client, "Get", "{\"name\":\"a\",\"memfd\":true}", NULL);
	message = client_receive(client, &got);
	ck_assert_int_eq(number_at(json_object_get(message, "parameters"), "fd"), 0);
	ck_assert_ptr_null(json_object_get(json_object_get(message, "parameters"), "value"));
	ck_assert_int_ge(got, 0);
	ck_assert_int_eq(pread(got, bytes, sizeof(bytes), 0), 14);
	ck_assert_str_eq(bytes, "through memory");
	ck_assert_int_lt(pwrite(got, "x", 1, 0), 0); /* sealed */
	json_decref(message);
	close(got);
}
END_TEST

START_TEST(a_pipe_is_not_read_as_a_value)
{
	int pair[2];
	json_t *message;

	/* Nobody ever writes: a broker that read it would hang. */
	ck_assert_int_eq(pipe2(pair, O_CLOEXEC), 0);
	message = put_fd(pair[0]);
	ck_assert_str_eq(text_at(message, "error"), "io.coffer.operator.Invalid");
	json_decref(message);
	expect_state("unsealed");
	close(pair[0]);
	close(pair[1]);
}
END_TEST

START_TEST(info_shows_versions_newest_first)
{
	json_t *reply, *versions;

	done("Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YWFh\",\"labels\":{\"team\":\"x\"},"
	            "\"expires\":\"2199-01-01T00:00:00Z\"}]}");
	done("Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YWFhYQ==\"}]}");
	reply = client_ok(client, "Info", "{\"name\":\"a\"}");
	versions = json_object_get(reply, "versions");
	ck_assert_int_eq(number_at(json_object_get(reply, "secret"), "version"), 2);
	ck_assert_int_eq(number_at(json_object_get(reply, "secret"), "size"), 4);
	ck_assert_uint_eq(json_array_size(versions), 2);
	ck_assert_int_eq(number_at(json_array_get(versions, 1), "version"), 1);
	ck_assert_int_eq(strncmp(text_at(json_array_get(versions, 1), "expires"), "2199-", 5), 0);
	ck_assert_str_eq(text_at(json_object_get(json_array_get(versions, 1), "labels"), "team"),
	                 "x");
	json_decref(reply);
	client_expect_error(client, "Info", "{\"name\":\"b\"}", "NotFound");
}
END_TEST

START_TEST(rollback_makes_a_new_version_of_an_old_value)
{
	json_t *reply;

	done("Put", ITEM_A);
	done("Put", "{\"items\":[{\"name\":\"a\",\"value\":\"YmJi\"}]}");
	reply = client_ok(client, "Rollback", "{\"name\":\"a\",\"to\":1}");
	ck_assert_int_eq(number_at(json_object_get(reply, "stored"), "version"), 3);
	json_decref(reply);
	expect_value("a", "YWFh");
	ck_assert_uint_eq(host_audit_count(host, "rollback", "\"to\":1"), 1);
}
END_TEST

START_TEST(a_removed_secret_is_gone_and_its_numbers_go_on)
{
	json_t *reply;

	done("Put", ITEM_A);
	done("Remove", "{\"name\":\"a\"}");
	client_expect_error(client, "Get", "{\"name\":\"a\"}", "NotFound");
	client_expect_error(client, "Remove", "{\"name\":\"a\"}", "NotFound");
	reply = client_ok(client, "Put", ITEM_A);
	ck_assert_int_eq(number_at(json_array_get(json_object_get(reply, "stored"), 0), "version"),
	                 2);
	json_decref(reply);
	ck_assert_uint_eq(host_audit_count(host, "rm", "\"name\":\"a\""), 1);
}
END_TEST

START_TEST(a_change_names_containers_that_do_not_show_it_yet)
{
	json_t *reply;
	unsigned int before = host->shared->refreshes;

	host->shared->lagging = true;
	reply = client_ok(client, "Put", ITEM_A);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(reply, "lagging"), 0)),
	                 "runc/slow");
	ck_assert_uint_gt(host->shared->refreshes, before);
	json_decref(reply);
}
END_TEST

/* `count` secrets named n/00000, …, 100 a transaction. */
static void fill(int count)
{
	for (int i = 0; i < count; i += 100) {
		char text[8192];
		size_t len = (size_t)snprintf(text, sizeof(text), "{\"items\":[");

		for (int k = i; k < i + 100; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			                        "%s{\"name\":\"n/%05d\",\"value\":\"\"}",
			                        k > i ? "," : "", k);
		snprintf(text + len, sizeof(text) - len, "]}");
		done("Put", text);
	}
}

START_TEST(a_long_list_comes_in_pages_each_name_once)
{
	int seen = 0, replies = 0;
	bool continues = true;

	fill(1200);
	done("Put", ITEM_A);
	client_send(client, "List", "{\"prefix\":\"n/\"}", "more");
	while (continues) {
		json_t *message = client_receive(client, NULL), *entry, *list;
		size_t i;

		list = json_object_get(json_object_get(message, "parameters"), "secrets");
		json_array_foreach (list, i, entry) {
			char name[16];

			snprintf(name, sizeof(name), "n/%05d", seen++);
			ck_assert_str_eq(text_at(entry, "name"), name);
		}
		continues = json_is_true(json_object_get(message, "continues"));
		replies++;
		json_decref(message);
	}
	ck_assert_int_eq(seen, 1200);
	ck_assert_int_eq(replies, 3);
	expect_state("unsealed");
}
END_TEST

START_TEST(a_list_whose_reader_leaves_ends)
{
	fill(1200);
	client_send(client, "List", NULL, "more");
	json_decref(client_receive(client, NULL));
	close(client);
	client = client_connect(host);
	expect_state("unsealed");
}
END_TEST

START_TEST(a_keyfile_unseals_at_start)
{
	char path[128];
	int fd;

	/* A store whose slot is of a keyfile's content: the client hashes it, so must we. */
	SCOPED(secret_free_ptr)
	struct secret *content = secret_copy("0123456789abcdef0123456789abcdef", 32);
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	SCOPED(secret_free_ptr) struct secret *base64 = NULL;
	char parameters[200];

	ck_assert_int_eq(vault_keyfile_key(content, &key, NULL), 0);
	ck_assert_int_eq(secret_to_base64(key, &base64), 0);
	snprintf(parameters, sizeof(parameters), "{\"kind\":\"keyfile\",\"key\":\"%s\"}",
	         (const char *)base64->bytes);
	done("Init", parameters);
	done("Put", ITEM_A);
	snprintf(path, sizeof(path), "%s/key", host->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);
	ck_assert_int_eq(io_write_all(fd, content->bytes, content->len), 0);
	close(fd);
	host->config.keyfile = path;
	restart();
	expect_value("a", "YWFh");
	ck_assert_uint_eq(host_audit_count(host, "unseal", "\"by\":\"keyfile\""), 1);
	host->config.keyfile = NULL;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *empty = tcase_create("empty"), *t = tcase_create("initialised");

	tcase_set_timeout(empty, 60);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(empty, setup_empty, teardown);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(empty, a_new_broker_waits_for_init);
	tcase_add_loop_test(empty, a_slot_that_makes_no_sense_is_refused, 0, ARRAY_LEN(bad_inits));
	tcase_add_test(empty, a_keyfile_unseals_at_start);
	tcase_add_test(t, init_is_refused_where_there_is_a_store);
	tcase_add_test(t, a_restarted_broker_is_sealed_and_opens_with_the_right_key_only);
	tcase_add_test(t, an_unsealed_store_tells_a_right_key_from_a_wrong_one);
	tcase_add_test(t, seal_shuts_the_store_and_is_recorded);
	tcase_add_test(t, put_numbers_versions_and_get_returns_each);
	tcase_add_test(t, no_value_reaches_the_audit_log);
	tcase_add_test(t, put_of_several_is_all_or_nothing);
	tcase_add_test(t, a_conflict_says_the_version_that_is_there);
	tcase_add_loop_test(t, a_put_that_breaks_a_rule_is_refused_and_nothing_is_stored, 0,
	                    ARRAY_LEN(bad_puts));
	tcase_add_test(t, control_bytes_of_a_refused_name_do_not_come_back);
	tcase_add_test(t, a_value_of_one_mebibyte_is_kept_and_one_byte_more_is_refused);
	tcase_add_test(t, values_travel_as_memory_files_both_ways);
	tcase_add_test(t, a_pipe_is_not_read_as_a_value);
	tcase_add_test(t, info_shows_versions_newest_first);
	tcase_add_test(t, rollback_makes_a_new_version_of_an_old_value);
	tcase_add_test(t, a_removed_secret_is_gone_and_its_numbers_go_on);
	tcase_add_test(t, a_change_names_containers_that_do_not_show_it_yet);
	tcase_add_test(t, a_long_list_comes_in_pages_each_name_once);
	tcase_add_test(t, a_list_whose_reader_leaves_ends);
	suite_add_tcase(suite, empty);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
