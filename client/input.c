/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "coffer/cleanup.h"
#include "coffer/io.h"
#include "coffer/keys.h"
#include "coffer/name.h"
#include "output.h"
#include "prompt.h"

#define PATH_SHOWN_MAX 300
#define KEYFILE_RANDOM 32
#define TEMPORARY_RANDOM 8

struct shown {
	char text[PATH_SHOWN_MAX];
};

static const char *show(const char *path, struct shown *s)
{
	return name_escape(path, strlen(path), s->text, sizeof(s->text));
}

static int cannot_lock(const char *what, struct err *e)
{
	return err_set(e, -ENOMEM, "cannot lock memory for %s: raise the limit (ulimit -l)", what);
}

/* `what` names the source in the sentence. */
static int read_value(int fd, const char *what, struct secret **ret, struct err *e)
{
	int r = secret_from_fd(fd, SECRET_VALUE_MAX, ret);

	if (r == -EFBIG)
		return err_set(e, r, "%s holds more than 1 MiB: a value may have %d bytes", what,
		               SECRET_VALUE_MAX);
	if (r == -ENOMEM)
		return err_set(
			e, r, "cannot lock memory for the value in %s: raise the limit (ulimit -l)",
			what);
	return r < 0 ? err_errno(e, r, "cannot read %s", what) : 0;
}

int input_value_file(const char *path, struct secret **ret, struct err *e)
{
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct shown s;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", show(path, &s));
	return read_value(fd, show(path, &s), ret, e);
}

int input_value_stdin(const char *name, struct secret **ret, struct err *e)
{
	char question[NAME_LEN_MAX + sizeof("value of ")];

	if (!isatty(STDIN_FILENO))
		return read_value(STDIN_FILENO, "standard input", ret, e);
	snprintf(question, sizeof(question), "value of %s", name);
	return prompt_secret_twice(STDIN_FILENO, STDERR_FILENO, question, ret, e);
}

static int passphrase_file(const char *path, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *content = NULL;
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct shown s;
	int r = 0;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the passphrase file %s", show(path, &s));
	r = secret_from_fd(fd, KEYS_PASSPHRASE_MAX + 1, &content);
	if (r == -ENOMEM)
		return cannot_lock("the passphrase", e);
	if (r < 0)
		return err_errno(e, r, "cannot read the passphrase file %s", show(path, &s));
	if (content->len > 0 && content->bytes[content->len - 1] == '\n')
		secret_truncate(content, content->len - 1);
	*ret = TAKE_PTR(content);
	return 0;
}

int input_passphrase(const char *path, bool is_new, struct secret **ret, struct err *e)
{
	SCOPED_FD int terminal = -1;
	int r = 0;

	if (path)
		return passphrase_file(path, ret, e);
	terminal = prompt_terminal(e);
	if (terminal < 0)
		return err_set(
			e, terminal,
			"there is no terminal to ask for the passphrase on: use --passphrase-file "
			"or --keyfile");
	if (is_new)
		r = prompt_secret_twice(terminal, STDERR_FILENO, "new passphrase", ret, e);
	else
		r = prompt_secret(terminal, STDERR_FILENO, "passphrase", ret, e);
	return r;
}

int input_keyfile(const char *path, struct secret **ret, struct err *e)
{
	/* O_NONBLOCK: a pipe there must be refused, not waited for. */
	SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct shown s;
	struct stat st;
	int r = 0;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the keyfile %s", show(path, &s));
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot look at the keyfile %s", show(path, &s));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "the keyfile %s is no regular file", show(path, &s));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		output_warning("the keyfile %s belongs to uid %u: chown it to root", show(path, &s),
		               st.st_uid);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		output_warning("the keyfile %s is open to others: chmod it to 0400",
		               show(path, &s));
	r = secret_from_fd(fd, KEYS_CONTENT_MAX, ret);
	if (r == -ENOMEM)
		return cannot_lock("the key", e);
	if (r == -EFBIG)
		return err_set(e, r, "the keyfile %s holds more than %d bytes: it is no keyfile",
		               show(path, &s), KEYS_CONTENT_MAX);
	return r < 0 ? err_errno(e, r, "cannot read the keyfile %s", show(path, &s)) : 0;
}

/* 64 hex digits and a line feed. */
static struct secret *fresh_content(void)
{
	SCOPED(secret_free_ptr) struct secret *random = secret_new(KEYFILE_RANDOM);
	SCOPED(secret_free_ptr) struct secret *text = secret_new(2 * KEYFILE_RANDOM + 1);

	if (!random || !text)
		return NULL;
	randombytes_buf(random->bytes, random->len);
	/* its NUL falls where the line feed goes */
	sodium_bin2hex((char *)text->bytes, text->len, random->bytes, random->len);
	text->bytes[text->len - 1] = '\n';
	return TAKE_PTR(text);
}

/* The folder of `path`, opened, and the name in it. */
static int open_parent(const char *path, const char **ret_name)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	int n = 0, fd = -1;

	if (!slash)
		n = snprintf(dir, sizeof(dir), ".");
	else
		n = snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path),
		             path);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return -ENAMETOOLONG;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_name = slash ? slash + 1 : path;
	return fd;
}

static int write_key(int dir, const char *temporary, const char *name, const struct secret *content)
{
	SCOPED_FD int fd =
		openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	int r = 0;

	if (fd < 0)
		return -errno;
	r = io_write_all(fd, content->bytes, content->len);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	/* The name appears with the whole content behind it, and only where there was none. */
	if (r == 0)
		r = io_rename_new(dir, temporary, name);
	if (r < 0)
		unlinkat(dir, temporary, 0);
	else if (fsync(dir) < 0)
		r = -errno;
	return r;
}

int input_make_keyfile(const char *path, struct secret **ret, struct err *e)
{
	SCOPED(secret_free_ptr) struct secret *content = fresh_content();
	char temporary[sizeof(".coffer-key-") + 2 * TEMPORARY_RANDOM];
	unsigned char random[TEMPORARY_RANDOM];
	char hex[2 * TEMPORARY_RANDOM + 1];
	const char *name = NULL;
	struct shown s;
	SCOPED_FD int dir = -1;
	int r = 0;

	if (!content)
		return cannot_lock("a key", e);
	dir = open_parent(path, &name);
	if (dir < 0)
		return err_errno(e, dir, "cannot make the keyfile %s", show(path, &s));
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
	snprintf(temporary, sizeof(temporary), ".coffer-key-%s", hex);
	r = write_key(dir, temporary, name, content);
	if (r < 0)
		return err_errno(e, r, "cannot make the keyfile %s", show(path, &s));
	*ret = TAKE_PTR(content);
	return 0;
}
