/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as a whole: its state, its slots, open and shut.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/version.h"
#include "flow/containers.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/lifecycle.h"
#include "server/methods.h"
#include "server/value.h"

static const char *const kinds[] = {
	[VAULT_SLOT_KEYFILE] = "keyfile", [VAULT_SLOT_PASSPHRASE] = "passphrase"
};
static const char *const states[] = { [VAULT_UNINITIALISED] = "uninitialised",
	                              [VAULT_SEALED] = "sealed",
	                              [VAULT_UNSEALED] = "unsealed" };

static json_t *slot_json(const struct vault_slot *slot)
{
	struct secret salt = { (unsigned char *)(uintptr_t)slot->salt, VAULT_SALT_LEN };
	SCOPED(secret_free_ptr) struct secret *text = NULL;
	json_t *object =
		json_pack("{s:I, s:s}", "id", (json_int_t)slot->id, "kind", kinds[slot->kind]);

	if (slot->kind != VAULT_SLOT_PASSPHRASE || secret_to_base64(&salt, &text) < 0)
		return object;
	json_object_set_new(object, "salt", json_stringn((const char *)text->bytes, text->len));
	json_object_set_new(object, "ops", json_integer((json_int_t)slot->ops));
	json_object_set_new(object, "memory", json_integer((json_int_t)slot->memory));
	return object;
}

static json_t *slots_json(struct broker *b)
{
	const struct vault_slot *slots = NULL;
	size_t n = vault_slots(b->vault, &slots);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, slot_json(&slots[i]));
	return list;
}

