/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's files: those that a daemon wrote (recorded/docker-20.10), ones that none would write, and
 * whose hands they are in. Needs root, whose alone they must be.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/docker_config.h"
#include "attach/engine.h"
#include "coffer/cleanup.h"
#include "recorded.h"

#define IMAGE_ID "sha256:d555a6b26cb632814e71c3a6427fe7ac2165b777f435a65cbaaf782762fe747d"
#define MANIFEST "sha256:3657b81735be9f2d9806406710dba4fb0c0ebf52c1ca8c2361856f0073500f34"
#define PROJECT "com.docker.compose.project"

static void parse_recorded(const char *name, struct docker_container *c)
{
	size_t len;
	SCOPED(free_ptr) char *text = recorded(name, &len);
	struct err e = { "" };

	ck_assert_msg(docker_container_parse(text, len, c, &e) == 0, "%s: %s", name, e.text);
}

static void add_image(struct docker_container *c)
{
	size_t len;
	SCOPED(free_ptr) char *text = recorded("docker-20.10/image-config.json", &len);

	ck_assert_int_eq(docker_container_image(text, len, c, NULL), 0);
}

/* 'c': of whoever started it; 'i': of the image; '-': there is no such label. */
static char origin(const struct docker_container *c, const char *key, const char *value)
{
	for (size_t i = 0; i < c->labels; i++)
		if (strcmp(c->label[i].key, key) == 0 && strcmp(c->label[i].value, value) == 0)
			return c->label[i].from_image ? 'i' : 'c';
	return '-';
}

START_TEST(what_a_daemon_writes_is_understood)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	parse_recorded("docker-20.10/container-config.v2.json", &c);
	ck_assert_str_eq(c.name, "plain");
	ck_assert_str_eq(c.image, "web");
	ck_assert_str_eq(c.image_id, IMAGE_ID);
	ck_assert_str_eq(c.driver, "overlay2");
	ck_assert_uint_eq(strlen(c.id), 64);
	ck_assert_uint_eq(c.labels, 5);
}
END_TEST

/* It was started with tier=front, as the image has it, and region=eu. */
START_TEST(a_label_that_the_image_has_too_is_the_images)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	parse_recorded("docker-20.10/container-config.v2.json", &c);
	add_image(&c);
	ck_assert_int_eq(origin(&c, "region", "eu"), 'c');
	ck_assert_int_eq(origin(&c, "tier", "front"), 'i');
	ck_assert_int_eq(origin(&c, "org.opencontainers.image.vendor", "Shop"), 'i');
	ck_assert_int_eq(origin(&c, PROJECT, "shop"), 'i'); /* the image only says so */
	docker_container_distrust(&c);
	ck_assert_int_eq(origin(&c, "region", "eu"), 'i');
}
END_TEST

START_TEST(composes_project_counts_although_the_image_has_it_too)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	parse_recorded("docker-20.10/composed-config.v2.json", &c);
	add_image(&c);
	ck_assert_str_eq(c.name, "shop_web_1");
	ck_assert_int_eq(origin(&c, PROJECT, "shop"), 'c');
	ck_assert_int_eq(origin(&c, "com.docker.compose.service", "web"), 'c');
	ck_assert_int_eq(origin(&c, "com.docker.compose.oneoff", "False"), 'c');
	ck_assert_int_eq(origin(&c, "tier", "front"), 'i');
}
END_TEST

#define CONTAINER(labels) "{\"ID\":\"a1\",\"Name\":\"/n\",\"Config\":{\"Labels\":" labels "}}"
#define HASH "\"com.docker.compose.config-hash\":\"h\""

