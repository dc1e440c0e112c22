/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containerd and CRI-O say of a container.
 *
 * recorded/containerd-1.6 was written by containerd 1.6.20 (Debian 12): its metadata, an image's documents, and
 * the annotations in the bundles of a pod's sandbox and container, made by the CRI plugin for a pod whose
 * author set the annotations "team", "io.kubernetes.pod.namespace" and "io.kubernetes.cri.sandbox-namespace",
 * with `pod_annotations = ["*"]`, and of "worker", made by `ctr run --label app=job --label role=admin`.
 *
 * CRI-O's annotations are the set that it writes into a bundle in 1.25 to 1.30, in SpecAddAnnotations of
 * internal/factory/container/container.go and in runPodSandbox of server/sandbox_run_linux.go, less those
 * that only CRI-O reads.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach/bolt_file.h"
#include "attach/containerd.h"
#include "attach/engine.h"
#include "attach/kube.h"
#include "coffer/cleanup.h"
#include "recorded.h"

#define RECORDED "containerd-1.6/"
#define SANDBOX "e8f34d5b147eca3767d729c4595128dc0c481125ad3d918259485c8c898060e8"
#define APP "3afb65612f54f26900fc9c3aabad9e89b464bad84c98c3bfd7cade5ec0156b19"
#define INDEX "sha256:ccc6a4418b50e361270f607cd0b4dbcaeb38dd154bdd044bc04466c49a26a7e6"
#define MANIFEST "sha256:e79b32fca770ac31ab5d67d6ab5bc567cb567d2170b904b9d3f879fdf8a6576b"
#define CONFIG "sha256:a5bec42fb0bab96aa459b9b5f3d37c60c91ce567fe0bab96bcf7323565fdc28a"
#define JOB_MANIFEST "sha256:015d3299ba32745d68c4cbbf3f46b360e66f9a5be55dc8abddc4e685f5192097"
#define JOB_CONFIG "sha256:ddfb3b5398aca9ce6f674f0618ddd95060f200b64e056b812c1cfb3c832cb90a"
#define NAMESPACE "io.kubernetes.pod.namespace"

/* ---- an engine's root of its own, and what is found of a container with it ---- */

struct place {
	char dir[64], root[96];
	struct attach_config config;
	struct found found;
};

static void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void blob(const struct place *p, const char *name, const char *digest)
{
	sh("cp '" RECORDED_FOLDER "/" RECORDED "%s' "
	   "%s/io.containerd.content.v1.content/blobs/sha256/%s",
	   name, p->root, digest + strlen("sha256:"));
}

static void place_open(struct place *p)
{
	*p = (struct place){ .dir = "/tmp/test-cri-XXXXXX", .found = FOUND_EMPTY };
	ck_assert_ptr_nonnull(mkdtemp(p->dir));
	ck_assert_int_eq(chmod(p->dir, 0755), 0);
	snprintf(p->root, sizeof(p->root), "%s/root", p->dir);
	sh("umask 022; mkdir -p %s/io.containerd.metadata.v1.bolt "
	   "%s/io.containerd.content.v1.content/blobs/sha256 && "
	   "gzip -dc <'" RECORDED_FOLDER "/" RECORDED
	   "meta.db.gz' >%s/io.containerd.metadata.v1.bolt/meta.db",
	   p->root, p->root, p->root);
	blob(p, "web-index.json", INDEX);
	blob(p, "web-manifest.json", MANIFEST);
	blob(p, "web-config.json", CONFIG);
	blob(p, "job-manifest.json", JOB_MANIFEST);
	blob(p, "job-config.json", JOB_CONFIG);
	/* of another engine, and one that is not there */
	p->config.engine_roots[0] = p->dir;
	p->config.engine_roots[1] = "/nonexistent/containerd";
	p->config.engine_roots[2] = p->root;
}

static void place_close(struct place *p)
{
	found_clear(&p->found);
	sh("rm -rf %s", p->dir);
}

