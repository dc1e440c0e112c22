/* SPDX-License-Identifier: Apache-2.0 */
/* The stream of what happens to secrets, and changes that wait for their readers. */
#include "coffer/times.h"
#include "support.h"
#include "support_fakes.h"

static struct host *host;
static int client, watcher;

static void setup(void)
{
	host = host_new();
	host_start(host);
	host_init_store(host);
	client = client_connect(host);
	watcher = client_connect(host);
}

static void teardown(void)
{
	close(client);
	close(watcher);
	host_free(host);
}

static void put(const char *name)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"items\":[{\"name\":\"%s\",\"value\":\"YWFh\"}]}", name);
	json_decref(client_ok(client, "Put", text));
}

static void put_for(const char *name, int64_t life_ns)
{
	char text[256], expires[TIMES_TEXT_MAX];

	snprintf(text, sizeof(text),
	         "{\"items\":[{\"name\":\"%s\",\"value\":\"YWFh\",\"expires\":\"%s\"}]}", name,
	         times_format(times_now() + life_ns, expires));
	json_decref(client_ok(client, "Put", text));
}

/* The next `count` events as "put a 1, ready", whatever replies they come in. */
static const char *events(int fd, size_t count)
{
	static char text[4096];
	size_t seen = 0, i;
	json_t *event;

	text[0] = '\0';
	while (seen < count) {
		json_t *reply = client_receive(fd, NULL);
		json_t *list = json_object_get(json_object_get(reply, "parameters"), "events");

		ck_assert_msg(reply && json_is_true(json_object_get(reply, "continues")),
		              "after '%s': %s", text, json_dumps(reply, JSON_COMPACT));
		ck_assert_uint_gt(json_array_size(list), 0);
		json_array_foreach (list, i, event) {
			const char *name = json_string_value(json_object_get(event, "name"));

			sprintf(text + strlen(text), "%s%s", seen++ ? ", " : "",
			        json_string_value(json_object_get(event, "event")));
			if (name)
				sprintf(text + strlen(text), " %s %d", name,
				        (int)json_integer_value(json_object_get(event, "version")));
		}
		json_decref(reply);
	}
	return text;
}

static void expect_end(int fd, const char *error)
{
	json_t *reply = client_receive(fd, NULL);
	const char *name = json_string_value(json_object_get(reply, "error"));

	ck_assert_msg(name && strcmp(strrchr(name, '.') + 1, error) == 0, "%s",
	              json_dumps(reply, JSON_COMPACT));
	json_decref(reply);
}

START_TEST(a_watcher_sees_what_is_and_what_happens_in_order)
{
	put("a");
	put("b/x");
	put("b/x");
	client_send(watcher, "Watch", NULL, "more");
	ck_assert_str_eq(events(watcher, 3), "now a 1, now b/x 2, ready");
	put("b/x");
	json_decref(client_ok(client, "Rollback", "{\"name\":\"b/x\",\"to\":1}"));
	json_decref(client_ok(client, "Remove", "{\"name\":\"a\"}"));
	put("a");
	ck_assert_str_eq(events(watcher, 4), "put b/x 3, put b/x 4, remove a 1, put a 2");
}
END_TEST

START_TEST(a_watcher_sees_what_it_asked_for_only)
{
	int one = client_connect(host);

	put("b/x");
	put("bx");
	client_send(watcher, "Watch", "{\"name\":\"b/\"}", "more");
	client_send(one, "Watch", "{\"name\":\"b\"}", "more");
	ck_assert_str_eq(events(watcher, 2), "now b/x 1, ready");
	ck_assert_str_eq(events(one, 1), "ready");
	put("bx");
	put("b/x");
	put("b");
	put("b/y");
	ck_assert_str_eq(events(watcher, 2), "put b/x 2, put b/y 1");
	ck_assert_str_eq(events(one, 1), "put b 1");
	close(one);
}
END_TEST

START_TEST(an_expiry_is_told_at_its_time_and_once)
{
	put_for("long", 3600 * NS_PER_S);
	put_for("old", NS_PER_S);
	client_send(watcher, "Watch", NULL, "more");
	/* What has gone before it is asked, on a slow machine, is not listed. */
	if (strcmp(events(watcher, 2), "now long 1, now old 1, ready") == 0)
		ck_assert_str_eq(events(watcher, 1), "expire old 1");
	put_for("new", NS_PER_S / 5);
	ck_assert_str_eq(events(watcher, 2), "put new 1, expire new 1");
	put_for("new", NS_PER_S / 5);
	put("new"); /* lives on: nothing expires */
	put_for("last", NS_PER_S / 5);
	ck_assert_str_eq(events(watcher, 4), "put new 2, put new 3, put last 1, expire last 1");
	close(watcher);
	watcher = client_connect(host);
	client_send(watcher, "Watch", NULL, "more");
	ck_assert_str_eq(events(watcher, 3), "now long 1, now new 3, ready");
}
END_TEST

START_TEST(the_list_of_many_comes_in_pages)
{
	char expected[64];
	size_t seen = 0;
	json_t *reply;

	for (int i = 0; i < 1100; i += 100) {
		char text[16384];
		size_t len = (size_t)snprintf(text, sizeof(text), "{\"items\":[");

		for (int k = i; k < i + 100; k++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
			                        "%s{\"name\":\"n%04d\",\"value\":\"\"}",
			                        k == i ? "" : ",", k);
		snprintf(text + len, sizeof(text) - len, "]}");
		json_decref(client_ok(client, "Put", text));
	}
	client_send(watcher, "Watch", NULL, "more");
	while (seen <= 1100) {
		json_t *event;
		size_t i;

		reply = client_receive(watcher, NULL);
		json_array_foreach (json_object_get(json_object_get(reply, "parameters"), "events"),
		                    i, event) {
			const char *name = json_string_value(json_object_get(event, "name"));

			snprintf(expected, sizeof(expected), "n%04zu", seen++);
			ck_assert_str_eq(name ? name : "n1100", expected);
		}
		json_decref(reply);
	}
}
END_TEST

