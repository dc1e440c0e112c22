/* SPDX-License-Identifier: Apache-2.0 */
/* Many grants at once: compared with what is there, one transaction, one record each. */
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

#define G(name, container) \
	"{\"name\":\"" name "\",\"conditions\":{\"container\":\"" container "\"}}"
#define APPLY(grants, rest) "{\"grants\":[" grants "]" rest "}"
#define PRUNE ",\"prune\":true"
#define DRY ",\"dry_run\":true"

/* "a=web b=db": names and containers of the grants in force, oldest first. */
static const char *in_force(char text[1024])
{
	json_t *reply = client_ok(client, "Grants", NULL), *g;
	size_t i;

	text[0] = '\0';
	json_array_foreach (json_object_get(reply, "grants"), i, g) {
		json_t *conditions = json_object_get(g, "conditions");

		sprintf(text + strlen(text), "%s%s=%s", i ? " " : "",
		        json_string_value(json_object_get(g, "name")),
		        json_string_value(json_object_get(conditions, "container")));
	}
	json_decref(reply);
	return text;
}

static void apply(const char *parameters, size_t added, size_t removed, int kept, int others)
{
	json_t *reply = client_ok(client, "ApplyGrants", parameters);

	ck_assert_uint_eq(json_array_size(json_object_get(reply, "added")), added);
	ck_assert_uint_eq(json_array_size(json_object_get(reply, "removed")), removed);
	ck_assert_int_eq(json_integer_value(json_object_get(reply, "kept")), kept);
	ck_assert_int_eq(json_integer_value(json_object_get(reply, "others")), others);
	ck_assert_ptr_nonnull(json_object_get(reply, "lagging"));
	json_decref(reply);
}

static int64_t epoch(void)
{
	json_t *reply = client_ok(client, "Status", NULL);
	int64_t number = json_integer_value(json_object_get(reply, "epoch"));

	json_decref(reply);
	return number;
}

START_TEST(what_is_not_there_is_added_in_its_order_and_once)
{
	char text[1024];
	int64_t before = epoch();

	apply(APPLY(G("b", "web") "," G("a", "web") "," G("b", "web"), ""), 2, 0, 0, 0);
	ck_assert_str_eq(in_force(text), "b=web a=web");
	ck_assert_int_eq(epoch(), before + 1);
	apply(APPLY(G("b", "web") "," G("a", "web"), ""), 0, 0, 2, 0);
	ck_assert_int_eq(epoch(), before + 1);
	ck_assert_uint_eq(host_audit_count(host, "grant", NULL), 2);
}
END_TEST

START_TEST(others_stay_unless_they_are_pruned)
{
	char text[1024];
	int64_t before;

	apply(APPLY(G("a", "web") "," G("b", "web") "," G("c", "web"), ""), 3, 0, 0, 0);
	apply(APPLY(G("b", "web") "," G("d", "web"), ""), 1, 0, 1, 2);
	ck_assert_str_eq(in_force(text), "a=web b=web c=web d=web");
	before = epoch();
	apply(APPLY(G("b", "web") "," G("e", "web"), PRUNE), 1, 3, 1, 0);
	ck_assert_str_eq(in_force(text), "b=web e=web");
	ck_assert_int_eq(epoch(), before + 1);
	ck_assert_uint_eq(host_audit_count(host, "grant", NULL), 5);
	ck_assert_uint_eq(host_audit_count(host, "revoke", NULL), 3);
	apply(APPLY("", PRUNE), 0, 2, 0, 0);
	ck_assert_str_eq(in_force(text), "");
}
END_TEST

START_TEST(applied_grants_outlive_a_restart)
{
	char text[1024];

	apply(APPLY(G("b", "web") "," G("a", "web"), ""), 2, 0, 0, 0);
	apply(APPLY(G("c", "web") "," G("a", "web"), PRUNE), 1, 1, 1, 0);
	close(client);
	host_kill(host);
	host_start(host);
	client = client_connect(host);
	client_expect_error(client, "ApplyGrants", APPLY("", ""), "Sealed");
	client_expect_error(client, "ApplyGrants", APPLY("", DRY), "Sealed");
	json_decref(client_ok(client, "Unseal", "{\"slot\":1,\"key\":\"" KEY_BASE64 "\"}"));
	ck_assert_str_eq(in_force(text), "a=web c=web");
}
END_TEST

START_TEST(a_dry_run_says_what_would_be_and_changes_nothing)
{
	char text[1024];
	int64_t before;
	json_t *reply;

	apply(APPLY(G("a", "web"), ""), 1, 0, 0, 0);
	before = epoch();
	reply = client_ok(client, "ApplyGrants", APPLY(G("b", "web"), PRUNE DRY));
	ck_assert_ptr_null(
		json_object_get(json_array_get(json_object_get(reply, "added"), 0), "id"));
	ck_assert_ptr_nonnull(
		json_object_get(json_array_get(json_object_get(reply, "removed"), 0), "id"));
	json_decref(reply);
	ck_assert_str_eq(in_force(text), "a=web");
	ck_assert_int_eq(epoch(), before);
}
END_TEST

START_TEST(one_that_breaks_a_rule_keeps_all_out)
{
	char text[1024];

	client_expect_error(client, "ApplyGrants", APPLY(G("a", "web") "," G("../b", "web"), ""),
	                    "Invalid");
	client_expect_error(client, "ApplyGrants", APPLY(G("a", "web") ",1", ""), "Invalid");
	client_expect_error(client, "ApplyGrants", "{}", "Invalid");
	client_expect_error(client, "ApplyGrants", "{\"grants\":[],\"purge\":true}", "Invalid");
	ck_assert_str_eq(in_force(text), "");
}
END_TEST

/* A list of `count` grants, for names with the given first letter. */
static char *many(char letter, size_t count, const char *rest)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	fputs("{\"grants\":[", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s{\"name\":\"%c%zu\",\"conditions\":{\"container\":\"web\"}}",
		        i ? "," : "", letter, i);
	fprintf(out, "]%s}", rest);
	fclose(out);
	return text;
}

START_TEST(more_than_can_be_done_at_once_is_refused_before_anything_is_done)
{
	char *most = many('a', 1024, ""), *next = many('b', 1, PRUNE), *over = many('c', 1025, "");
	int64_t before;

	client_expect_error(client, "ApplyGrants", over, "Invalid");
	apply(most, 1024, 0, 0, 0);
	apply(most, 0, 0, 1024, 0);
	before = epoch();
	client_expect_error(client, "ApplyGrants", next, "Invalid");
	ck_assert_int_eq(epoch(), before);
	free(most);
	free(next);
	free(over);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("apply");
	TCase *t = tcase_create("apply");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_not_there_is_added_in_its_order_and_once);
	tcase_add_test(t, others_stay_unless_they_are_pruned);
	tcase_add_test(t, applied_grants_outlive_a_restart);
	tcase_add_test(t, a_dry_run_says_what_would_be_and_changes_nothing);
	tcase_add_test(t, one_that_breaks_a_rule_keeps_all_out);
	tcase_add_test(t, more_than_can_be_done_at_once_is_refused_before_anything_is_done);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
