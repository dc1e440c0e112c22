/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits until a version has been opened: on a real event loop, with containers that are data
 * only.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/times.h"
#include "flow/container.h"
#include "flow/opened.h"

#define FOREVER (3600 * NS_PER_S)

static struct broker broker;
static struct containers set;
static struct container *web, *api;
static unsigned int answers;
static char behind[256];

/* What uptake.c asks of the rest of flow/. */
bool drain_now(struct container *c)
{
	return true;
}

void drain_promptly(struct container *c)
{
}

const char *container_label(const struct container *c, char *buffer, size_t size)
{
	snprintf(buffer, size, "runc/%s", c == web ? "web" : "api");
	return buffer;
}

static void drop(struct content *content)
{
}

static struct container *add(void)
{
	struct container *c = calloc(1, sizeof(*c));

	ck_assert_int_eq(tree_init(&c->tree, 0, 0, drop), 0);
	c->set = &set;
	c->next = set.first;
	set.first = c;
	set.count++;
	return c;
}

static void end(struct container *c)
{
	for (struct container **at = &set.first; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	set.count--;
	tree_clear(&c->tree);
	uptake_check(&set, c);
	free(c);
}

static void setup(void)
{
	ck_assert_int_ge(sd_event_new(&broker.event), 0);
	set = (struct containers){ .b = &broker };
	api = add();
	web = add();
	answers = 0;
	behind[0] = '\0';
}

static void teardown(void)
{
	while (set.first)
		end(set.first);
	while (set.uptakes)
		containers_forget_uptake(&set, set.uptakes);
	sd_event_unref(broker.event);
}

static void show(struct container *c, const char *path, uint64_t version)
{
	const struct node like = { .kind = NODE_FILE, .version = version };
	struct node *n = tree_add(&c->tree, &like, path, path);
	struct node *old = tree_by_path(&c->tree, path);

	if (old) {
		opened_inherit(n, old);
		old->linked = false;
	}
	n->linked = true;
	uptake_check(&set, c);
}

static void reads(struct container *c, const char *path)
{
	if (opened_note(&c->tree, tree_by_path(&c->tree, path), 1))
		uptake_check(&set, c);
}

static void done(void *arg, const char *const *names, size_t count)
{
	answers++;
	behind[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		strcat(behind, names[i]);
		strcat(behind, " ");
	}
	ck_assert_ptr_eq(arg, &answers);
}

static struct uptake *await(int64_t limit_ns, const struct uptake_item *items, size_t n)
{
	struct uptake *u;

	ck_assert_int_eq(containers_await_uptake(&set, items, n, times_boottime() + limit_ns, done,
	                                         &answers, &u),
	                 0);
	ck_assert_int_eq(answers, 0); /* never before the loop turns */
	return u;
}

static struct uptake *await_db(int64_t limit_ns, uint64_t version)
{
	const struct uptake_item item = { "db", version };

	return await(limit_ns, &item, 1);
}

/* All that the loop has to do now. */
static void turn(void)
{
	while (sd_event_run(broker.event, 0) > 0)
		;
}

static void expect(unsigned int count, const char *names)
{
	ck_assert_uint_eq(answers, count);
	ck_assert_str_eq(behind, names);
}

static void both_have_read_and_show(uint64_t version)
{
	show(web, "db", 1);
	show(api, "db", 1);
	reads(web, "db");
	reads(api, "db");
	show(web, "db", version);
	show(api, "db", version);
}

START_TEST(without_a_reader_it_is_answered_at_once)
{
	show(web, "db", 1);
	show(web, "db", 2);
	await_db(FOREVER, 2);
	turn();
	expect(1, "");
}
END_TEST

START_TEST(it_ends_with_the_last_reader_whatever_the_order)
{
	for (int first = 0; first < 2; first++) {
		both_have_read_and_show(10 + (uint64_t)first);
		answers = 0;
		await_db(FOREVER, 10 + (uint64_t)first);
		turn();
		reads(first ? web : api, "db");
		turn();
		expect(0, "");
		reads(first ? api : web, "db");
		expect(1, "");
	}
	ck_assert_ptr_null(set.uptakes);
}
END_TEST

START_TEST(at_its_time_it_names_who_has_not)
{
	both_have_read_and_show(2);
	reads(web, "db");
	await_db(0, 2);
	while (answers == 0)
		ck_assert_int_ge(sd_event_run(broker.event, UINT64_MAX), 0);
	expect(1, "runc/api ");
	ck_assert_ptr_null(set.uptakes);
}
END_TEST

START_TEST(who_does_not_show_it_yet_has_not_opened_it)
{
	show(web, "db", 1);
	reads(web, "db");
	await_db(FOREVER, 2);
	turn();
	reads(web, "db");
	expect(0, "");
	show(web, "db", 2);
	expect(0, "");
	reads(web, "db");
	expect(1, "");
}
END_TEST

START_TEST(a_newer_version_does_as_well)
{
	show(web, "db", 1);
	reads(web, "db");
	await_db(FOREVER, 2);
	turn();
	show(web, "db", 3);
	reads(web, "db");
	expect(1, "");
}
END_TEST

START_TEST(who_ends_or_loses_the_file_is_waited_for_no_more)
{
	both_have_read_and_show(2);
	await_db(FOREVER, 2);
	turn();
	tree_by_path(&web->tree, "db")->linked = false;
	uptake_check(&set, web);
	expect(0, "");
	end(api);
	expect(1, "");
}
END_TEST

START_TEST(of_several_names_each_must_be_opened)
{
	const struct uptake_item items[] = { { "z", 2 }, { "db", 2 }, { "a", 2 } };

	both_have_read_and_show(2);
	show(web, "a", 1);
	reads(web, "a");
	show(web, "a", 2);
	show(web, "z", 2); /* of z nobody is a reader */
	await(FOREVER, items, 3);
	turn();
	reads(web, "db");
	reads(api, "db");
	expect(0, "");
	reads(web, "a");
	expect(1, "");
}
END_TEST

START_TEST(what_is_given_up_is_answered_no_more)
{
	struct uptake *u;

	both_have_read_and_show(2);
	u = await_db(FOREVER, 2);
	turn();
	await_db(FOREVER, 2);
	turn();
	containers_forget_uptake(&set, u);
	reads(web, "db");
	reads(api, "db");
	turn();
	expect(1, ""); /* the other one */
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("uptake");
	TCase *t = tcase_create("uptake");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_a_reader_it_is_answered_at_once);
	tcase_add_test(t, it_ends_with_the_last_reader_whatever_the_order);
	tcase_add_test(t, at_its_time_it_names_who_has_not);
	tcase_add_test(t, who_does_not_show_it_yet_has_not_opened_it);
	tcase_add_test(t, a_newer_version_does_as_well);
	tcase_add_test(t, who_ends_or_loses_the_file_is_waited_for_no_more);
	tcase_add_test(t, of_several_names_each_must_be_opened);
	tcase_add_test(t, what_is_given_up_is_answered_no_more);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
