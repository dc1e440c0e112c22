/* SPDX-License-Identifier: Apache-2.0 */
/* Grants through the operator socket: kept in the vault, in force only while it is open. */
#include "support.h"
#include "support_fakes.h"

static struct host *host;
static int client;

static void setup(void)
{
	host = host_new();
	host_start(host);
	host_init_store(host);
	client = client_connect(host);
}

static void teardown(void)
{
	close(client);
	host_free(host);
}

#define GRANT(name, rest) \
	"{\"grant\":{\"name\":\"" name "\",\"conditions\":{\"container\":\"web\"}" rest "}}"

static json_t *grants(void)
{
	json_t *reply = client_ok(client, "Grants", NULL);
	json_t *list = json_incref(json_object_get(reply, "grants"));

	json_decref(reply);
	return list;
}

static void make_grant(const char *parameters, char id[64])
{
	json_t *reply = client_ok(client, "Grant", parameters);

	snprintf(id, 64, "%s", json_string_value(json_object_get(reply, "id")));
	ck_assert_ptr_nonnull(json_object_get(reply, "lagging"));
	json_decref(reply);
}

START_TEST(a_grant_is_listed_as_it_was_made)
{
	char id[64];
	json_t *list, *g;

	make_grant(GRANT("tls/", ",\"path\":\"certs\",\"mode\":\"0440\",\"uid\":33"), id);
	list = grants();
	ck_assert_uint_eq(json_array_size(list), 1);
	g = json_array_get(list, 0);
	ck_assert_str_eq(json_string_value(json_object_get(g, "id")), id);
	ck_assert_str_eq(json_string_value(json_object_get(g, "name")), "tls/");
	ck_assert_str_eq(json_string_value(json_object_get(g, "path")), "certs");
	ck_assert_str_eq(json_string_value(json_object_get(g, "mode")), "0440");
	ck_assert_int_eq(json_integer_value(json_object_get(g, "uid")), 33);
	ck_assert(json_is_false(json_object_get(g, "allow_weak")));
	ck_assert_ptr_null(json_object_get(g, "order"));
	json_decref(list);
	ck_assert_uint_eq(host_audit_count(host, "grant", id), 1);
}
END_TEST

START_TEST(a_revoked_grant_is_gone_and_recorded)
{
	char id[64], parameters[128];
	json_t *list;

	make_grant(GRANT("a", ""), id);
	snprintf(parameters, sizeof(parameters), "{\"id\":\"%s\"}", id);
	json_decref(client_ok(client, "Revoke", parameters));
	list = grants();
	ck_assert_uint_eq(json_array_size(list), 0);
	json_decref(list);
	client_expect_error(client, "Revoke", parameters, "NotFound");
	ck_assert_uint_eq(host_audit_count(host, "revoke", id), 1);
}
END_TEST

START_TEST(grants_outlive_a_restart_in_their_order)
{
	char first[64], second[64];
	json_t *list;

	make_grant(GRANT("a", ""), first);
	make_grant(GRANT("b", ""), second);
	close(client);
	host_kill(host);
	host_start(host);
	client = client_connect(host);
	client_expect_error(client, "Grants", NULL, "Sealed");
	json_decref(client_ok(client, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}"));
	list = grants();
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "id")), first);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "id")), second);
	json_decref(list);
}
END_TEST

START_TEST(grants_are_sealed_with_the_store)
{
	char id[64];

	make_grant(GRANT("a", ""), id);
	json_decref(client_ok(client, "Seal", NULL));
	client_expect_error(client, "Grants", NULL, "Sealed");
	client_expect_error(client, "Grant", GRANT("b", ""), "Sealed");
	json_decref(client_ok(client, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}"));
	ck_assert_uint_eq(host_audit_count(host, "grant", NULL), 1);
}
END_TEST

static const struct refused {
	const char *name, *parameters;
} refused[] = {
	{ "nothing", "{}" },
	{ "no condition", "{\"grant\":{\"name\":\"a\",\"conditions\":{}}}" },
	{ "no conditions", "{\"grant\":{\"name\":\"a\"}}" },
	{ "an id of its own", GRANT("a", ",\"id\":\"0000000000000000\"") },
	{ "an age of its own", GRANT("a", ",\"order\":0") },
	{ "bad name", GRANT("../a", "") },
	{ "path out of the mount", GRANT("a", ",\"path\":\"../a\"") },
	{ "absolute path", GRANT("a", ",\"path\":\"/a\"") },
	{ "set-id mode", GRANT("a", ",\"mode\":\"4755\"") },
	{ "unknown condition",
	  "{\"grant\":{\"name\":\"a\",\"conditions\":{\"hostname\":\"web\"}}}" },
	{ "unknown runtime", "{\"grant\":{\"name\":\"a\",\"conditions\":{\"runtime\":\"runq\"}}}" },
};

START_TEST(a_grant_that_breaks_a_rule_is_refused)
{
	json_t *list;

	client_expect_error(client, "Grant", refused[_i].parameters, "Invalid");
	list = grants();
	ck_assert_msg(json_array_size(list) == 0, "%s", refused[_i].name);
	json_decref(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("grants");
	TCase *t = tcase_create("grants");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_grant_is_listed_as_it_was_made);
	tcase_add_test(t, a_revoked_grant_is_gone_and_recorded);
	tcase_add_test(t, grants_outlive_a_restart_in_their_order);
	tcase_add_test(t, grants_are_sealed_with_the_store);
	tcase_add_loop_test(t, a_grant_that_breaks_a_rule_is_refused, 0, ARRAY_LEN(refused));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