static void describe_text(struct place *p, const char *id, const char *bundle, const char *text)
{
	struct err e = { "" };

	snprintf(p->found.id, sizeof(p->found.id), "%s", id);
	snprintf(p->found.name, sizeof(p->found.name), "%s", id);
	snprintf(p->found.bundle, sizeof(p->found.bundle), "%s", bundle);
	ck_assert_msg(oci_config_parse(text, strlen(text), &p->found.config, &e) == 0, "%s",
	              e.text);
	ck_assert_int_eq(engine_containerd_describe(&p->config, &p->found, &e), 0);
}

static void describe(struct place *p, const char *namespace, const char *id, const char *name)
{
	SCOPED(free_ptr) char *text = NULL;
	char bundle[256];
	size_t len;

	snprintf(bundle, sizeof(bundle), "/run/containerd/io.containerd.runtime.v2.task/%s/%s",
	         namespace, id);
	text = recorded(name, &len);
	describe_text(p, id, bundle, text);
}

/* How often the starter (or the image) says so. */
static int says(const struct found *f, const char *key, const char *value, bool from_image)
{
	int count = 0;

	for (size_t i = 0; i < f->attributes; i++)
		count += strcmp(f->attribute[i].key, key) == 0 &&
		         (!value || strcmp(f->attribute[i].value, value) == 0) &&
		         f->attribute[i].from_image == from_image;
	return count;
}

/* ---- containerd ---- */

START_TEST(container_of_a_pod_has_the_names_that_its_engine_gives)
{
	struct place p;

	place_open(&p);
	describe(&p, "k8s.io", APP, RECORDED "container.json");
	ck_assert_str_eq(p.found.trouble.text, "");
	ck_assert_str_eq(p.found.name, "shop/web-7d4b9c-x2x4q/app");
	ck_assert_int_eq(says(&p.found, NAMESPACE, "shop", false), 1);
	ck_assert_int_eq(says(&p.found, NAMESPACE, NULL, false), 1);
	ck_assert_int_eq(says(&p.found, NAMESPACE, NULL, true), 0);
	ck_assert_int_eq(says(&p.found, "io.kubernetes.pod.name", "web-7d4b9c-x2x4q", false), 1);
	ck_assert_int_eq(says(&p.found, "io.kubernetes.container.name", "app", false), 1);
	for (size_t i = 0; i < p.found.attributes; i++)
		ck_assert_msg(strncmp(p.found.attribute[i].key, "io.kubernetes.cri", 17) != 0, "%s",
		              p.found.attribute[i].key);
	place_close(&p);
}
END_TEST

START_TEST(labels_are_the_pods_and_the_images_are_told_apart)
{
	struct place p;

	place_open(&p);
	describe(&p, "k8s.io", APP, RECORDED "container.json");
	ck_assert_int_eq(says(&p.found, "app", "web", false), 1);
	ck_assert_int_eq(says(&p.found, "app", "image", true), 1);
	ck_assert_int_eq(says(&p.found, "app", "image", false), 0);
	ck_assert_int_eq(says(&p.found, "role", "admin", true), 1);
	ck_assert_int_eq(says(&p.found, "role", "admin", false), 0);
	ck_assert_int_eq(says(&p.found, "team", "a", false), 1);
	place_close(&p);
}
END_TEST

START_TEST(image_is_known_by_index_manifest_and_configuration)
{
	struct place p;

	place_open(&p);
	describe(&p, "k8s.io", APP, RECORDED "container.json");
	ck_assert_str_eq(p.found.image, "registry.example.com/web:1");
	ck_assert_ptr_nonnull(strstr(p.found.digest, INDEX));
	ck_assert_ptr_nonnull(strstr(p.found.digest, MANIFEST));
	ck_assert_ptr_nonnull(strstr(p.found.digest, CONFIG));
	place_close(&p);
}
END_TEST

START_TEST(sandbox_matches_nothing_of_its_pod)
{
	struct place p;

	place_open(&p);
	describe(&p, "k8s.io", SANDBOX, RECORDED "sandbox.json");
	ck_assert_uint_eq(p.found.attributes, 0);
	ck_assert_str_eq(p.found.name, SANDBOX);
	ck_assert_str_eq(p.found.digest, "");
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "sandbox of a pod"));
	place_close(&p);
}
END_TEST

