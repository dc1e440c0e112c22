/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Podman 4.3 wrote of a container "shop" and its image, as it was recorded:
 *
 *   podman import --change 'LABEL app=payments' --change 'LABEL tier=web' - localhost/base:1
 *   podman build --annotation team=red --annotation zone=a -t localhost/shop:1 .   FROM base, LABEL app=shop
 *   podman create --name shop --label app=shop --label tier=db --label own=yes \
 *          --annotation team=blue --annotation mine=1 localhost/shop:1
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/bolt.h"
#include "attach/podman.h"
#include "coffer/cleanup.h"
#include "recorded.h"

#define ID "dd7552649b9185f0829f8eec1d809adc65b65fdf66d30fcbfc2719c57de79830"
#define IMAGE "10e959a58469842deb523700aea667db6bf7ad0001f381f3e0f5b0e48fe882bc"
#define BASE "2add2695ff79ed595551389296b7511b7bf63608e01609b08324351165ca9966"
#define MANIFEST "sha256:fb41ccbc57066e6ea7c7149b5f3920dbfe8791b9286fcad96d1a39db432f803f"

static json_t *parsed(const char *text, size_t len)
{
	json_t *value = NULL;
	struct err e = { "" };
	int r = json_parse(text, len, &value, &e);

	ck_assert_msg(r == 0, "%s", e.text);
	return value;
}

static json_t *recorded_json(const char *name)
{
	size_t len;
	SCOPED(free_ptr) char *text = recorded(name, &len);

	return parsed(text, len);
}

static json_t *recorded_config(void)
{
	static const char *const path[] = { "ctr", ID, "config", NULL };
	size_t len;
	SCOPED(free_ptr) char *bytes = recorded("podman-4.3/bolt_state.db.gz", &len);
	struct bolt_bytes text;
	struct bolt db;

	ck_assert_int_eq(bolt_open(bytes, len, &db, NULL), 0);
	ck_assert_int_eq(bolt_get(&db, path, &text, NULL), 1);
	return parsed((const char *)text.at, text.len);
}

/* "c" or "i" and the value, for a key; "" if there is none. */
static const char *attribute(const struct found *f, const char *key, char *buffer, size_t size)
{
	buffer[0] = '\0';
	for (size_t i = 0; i < f->attributes; i++)
		if (strcmp(f->attribute[i].key, key) == 0)
			snprintf(buffer, size, "%c %s", f->attribute[i].from_image ? 'i' : 'c',
			         f->attribute[i].value);
	return buffer;
}

START_TEST(a_container_has_its_name_and_image)
{
	SCOPED(json_ptr) json_t *list = recorded_json("podman-4.3/containers.json");
	struct podman_container c;

	ck_assert_int_eq(podman_container(list, ID, &c), 1);
	ck_assert_str_eq(c.name, "shop");
	ck_assert_str_eq(c.image, IMAGE);
	ck_assert_str_eq(c.image_name, "localhost/shop:1");
	podman_container_clear(&c);
	ck_assert_int_eq(podman_container(list, BASE, &c), 0);
	ck_assert_int_eq(podman_container(NULL, ID, &c), 0);
}
END_TEST

START_TEST(an_image_has_the_digests_of_its_configuration_and_manifest)
{
	SCOPED(json_ptr) json_t *list = recorded_json("podman-4.3/images.json");
	struct found f = FOUND_EMPTY;

	ck_assert_ptr_nonnull(podman_image(list, BASE));
	podman_digests(podman_image(list, IMAGE), &f);
	ck_assert_ptr_nonnull(strstr(f.digest, MANIFEST));
	ck_assert_ptr_nonnull(strstr(f.digest, "sha256:" IMAGE));
	/* nothing else: not the base image's, not that of an empty signature */
	ck_assert_uint_eq(strlen(f.digest), 2 * strlen(MANIFEST) + 1);
	ck_assert_ptr_null(podman_image(list, ID));
	ck_assert_ptr_null(podman_image(list, "../" IMAGE));
	found_clear(&f);
}
END_TEST

START_TEST(labels_of_the_image_are_told_from_the_starters)
{
	SCOPED(json_ptr) json_t *config = recorded_config();
	SCOPED(json_ptr) json_t *of_image = recorded_json("podman-4.3/image-config.json");
	SCOPED(json_ptr)
	json_t *image =
		json_pack("[O]", json_object_get(json_object_get(of_image, "config"), "Labels"));
	struct found f = FOUND_EMPTY;
	char got[256];

	ck_assert_int_eq(podman_attributes(&f, podman_labels(config), image), 0);
	ck_assert_uint_eq(f.attributes, 4);
	ck_assert_str_eq(attribute(&f, "own", got, sizeof(got)), "c yes");
	ck_assert_str_eq(attribute(&f, "tier", got, sizeof(got)), "c db");
	/* what both say cannot be told apart, and counts as the image's */
	ck_assert_str_eq(attribute(&f, "app", got, sizeof(got)), "i shop");
	ck_assert_str_eq(attribute(&f, "io.buildah.version", got, sizeof(got)), "i 1.28.2");
	found_clear(&f);
}
END_TEST