static void warn(json_t *list, const char *text)
{
	struct err line;

	/* Paths in it may be no UTF-8. */
	err_set(&line, 0, "%s", text);
	for (char *c = line.text; *c; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	json_array_append_new(list, json_string(line.text));
}

static json_t *warnings_json(struct broker *b)
{
	const char *trouble = audit_pump_trouble(b->audit_pump);
	json_t *list = json_array();
	struct err text;

	if (trouble) {
		err_set(&text, 0, "the audit log cannot be written, so nothing can be changed: %s",
		        trouble);
		warn(list, text.text);
	}
	if (b->config->keyfile && vault_state(b->vault) == VAULT_SEALED) {
		err_set(&text, 0, "the keyfile %s did not unseal the store (see the broker's log)",
		        b->config->keyfile);
		warn(list, text.text);
	}
	return list;
}

/* Where a client may look for containers that the broker has not been told of. */
static json_t *roots_json(struct broker *b)
{
	json_t *list = json_array();

	for (size_t i = 0; i < CONFIG_ROOTS_MAX && b->config->runc_roots[i]; i++)
		json_array_append_new(list, json_string(b->config->runc_roots[i]));
	return list;
}

int method_status(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	enum vault_state state = vault_state(b->vault);
	json_t *reply = json_pack("{s:s, s:s, s:o, s:I, s:s, s:s, s:I, s:o}", "state",
	                          states[state], "version", COFFER_VERSION, "slots", slots_json(b),
	                          "attachments", (json_int_t)containers_count(b->containers),
	                          "state_dir", b->config->state_dir, "runtime_dir",
	                          b->config->runtime_dir, "audit_lines",
	                          (json_int_t)audit_lines(b->audit), "warnings", warnings_json(b));

	if (!reply)
		return err_set(e, -ENOMEM, "out of memory");
	json_object_set_new(reply, "pid", json_integer(getpid()));
	json_object_set_new(reply, "runc_roots", roots_json(b));
	if (state != VAULT_UNINITIALISED)
		json_object_set_new(reply, "store_id", json_string(vault_store_id(b->vault)));
	if (state == VAULT_UNSEALED) {
		json_object_set_new(reply, "secrets",
		                    json_integer((json_int_t)vault_count(b->vault)));
		json_object_set_new(reply, "grants",
		                    json_integer((json_int_t)policy_count(b->policy)));
		json_object_set_new(reply, "epoch",
		                    json_integer((json_int_t)vault_epoch(b->vault)));
	}
	return call_reply(call, reply);
}

static int read_key(struct call *call, const json_t *parameters, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	int r = value_read(call, parameters, "key", VAULT_KEY_LEN, &key, e);

	if (r < 0)
		return r;
	if (key->len != VAULT_KEY_LEN)
		return err_set(e, -EINVAL, "a key has %d bytes, this one has %zu", VAULT_KEY_LEN,
		               key->len);
	*ret = TAKE_PTR(key);
	return 0;
}

/* What Argon2id is to take, within the caps that every reader of the slot will apply. */
static int read_passphrase(const json_t *parameters, struct vault_slot *slot, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *salt = NULL;
	const char *text = NULL;
	int64_t ops = 0, memory = 0;
	int r = json_get_string(parameters, "salt", true, &text, e);

	if (r == 0)
		r = json_get_int(parameters, "ops", true, 1, VAULT_ARGON_OPS_MAX, &ops, e);
	if (r == 0)
		r = json_get_int(parameters, "memory", true, 8192, (int64_t)VAULT_ARGON_MEMORY_MAX,
		                 &memory, e);
	if (r == 0 && (strlen(text) > 64 || secret_from_base64(text, strlen(text), &salt) < 0 ||
	               salt->len != VAULT_SALT_LEN))
		r = err_set(e, -EINVAL, "\"salt\" must be %d bytes in base64", VAULT_SALT_LEN);
	if (r < 0 || !salt)
		return r;
	memcpy(slot->salt, salt->bytes, VAULT_SALT_LEN);
	slot->ops = (uint64_t)ops;
	slot->memory = (uint64_t)memory;
	return 0;
}

static int read_slot(const json_t *parameters, struct vault_slot *slot, struct err *e)
{
	const char *kind = NULL;
	int r = json_get_string(parameters, "kind", true, &kind, e);

	if (r < 0)
		return r;
	for (size_t i = VAULT_SLOT_KEYFILE; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			slot->kind = (enum vault_slot_kind)i;
	if (!slot->kind)
		return err_set(e, -EINVAL, "\"kind\" must be keyfile or passphrase");
	return slot->kind == VAULT_SLOT_PASSPHRASE ? read_passphrase(parameters, slot, e) : 0;
}

static json_t *describe(const struct call *call)
{
	json_t *who = json_object();

	call_describe(call, who);
	return who;
}

int method_init(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	struct vault_slot slot = { 0 };
	int r;

	if (vault_state(b->vault) != VAULT_UNINITIALISED) {
		call_about(call, b->config->state_dir);
		return err_set(e, -EEXIST, "there is a store in %s already", b->config->state_dir);
	}
	r = read_slot(parameters, &slot, e);
	if (r == 0)
		r = read_key(call, parameters, &key, e);
	if (r == 0)
		r = lifecycle_init(b, &slot, key, describe(call), e);
	if (r < 0)
		return r;
	return call_reply(call, json_pack("{s:s}", "store_id", vault_store_id(b->vault)));
}

int method_unseal(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	bool accept_rollback = false;
	int64_t slot = 0;
	int r = json_get_int(parameters, "slot", true, 0, UINT32_MAX, &slot, e);

	if (r == 0)
		r = json_get_bool(parameters, "accept_rollback", false, &accept_rollback, e);
	if (r == 0)
		r = read_key(call, parameters, &key, e);
	if (r < 0)
		return r;
	if (vault_state(b->vault) == VAULT_UNINITIALISED)
		return err_set(e, -ENOKEY, "there is no store yet; run coffer init");
	r = lifecycle_unseal(b, (uint32_t)slot, key, accept_rollback, describe(call), e);
	if (r < 0)
		return r;
	return call_reply(call, json_pack("{s:I}", "epoch", (json_int_t)vault_epoch(b->vault)));
}

int method_seal(struct broker *b, struct call *call, json_t *parameters, struct err *e)
{
	int r = lifecycle_seal(b, describe(call), e);

	return r < 0 ? r : call_reply(call, NULL);
}