static const struct {
	const char *name, *container, *image;
	const char *key, *value;
	int result;
	char origin;
} labels[] = {
	{ "same", CONTAINER("{\"a\":\"1\"}"), "{\"config\":{\"Labels\":{\"a\":\"1\"}}}", "a", "1",
	  0, 'i' },
	{ "another value", CONTAINER("{\"a\":\"2\"}"), "{\"config\":{\"Labels\":{\"a\":\"1\"}}}",
	  "a", "2", 0, 'c' },
	{ "image without labels", CONTAINER("{\"a\":\"1\"}"), "{\"config\":{\"Labels\":null}}", "a",
	  "1", 0, 'c' },
	{ "image without configuration", CONTAINER("{\"a\":\"1\"}"), "{}", "a", "1", 0, 'c' },
	{ "what it was built in is not the image", CONTAINER("{\"a\":\"1\"}"),
	  "{\"container_config\":{\"Labels\":{\"a\":\"1\"}}}", "a", "1", 0, 'c' },
	{ "an image that says it was composed", CONTAINER("{\"" PROJECT "\":\"shop\"," HASH "}"),
	  "{\"config\":{\"Labels\":{\"" PROJECT "\":\"shop\"," HASH "}}}", PROJECT, "shop", 0,
	  'i' },
	{ "composed of an image that says so for another project",
	  CONTAINER("{\"" PROJECT "\":\"mine\"," HASH "}"),
	  "{\"config\":{\"Labels\":{\"" PROJECT "\":\"shop\"}}}", PROJECT, "mine", 0, 'c' },
	{ "image that is none", CONTAINER("{\"a\":\"1\"}"), "[]", "a", "1", -EINVAL, 'c' },
	{ "image whose labels are a list", CONTAINER("{\"a\":\"1\"}"),
	  "{\"config\":{\"Labels\":[]}}", "a", "1", -EINVAL, 'c' },
};

START_TEST(a_label_is_told_from_the_images)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };
	const char *image = labels[_i].image, *container = labels[_i].container;
	struct err e = { "" };

	ck_assert_int_eq(docker_container_parse(container, strlen(container), &c, &e), 0);
	ck_assert_msg(docker_container_image(image, strlen(image), &c, &e) == labels[_i].result,
	              "%s: %s", labels[_i].name, e.text);
	ck_assert_msg(origin(&c, labels[_i].key, labels[_i].value) == labels[_i].origin, "%s",
	              labels[_i].name);
}
END_TEST

static const struct {
	const char *name, *text;
} bad[] = {
	{ "no id", "{\"Name\":\"/n\"}" },
	{ "id that climbs", "{\"ID\":\"..\",\"Name\":\"/n\"}" },
	{ "no name", "{\"ID\":\"a1\"}" },
	{ "empty name", "{\"ID\":\"a1\",\"Name\":\"/\"}" },
	{ "name without a slash", "{\"ID\":\"a1\",\"Name\":\"n\"}" },
	{ "label that is no text", CONTAINER("{\"a\":1}") },
	{ "labels that are a list", CONTAINER("[]") },
	{ "a label twice", CONTAINER("{\"a\":\"1\",\"a\":\"2\"}") },
	{ "image that is a number", "{\"ID\":\"a1\",\"Name\":\"/n\",\"Image\":7}" },
	{ "a list", "[]" },
	{ "cut off", "{\"ID\":\"a1\",\"Name\":\"/n\"" },
	{ "nothing", "" },
};

START_TEST(what_no_daemon_writes_is_refused_with_a_sentence)
{
	struct docker_container c = { .name = NULL };
	struct err e = { "" };

	ck_assert_msg(docker_container_parse(bad[_i].text, strlen(bad[_i].text), &c, &e) == -EINVAL,
	              "%s", bad[_i].name);
	ck_assert_msg(e.text[0] && !c.id && !c.name && !c.label, "%s", bad[_i].name);
}
END_TEST

START_TEST(what_leads_elsewhere_is_left_out)
{
	static const char text[] = "{\"ID\":\"a1\",\"Name\":\"/n\",\"Driver\":\"../"
				   "overlay2\",\"Image\":\"sha256:../x\"}";
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	ck_assert_int_eq(docker_container_parse(text, strlen(text), &c, NULL), 0);
	ck_assert_str_eq(c.driver, "");
	ck_assert_str_eq(c.image_id, "");
}
END_TEST