START_TEST(sealing_ends_a_watch)
{
	put("a");
	client_send(watcher, "Watch", NULL, "more");
	ck_assert_str_eq(events(watcher, 2), "now a 1, ready");
	json_decref(client_ok(client, "Seal", NULL));
	expect_end(watcher, "Sealed");
	client_send(watcher, "Watch", NULL, "more");
	expect_end(watcher, "Sealed");
}
END_TEST

START_TEST(a_watch_that_cannot_be_is_refused)
{
	static const char *const wrong[] = { "{\"name\":\"\"}", "{\"name\":\"/\"}",
		                             "{\"name\":\"A\"}", "{\"name\":7}", "{\"names\":[]}" };

	client_expect_error(client, "Watch", NULL, "Invalid"); /* without "more" */
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		client_send(watcher, "Watch", wrong[i], "more");
		expect_end(watcher, "Invalid");
	}
}
END_TEST

START_TEST(streams_are_limited_and_given_back)
{
	int *fds = calloc(300, sizeof(int)), count = 0;
	json_t *reply;

	for (;; count++) {
		ck_assert_int_lt(count, 300);
		fds[count] = client_connect(host);
		client_send(fds[count], "Watch", NULL, "more");
		reply = client_receive(fds[count], NULL);
		if (json_object_get(reply, "error"))
			break;
		json_decref(reply);
	}
	json_decref(reply);
	ck_assert_int_eq(count, 256);
	for (int i = 0; i <= count; i++)
		close(fds[i]);
	free(fds);
	put("a"); /* a turn of the loop, in which it has seen them close */
	client_send(watcher, "Watch", NULL, "more");
	ck_assert_str_eq(events(watcher, 2), "now a 1, ready");
}
END_TEST

#define WAITING "{\"items\":[{\"name\":\"a\",\"value\":\"YWFh\"}],\"wait_adopted\":60000}"

START_TEST(a_change_names_the_readers_that_have_not_opened_it)
{
	json_t *reply = client_ok(client, "Put", WAITING);

	ck_assert_uint_eq(json_array_size(json_object_get(reply, "unadopted")), 0);
	ck_assert_ptr_nonnull(json_object_get(reply, "unadopted"));
	json_decref(reply);
	host->shared->unadopted = true;
	reply = client_ok(client, "Rollback", "{\"name\":\"a\",\"to\":1,\"wait_adopted\":1}");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(reply, "unadopted"), 0)),
	                 "runc/slow");
	ck_assert_int_eq(
		json_integer_value(json_object_get(json_object_get(reply, "stored"), "version")),
		2);
	json_decref(reply);
	put("a");
	reply = client_ok(client, "Put", "{\"items\":[{\"name\":\"a\",\"value\":\"\"}]}");
	ck_assert_ptr_null(json_object_get(reply, "unadopted"));
	json_decref(reply);
}
END_TEST

START_TEST(a_client_that_goes_away_while_it_waits_leaves_nothing)
{
	host->shared->never_adopted = true;
	client_send(watcher, "Put", WAITING, NULL);
	client_send(client, "Watch", "{\"name\":\"a\"}", "more");
	/* Stored, whether it is listed or comes as news. */
	while (!strstr(events(client, 1), " a 1"))
		;
	ck_assert_uint_eq(host->shared->forgotten, 0);
	close(watcher);
	watcher = client_connect(host);
	for (int tries = 0; host->shared->forgotten == 0 && tries < 10000; tries++)
		json_decref(client_ok(watcher, "Status", NULL));
	ck_assert_uint_eq(host->shared->forgotten, 1);
}
END_TEST

START_TEST(how_long_is_waited_is_limited)
{
	static const char *const wrong[] = { "0", "-1", "3600001", "\"1\"", "1.5", "true" };

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char text[128];

		snprintf(text, sizeof(text),
		         "{\"items\":[{\"name\":\"a\",\"value\":\"\"}],\"wait_adopted\":%s}",
		         wrong[i]);
		client_expect_error(client, "Put", text, "Invalid");
	}
	client_expect_error(client, "Get", "{\"name\":\"a\"}", "NotFound");
	client_expect_error(client, "Remove", "{\"name\":\"a\",\"wait_adopted\":1}", "Invalid");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watch");
	TCase *t = tcase_create("watch");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_watcher_sees_what_is_and_what_happens_in_order);
	tcase_add_test(t, a_watcher_sees_what_it_asked_for_only);
	tcase_add_test(t, an_expiry_is_told_at_its_time_and_once);
	tcase_add_test(t, the_list_of_many_comes_in_pages);
	tcase_add_test(t, sealing_ends_a_watch);
	tcase_add_test(t, a_watch_that_cannot_be_is_refused);
	tcase_add_test(t, streams_are_limited_and_given_back);
	tcase_add_test(t, a_change_names_the_readers_that_have_not_opened_it);
	tcase_add_test(t, a_client_that_goes_away_while_it_waits_leaves_nothing);
	tcase_add_test(t, how_long_is_waited_is_limited);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
