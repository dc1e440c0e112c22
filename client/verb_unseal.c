/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "client.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/keys.h"
#include "coffer/secret.h"
#include "fields.h"
#include "input.h"
#include "output.h"

#define SLOTS_MAX 64 /* above what a store has; a longer list is no answer of a broker */

static int check_options(const struct options *o, struct err *e)
{
	if (options_has(o, "keyfile") && options_has(o, "passphrase-file"))
		return err_set(e, CLIENT_USAGE,
		               "--keyfile and --passphrase-file exclude each other");
	return 0;
}

/* The answer to Status over an open conversation. */
static int fetch_status(struct call *call, json_t **ret, struct err *e)
{
	return call_once(call, &(struct call_request){ .method = "Status" }, ret, e);
}

/* Ask with the key beside the message. The key is consumed. */
static int ask_with_key(struct call *call, const char *method, json_t *parameters,
                        struct secret **key, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;
	SCOPED_FD int fd = secret_to_memfd(*key);
	int r = 0;

	secret_free_ptr(key);
	if (fd < 0) {
		r = fd;
		fd = -1;
		return err_errno(e, r, "cannot pass the key on");
	}
	r = set_number(parameters, "fd", true, 0, e);
	if (r < 0)
		return r;
	return call_once(
		call,
		&(struct call_request){
			.method = method, .parameters = parameters, .fds = &fd, .nfds = 1 },
		&reply, e);
}

static int keyfile_init(const char *path, json_t *parameters, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *content = NULL;
	int r = input_make_keyfile(path, &content, e);

	if (r == -EEXIST)
		r = input_keyfile(path, &content, e);
	if (r == 0)
		r = set_text(parameters, "kind", "keyfile", e);
	return r < 0 ? r : keys_from_keyfile(content, ret, e);
}

static int passphrase_init(const char *path, json_t *parameters, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *passphrase = NULL;
	unsigned char salt[KEYS_SALT_LEN];
	char salt_text[sodium_base64_ENCODED_LEN(KEYS_SALT_LEN, sodium_base64_VARIANT_ORIGINAL)];
	int r = input_passphrase(path, true, &passphrase, e);

	if (r < 0)
		return r;
	randombytes_buf(salt, sizeof(salt));
	sodium_bin2base64(salt_text, sizeof(salt_text), salt, sizeof(salt),
	                  sodium_base64_VARIANT_ORIGINAL);
	r = set_text(parameters, "kind", "passphrase", e);
	if (r == 0)
		r = set_text(parameters, "salt", salt_text, e);
	if (r == 0)
		r = set_number(parameters, "ops", true, KEYS_OPS_DEFAULT, e);
	if (r == 0)
		r = set_number(parameters, "memory", true, KEYS_MEMORY_DEFAULT, e);
	if (r < 0)
		return r;
	return keys_from_passphrase(passphrase, salt, KEYS_OPS_DEFAULT, KEYS_MEMORY_DEFAULT, ret,
	                            e);
}

int verb_init(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *status = NULL;
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	const char *keyfile = options_text(o, "keyfile", 0);
	int r = check_options(o, e);

	if (r == 0)
		r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r == 0)
		r = fetch_status(call, &status, e);
	if (r < 0)
		return r;
	/* Asked before a keyfile is made: one that opens nothing would only mislead. */
	if (strcmp(field_text(status, "state"), "uninitialised") != 0)
		return err_set(e, -EEXIST,
		               "the store is there already: nothing was done; unseal it with "
		               "coffer unseal");
	if (keyfile)
		r = keyfile_init(keyfile, parameters, &key, e);
	else
		r = passphrase_init(options_text(o, "passphrase-file", 0), parameters, &key, e);
	if (r == 0)
		r = ask_with_key(call, "Init", parameters, &key, e);
	return r;
}

/* What the operator has: a keyfile's content, or a passphrase. */
struct held {
	const char *kind; /* of the slots that it may open */
	struct secret *content;
};

static void held_clear(struct held *h)
{
	secret_free(h->content);
}

static int take_held(const struct options *o, struct held *ret, struct err *e)
{
	const char *keyfile = options_text(o, "keyfile", 0);

	ret->kind = keyfile ? "keyfile" : "passphrase";
	if (keyfile)
		return input_keyfile(keyfile, &ret->content, e);
	return input_passphrase(options_text(o, "passphrase-file", 0), false, &ret->content, e);
}