START_TEST(container_of_ctr_has_its_own_labels_and_its_images_digest)
{
	struct place p;

	place_open(&p);
	describe(&p, "default", "worker", RECORDED "worker.json");
	ck_assert_str_eq(p.found.trouble.text, "");
	ck_assert_str_eq(p.found.name, "worker");
	ck_assert_str_eq(p.found.image, "registry.example.com/job:1");
	ck_assert_ptr_nonnull(strstr(p.found.digest, JOB_MANIFEST));
	ck_assert_ptr_nonnull(strstr(p.found.digest, JOB_CONFIG));
	ck_assert_int_eq(says(&p.found, "app", "job", false), 1);
	/* The image says the same, and so did whoever started it. */
	ck_assert_int_eq(says(&p.found, "role", "admin", false), 1);
	place_close(&p);
}
END_TEST

/* Anybody may use the key as a label where there is no kubelet. */
START_TEST(no_starter_of_a_container_gives_it_a_pods_namespace)
{
	static const char text[] = "{\"root\":{\"path\":\"rootfs\"},\"annotations\":{"
				   "\"io.kubernetes.pod.namespace\":\"shop\",\"a\":\"b\","
				   "\"io.kubernetes.cri.container-type\":\"container\","
				   "\"io.kubernetes.cri.sandbox-id\":\"x\","
				   "\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
				   "\"io.kubernetes.cri.sandbox-name\":\"web\","
				   "\"io.kubernetes.cri.container-name\":\"app\"}}";
	struct place p;

	place_open(&p);
	describe_text(&p, "worker", "/run/containerd/io.containerd.runtime.v2.task/default/worker",
	              text);
	ck_assert_str_eq(p.found.name, "worker");
	ck_assert_int_eq(says(&p.found, "a", "b", false), 1);
	ck_assert_int_eq(says(&p.found, NAMESPACE, NULL, false), 0);
	ck_assert_int_eq(says(&p.found, "io.kubernetes.cri.sandbox-namespace", NULL, false), 0);
	place_close(&p);
}
END_TEST

START_TEST(without_its_image_every_label_may_be_the_images)
{
	struct place p;

	place_open(&p);
	/* The same container, and under the image's name and digest another one. */
	sh("cp '" RECORDED_FOLDER "/" RECORDED
	   "web-config.json' %s/io.containerd.content.v1.content/blobs/sha256/%s",
	   p.root, &JOB_CONFIG[strlen("sha256:")]);
	sh("sed -i 's/db61b81f/db61b81e/' %s/io.containerd.content.v1.content/blobs/sha256/%s",
	   p.root, &JOB_CONFIG[strlen("sha256:")]);
	describe_text(&p, "worker", "/run/containerd/io.containerd.runtime.v2.task/default/worker",
	              "{\"root\":{\"path\":\"rootfs\"}}");
	ck_assert_str_eq(p.found.digest, "");
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "no longer"));
	ck_assert_int_eq(says(&p.found, "app", "job", false), 0);
	ck_assert_int_eq(says(&p.found, "app", "job", true), 1);
	place_close(&p);
}
END_TEST

START_TEST(metadata_that_is_not_there_or_not_roots_is_said_and_not_believed)
{
	struct place p;

	place_open(&p);
	p.config.engine_roots[2] = NULL;
	describe(&p, "k8s.io", APP, RECORDED "container.json");
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "none of engine_roots"));
	ck_assert_str_eq(p.found.name, "shop/web-7d4b9c-x2x4q/app");
	ck_assert_int_eq(says(&p.found, NAMESPACE, "shop", false), 1);
	ck_assert_int_eq(says(&p.found, "app", NULL, false), 0);
	place_close(&p);

	place_open(&p);
	sh("chown nobody %s/io.containerd.metadata.v1.bolt/meta.db", p.root);
	describe(&p, "k8s.io", APP, RECORDED "container.json");
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "not root's alone"));
	ck_assert_int_eq(says(&p.found, "app", NULL, false), 0);
	ck_assert_str_eq(p.found.digest, "");
	place_close(&p);

	place_open(&p);
	p.config.engine_roots[0] = p.root;
	describe(&p, "default", "worker", RECORDED "worker.json");
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "several of engine_roots"));
	ck_assert_str_eq(p.found.digest, "");
	place_close(&p);
}
END_TEST

