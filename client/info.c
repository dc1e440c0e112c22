/* SPDX-License-Identifier: Apache-2.0 */
#include "info.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cert.h"
#include "cert_pair.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/name.h"
#include "fields.h"
#include "value.h"

int info_fetch(const struct client *c, const char *name, json_t **ret, struct err *e)
{
	json_t *parameters = json_object();
	int r = set_text(parameters, "name", name, e);

	if (r < 0) {
		json_decref(parameters);
		return r;
	}
	return client_call(c, "Info", parameters, ret, e);
}

int info_read(const struct client *c, const char *name, struct cert_file **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *value = NULL;
	int r = value_get(c, name, 0, &value, e);

	if (r < 0)
		return r;
	r = cert_file_read(value->bytes, value->len, ret);
	return r < 0 ? err_errno(e, r, "cannot look at the value of %s", name) : 0;
}

int info_beside(const struct client *c, const char *name, const char *flag, json_t **ret_answer,
                const char ***ret, size_t *ret_count, struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	char folder[NAME_LEN_MAX + 1];
	json_t *row = NULL;
	const char **names = NULL;
	size_t i = 0, count = 0;
	int r = set_text(parameters, "prefix", cert_pair_folder(name, folder, sizeof(folder)), e);

	if (r == 0)
		r = client_collect(c, "List", parameters, "secrets", ret_answer, e);
	if (r < 0)
		return r;
	/* one more, for a name that the caller knows of */
	names = calloc(json_array_size(json_object_get(*ret_answer, "secrets")) + 1,
	               sizeof(*names));
	if (!names)
		return err_errno(e, -ENOMEM, "cannot look for what lies beside %s", name);
	json_array_foreach (json_object_get(*ret_answer, "secrets"), i, row) {
		if (field_true(row, flag) && !field_true(row, "expired"))
			names[count++] = field_text(row, "name");
	}
	*ret = names;
	*ret_count = count;
	return 0;
}

/* {"name", "fits"}; `fits` is null where that cannot be told, and `reason` says why. */
static json_t *key_json(const char *name, int fits, const char *reason)
{
	return json_pack("{s:s*, s:o, s:s*}", "name", name, "fits",
	                 fits < 0 ? json_null() : json_boolean(fits), "reason", reason);
}

static json_t *compare(const struct cert_file *f, const struct cert_file *key, const char *name)
{
	static const char *const reasons[] = {
		[CERT_KEY_NONE] = "there is no private key in it",
		[CERT_KEY_READ] = "its kind cannot be compared",
		[CERT_KEY_ENCRYPTED] = "it is encrypted",
		[CERT_KEY_UNREAD] = "it cannot be read",
	};
	int fits = cert_file_fits(f, key);

	return key_json(name, fits, fits < 0 ? reasons[cert_file_key(key)] : NULL);
}

static int compare_named(const struct client *c, const struct cert_file *f, const char *key,
                         json_t **ret, struct err *e)
{
	SCOPED(cert_file_free_ptr) struct cert_file *file = NULL;
	int r = info_read(c, key, &file, e);

	if (r == 0)
		*ret = compare(f, file, key);
	return r;
}

/* The key in the value itself, or the one beside it that names say belongs to it. */
static int compare_found(const struct client *c, const struct cert_file *f, const char *name,
                         json_t **ret, struct err *e)
{
	SCOPED(json_ptr) json_t *answer = NULL;
	SCOPED(free_ptr) const char **keys = NULL;
	size_t count = 0;
	int chosen = 0, r = 0;

	if (cert_file_key(f) != CERT_KEY_NONE) {
		*ret = compare(f, f, name);
		return 0;
	}
	if (!cert_file_wants_key(f)) {
		*ret = key_json(NULL, -1, "an authority's certificate: none is looked for");
		return 0;
	}
	r = info_beside(c, name, "private_key", &answer, &keys, &count, e);
	if (r < 0)
		return r;
	chosen = cert_pair_choose(name, keys, count);
	if (chosen >= 0) {
		/* What keeps the key from being looked at is no reason to say nothing at all. */
		if (compare_named(c, f, keys[chosen], ret, e) < 0)
			*ret = key_json(keys[chosen], -1, e->text);
		return 0;
	}
	*ret = key_json(NULL, -1,
	                chosen == CERT_PAIR_SEVERAL ? "several beside it: say which with --key NAME"
	                                            : "none beside it: say which with --key NAME");
	return 0;
}

static void add_warning(void *arg, const char *sentence)
{
	json_array_append_new(arg, json_string(sentence));
}

int info_certificate(const struct client *c, const char *name, const char *key, json_t **ret,
                     struct err *e)
{
	SCOPED(cert_file_free_ptr) struct cert_file *f = NULL;
	json_t *compared = NULL, *warnings = NULL;
	int64_t now_s = time(NULL);
	int r = info_read(c, name, &f, e);

	if (r < 0)
		return r;
	if (cert_file_count(f) == 0)
		return err_set(e, -ENODATA, "there is no certificate in %s that can be read", name);
	r = key ? compare_named(c, f, key, &compared, e) : compare_found(c, f, name, &compared, e);
	if (r < 0)
		return r;
	warnings = json_array();
	cert_file_warn(f, now_s, add_warning, warnings);
	*ret = json_pack("{s:o, s:s, s:o, s:o}", "certificates", cert_file_describe(f, now_s),
	                 "chain", cert_chain_text(cert_file_chain(f)), "key", compared, "warnings",
	                 warnings);
	return *ret ? 0 : err_errno(e, -ENOMEM, "cannot describe the certificate");
}
