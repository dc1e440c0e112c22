/* SPDX-License-Identifier: Apache-2.0 */
#include "vault/vault.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/keys.h"
#include "coffer/times.h"
#include "vault/internal.h"

_Static_assert(VAULT_KEY_LEN == SEAL_KEY_LEN, "a slot's key wraps the root key");

void vault_single_key(enum store_class class, unsigned char key[STORE_KEY_LEN])
{
	memset(key, 0, STORE_KEY_LEN);
	key[0] = (unsigned char)class;
}

static int refuse_record(void *arg, const unsigned char key[STORE_KEY_LEN],
                         struct store_bytes value)
{
	return -EEXIST;
}

/* No header: then nothing else may be there either, or `coffer init` would bury what is. */
static int check_empty(struct store *store, struct err *e)
{
	for (unsigned int class = STORE_ROOT; class <= STORE_BODY; class ++) {
		int r = store->backend->scan(store, class, refuse_record, NULL, e);

		if (r == -EEXIST)
			return err_set(e, -EBADMSG,
			               "the store is damaged: it has records but no header; "
			               "restore a backup");
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_header(struct vault *v, struct err *e)
{
	SCOPED(free_ptr) void *bytes = NULL;
	unsigned char key[STORE_KEY_LEN];
	size_t len = 0;
	int r;

	vault_single_key(STORE_HEADER, key);
	r = v->store->backend->get(v->store, key, &bytes, &len, e);
	if (r < 0)
		return r;
	if (r == 0)
		return check_empty(v->store, e);
	r = header_parse(bytes, len, &v->header, e);
	if (r < 0)
		return r;
	seal_hash(SEAL_DOMAIN_HEADER, (struct store_bytes){ bytes, len }, v->header_hash);
	v->state = VAULT_SEALED;
	return 0;
}

int vault_open(struct store *store, struct vault **ret, struct err *e)
{
	struct vault *v = calloc(1, sizeof(*v));
	int r;

	if (!v) {
		store_close(store);
		return err_set(e, -ENOMEM, "cannot open the store: out of memory");
	}
	v->store = store;
	v->state = VAULT_UNINITIALISED;
	r = read_header(v, e);
	if (r < 0) {
		vault_free(v);
		return r;
	}
	*ret = v;
	return 0;
}

/* Forget everything that a key opened. */
static void drop_contents(struct vault *v)
{
	secret_free(v->keys);
	v->keys = NULL;
	merkle_free(v->tree);
	v->tree = NULL;
	index_clear(&v->secrets);
	index_clear(&v->docs);
	meta_clear(&v->last_read);
	v->root = (struct root){ 0 };
	v->live = 0;
	if (v->state == VAULT_UNSEALED)
		v->state = VAULT_SEALED;
}

void vault_seal(struct vault *v)
{
	drop_contents(v);
}

void vault_free(struct vault *v)
{
	if (!v)
		return;
	drop_contents(v);
	store_close(v->store);
	free(v);
}

enum vault_state vault_state(const struct vault *v)
{
	return v->state;
}

const char *vault_store_id(const struct vault *v)
{
	return v->header.store_id_text;
}

size_t vault_slots(const struct vault *v, const struct vault_slot **ret)
{
	*ret = v->header.slot;
	return v->header.slots;
}

uint64_t vault_epoch(const struct vault *v)
{
	return v->root.epoch;
}

uint64_t vault_count(const struct vault *v)
{
	return v->live;
}

int64_t vault_now(const struct vault *v)
{
	int64_t now = times_now();

	if (now < v->root.time_ns)
		now = v->root.time_ns;
	if (v->state == VAULT_UNSEALED) {
		int64_t running = v->clock_base + (times_boottime() - v->clock_boot);

		if (now < running)
			now = running;
	}
	return now;
}

static void start_clock(struct vault *v)
{
	v->clock_base = vault_now(v);
	v->clock_boot = times_boottime();
}

struct secret *vault_audit_seed(const struct vault *v)
{
	return v->state == VAULT_UNSEALED ? secret_copy(seal_keys(v->keys)->audit, SEAL_KEY_LEN)
	                                  : NULL;
}

int vault_keyfile_key(const struct secret *content, struct secret **ret, struct err *e)
{
	return keys_from_keyfile(content, ret, e);
}

/* Fill the next slot of `h` and wrap the root key for it. */
static int add_slot(struct header *h, struct vault_slot *slot, const struct secret *key,
                    const unsigned char root[SEAL_KEY_LEN], struct err *e)
{
	SCOPED(encoder_clear) struct encoder bound = { 0 };
	struct vault_slot made = *slot;
	int r;

	if (key->len != VAULT_KEY_LEN)
		return err_set(e, -EINVAL, "the key of a slot has %d bytes, not %zu", VAULT_KEY_LEN,
		               key->len);
	if (h->slots == VAULT_SLOTS_MAX)
		return err_set(e, -ENOSPC,
		               "the store has %d unseal slots already; no more are possible",
		               VAULT_SLOTS_MAX);
	made.id = 1;
	for (size_t i = 0; i < h->slots; i++)
		if (h->slot[i].id >= made.id)
			made.id = h->slot[i].id + 1;
	if (made.kind ==
	    VAULT_SLOT_KEYFILE) { /* what it doesn't need isn't stored, so can't be bound */
		memset(made.salt, 0, sizeof(made.salt));
		made.ops = made.memory = 0;
	}
	r = made.id ? header_check_slot(&made, e)
	            : err_set(e, -ENOSPC, "the numbers of unseal slots are used up");
	if (r < 0)
		return r;
	header_bind_slot(h, &made, &bound);
	r = bound.failed ? -ENOMEM
	                 : seal_root_key(key, (struct store_bytes){ bound.bytes, bound.len }, root,
	                                 h->wrapped[h->slots]);
	if (r < 0)
		return err_set(e, r, "cannot make the unseal slot: out of memory");
	h->slot[h->slots++] = made;
	*slot = made;
	return 0;
}

/* Write header and root record in one transaction; the vault has keys and tree already. */
static int write_header(struct vault *v, const struct header *h, struct err *e)
{
	SCOPED(json_text_ptr) char *text = header_text(h);
	SCOPED(change_end) struct change change = { 0 };
	int r;

	if (!text)
		return err_set(e, -ENOMEM, "cannot write the store's header: out of memory");
	r = change_begin(v, 0, &change, e);
	if (r == 0)
		r = change_header(&change, text, e);
	if (r == 0)
		r = change_commit(&change, e);
	if (r == 0)
		v->header = *h;
	return r;
}

int vault_init(struct vault *v, struct vault_slot *slot, const struct secret *key, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *root = NULL;
	struct vault_slot made = *slot;
	struct header h = { 0 };
	int r;

	if (v->state != VAULT_UNINITIALISED)
		return err_set(e, -EEXIST, "the store exists already (id %s)",
		               v->header.store_id_text);
	root = secret_new(SEAL_KEY_LEN);
	if (!root)
		return err_set(e, -ENOMEM,
		               "cannot make the store: out of locked memory; raise RLIMIT_MEMLOCK "
		               "(ulimit -l)");
	randombytes_buf(root->bytes, root->len);
	randombytes_buf(h.store_id, sizeof(h.store_id));
	sodium_bin2hex(h.store_id_text, sizeof(h.store_id_text), h.store_id, sizeof(h.store_id));
	r = add_slot(&h, &made, key, root->bytes, e);
	if (r < 0)
		return r;
	r = seal_keys_derive(root, h.store_id, &v->keys);
	v->tree = merkle_new();
	if (r < 0 || !v->tree)
		r = err_set(e, -ENOMEM, "cannot make the store: out of memory");
	if (r == 0)
		r = write_header(v, &h, e);
	if (r < 0) {
		drop_contents(v);
		return r;
	}
	start_clock(v);
	v->state = VAULT_UNSEALED;
	*slot = made;
	return 0;
}

int vault_add_slot(struct vault *v, struct vault_slot *slot, const struct secret *key,
                   struct err *e)
{
	struct vault_slot made = *slot;
	struct header h = v->header;
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = add_slot(&h, &made, key, seal_keys(v->keys)->root, e);
	if (r == 0)
		r = write_header(v, &h, e);
	if (r == 0)
		*slot = made;
	return r;
}

int vault_mark_time(struct vault *v, struct err *e)
{
	SCOPED(change_end) struct change change = { 0 };
	int r = vault_need_unsealed(v, e);

	if (r == 0)
		r = change_begin(v, 0, &change, e);
	if (r == 0)
		r = change_commit(&change, e);
	return r;
}

static int no_memory_to_unseal(int r, struct err *e)
{
	return err_set(e, r,
	               "cannot unseal: out of locked memory; raise RLIMIT_MEMLOCK (ulimit -l)");
}

static int open_root_key(const struct vault *v, uint32_t id, const struct secret *key,
                         struct secret **ret, struct err *e)
{
	SCOPED(encoder_clear) struct encoder bound = { 0 };
	const struct header *h = &v->header;
	size_t i = 0;
	int r;

	while (i < h->slots && h->slot[i].id != id)
		i++;
	if (i == h->slots)
		return err_set(
			e, -ENOENT,
			"the store has no unseal slot %" PRIu32 "; `coffer status` shows them", id);
	header_bind_slot(h, &h->slot[i], &bound);
	r = bound.failed ? -ENOMEM
	                 : seal_root_key_open(key, (struct store_bytes){ bound.bytes, bound.len },
	                                      h->wrapped[i], ret);
	if (r == -EKEYREJECTED)
		return err_set(
			e, r,
			"the key does not open slot %" PRIu32 ": wrong %s, or the slot was damaged",
			id, h->slot[i].kind == VAULT_SLOT_PASSPHRASE ? "passphrase" : "keyfile");
	return r < 0 ? no_memory_to_unseal(r, e) : 0;
}

int vault_check_key(const struct vault *v, uint32_t slot, const struct secret *key, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *root = NULL;

	return open_root_key(v, slot, key, &root, e);
}

static int open_slot(struct vault *v, uint32_t id, const struct secret *key, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *root = NULL;
	int r = open_root_key(v, id, key, &root, e);

	if (r < 0)
		return r;
	r = seal_keys_derive(root, v->header.store_id, &v->keys);
	return r < 0 ? no_memory_to_unseal(r, e) : 0;
}

static int read_root(struct vault *v, struct err *e)
{
	SCOPED(free_ptr) void *bytes = NULL;
	unsigned char key[STORE_KEY_LEN];
	size_t len = 0;
	int r;

	vault_single_key(STORE_ROOT, key);
	r = v->store->backend->get(v->store, key, &bytes, &len, e);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(
			e, -EBADMSG,
			"the store is damaged: its root record is missing; restore a backup");
	if (root_decode(seal_keys(v->keys), (struct store_bytes){ bytes, len }, &v->root) < 0)
		return err_set(
			e, -EBADMSG,
			"the store is damaged: its root record was changed; restore a backup");
	if (sodium_memcmp(v->root.header, v->header_hash, SEAL_HASH_LEN) != 0)
		return err_set(e, -EBADMSG,
		               "the store is damaged: its header was changed; restore a backup");
	memcpy(v->root_bytes, bytes, ROOT_LEN);
	return 0;
}

/* The new epoch stands above the log's head, so that the copy given up here can't be put back
 * unseen either. */
static int accept_older(struct vault *v, uint64_t epoch_floor, struct err *e)
{
	SCOPED(change_end) struct change change = { 0 };
	int r = change_begin(v, 0, &change, e);

	change.epoch_floor = epoch_floor;
	if (r == 0)
		r = change_commit(&change, e);
	return r;
}

static int unseal(struct vault *v, uint32_t slot, const struct secret *key, uint64_t epoch_floor,
                  bool accept_rollback, struct err *e)
{
	int r = open_slot(v, slot, key, e);

	if (r == 0)
		r = read_root(v, e);
	if (r < 0)
		return r;
	if (v->root.epoch < epoch_floor && !accept_rollback)
		return err_set(e, -ESTALE,
		               "the store was set back: it is at change %" PRIu64
		               ", the audit log has seen change %" PRIu64
		               "; if you restored a backup, use `coffer unseal --accept-rollback`",
		               v->root.epoch, epoch_floor);
	v->tree = merkle_new();
	if (!v->tree)
		return err_set(e, -ENOMEM, "cannot unseal: out of memory");
	r = vault_load(v, e);
	if (r == 0 && v->root.epoch < epoch_floor)
		r = accept_older(v, epoch_floor, e);
	return r;
}

int vault_unseal(struct vault *v, uint32_t slot, const struct secret *key, uint64_t epoch_floor,
                 bool accept_rollback, struct err *e)
{
	int r;

	if (v->state == VAULT_UNSEALED)
		return err_set(e, -EALREADY, "the store is unsealed already");
	if (v->state == VAULT_UNINITIALISED)
		return vault_need_unsealed(v, e);
	r = unseal(v, slot, key, epoch_floor, accept_rollback, e);
	if (r < 0) {
		drop_contents(v);
		return r;
	}
	start_clock(v);
	v->state = VAULT_UNSEALED;
	return 0;
}