static const struct {
	const char *name, *text;
	int result;
	const char *child, *config;
} documents[] = {
	{ "index", "{\"manifests\":[{\"digest\":\"" MANIFEST "\"}]}", 0, MANIFEST, "" },
	{ "manifest", "{\"config\":{\"digest\":\"" CONFIG "\"}}", 0, "", CONFIG },
	{ "an index that names a configuration, too",
	  "{\"manifests\":[{\"digest\":\"" MANIFEST "\"}],\"config\":{\"digest\":\"" CONFIG "\"}}",
	  0, MANIFEST, "" },
	{ "configuration", "{\"config\":{\"Labels\":{}},\"rootfs\":{\"diff_ids\":[]}}", 0, "", "" },
	{ "other digests", "{\"manifests\":[{\"digest\":\"sha512:00\"},{\"digest\":7},{},7]}", 0,
	  "", "" },
	{ "a digest that climbs", "{\"config\":{\"digest\":\"sha256:../../../../etc/shadow\"}}", 0,
	  "", "" },
	{ "array", "[]", -EINVAL, NULL, NULL },
	{ "manifests that are none", "{\"manifests\":{}}", -EINVAL, NULL, NULL },
	{ "cut off", "{\"manifests\":[", -EINVAL, NULL, NULL },
};

START_TEST(documents_of_an_image_are_taken_only_in_their_form)
{
	struct containerd_document d = { 0 };
	struct err e = { "" };
	const char *text = documents[_i].text;
	int r = containerd_document_parse(text, strlen(text), &d, &e);

	ck_assert_msg(r == documents[_i].result, "%s: %d %s", documents[_i].name, r, e.text);
	if (r < 0)
		return;
	ck_assert_msg(strcmp(d.children ? d.child[0] : "", documents[_i].child) == 0, "%s",
	              documents[_i].name);
	ck_assert_msg(strcmp(d.config, documents[_i].config) == 0, "%s", documents[_i].name);
}
END_TEST

/* As the OCI image specification has it: the chain of layers A, B is the digest of "A B", and so on. */
START_TEST(layers_make_a_chain)
{
	static const char one[] = "{\"rootfs\":{\"diff_ids\":[\"" INDEX "\"]}}";
	static const char none[] = "{\"rootfs\":{\"diff_ids\":[]}}";
	static const char bad[] = "{\"rootfs\":{\"diff_ids\":[\"sha256:x\"]}}";
	static const char three[] =
		"{\"rootfs\":{\"diff_ids\":[\"" INDEX "\",\"" MANIFEST "\",\"" CONFIG "\"]}}";
	struct containerd_config c = { 0 };
	char want[128];
	FILE *pipe;

	ck_assert_int_eq(containerd_config_parse(one, strlen(one), &c, NULL), 0);
	ck_assert_str_eq(c.chain, INDEX);
	ck_assert_int_eq(containerd_config_parse(none, strlen(none), &c, NULL), 0);
	ck_assert_str_eq(c.chain, "");
	ck_assert_int_eq(containerd_config_parse(bad, strlen(bad), &c, NULL), -EINVAL);
	ck_assert_int_eq(containerd_config_parse(three, strlen(three), &c, NULL), 0);
	pipe = popen("two=$(printf '%s %s' " INDEX " " MANIFEST " | sha256sum | cut -d' ' -f1); "
	             "printf 'sha256:%s %s' $two " CONFIG " | sha256sum | cut -d' ' -f1",
	             "re");
	ck_assert_ptr_nonnull(pipe);
	ck_assert_int_eq(fscanf(pipe, "%127s", want), 1);
	ck_assert_int_eq(pclose(pipe), 0);
	ck_assert_str_eq(c.chain + strlen("sha256:"), want);
}
END_TEST