START_TEST(annotations_of_the_image_are_told_from_the_starters)
{
	SCOPED(json_ptr) json_t *config = recorded_config();
	SCOPED(json_ptr) json_t *manifest = recorded_json("podman-4.3/manifest.json");
	SCOPED(json_ptr) json_t *image = json_pack("[O]", json_object_get(manifest, "annotations"));
	struct found f = FOUND_EMPTY;
	char got[256];

	ck_assert_int_eq(podman_attributes(&f, podman_annotations(config), image), 0);
	ck_assert_str_eq(attribute(&f, "mine", got, sizeof(got)), "c 1");
	ck_assert_str_eq(attribute(&f, "team", got, sizeof(got)), "c blue");
	ck_assert_str_eq(attribute(&f, "zone", got, sizeof(got)), "i a");
	ck_assert_str_eq(attribute(&f, "org.opencontainers.image.base.name", got, sizeof(got)),
	                 "i localhost/base:1");
	ck_assert(!f.attribute[0].from_image);
	found_clear(&f);
}
END_TEST

START_TEST(where_the_image_is_not_known_nothing_is_the_starters)
{
	SCOPED(json_ptr) json_t *config = recorded_config();
	struct found f = FOUND_EMPTY;

	ck_assert_int_eq(podman_attributes(&f, podman_labels(config), NULL), 0);
	ck_assert_uint_eq(f.attributes, 4);
	for (size_t i = 0; i < f.attributes; i++)
		ck_assert(f.attribute[i].from_image);
	found_clear(&f);
}
END_TEST

START_TEST(an_image_cannot_crowd_out_its_starters_labels)
{
	SCOPED(json_ptr) json_t *labels = json_object();
	SCOPED(json_ptr) json_t *theirs = json_object();
	SCOPED(json_ptr) json_t *image = json_pack("[O]", theirs);
	struct found f = FOUND_EMPTY;
	char key[32], got[64];

	for (int i = 0; i < 2 * ATTACH_ATTRIBUTES_MAX; i++) {
		snprintf(key, sizeof(key), "a%d", i);
		json_object_set_new(labels, key, json_string("x"));
		json_object_set_new(theirs, key, json_string("x"));
	}
	json_object_set_new(labels, "own", json_string("yes"));
	ck_assert_int_eq(podman_attributes(&f, labels, image), 0);
	ck_assert_uint_eq(f.attributes, ATTACH_ATTRIBUTES_MAX);
	ck_assert_str_eq(attribute(&f, "own", got, sizeof(got)), "c yes");
	found_clear(&f);
}
END_TEST

static const struct {
	const char *name, *wanted, *id;
} names[] = {
	{ "a name", "web", "aa11" },
	{ "a second name", "www", "aa11" },
	{ "the beginning of one id", "bb", "bb22" },
	{ "a whole id", "aa12", "aa12" },
	{ "the beginning of two ids", "aa1", NULL },
	{ "a name that is the beginning of another's id", "cc", "aa12" },
	{ "nobody", "zz", NULL },
	{ "nothing", "", NULL },
	{ "an id that is no folder's name", "../", NULL },
};

START_TEST(an_id_is_found_by_name_or_by_its_only_beginning)
{
	static const char text[] =
		"[{\"id\":\"aa11\",\"names\":[\"web\",\"www\"]},{\"id\":\"bb22\"},"
		"{\"id\":\"aa12\",\"names\":[\"cc\"]},{\"id\":\"cc33\",\"names\":[7]},"
		"{\"id\":\"../x\",\"names\":[\"../\"]},7]";
	SCOPED(json_ptr) json_t *list = parsed(text, strlen(text));
	const char *id = podman_id_of(list, names[_i].wanted);

	ck_assert_msg(names[_i].id ? id && strcmp(id, names[_i].id) == 0 : !id, "%s: %s",
	              names[_i].name, id ? id : "none");
}
END_TEST

/* As they are called in the folder that was recorded. */
static const struct {
	const char *key, *file;
} big_data[] = {
	{ "manifest", "manifest" },
	{ "sha256:" IMAGE, "=c2hhMjU2OjEwZTk1OWE1ODQ2OTg0MmRlYjUyMzcwMGFlYTY2N2RiNmJmN2FkMDAwMWYzOD"
	                   "FmM2UwZjViMGU0OGZl"
	                   "ODgyYmM=" },
	{ "../../etc/shadow", "=Li4vLi4vZXRjL3NoYWRvdw==" },
};

START_TEST(big_data_lies_where_containers_storage_puts_it)
{
	char name[PODMAN_BIG_DATA_NAME_MAX], key[PODMAN_BIG_DATA_NAME_MAX] = "";

	ck_assert_int_eq(podman_big_data_name(big_data[_i].key, name), 0);
	ck_assert_str_eq(name, big_data[_i].file);
	memset(key, 'a', sizeof(key) - 1);
	ck_assert_int_eq(podman_big_data_name(key, name), -EINVAL);
	ck_assert_int_eq(podman_big_data_name("", name), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("podman");
	TCase *tests = tcase_create("podman");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, a_container_has_its_name_and_image);
	tcase_add_test(tests, an_image_has_the_digests_of_its_configuration_and_manifest);
	tcase_add_test(tests, labels_of_the_image_are_told_from_the_starters);
	tcase_add_test(tests, annotations_of_the_image_are_told_from_the_starters);
	tcase_add_test(tests, where_the_image_is_not_known_nothing_is_the_starters);
	tcase_add_test(tests, an_image_cannot_crowd_out_its_starters_labels);
	tcase_add_loop_test(tests, an_id_is_found_by_name_or_by_its_only_beginning, 0,
	                    (int)ARRAY_LEN(names));
	tcase_add_loop_test(tests, big_data_lies_where_containers_storage_puts_it, 0,
	                    (int)ARRAY_LEN(big_data));
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
