/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "attach/image_labels.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"

static const struct {
	const char *text;
	int result;
	const char *app; /* its label app, or NULL */
} images[] = {
	{ "{\"config\":{\"Labels\":{\"app\":\"web\"}}}", 0, "web" },
	{ "{\"config\":{\"Labels\":null}}", 0, NULL },
	{ "{\"config\":{}}", 0, NULL },
	{ "{\"config\":null,\"container_config\":{\"Labels\":{\"app\":\"web\"}}}", 0, NULL },
	{ "{}", 0, NULL },
	/* Go's decoder would find these */
	{ "{\"Config\":{\"Labels\":{\"app\":\"web\"}}}", -EINVAL, NULL },
	{ "{\"config\":{},\"CONFIG\":{\"Labels\":{\"app\":\"web\"}}}", -EINVAL, NULL },
	{ "{\"config\":{\"labels\":{\"app\":\"web\"}}}", -EINVAL, NULL },
	{ "{\"config\":{\"Labels\":{},\"LABELS\":{\"app\":\"web\"}}}", -EINVAL, NULL },
	{ "{\"config\":{\"Label\xc5\xbf\":{\"app\":\"web\"}}}", -EINVAL, NULL },
	{ "{\"con\xef\xac\x81g\":{\"Labels\":{\"app\":\"web\"}}}", -EINVAL, NULL },
};

START_TEST(labels_are_seen_or_the_image_is_not_believed)
{
	SCOPED(json_ptr) json_t *image = NULL;
	json_t *labels = NULL;
	struct err e = { "" };
	const char *app;

	ck_assert_int_eq(json_parse(images[_i].text, strlen(images[_i].text), &image, &e), 0);
	ck_assert_msg(image_labels(image, &labels, &e) == images[_i].result, "%s: %s",
	              images[_i].text, e.text);
	app = json_string_value(json_object_get(labels, "app"));
	ck_assert_msg((app != NULL) == (images[_i].app != NULL), "%s", images[_i].text);
	if (app)
		ck_assert_str_eq(app, images[_i].app);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image_labels");
	TCase *t = tcase_create("image_labels");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, labels_are_seen_or_the_image_is_not_believed, 0,
	                    (int)ARRAY_LEN(images));
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
