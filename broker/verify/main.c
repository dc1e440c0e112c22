/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coffer-verify KIND OFFSET LENGTH: looks at a copy of a store, for `coffer backup verify` and
 * `coffer restore`, which start it and pass what it is to look at.
 *
 *	descriptor 3   a regular file; LENGTH bytes of it from OFFSET on are the copy
 *	descriptor 4   a memfd with what an operator holds; not with KIND none
 *	KIND           none, keyfile or passphrase: what is in it
 *
 * A program of its own, so that nothing that was made by others is parsed in a process that serves:
 * a broker is not even needed. Without a key it checks structure and shape; with one it opens every
 * record. Prints one JSON object: {"store_id","epoch","keyed"} and, with a key, {"secrets",
 * "versions"}; or {"code","error"}, the negative errno and a sentence. Exit status 0 or 1.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/keys.h"
#include "vault/vault.h"

enum { FD_FILE = 3, FD_KEY = 4 };

struct job {
	const char *kind;
	uint64_t offset, length;
	unsigned char *bytes; /* the file from its start on, as much as is needed of it */
	struct vault *vault;
	uint64_t versions;
};

/* A private mapping: a file that is cut while it is read ends us, and nobody else. */
static int map_file(struct job *job, struct err *e)
{
	struct stat st;
	void *bytes;

	if (fstat(FD_FILE, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "what is to be checked is no regular file");
	if (job->length == 0 || job->offset > (uint64_t)st.st_size ||
	    job->length > (uint64_t)st.st_size - job->offset)
		return err_set(e, -EBADMSG, "the file is shorter than it has to be");
	bytes = mmap(NULL, job->offset + job->length, PROT_READ, MAP_PRIVATE, FD_FILE, 0);
	if (bytes == MAP_FAILED)
		return err_errno(e, -errno, "cannot map the file");
	job->bytes = bytes;
	return 0;
}

static int slot_key(const struct vault_slot *slot, const struct secret *content,
                    struct secret **ret, struct err *e)
{
	if (slot->kind == VAULT_SLOT_KEYFILE)
		return keys_from_keyfile(content, ret, e);
	return keys_from_passphrase(content, slot->salt, slot->ops, slot->memory, ret, e);
}

static int unseal(struct job *job, struct err *e)
{
	const bool keyfile = strcmp(job->kind, "keyfile") == 0;
	SCOPED(secret_free_ptr) struct secret *content = NULL;
	const struct vault_slot *slots = NULL;
	size_t n = vault_slots(job->vault, &slots);
	int r = secret_from_fd(FD_KEY, KEYS_CONTENT_MAX, &content);

	if (r == -ENOMEM)
		return err_set(e, r, "cannot lock memory for the key: raise the limit (ulimit -l)");
	if (r < 0)
		return err_errno(e, r, "cannot read the key");
	r = err_set(e, -EKEYREJECTED, "no %s opens the store in this backup",
	            keyfile ? "keyfile" : "passphrase");
	for (size_t i = 0; i < n && r == -EKEYREJECTED; i++) {
		SCOPED(secret_free_ptr) struct secret *key = NULL;

		if ((slots[i].kind == VAULT_SLOT_KEYFILE) != keyfile)
			continue;
		r = slot_key(&slots[i], content, &key, e);
		if (r == 0)
			r = vault_unseal(job->vault, slots[i].id, key, 0, false, e);
	}
	return r;
}

static int check(struct job *job, struct err *e)
{
	struct store *store = NULL;
	int r = map_file(job, e);

	if (r == 0)
		r = store_sqlite_open_image(job->bytes + job->offset, job->length, &store, e);
	if (r < 0)
		return r;
	r = store_sqlite_check(store, e);
	if (r < 0) {
		store_close(store);
		return r;
	}
	r = vault_open(store, &job->vault, e);
	if (r == 0 && strcmp(job->kind, "none") != 0) {
		r = unseal(job, e);
		if (r == 0)
			r = vault_check(job->vault, &job->versions, e);
	}
	return r;
}

static json_t *report(struct job *job)
{
	const bool keyed = vault_state(job->vault) == VAULT_UNSEALED;
	uint64_t epoch = 0;
	json_t *object;

	(void)vault_stored_epoch(job->vault, &epoch, NULL);
	object = json_pack("{s:s, s:I, s:b}", "store_id", vault_store_id(job->vault), "epoch",
	                   (json_int_t)epoch, "keyed", keyed);
	if (object && keyed) {
		json_object_set_new(object, "secrets",
		                    json_integer((json_int_t)vault_count(job->vault)));
		json_object_set_new(object, "versions", json_integer((json_int_t)job->versions));
	}
	return object;
}

static int parse(int argc, char **argv, struct job *job)
{
	char *end_offset = NULL, *end_length = NULL;

	if (argc != 4)
		return -EINVAL;
	job->kind = argv[1];
	job->offset = strtoull(argv[2], &end_offset, 10);
	job->length = strtoull(argv[3], &end_length, 10);
	return *end_offset || *end_length ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct rlimit memory;
	struct job job = { 0 };
	struct err e = { 0 };
	json_t *answer;
	char *text;
	int r = secret_process_init(&e);

	if (parse(argc, argv, &job) < 0) {
		fputs("coffer-verify is started by coffer backup verify and coffer restore\n",
		      stderr);
		return 2;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &memory) == 0) {
		memory.rlim_cur = memory.rlim_max;
		(void)setrlimit(RLIMIT_MEMLOCK, &memory);
	}
	if (r == 0)
		r = check(&job, &e);
	answer = r < 0 ? json_pack("{s:i, s:s}", "code", r, "error", e.text) : report(&job);
	vault_free(job.vault);
	text = json_text(answer);
	json_decref(answer);
	if (!text || puts(text) < 0 || fflush(stdout) != 0)
		r = -EIO;
	json_text_free(text);
	return r < 0 ? 1 : 0;
}
