/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hook_pod.h"
#include "hook_wait.h"

static const char *const docker[] = { "docker", NULL };

static json_t *object(const char *key, const char *value)
{
	return key ? json_pack("{s:s}", key, value) : json_object();
}

START_TEST(container_waits_if_all_conditions_of_an_entry_hold)
{
	static const struct {
		const char *list;
		bool waits;
	} rows[] = {
		{ "[]", false },
		{ "[{\"container\":\"web\"}]", true },
		{ "[{\"container\":\"0123\"}]", true },
		{ "[{\"container\":\"we\"}]", false },
		{ "[{\"container\":\"Web\"}]", false },
		{ "[{\"runtime\":\"docker\"}]", true },
		{ "[{\"runtime\":\"podman\"}]", false },
		{ "[{\"label\":\"app=payments\"}]", true },
		{ "[{\"label\":\"app=payment\"}]", false },
		{ "[{\"label\":\"ap=payments\"}]", false },
		{ "[{\"label\":\"note=a=b\"}]", true },
		{ "[{\"runtime\":\"podman\",\"container\":\"web\"}]", false },
		{ "[{\"runtime\":\"docker\",\"container\":\"web\"}]", true },
		{ "[{\"runtime\":\"docker\",\"container\":\"web\",\"label\":\"app=x\"}]", false },
		{ "[{\"container\":\"other\"},{\"container\":\"web\"}]", true },
		/* what cannot be known counts as holding, the rest still has to */
		{ "[{\"image\":\"sha256:00\"}]", true },
		{ "[{\"unit\":\"x.service\",\"container\":\"other\"}]", false },
	};
	json_t *labels = object("app", "payments"), *annotations = object("note", "a=b");
	const struct hook_facts facts = { docker, "0123", "web", labels, annotations };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *list = NULL;
		struct err e = { "" };

		ck_assert_msg(hook_wait_parse(rows[i].list, strlen(rows[i].list), &list, &e) == 0,
		              "%s: %s", rows[i].list, e.text);
		ck_assert_msg(hook_wait_matches(list, &facts) == rows[i].waits, "%s", rows[i].list);
		json_decref(list);
	}
	json_decref(labels);
	json_decref(annotations);
}
END_TEST

START_TEST(unknown_name_or_labels_count_as_holding)
{
	static const char list_text[] = "[{\"container\":\"web\",\"label\":\"app=payments\"}]";
	const struct hook_facts unknown = { NULL, "0123", NULL, NULL, NULL };
	json_t *none = object(NULL, NULL), *list = NULL;
	const struct hook_facts known = { NULL, "0123", NULL, none, NULL };
	struct err e;

	ck_assert_int_eq(hook_wait_parse(list_text, strlen(list_text), &list, &e), 0);
	ck_assert(hook_wait_matches(list, &unknown));
	ck_assert(!hook_wait_matches(list, &known));
	json_decref(list);
	json_decref(none);
}
END_TEST

/* What the kubelet's engines say of a pod is known though its labels are not. */
START_TEST(names_of_pods_are_known_where_their_labels_are_not)
{
	static const struct {
		const char *list;
		bool waits;
	} rows[] = {
		{ "[{\"label\":\"io.kubernetes.pod.namespace=shop\"}]", true },
		{ "[{\"label\":\"io.kubernetes.pod.namespace=other\"}]", false },
		{ "[{\"label\":\"io.kubernetes.pod.serviceaccount=web\"}]", false },
		{ "[{\"label\":\"app=web\"}]", true },
		{ "[{\"container\":\"shop/web-0/app\"}]", true },
		{ "[{\"container\":\"app\"}]", false },
	};
	json_t *annotations = json_pack("{s:s,s:s,s:s,s:s,s:s}", "io.kubernetes.cri.container-type",
	                                "container", "io.kubernetes.cri.sandbox-namespace", "shop",
	                                "io.kubernetes.cri.sandbox-name", "web-0",
	                                "io.kubernetes.cri.container-name", "app",
	                                "io.kubernetes.pod.namespace", "other");
	struct hook_pod pod = { .labels = NULL };

	ck_assert(hook_pod_read(annotations, &pod));
	const struct hook_facts facts = {
		.id = "0123", .name = pod.name, .annotations = annotations, .pod = pod.labels
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *list = NULL;

		ck_assert_int_eq(hook_wait_parse(rows[i].list, strlen(rows[i].list), &list, NULL),
		                 0);
		ck_assert_msg(hook_wait_matches(list, &facts) == rows[i].waits, "%s", rows[i].list);
		json_decref(list);
	}
	json_decref(pod.labels);
	json_object_set_new(annotations, "io.kubernetes.cri.container-type",
	                    json_string("sandbox"));
	ck_assert(hook_pod_read(annotations, &pod));
	ck_assert_str_eq(pod.name, "");
	ck_assert_uint_eq(json_object_size(pod.labels), 0);
	json_decref(pod.labels);
	json_object_del(annotations, "io.kubernetes.cri.container-type");
	ck_assert(!hook_pod_read(annotations, &pod));
	json_decref(annotations);
}
END_TEST

START_TEST(malformed_lists_are_refused)
{
	static const char *const rows[] = {
		"",
		"{}",
		"null",
		"[{}]",
		"[1]",
		"[{\"containers\":\"web\"}]",
		"[{\"container\":1}]",
		"[{\"container\":null}]",
		"[{\"label\":\"app\"}]",
		"[{\"label\":\"=x\"}]",
		"[{\"container\":\"a\",\"container\":\"b\"}]",
		"[{\"container\":\"a\"}]x",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *list = NULL;
		struct err e;

		ck_assert_msg(hook_wait_parse(rows[i], strlen(rows[i]), &list, &e) == -EINVAL, "%s",
		              rows[i]);
		ck_assert_ptr_null(list);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hook_wait");
	TCase *tc = tcase_create("hook_wait");
	SRunner *runner = srunner_create(suite);
	int failed = 0;

	tcase_add_test(tc, container_waits_if_all_conditions_of_an_entry_hold);
	tcase_add_test(tc, unknown_name_or_labels_count_as_holding);
	tcase_add_test(tc, names_of_pods_are_known_where_their_labels_are_not);
	tcase_add_test(tc, malformed_lists_are_refused);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
