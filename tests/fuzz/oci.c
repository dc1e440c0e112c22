/* SPDX-License-Identifier: Apache-2.0 */
/* oci_state_parse, oci_status_parse and oci_config_parse: within their limits, whatever a bundle holds. */
#include "attach/oci.h"

#include "fuzz.h"

static void state(const char *text, size_t len)
{
	struct oci_state s = { .pid = -7 };
	struct err e = { 0 };
	int r = oci_state_parse(text, len, &s, &e);

	if (r < 0) {
		MUST(s.pid == -7 && !s.id && !s.bundle);
		fuzz_refused(r, &e);
		return;
	}
	MUST(oci_id_ok(s.id) && !strchr(s.id, '/') && s.id[0] && strlen(s.id) <= OCI_ID_MAX);
	MUST(strcmp(s.id, ".") != 0 && strcmp(s.id, "..") != 0 && fuzz_printable(s.id));
	MUST(s.bundle[0] == '/' && strlen(s.bundle) < ATTACH_TEXT_MAX);
	MUST(s.pid > 1 && s.start > 0 && s.start <= INT64_MAX);
	oci_state_clear(&s);
}

static void status(const char *text, size_t len)
{
	struct oci_state s = { .pid = -7 };
	struct err e = { 0 };
	int r = oci_status_parse(text, len, "id", &s, &e);

	if (r < 0) {
		MUST(s.pid == -7 && !s.id && !s.bundle);
		fuzz_refused(r, &e);
		return;
	}
	MUST(strcmp(s.id, "id") == 0 && s.bundle[0] == '/' && strlen(s.bundle) < ATTACH_TEXT_MAX);
	MUST(s.pid > 1 && s.start > 0 && s.start <= INT64_MAX);
	oci_state_clear(&s);
}

static void config(const char *text, size_t len)
{
	struct oci_config c = { .uid = 7 };
	struct err e = { 0 };
	int r = oci_config_parse(text, len, &c, &e);

	if (r < 0) {
		MUST(c.uid == 7 && !c.root && !c.annotation);
		fuzz_refused(r, &e);
		return;
	}
	MUST(*c.root && strlen(c.root) < ATTACH_TEXT_MAX);
	MUST(strlen(c.mount_label) < OCI_ATTRIBUTE_MAX);
	MUST(c.uid < UINT32_MAX && c.gid < UINT32_MAX && c.annotations <= ATTACH_ATTRIBUTES_MAX);
	for (size_t i = 0; i < c.annotations; i++) {
		MUST(strlen(c.annotation[i].key) <= OCI_ATTRIBUTE_MAX);
		MUST(strlen(c.annotation[i].value) <= OCI_ATTRIBUTE_MAX);
		/* A key is there once, so the answer is this very entry. */
		MUST(oci_annotation(&c, c.annotation[i].key) == c.annotation[i].value);
	}
	oci_config_clear(&c);
	MUST(!c.root && c.annotations == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	state((const char *)data, size);
	status((const char *)data, size);
	config((const char *)data, size);
	return 0;
}