START_TEST(digests_are_those_that_mean_the_image)
{
	size_t len;
	SCOPED(free_ptr) char *text = recorded("docker-20.10/repositories.json", &len);
	char digests[2][DOCKER_DIGEST_MAX];
	struct err e = { "" };

	ck_assert_int_eq(docker_digests_parse(text, len, IMAGE_ID, digests, 2, &e), 1);
	ck_assert_str_eq(digests[0], MANIFEST);
	ck_assert_int_eq(docker_digests_parse(text, len, IMAGE_ID, digests, 0, &e), 0);
	ck_assert_int_eq(docker_digests_parse(text, len, MANIFEST, digests, 2, &e), 0);
	ck_assert_int_eq(
		docker_digests_parse("{\"Repositories\":{\"a\":7}}", 24, IMAGE_ID, digests, 2, &e),
		0);
	ck_assert_int_eq(docker_digests_parse("{}", 2, IMAGE_ID, digests, 2, &e), -EINVAL);
}
END_TEST

/* ---- in a daemon's folder ---- */

static char data[64], id[OCI_ID_MAX + 1];
static struct attach_config config;
static struct found f;

static int sh(const char *format, const char *a, const char *b)
{
	char command[1024];

	snprintf(command, sizeof(command),
	         "D=%s; R=" RECORDED_FOLDER "/docker-20.10; A=%s; B=%s; %s", data, a, b, format);
	return system(command);
}

/* DATA as the daemon leaves it, below `below` of the root ("": the root itself). */
static void lay_out(const char *below)
{
	ck_assert_int_eq(sh("P=$D/$B; I=$P/image/overlay2; mkdir -p $P/containers/$A "
	                    "$I/imagedb/content/sha256 && "
	                    "cp $R/container-config.v2.json $P/containers/$A/config.v2.json && "
	                    "cp $R/repositories.json $I/ && "
	                    "cp $R/image-config.json $I/imagedb/content/sha256/" /* its name: */
	                    "d555a6b26cb632814e71c3a6427fe7ac2165b777f435a65cbaaf782762fe747d",
	                    id, below),
	                 0);
}

