/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "policy/policy.h"

/* A store of names, NULL at its end. */
struct stored {
	const char *const *names;
	int error; /* instead of going through them */
};

static int each(void *arg, const char *pattern, int (*visit)(void *visit_arg, const char *name),
                void *visit_arg)
{
	const struct stored *stored = arg;

	if (stored->error)
		return stored->error;
	for (const char *const *name = stored->names; *name; name++) {
		int r = 0;

		if (strcmp(*name, pattern) == 0 || name_has_prefix(*name, pattern))
			r = visit(visit_arg, *name);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct subject web(void)
{
	struct subject s = { .uid = 33, .gid = 34 };

	s.name = strdup("web");
	return s;
}

/* A grant to the container "web", the n-th by age. */
static struct grant *grant_of(const char *name, const char *path, unsigned int n)
{
	struct grant *g = calloc(1, sizeof(*g));

	g->name = strdup(name);
	g->container = strdup("web");
	g->path = path ? strdup(path) : NULL;
	g->order = n;
	snprintf(g->id, sizeof(g->id), "%016x", n);
	return g;
}

static void add(struct policy *p, struct grant *g)
{
	struct err e = { 0 };

	ck_assert_msg(policy_add(p, g, &e) == 0, "%s", e.text);
}

struct given {
	const char *name, *as;
};
struct expected {
	const char *path, *name;
	unsigned int grant;
};

static const char *const store[] = { "a/b/c",    "api-key", "db/password", "db/user", "tls/ca/root",
	                             "tls/cert", "tls/key", "x/tls/key",   NULL };

static const struct {
	const char *claim;
	struct given grants[4]; /* the oldest first */
	struct expected files[8];
	struct expected clashes[8]; /* path, the loser's id as text, winner */
} rows[] = {
	{ "a_single_secret_appears_under_its_last_segment",
	  { { "db/password", NULL } },
	  { { "password", "db/password", 1 } },
	  { { 0 } } },
	{ "a_prefix_appears_as_a_folder",
	  { { "tls/", NULL } },
	  { { "tls/ca/root", "tls/ca/root", 1 },
	    { "tls/cert", "tls/cert", 1 },
	    { "tls/key", "tls/key", 1 } },
	  { { 0 } } },
	{ "a_deep_prefix_appears_under_its_last_segment",
	  { { "x/tls/", NULL } },
	  { { "tls/key", "x/tls/key", 1 } },
	  { { 0 } } },
	{ "as_renames_a_secret",
	  { { "db/password", "app/pw" } },
	  { { "app/pw", "db/password", 1 } },
	  { { 0 } } },
	{ "as_renames_the_folder_of_a_prefix",
	  { { "x/tls/", "certs/web" } },
	  { { "certs/web/key", "x/tls/key", 1 } },
	  { { 0 } } },
	{ "what_is_not_stored_does_not_appear",
	  { { "absent", NULL }, { "absent/", NULL }, { "db", NULL } },
	  { { 0 } },
	  { { 0 } } },
	{ "grants_are_ored",
	  { { "api-key", NULL }, { "db/user", NULL } },
	  { { "api-key", "api-key", 1 }, { "user", "db/user", 2 } },
	  { { 0 } } },
	{ "one_secret_may_appear_twice",
	  { { "api-key", NULL }, { "api-key", "key2" } },
	  { { "api-key", "api-key", 1 }, { "key2", "api-key", 2 } },
	  { { 0 } } },
	{ "the_older_of_two_for_one_path_wins",
	  { { "db/user", "x" }, { "db/password", "x" } },
	  { { "x", "db/user", 1 } },
	  { { "x", "2", 1 } } },
	{ "a_file_is_no_folder_of_a_younger_one",
	  { { "db/user", "x" }, { "db/password", "x/y/z" } },
	  { { "x", "db/user", 1 } },
	  { { "x/y/z", "2", 1 } } },
	{ "a_folder_is_no_file_of_a_younger_grant",
	  { { "db/user", "x/y" }, { "db/password", "x" } },
	  { { "x/y", "db/user", 1 } },
	  { { "x", "2", 1 } } },
	{ "only_the_clashing_file_of_a_prefix_is_lost",
	  { { "api-key", "tls/key" }, { "tls/", NULL } },
	  { { "tls/ca/root", "tls/ca/root", 2 },
	    { "tls/cert", "tls/cert", 2 },
	    { "tls/key", "api-key", 1 } },
	  { { "tls/key", "2", 1 } } },
	{ "two_prefixes_may_share_a_folder",
	  { { "db/", "all" }, { "x/tls/", "all" } },
	  { { "all/key", "x/tls/key", 2 },
	    { "all/password", "db/password", 1 },
	    { "all/user", "db/user", 1 } },
	  { { 0 } } },
	{ "names_that_begin_alike_do_not_clash",
	  { { "api-key", "x" }, { "db/user", "x-y" }, { "db/password", "x.z/a" } },
	  { { "x", "api-key", 1 }, { "x-y", "db/user", 2 }, { "x.z/a", "db/password", 3 } },
	  { { 0 } } },
	{ "an_older_grant_of_nothing_stored_takes_no_path",
	  { { "absent", "x" }, { "api-key", "x" } },
	  { { "x", "api-key", 2 } },
	  { { 0 } } },
};

static void check_view(const struct view *v, size_t row)
{
	size_t files = 0, clashes = 0;

	for (const struct expected *x = rows[row].files; x->path; x++, files++) {
		ck_assert_msg(files < v->files, "%s: %s is missing", rows[row].claim, x->path);
		ck_assert_str_eq(v->file[files].path, x->path);
		ck_assert_str_eq(v->file[files].name, x->name);
		ck_assert_uint_eq(v->file[files].grant->order, x->grant);
	}
	ck_assert_msg(v->files == files, "%s: there is also %s", rows[row].claim,
	              v->files > files ? v->file[files].path : "less");
	for (const struct expected *x = rows[row].clashes; x->path; x++, clashes++) {
		ck_assert_msg(clashes < v->clashes, "%s: no clash", rows[row].claim);
		ck_assert_str_eq(v->clash[clashes].path, x->path);
		ck_assert_uint_eq(v->clash[clashes].winner->order, x->grant);
		ck_assert_uint_eq(v->clash[clashes].loser->order, strtoul(x->name, NULL, 10));
	}
	ck_assert_msg(v->clashes == clashes, "%s: %zu clashes", rows[row].claim, v->clashes);
}

START_TEST(files_appear_where_grants_say)
{
	/* Also if grants come in from the store in another order than that of their age. */
	for (int reverse = 0; reverse < 2; reverse++) {
		struct stored stored = { store, 0 };
		struct policy_names names = { each, &stored };
		struct subject s = web();
		struct policy *p = policy_new();
		struct view v = { 0 };
		struct err e = { 0 };

		for (unsigned int i = 0; i < 4; i++) {
			unsigned int at = reverse ? 3 - i : i;

			if (rows[_i].grants[at].name)
				add(p, grant_of(rows[_i].grants[at].name, rows[_i].grants[at].as,
				                at + 1));
		}
		ck_assert_msg(policy_view(p, &s, &names, &v, &e) == 0, "%s: %s", rows[_i].claim,
		              e.text);
		check_view(&v, (size_t)_i);
		view_clear(&v);
		policy_free(p);
		subject_clear(&s);
	}
}
END_TEST

START_TEST(within_a_grant_the_upper_file_wins_in_any_order)
{
	static const char *const upward[] = { "p/a/b", "p/a", "p/a/c", NULL };
	static const char *const downward[] = { "p/a", "p/a/b", "p/a/c", NULL };

	for (int i = 0; i < 2; i++) {
		struct stored stored = { i ? upward : downward, 0 };
		struct policy_names names = { each, &stored };
		struct subject s = web();
		struct policy *p = policy_new();
		struct view v = { 0 };

		add(p, grant_of("p/", NULL, 1));
		ck_assert_int_eq(policy_view(p, &s, &names, &v, NULL), 0);
		ck_assert_uint_eq(v.files, 1);
		ck_assert_str_eq(v.file[0].path, "p/a");
		ck_assert_uint_eq(v.clashes, 2);
		ck_assert_ptr_eq(v.clash[0].winner, v.clash[0].loser);
		view_clear(&v);
		policy_free(p);
		subject_clear(&s);
	}
}
END_TEST

START_TEST(a_container_sees_nothing_of_grants_to_others)
{
	struct stored stored = { store, 0 };
	struct policy_names names = { each, &stored };
	struct subject s = web();
	struct policy *p = policy_new();
	struct grant *g = grant_of("api-key", NULL, 1);
	struct view v = { 0 };

	free(g->container);
	g->container = strdup("other");
	add(p, g);
	ck_assert_int_eq(policy_view(p, &s, &names, &v, NULL), 0);
	ck_assert_uint_eq(v.files, 0);
	ck_assert_uint_eq(v.clashes, 0);
	view_clear(&v);
	policy_free(p);
	subject_clear(&s);
}
END_TEST

START_TEST(owner_is_the_container_s_user_unless_the_grant_says)
{
	struct stored stored = { store, 0 };
	struct policy_names names = { each, &stored };
	struct subject s = web();
	struct policy *p = policy_new();
	struct grant *g = grant_of("db/user", NULL, 2);
	struct view v = { 0 };

	g->has_uid = g->has_mode = true;
	g->uid = 0;
	g->mode = 0640;
	add(p, grant_of("api-key", NULL, 1));
	add(p, g);
	ck_assert_int_eq(policy_view(p, &s, &names, &v, NULL), 0);
	ck_assert_uint_eq(v.files, 2);
	ck_assert_uint_eq(v.file[0].uid, 33);
	ck_assert_uint_eq(v.file[0].gid, 34);
	ck_assert(!v.file[0].has_mode);
	ck_assert_uint_eq(v.file[1].uid, 0);
	ck_assert_uint_eq(v.file[1].gid, 34);
	ck_assert(v.file[1].has_mode);
	ck_assert_uint_eq(v.file[1].mode, 0640);
	view_clear(&v);
	policy_free(p);
	subject_clear(&s);
}
END_TEST

START_TEST(there_is_a_limit_to_what_one_container_sees)
{
	enum { COUNT = VIEW_FILES_MAX + 1 };
	static char text[COUNT][16];
	const char **many = calloc(COUNT + 1, sizeof(*many));
	struct subject s = web();

	for (size_t i = 0; i < COUNT; i++) {
		snprintf(text[i], sizeof(text[i]), "%s/%zu", i < 2000 ? "p" : "q", i);
		many[i] = text[i];
	}
	for (int above = 0; above < 2; above++) {
		struct stored stored = { many, 0 };
		struct policy_names names = { each, &stored };
		struct policy *p = policy_new();
		struct view v = { 0 };
		struct err e = { 0 };

		many[COUNT - 1] = above ? text[COUNT - 1] : NULL;
		add(p, grant_of("p/", NULL, 1));
		add(p, grant_of("q/", NULL, 2));
		ck_assert_int_eq(policy_view(p, &s, &names, &v, &e), above ? -ENOSPC : 0);
		ck_assert_uint_eq(v.files, above ? 0 : VIEW_FILES_MAX);
		if (above)
			ck_assert_ptr_nonnull(strstr(e.text, "0000000000000002"));
		for (size_t i = 1; i < v.files; i++)
			ck_assert_int_lt(strcmp(v.file[i - 1].path, v.file[i].path), 0);
		view_clear(&v);
		policy_free(p);
	}
	free(many);
	subject_clear(&s);
}
END_TEST

/* What comes of one secret, granted by a prefix with a folder: its view. */
static struct view view_of(struct policy *p, const char *prefix, const char *as, const char *name)
{
	const char *const names_stored[] = { name, NULL };
	struct stored stored = { names_stored, 0 };
	struct policy_names names = { each, &stored };
	struct subject s = web();
	struct view v = { 0 };

	add(p, grant_of(prefix, as, 1));
	ck_assert_int_eq(policy_view(p, &s, &names, &v, NULL), 0);
	subject_clear(&s);
	return v;
}

START_TEST(a_path_within_the_rules_is_shown_and_one_beyond_is_told)
{
	char folder[NAME_LEN_MAX + 1] = { 0 };

	/* "…/key" with a folder that leaves room for it, and one that is a byte too long. */
	for (size_t above = 0; above < 2; above++) {
		struct policy *p = policy_new();
		struct view v;

		memset(folder, 'f', NAME_LEN_MAX - 4 + above);
		v = view_of(p, "n/", folder, "n/key");
		ck_assert_uint_eq(v.files, 1 - above);
		ck_assert_uint_eq(v.unfits, above);
		ck_assert_uint_eq(v.clashes, 0);
		if (above) {
			ck_assert_uint_eq(strlen(v.unfit[0].path), NAME_LEN_MAX + 1);
			ck_assert_uint_eq(v.unfit[0].grant->order, 1);
		}
		view_clear(&v);
		policy_free(p);
	}
}
END_TEST

START_TEST(a_path_too_deep_is_told)
{
	struct policy *p = policy_new();
	struct view v = view_of(p, "n/", "a/b/c/d", "n/e/f/g/h/i");

	ck_assert_uint_eq(v.files, 0);
	ck_assert_uint_eq(v.unfits, 1);
	ck_assert_str_eq(v.unfit[0].path, "a/b/c/d/e/f/g/h/i");
	view_clear(&v);
	policy_free(p);
}
END_TEST

START_TEST(a_store_that_fails_is_reported)
{
	struct stored stored = { store, -EIO };
	struct policy_names names = { each, &stored };
	struct subject s = web();
	struct policy *p = policy_new();
	struct view v = { 0 };
	struct err e = { 0 };

	add(p, grant_of("api-key", NULL, 1));
	ck_assert_int_eq(policy_view(p, &s, &names, &v, &e), -EIO);
	ck_assert_ptr_nonnull(strstr(e.text, "api-key"));
	policy_free(p);
	subject_clear(&s);
}
END_TEST

START_TEST(the_default_mode_opens_up_for_root_only_and_never_a_private_key)
{
	struct subject root = { .uid = 0 }, user = { .uid = 33 };

	ck_assert_uint_eq(policy_default_mode(&root, false), 0444);
	ck_assert_uint_eq(policy_default_mode(&root, true), 0400);
	ck_assert_uint_eq(policy_default_mode(&user, false), 0400);
	ck_assert_uint_eq(policy_default_mode(&user, true), 0400);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tests = tcase_create("view");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, files_appear_where_grants_say, 0, ARRAY_LEN(rows));
	tcase_add_test(tests, within_a_grant_the_upper_file_wins_in_any_order);
	tcase_add_test(tests, a_container_sees_nothing_of_grants_to_others);
	tcase_add_test(tests, owner_is_the_container_s_user_unless_the_grant_says);
	tcase_add_test(tests, there_is_a_limit_to_what_one_container_sees);
	tcase_add_test(tests, a_path_within_the_rules_is_shown_and_one_beyond_is_told);
	tcase_add_test(tests, a_path_too_deep_is_told);
	tcase_add_test(tests, a_store_that_fails_is_reported);
	tcase_add_test(tests, the_default_mode_opens_up_for_root_only_and_never_a_private_key);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