/* ---- CRI-O ---- */

#define CRIO "/run/containers/storage/overlay-containers/"
#define CRIO_REF "f6f8d0e1b5c7f6f8d0e1b5c7f6f8d0e1b5c7f6f8d0e1b5c7f6f8d0e1b5c7aaaa"
#define CRIO_NAME(pod, namespace) \
	"k8s_app_" pod "_" namespace "_0f1e2d3c-0000-4000-8000-000000000001_0"
#define KUBELET(container, pod, namespace)                                                     \
	"\"io.kubernetes.container.name\":\"" container "\","                                  \
	"\"io.kubernetes.pod.name\":\"" pod "\","                                              \
	"\"io.kubernetes.pod.namespace\":\"" namespace "\","                                   \
						       "\"io.kubernetes.pod.uid\":\"0f1e2d3c-" \
						       "0000-4000-8000-000000000001\""
#define CRIO_CONTAINER(name, labels)                                                        \
	"{\"root\":{\"path\":\"/var/lib/containers/storage/overlay/x/merged\"},"            \
	"\"annotations\":{" labels ",\"io.kubernetes.container.hash\":\"8d1f6a3c\","        \
	"\"io.kubernetes.container.restartCount\":\"0\","                                   \
	"\"io.kubernetes.container.terminationMessagePath\":\"/dev/termination-log\","      \
	"\"io.kubernetes.pod.terminationGracePeriod\":\"30\",\"team\":\"a\","               \
	"\"io.container.manager\":\"cri-o\",\"io.kubernetes.cri-o.ContainerType\":"         \
	"\"container\",\"io.kubernetes.cri-o.ContainerID\":\"" APP "\","                    \
	"\"io.kubernetes.cri-o.SandboxID\":\"" SANDBOX "\",\"io.kubernetes.cri-o.Image\":"  \
	"\"registry.example.com/web:1\",\"io.kubernetes.cri-o.ImageName\":"                 \
	"\"registry.example.com/web:1\",\"io.kubernetes.cri-o.ImageRef\":\"" CRIO_REF "\"," \
	"\"io.kubernetes.cri-o.IP.0\":\"10.85.0.4\",\"io.kubernetes.cri-o.Labels\":"        \
	"\"{\\\"io.kubernetes.container.name\\\":\\\"app\\\"}\","                           \
	"\"io.kubernetes.cri-o.LogPath\":\"/var/log/pods/shop_web/app/0.log\","             \
	"\"io.kubernetes.cri-o.Metadata\":\"{\\\"name\\\":\\\"app\\\"}\","                  \
	"\"io.kubernetes.cri-o.Name\":\"" name "\",\"io.kubernetes.cri-o.SandboxName\":"    \
	"\"k8s_web_shop_0f1e2d3c-0000-4000-8000-000000000001_0\","                          \
	"\"io.kubernetes.cri-o.SeccompProfilePath\":\"RuntimeDefault\","                    \
	"\"io.kubernetes.cri-o.Stdin\":\"false\",\"io.kubernetes.cri-o.TTY\":\"false\","    \
	"\"org.systemd.property.After\":\"['crio.service']\"}}"

static const char crio_container[] =
	CRIO_CONTAINER(CRIO_NAME("web", "shop"), KUBELET("app", "web", "shop"));

/* As in the sandbox's bundle, where the pod's labels stand in CRI-O's own annotation. */
static const char crio_sandbox[] = "{\"root\":{\"path\":\"/x\"},\"annotations\":{" KUBELET(
	"POD", "web",
	"shop") ",\"app\":\"web\","
		"\"io.kubernetes.cri-o.ContainerType\":\"sandbox\",\"io.kubernetes.cri-o."
		"ContainerID\":"
		"\"" SANDBOX "\",\"io.kubernetes.cri-o.Name\":"
		"\"k8s_web_shop_0f1e2d3c-0000-4000-8000-000000000001_0\",\"io.kubernetes.cri-o."
		"Labels\":"
		"\"{\\\"app\\\":\\\"web\\\",\\\"io.kubernetes.pod.namespace\\\":\\\"shop\\\","
		"\\\"io.kubernetes.cri.sandbox-namespace\\\":\\\"evil\\\"}\"}}";

