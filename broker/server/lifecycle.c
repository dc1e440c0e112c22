/* SPDX-License-Identifier: Apache-2.0 */
#include "server/lifecycle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/log.h"
#include "flow/containers.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/feed.h"
#include "server/ready.h"

#define KEYFILE_MAX 4096 /* as vault_keyfile_key allows */

/* Adds `event` with who and `more` (both taken over, NULL is fine) and writes it out. */
static int record(struct broker *b, const char *event, json_t *who, json_t *more)
{
	int r;

	if (!who)
		who = json_object();
	if (more)
		json_object_update(who, more);
	json_decref(more);
	r = audit_add(b->audit, event, who);
	return r < 0 ? r : audit_pump_flush(b->audit_pump, NULL);
}

/* Replaces the grants by an empty list. What containers hold of them is text of their own. */
static int clear_grants(struct broker *b)
{
	struct policy *empty = policy_new();

	if (!empty)
		return -ENOMEM;
	policy_free(b->policy);
	b->policy = empty;
	return 0;
}

/* One grant that does not read is left out, and said: nobody gets anything by it, all others go on.
 */
static int load_grant(void *arg, const char *id, const void *bytes, size_t len)
{
	struct broker *b = arg;
	SCOPED(json_ptr) json_t *object = NULL;
	struct grant *g = NULL;
	struct err why = { 0 };
	int r = json_parse(bytes, len, &object, &why);

	if (r == 0)
		r = grant_from_json(object, &g, &why);
	if (r == 0)
		r = policy_add(b->policy, g, &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		log_error("grant %s of the store cannot be used: %s", id, why.text);
	return 0;
}

static int load_grants(struct broker *b, struct err *e)
{
	int r = clear_grants(b);

	if (r < 0)
		return err_set(e, r, "out of memory for the grants");
	return vault_doc_each(b->vault, "grant", load_grant, b, e);
}

/* The vault is open: from here on heads are signed and containers are served. */
static int opened(struct broker *b, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *seed = vault_audit_seed(b->vault);
	int r;

	if (!seed)
		return err_set(e, -ENOMEM, "no (locked) memory for the key of the audit log");
	r = audit_set_key(b->audit, seed, e);
	if (r < 0)
		return r;
	audit_set_epoch(b->audit, vault_epoch(b->vault));
	return load_grants(b, e);
}

static void close_again(struct broker *b)
{
	(void)audit_set_key(b->audit, NULL, NULL);
	(void)clear_grants(b);
	vault_seal(b->vault);
}

static void bring_up(struct broker *b)
{
	int r = containers_refresh(b->containers, NULL, NULL);

	if (r < 0)
		log_error("the containers could not be brought up to date (error %d); attach them "
		          "with coffer attach",
		          -r);
	containers_take_pending(b->containers);
	ready_announce(b);
}

int lifecycle_unseal(struct broker *b, uint32_t slot, const struct secret *key,
                     bool accept_rollback, json_t *who, struct err *e)
{
	bool open = vault_state(b->vault) == VAULT_UNSEALED;
	int r;

	if (open)
		r = vault_check_key(b->vault, slot, key, e);
	else
		r = vault_unseal(b->vault, slot, key, audit_epoch(b->audit), accept_rollback, e);
	if (r == 0 && open) {
		json_decref(who);
		return 0;
	}
	if (r == 0) {
		r = opened(b, e);
		if (r < 0)
			close_again(b);
	}
	if (r < 0) {
		/* The reason is not part of the record's promise, the number of the slot and the
		 * fact are. */
		(void)record(
			b, "unseal.failed", who,
			json_pack("{s:I, s:I}", "slot", (json_int_t)slot, "error", (json_int_t)r));
		return r;
	}
	/*
	 * A record that cannot be written now waits in memory, and the pump says so: not to serve
	 * running containers because a disk is full would be worse.
	 */
	(void)record(b, "unseal", who,
	             json_pack("{s:I, s:I, s:b}", "slot", (json_int_t)slot, "epoch",
	                       (json_int_t)vault_epoch(b->vault), "accept_rollback",
	                       accept_rollback));
	bring_up(b);
	return 0;
}

int lifecycle_init(struct broker *b, struct vault_slot *slot, const struct secret *key, json_t *who,
                   struct err *e)
{
	int r = vault_init(b->vault, slot, key, e);

	if (r == 0) {
		r = opened(b, e);
		if (r < 0)
			close_again(b);
	}
	if (r < 0) {
		json_decref(who);
		return r;
	}
	r = record(b, "init", who,
	           json_pack("{s:s, s:I, s:s}", "store", vault_store_id(b->vault), "slot",
	                     (json_int_t)slot->id, "kind",
	                     slot->kind == VAULT_SLOT_KEYFILE ? "keyfile" : "passphrase"));
	if (r < 0)
		log_error("the store was made, but its audit record waits in memory (error %d)",
		          -r);
	bring_up(b);
	return 0;
}

int lifecycle_seal(struct broker *b, json_t *who, struct err *e)
{
	int r;

	if (vault_state(b->vault) != VAULT_UNSEALED) {
		json_decref(who);
		return vault_state(b->vault) == VAULT_SEALED
		               ? 0
		               : err_set(e, -ENOKEY, "there is no store yet; run coffer init");
	}
	/* Taken before the keys go, so that the head behind this record is signed. */
	containers_drain(b->containers);
	(void)record(b, "seal", who, json_pack("{s:b}", "stops", b->config->seal_stops));
	close_again(b);
	feed_sealed(b->feed);
	if (b->config->seal_stops)
		containers_stop_all(b->containers);
	r = containers_refresh(b->containers, NULL, NULL);
	if (r < 0)
		log_error("the containers could not be told of the seal (error %d)", -r);
	ready_announce(b);
	return 0;
}

/* The content of F; -ENOENT without F. */
static int read_keyfile(const char *path, struct secret **ret, struct err *e)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the keyfile %s", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the keyfile %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the keyfile %s is not a regular file", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		log_warn("the keyfile %s is open to more than its owner; set its mode to 0400",
		         path);
	r = secret_from_fd(fd, KEYFILE_MAX, ret);
	return r < 0 ? err_errno(e, r, "cannot read the keyfile %s", path) : 0;
}

int lifecycle_unseal_keyfile(struct broker *b, const char *path, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *content = NULL;
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	const struct vault_slot *slots = NULL;
	size_t n = vault_slots(b->vault, &slots);
	int r = read_keyfile(path, &content, e);

	if (r == 0)
		r = vault_keyfile_key(content, &key, e);
	if (r < 0)
		return r;
	r = err_set(e, -EKEYREJECTED, "the store has no slot that a keyfile opens");
	for (size_t i = 0; i < n && r == -EKEYREJECTED; i++)
		if (slots[i].kind == VAULT_SLOT_KEYFILE)
			r = lifecycle_unseal(b, slots[i].id, key, false,
			                     json_pack("{s:s}", "by", "keyfile"), e);
	return r < 0 ? err_prefix(e, r, "the keyfile %s", path) : 0;
}

int lifecycle_may_change(struct broker *b, struct err *e)
{
	int r = vault_need_unsealed(b->vault, e);

	if (r < 0 || !audit_pump_trouble(b->audit_pump))
		return r;
	/* It may be over by now. */
	r = audit_pump_flush(b->audit_pump, e);
	if (r < 0)
		return err_prefix(e, -ENOSPC,
		                  "nothing is changed while the audit log cannot be written");
	return 0;
}