static void setup(void)
{
	SCOPED(docker_container_clear) struct docker_container c = { 0 };

	ck_assert_msg(geteuid() == 0, "this test needs root");
	strcpy(data, "/tmp/coffer-docker-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(data));
	parse_recorded("docker-20.10/container-config.v2.json", &c);
	snprintf(id, sizeof(id), "%s", c.id);
	config = (struct attach_config){ .engine_roots = { "/nonexistent", data } };
	f = (struct found)FOUND_EMPTY;
	snprintf(f.id, sizeof(f.id), "%s", id);
	snprintf(f.name, sizeof(f.name), "%s", id);
}

static void teardown(void)
{
	found_clear(&f);
	ck_assert_int_eq(sh("rm -r $D", "", ""), 0);
}

static void look(void)
{
	struct err e = { "" };

	ck_assert_msg(engine_docker.describe(&config, &f, &e) == 0, "%s", e.text);
}

static char flag_of(const char *key)
{
	for (size_t i = 0; i < f.attributes; i++)
		if (strcmp(f.attribute[i].key, key) == 0)
			return f.attribute[i].from_image ? 'i' : 'c';
	return '-';
}

START_TEST(a_container_is_described)
{
	static const char *const places[] = { "", "165536.165536" };

	lay_out(places[_i]);
	look();
	ck_assert_str_eq(f.trouble.text, "");
	ck_assert_str_eq(f.name, "plain");
	ck_assert_str_eq(f.image, "web");
	ck_assert_str_eq(f.digest, IMAGE_ID " " MANIFEST);
	ck_assert_int_eq(flag_of("region"), 'c');
	ck_assert_int_eq(flag_of("tier"), 'i');
	ck_assert_str_eq(f.attribute[0].key, "region"); /* before those of the image */
}
END_TEST

static const struct {
	const char *name, *command, *trouble, *shown_name;
	char region;
} troubles[] = {
	{ "not in the roots", "rm -r $D/containers", "Docker's data folder", NULL, '-' },
	{ "somebody's container folder", "chown 1000 $D/containers/$A", "not root's alone", NULL,
	  '-' },
	{ "somebody's data", "chmod 777 $D", "not root's alone", NULL, '-' },
	{ "somebody's file", "chmod 666 $D/containers/$A/config.v2.json", "not root's alone", NULL,
	  '-' },
	{ "another container's",
	  "sed -i 's/\"ID\":\"4a/\"ID\":\"5a/' $D/containers/$A/config.v2.json",
	  "another container's", NULL, '-' },
	{ "malformed", "echo '{' >$D/containers/$A/config.v2.json", "not JSON", NULL, '-' },
	{ "a pipe", "rm $D/containers/$A/c* && mkfifo $D/containers/$A/config.v2.json",
	  "no regular file", NULL, '-' },
	{ "a link", "mv $D/containers/$A/c* $D/x && ln -s $D/x $D/containers/$A/config.v2.json",
	  "cannot open config.v2.json", NULL, '-' },
	{ "no image", "rm $D/image/overlay2/imagedb/content/sha256/*", "labels of its image",
	  "plain", 'i' },
	{ "somebody's image", "chmod 666 $D/image/overlay2/imagedb/content/sha256/*",
	  "labels of its image", "plain", 'i' },
	{ "malformed image", "echo | tee $D/image/overlay2/imagedb/content/sha256/d5*",
	  "labels of its image", "plain", 'i' },
	{ "malformed digests", "echo >$D/image/overlay2/repositories.json", "digests of its image",
	  "plain", 'c' },
	{ "no digests", "rm $D/image/overlay2/repositories.json", "", "plain", 'c' },
};

START_TEST(what_cannot_be_read_matches_nothing_and_is_told)
{
	lay_out("");
	ck_assert_int_eq(sh(troubles[_i].command, id, ""), 0);
	look();
	ck_assert_msg(strstr(f.trouble.text, troubles[_i].trouble) != NULL, "%s: '%s'",
	              troubles[_i].name, f.trouble.text);
	ck_assert_msg(*troubles[_i].trouble || !f.trouble.text[0], "%s: '%s'", troubles[_i].name,
	              f.trouble.text);
	ck_assert_msg(flag_of("region") == troubles[_i].region, "%s: %c", troubles[_i].name,
	              flag_of("region"));
	ck_assert_str_eq(f.name, troubles[_i].shown_name ? troubles[_i].shown_name : id);
}
END_TEST

START_TEST(a_container_that_does_not_run_has_no_name)
{
	char found_id[OCI_ID_MAX + 1] = "untouched";
	struct err e = { "" };

	lay_out("");
	ck_assert_int_eq(engine_docker.id_of(&config, "plain", found_id, &e), 0);
	ck_assert_int_eq(engine_docker.id_of(&config, "4a23", found_id, &e), 0);
	ck_assert_int_eq(engine_docker.id_of(&config, "", found_id, &e), 0);
	ck_assert_str_eq(found_id, "untouched");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("docker");
	TCase *pure = tcase_create("pure"), *folder = tcase_create("folder");
	SRunner *runner;
	int failed;

	tcase_add_test(pure, what_a_daemon_writes_is_understood);
	tcase_add_test(pure, a_label_that_the_image_has_too_is_the_images);
	tcase_add_test(pure, composes_project_counts_although_the_image_has_it_too);
	tcase_add_loop_test(pure, a_label_is_told_from_the_images, 0, ARRAY_LEN(labels));
	tcase_add_loop_test(pure, what_no_daemon_writes_is_refused_with_a_sentence, 0,
	                    ARRAY_LEN(bad));
	tcase_add_test(pure, what_leads_elsewhere_is_left_out);
	tcase_add_test(pure, digests_are_those_that_mean_the_image);
	suite_add_tcase(suite, pure);
	tcase_add_checked_fixture(folder, setup, teardown);
	tcase_add_loop_test(folder, a_container_is_described, 0, 2);
	tcase_add_loop_test(folder, what_cannot_be_read_matches_nothing_and_is_told, 0,
	                    ARRAY_LEN(troubles));
	tcase_add_test(folder, a_container_that_does_not_run_has_no_name);
	suite_add_tcase(suite, folder);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