/* A store of its own: the sandbox's bundle is looked for beside the container's. */
static void crio_store(struct place *p, const char *sandbox, char bundle[256])
{
	char path[256];
	FILE *file;

	snprintf(bundle, 256, "%s/overlay-containers/%s/userdata", p->dir, APP);
	snprintf(path, sizeof(path), "%s/overlay-containers/%s/userdata", p->dir, SANDBOX);
	sh("umask 022; mkdir -p %s", path);
	strcat(path, "/config.json");
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(sandbox, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void describe_crio(struct place *p, const char *bundle, const char *text)
{
	struct err e = { "" };

	snprintf(p->found.id, sizeof(p->found.id), "%s", APP);
	snprintf(p->found.name, sizeof(p->found.name), "%s", APP);
	snprintf(p->found.bundle, sizeof(p->found.bundle), "%s", bundle);
	ck_assert_msg(oci_config_parse(text, strlen(text), &p->found.config, &e) == 0, "%s",
	              e.text);
	ck_assert_int_eq(engine_crio_describe(&p->config, &p->found, &e), 0);
}

START_TEST(crio_container_has_the_names_of_its_pod_the_pods_labels_and_its_image)
{
	char bundle[256];
	struct place p;

	place_open(&p);
	crio_store(&p, crio_sandbox, bundle);
	describe_crio(&p, bundle, crio_container);
	ck_assert_str_eq(p.found.trouble.text, "");
	ck_assert_str_eq(p.found.name, "shop/web/app");
	ck_assert_int_eq(says(&p.found, NAMESPACE, "shop", false), 1);
	ck_assert_int_eq(says(&p.found, NAMESPACE, NULL, false), 1);
	ck_assert_int_eq(says(&p.found, "app", "web", false), 1);
	/* Annotations of the pod and of who knows what else. */
	ck_assert_int_eq(says(&p.found, "team", NULL, false), 0);
	ck_assert_int_eq(says(&p.found, "io.kubernetes.cri.sandbox-namespace", NULL, false), 0);
	ck_assert_str_eq(p.found.image, "registry.example.com/web:1");
	ck_assert_str_eq(p.found.digest, "sha256:" CRIO_REF);
	place_close(&p);
}
END_TEST

START_TEST(crio_without_the_sandboxs_bundle_says_so)
{
	struct place p;

	place_open(&p);
	describe_crio(&p, CRIO APP "/userdata", crio_container);
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "labels of its pod are unknown"));
	ck_assert_str_eq(p.found.name, "shop/web/app");
	ck_assert_int_eq(says(&p.found, NAMESPACE, "shop", false), 1);
	place_close(&p);
}
END_TEST

/*
 * In a sandbox's bundle CRI-O writes the pod's annotations over its own keys, and the kubelet's labels over
 * these: an author who makes his sandbox a container of another namespace does not get past the labels.
 */
static const struct {
	const char *claim, *text;
} forged[] = {
	{ "sandbox that calls itself a container of another namespace",
	  CRIO_CONTAINER(CRIO_NAME("web", "shop"), KUBELET("POD", "own", "evil")) },
	{ "sandbox that calls itself the container POD of another namespace",
	  CRIO_CONTAINER("k8s_POD_web_shop_u_0", KUBELET("POD", "own", "evil")) },
	{ "sandbox that calls itself a container of its own pod",
	  CRIO_CONTAINER(CRIO_NAME("own", "evil"), KUBELET("POD", "own", "evil")) },
	{ "no labels of a kubelet", CRIO_CONTAINER(CRIO_NAME("web", "shop"), "\"a\":\"b\"") },
	{ "a name of five parts",
	  CRIO_CONTAINER("k8s_app_web_shop_0", KUBELET("app", "web", "shop")) },
	{ "a name of seven parts",
	  CRIO_CONTAINER("k8s_app_web_shop_u_0_0", KUBELET("app", "web", "shop")) },
	{ "a name of another scheme",
	  CRIO_CONTAINER("xxx_app_web_shop_u_0", KUBELET("app", "web", "shop")) },
	{ "an empty part", CRIO_CONTAINER("k8s__web_shop_u_0", KUBELET("", "web", "shop")) },
	{ "a part with a slash",
	  CRIO_CONTAINER("k8s_app_web_shop/web_u_0", KUBELET("app", "web", "shop/web")) },
};

