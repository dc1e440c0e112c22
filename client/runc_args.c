/* SPDX-License-Identifier: Apache-2.0 */
#include "runc_args.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* An option that takes a value, and where that goes (NULL: nowhere). */
struct valued {
	const char *name;
	size_t offset;
	bool kept;
};

#define KEPT(name, field)                                       \
	{                                                       \
		(name), offsetof(struct runc_args, field), true \
	}
#define PASSED(name)             \
	{                        \
		(name), 0, false \
	}

static const struct valued own[] = {
	KEPT("coffer-runtime-dir", runtime_dir),
	KEPT("coffer-runtime", runtime),
	{ 0 },
};
static const struct valued global[] = {
	KEPT("log", log),   KEPT("log-format", log_format), PASSED("root"),      PASSED("criu"),
	PASSED("rootless"), PASSED("cgroup-manager"),       PASSED("log-level"), { 0 },
};
static const struct valued creating[] = {
	KEPT("bundle", bundle),   KEPT("b", bundle),  KEPT("config", config), KEPT("f", config),
	PASSED("console-socket"), PASSED("pid-file"), PASSED("preserve-fds"), { 0 },
};

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] != '\0' && strcmp(word, "--") != 0;
}

/* The row of an option, or NULL; *ret_value is what stands behind its '=', or NULL. */
static const struct valued *find(const struct valued *rows, const char *word,
                                 const char **ret_value)
{
	const char *name = word + 1 + (word[1] == '-');
	size_t len = strcspn(name, "=");

	*ret_value = name[len] ? name + len + 1 : NULL;
	for (; rows->name; rows++)
		if (strlen(rows->name) == len && strncmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static void keep(struct runc_args *a, const struct valued *row, const char *value)
{
	if (row->kept)
		memcpy((char *)a + row->offset, &value, sizeof(value));
}

/*
 * One option and, where it stands in a word of its own, its value: how many words that is. 0: it
 * is not in the table, and its value, if it has one, is in the same word.
 */
static int take(const struct valued *rows, int left, char *const *word, struct runc_args *a)
{
	const char *value;
	const struct valued *row = find(rows, word[0], &value);

	if (!row)
		return 0;
	if (value) {
		keep(a, row, value);
		return 1;
	}
	if (left > 1)
		keep(a, row, word[1]);
	return 2;
}

static int take_own(int argc, char *const *argv, struct runc_args *a, struct err *e)
{
	int at = 1, n;

	while (at < argc && is_option(argv[at]) && (n = take(own, argc - at, argv + at, a)) > 0) {
		if (n > argc - at)
			return err_set(e, -EINVAL, "%s needs a value", argv[at]);
		at += n;
	}
	a->taken = at;
	return at;
}

int runc_args_parse(int argc, char *const *argv, struct runc_args *ret, struct err *e)
{
	struct runc_args a = { 0 };
	int n, at = take_own(argc, argv, &a, e);

	if (at < 0)
		return at;
	for (; at < argc && is_option(argv[at]); at += n > 0 ? n : 1)
		n = take(global, argc - at, argv + at, &a);
	if (at < argc && strcmp(argv[at], "--") == 0)
		at++;
	if (at < argc)
		a.command = argv[at++];
	if (runc_args_creates(&a))
		for (; at < argc && strcmp(argv[at], "--") != 0; at += n > 0 ? n : 1)
			n = is_option(argv[at]) ? take(creating, argc - at, argv + at, &a) : 1;
	*ret = a;
	return 0;
}

bool runc_args_creates(const struct runc_args *a)
{
	return a->command && (strcmp(a->command, "create") == 0 || strcmp(a->command, "run") == 0);
}
