/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/state.h"
#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/json.h"
#include "coffer/times.h"

#define AUDIT_FOLDER "audit"

static void close_ptr(struct audit **a)
{
	if (!*a)
		return;
	fd_close((*a)->files.fd);
	fd_close((*a)->dir);
	secret_free((*a)->key);
	free((*a)->lines);
	free(*a);
	*a = NULL;
}

/* The folder, locked: two brokers on one log would break its chain. Descriptor or -errno. */
static int open_folder(int state_dirfd, struct err *e)
{
	SCOPED_FD int fd = -1;
	bool made = mkdirat(state_dirfd, AUDIT_FOLDER, 0700) == 0;

	if (!made && errno != EEXIST)
		return err_errno(e, -errno, "cannot make the folder of the audit log");
	fd = openat(state_dirfd, AUDIT_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open the folder of the audit log");
	if (made && fsync(state_dirfd) < 0)
		return err_errno(e, -errno, "cannot sync the folder above the audit log");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return err_errno(e, -errno, "another cofferd writes this audit log");
	return TAKE_FD(fd);
}

int audit_open(int state_dirfd, struct audit **ret, struct err *e)
{
	SCOPED(close_ptr) struct audit *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return err_set(e, -ENOMEM, "out of memory for the audit log");
	a->dir = a->files.fd = -1;
	audit_set_limits(a, AUDIT_FILE_MAX, AUDIT_FILES_MAX, AUDIT_BACKLOG_MAX);
	r = open_folder(state_dirfd, e);
	if (r < 0)
		return r;
	a->dir = a->files.dir = r;
	r = recover(a, e);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(a);
	return 0;
}

void audit_close(struct audit *a)
{
	if (!a)
		return;
	(void)audit_flush(a, NULL);
	close_ptr(&a);
}

void audit_set_limits(struct audit *a, uint64_t file_max, size_t files_max, size_t backlog_max)
{
	a->file_max = file_max;
	a->files_max = files_max;
	a->backlog_max = backlog_max;
}

int audit_add(struct audit *a, const char *event, json_t *fields)
{
	return audit_add_at(a, times_now(), event, fields);
}

int audit_add_at(struct audit *a, int64_t time_ns, const char *event, json_t *fields)
{
	SCOPED(json_ptr) json_t *owned = fields;

	if (a->len + AUDIT_LINE_MAX > a->backlog_max && !a->failing)
		(void)audit_flush(a, NULL);
	if (a->len + AUDIT_LINE_MAX > a->backlog_max) {
		int64_t now = times_now();

		if (a->lost++ == 0)
			a->lost_first_ns = now;
		a->lost_last_ns = now;
		return -ENOSPC;
	}
	return lines_append(a, time_ns, event, owned);
}

bool audit_dirty(const struct audit *a)
{
	return a->len > 0 || a->head_behind || a->lost > 0;
}

size_t audit_backlog(const struct audit *a)
{
	return a->len;
}

/* The signature that is in the head must be this key's, else head and log may be anybody's work. */
static int check_old_signature(struct audit *a, const uint8_t public_key[32])
{
	char kept[64];
	json_t *fields;

	if (!a->head.has_signed || chain_head_signature_good(&a->head, public_key))
		return 0;
	fields = json_pack("{ss ss}", "file", HEAD_FILE, "what",
	                   "the head was signed with another key than this store's");
	if (head_keep(a, a->seq + 1, kept) == 0)
		json_object_set_new(fields, "kept", json_string(kept));
	a->head.has_signed = false;
	return audit_add(a, CHAIN_DAMAGED_EVENT, fields);
}

int audit_set_key(struct audit *a, const struct secret *seed, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *key = NULL;
	uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
	int r;

	if (!seed) {
		secret_free(a->key);
		a->key = NULL;
		return 0;
	}
	if (seed->len != crypto_sign_SEEDBYTES)
		return err_set(e, -EINVAL, "the seed of the audit signature must be %u bytes",
		               crypto_sign_SEEDBYTES);
	key = secret_new(crypto_sign_SECRETKEYBYTES);
	if (!key)
		return err_set(e, -ENOMEM, "out of locked memory for the audit signature's key");
	crypto_sign_seed_keypair(public_key, key->bytes, seed->bytes);
	r = check_old_signature(a, public_key);
	if (r < 0)
		return err_errno(e, r, "the audit log takes no line");
	secret_free(a->key);
	a->key = TAKE_PTR(key);
	a->head_behind = true;
	return 0;
}

void audit_set_epoch(struct audit *a, uint64_t epoch)
{
	if (a->epoch != epoch)
		a->head_behind = true;
	a->epoch = epoch;
}

uint64_t audit_epoch(const struct audit *a)
{
	return a->epoch;
}

uint64_t audit_lines_found(const struct audit *a)
{
	return a->found_seq;
}

uint64_t audit_lines(const struct audit *a)
{
	return a->seq;
}

int audit_files(struct audit *a, int fds[AUDIT_FILES_MAX + 1], char names[AUDIT_FILES_MAX + 1][64])
{
	size_t skip =
		a->files.old_count > AUDIT_FILES_MAX ? a->files.old_count - AUDIT_FILES_MAX : 0;
	int count = 0;

	for (size_t i = skip; i <= a->files.old_count; i++) {
		int fd;

		files_name(&a->files, i, names[count]);
		fd = openat(a->dir, names[count], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		/* One that was removed is for the verifier to miss. */
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0) {
			int r = -errno;

			while (count > 0)
				fd_close(fds[--count]);
			return r;
		}
		fds[count++] = fd;
	}
	return count;
}

int audit_head_text(struct audit *a, char **ret, char public_key[65])
{
	SCOPED(free_ptr) char *text = NULL;
	int r = io_read_file(a->dir, HEAD_FILE, CHAIN_HEAD_MAX, &text, NULL);

	if (r == -ENOENT || r == -EFBIG || r == -ELOOP) {
		text = strdup("");
		r = text ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	public_key[0] = '\0';
	if (a->key) {
		uint8_t public_bytes[crypto_sign_PUBLICKEYBYTES];

		crypto_sign_ed25519_sk_to_pk(public_bytes, a->key->bytes);
		chain_hex(public_bytes, sizeof(public_bytes), public_key);
	} else if (!sodium_is_zero(a->head.public_key, sizeof(a->head.public_key))) {
		chain_hex(a->head.public_key, sizeof(a->head.public_key), public_key);
	}
	*ret = TAKE_PTR(text);
	return 0;
}

int audit_subscribe(struct audit *a, audit_listener listener, void *arg)
{
	for (int i = 0; i < LISTENERS_MAX; i++) {
		if (a->listeners[i].call)
			continue;
		a->listeners[i] = (struct listener){ listener, arg };
		return i;
	}
	return -EMFILE;
}

void audit_unsubscribe(struct audit *a, int id)
{
	if (id >= 0 && id < LISTENERS_MAX)
		a->listeners[id] = (struct listener){ 0 };
}