START_TEST(crio_sandbox_that_claims_to_be_another_is_nobody)
{
	char bundle[256];
	struct place p;

	place_open(&p);
	crio_store(&p, crio_sandbox, bundle);
	describe_crio(&p, bundle, forged[_i].text);
	ck_assert_msg(p.found.attributes == 0 && strcmp(p.found.name, APP) == 0, "%s",
	              forged[_i].claim);
	ck_assert_msg(p.found.trouble.text[0] != '\0', "%s", forged[_i].claim);
	place_close(&p);
}
END_TEST

START_TEST(crio_sandbox_matches_nothing_of_its_pod)
{
	struct place p;

	place_open(&p);
	describe_crio(&p, CRIO SANDBOX "/userdata", crio_sandbox);
	ck_assert_uint_eq(p.found.attributes, 0);
	ck_assert_ptr_nonnull(strstr(p.found.trouble.text, "sandbox of a pod"));
	place_close(&p);
}
END_TEST

/* ---- names ---- */

static const struct {
	const char *name;
	bool called;
} names[] = {
	{ "shop/web-0/app", true },
	{ "web-0/app", true },
	{ "app", true },
	{ "pp", false },
	{ "eb-0/app", false },
	{ "/app", false },
	{ "", false },
	{ "x/shop/web-0/app", false },
	{ "web-0", false },
};

START_TEST(container_is_called_by_its_name_or_the_end_of_it)
{
	const struct kube k = { .namespace = "shop", .pod = "web-0", .container = "app" };
	const struct kube sandbox = { .namespace = "shop", .pod = "web-0", .is_sandbox = true };

	ck_assert_msg(kube_is_called(&k, names[_i].name) == names[_i].called, "%s", names[_i].name);
	ck_assert(!kube_is_called(&sandbox, names[_i].name));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cri");
	TCase *tests = tcase_create("cri");
	SRunner *runner;
	int failed;

	if (geteuid() != 0) {
		fprintf(stderr, "SKIPPED LOUDLY: these tests need root\n");
		return 77;
	}
	tcase_add_test(tests, container_of_a_pod_has_the_names_that_its_engine_gives);
	tcase_add_test(tests, labels_are_the_pods_and_the_images_are_told_apart);
	tcase_add_test(tests, image_is_known_by_index_manifest_and_configuration);
	tcase_add_test(tests, sandbox_matches_nothing_of_its_pod);
	tcase_add_test(tests, container_of_ctr_has_its_own_labels_and_its_images_digest);
	tcase_add_test(tests, no_starter_of_a_container_gives_it_a_pods_namespace);
	tcase_add_test(tests, without_its_image_every_label_may_be_the_images);
	tcase_add_test(tests, metadata_that_is_not_there_or_not_roots_is_said_and_not_believed);
	tcase_add_loop_test(tests, documents_of_an_image_are_taken_only_in_their_form, 0,
	                    (int)ARRAY_LEN(documents));
	tcase_add_test(tests, layers_make_a_chain);
	tcase_add_test(tests,
	               crio_container_has_the_names_of_its_pod_the_pods_labels_and_its_image);
	tcase_add_test(tests, crio_without_the_sandboxs_bundle_says_so);
	tcase_add_loop_test(tests, crio_sandbox_that_claims_to_be_another_is_nobody, 0,
	                    (int)ARRAY_LEN(forged));
	tcase_add_test(tests, crio_sandbox_matches_nothing_of_its_pod);
	tcase_add_loop_test(tests, container_is_called_by_its_name_or_the_end_of_it, 0,
	                    (int)ARRAY_LEN(names));
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