static int slot_key(const json_t *slot, const struct held *held, struct secret **ret, struct err *e)
{
	unsigned char salt[KEYS_SALT_LEN];
	const char *text = NULL;
	int64_t ops = 0, memory = 0;
	size_t len = 0;
	int r = 0;

	if (strcmp(held->kind, "keyfile") == 0)
		return keys_from_keyfile(held->content, ret, e);
	r = json_get_string(slot, "salt", true, &text, e);
	if (r == 0)
		r = json_get_int(slot, "ops", true, 1, KEYS_OPS_MAX, &ops, e);
	if (r == 0)
		r = json_get_int(slot, "memory", true, 1, (int64_t)KEYS_MEMORY_MAX, &memory, e);
	if (r < 0)
		return err_prefix(e, r,
		                  "the broker told of an unseal slot that makes no sense (is it of "
		                  "our version?)");
	if (sodium_base642bin(salt, sizeof(salt), text, strlen(text), NULL, &len, NULL,
	                      sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len != sizeof(salt))
		return err_set(e, -EINVAL,
		               "the broker told of an unseal slot whose salt is none (is it of our "
		               "version?)");
	return keys_from_passphrase(held->content, salt, (uint64_t)ops, (uint64_t)memory, ret, e);
}

static int try_slot(struct call *call, const json_t *slot, const struct held *held, bool accept,
                    struct err *e)
{
	SCOPED(json_ptr) json_t *parameters = json_object();
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	int64_t id = 0;
	int r = json_get_int(slot, "id", true, 0, UINT32_MAX, &id, e);

	if (r == 0)
		r = slot_key(slot, held, &key, e);
	if (r == 0)
		r = set_number(parameters, "slot", true, id, e);
	if (r == 0)
		r = set_true(parameters, "accept_rollback", accept, e);
	return r < 0 ? r : ask_with_key(call, "Unseal", parameters, &key, e);
}

static size_t count_slots(const json_t *slots, const char *kind)
{
	json_t *slot = NULL;
	size_t i = 0, count = 0;

	json_array_foreach (slots, i, slot) {
		count += strcmp(field_text(slot, "kind"), kind) == 0;
	}
	return count;
}

static int try_slots(struct call *call, const json_t *slots, const struct held *held, bool accept,
                     struct err *e)
{
	json_t *slot = NULL;
	size_t i = 0;
	int r = -EKEYREJECTED;

	json_array_foreach (slots, i, slot) {
		if (strcmp(field_text(slot, "kind"), held->kind) != 0)
			continue;
		r = try_slot(call, slot, held, accept, e);
		if (r != -EKEYREJECTED)
			return r;
	}
	return r;
}

/* What can be said before a passphrase is asked for. */
static int check_status(const json_t *status, const char *kind, json_t **ret_slots, struct err *e)
{
	int r = 0;

	if (strcmp(field_text(status, "state"), "uninitialised") == 0)
		return err_set(e, -ENODATA, "there is no store yet: make it with coffer init");
	r = json_get_array(status, "slots", true, SLOTS_MAX, ret_slots, e);
	if (r < 0)
		return r;
	if (count_slots(*ret_slots, kind) == 0)
		return err_set(e, -ENOKEY, "no %s opens this store: use %s", kind,
		               strcmp(kind, "keyfile") == 0 ? "a passphrase (without --keyfile)"
		                                            : "--keyfile");
	return 0;
}

int verb_unseal(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(call_free_ptr) struct call *call = NULL;
	SCOPED(json_ptr) json_t *status = NULL;
	SCOPED(held_clear) struct held held = { 0 };
	json_t *slots = NULL;
	int r = check_options(o, e);

	if (r == 0)
		r = call_open(c->runtime_dir, CALL_TIMEOUT_MS, &call, e);
	if (r == 0)
		r = fetch_status(call, &status, e);
	if (r == 0)
		r = check_status(status, options_has(o, "keyfile") ? "keyfile" : "passphrase",
		                 &slots, e);
	if (r == 0)
		r = take_held(o, &held, e);
	if (r == 0)
		r = try_slots(call, slots, &held, options_has(o, "accept-rollback"), e);
	if (strcmp(field_text(status, "state"), "unsealed") != 0)
		return r;
	if (r == -EKEYREJECTED)
		return err_prefix(e, r, "the store is unsealed already, and stays so");
	if (r == 0)
		output_warning("the store was unsealed already: nothing was done; this %s opens it",
		               held.kind);
	return r;
}

int verb_seal(struct client *c, const struct options *o, struct err *e)
{
	SCOPED(json_ptr) json_t *reply = NULL;

	(void)o;
	return client_call(c, "Seal", NULL, &reply, e);
}
