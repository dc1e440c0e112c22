/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "coffer/cleanup.h"
#include "coffer/log.h"
#include "coffer/version.h"
#include "server/config_file.h"

#define NOBODY 65534

/* Name, argument and help of each option stand in this one table; getopt's and --help's come from
 * it. */
enum option_id {
	OPTION_STATE_DIR = 256,
	OPTION_RUNTIME_DIR,
	OPTION_KEYFILE,
	OPTION_CONFIG,
	OPTION_FOREGROUND,
	OPTION_SPAWNER,
	OPTION_HELP,
	OPTION_VERSION,
};
static const struct cli_option {
	enum option_id id;
	const char *name, *argument, *help;
} options[] = {
	{ OPTION_STATE_DIR, "state-dir", "DIR",
	  "the sealed store and the audit log (/var/lib/coffer)" },
	{ OPTION_RUNTIME_DIR, "runtime-dir", "DIR", "sockets and registrations (/run/coffer)" },
	{ OPTION_KEYFILE, "keyfile", "FILE", "unseal by itself with this file's content" },
	{ OPTION_CONFIG, "config", "FILE", "JSON; every key is optional" },
	{ OPTION_FOREGROUND, "foreground", NULL, "log plain lines, without the journal's levels" },
	{ OPTION_SPAWNER, "spawner", NULL,
	  "be what touches containers, for a broker that has a unit of its own" },
	{ OPTION_HELP, "help", NULL, "show this and exit" },
	{ OPTION_VERSION, "version", NULL, "show the version and exit" },
};

static void print_help(FILE *out)
{
	fputs("usage: cofferd [OPTION]...\nThe secrets broker for this host's containers.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", options[i].name,
		         options[i].argument ? " " : "",
		         options[i].argument ? options[i].argument : "");
		fprintf(out, "  %-20s %s\n", left, options[i].help);
	}
}

static int set_defaults(struct config *c)
{
	/* Where runc keeps state.json under each engine: bare runc, Podman and CRI-O; crun's status of the
	 * same; Docker; containerd's two usual namespaces. */
	static const char *const roots[] = { "/run/runc", "/run/crun",
		                             "/run/docker/runtime-runc/moby",
		                             "/run/containerd/runc/default",
		                             "/run/containerd/runc/k8s.io" };
	/* Where engines keep what they know: Docker; Podman and CRI-O; containerd. */
	static const char *const engines[] = { "/var/lib/docker", "/var/lib/containers/storage",
		                               "/var/lib/containerd" };
	const struct {
		char **slot;
		const char *value;
	} texts[] = {
		{ &c->state_dir, "/var/lib/coffer" }, { &c->runtime_dir, "/run/coffer" },
		{ &c->mount_folder, "/run/secrets" }, { &c->worker_user, "coffer-worker" },
		{ &c->operator_group, "coffer" },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (config_set(texts[i].slot, texts[i].value) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		if (config_set(&c->runc_roots[i], roots[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (config_set(&c->engine_roots[i], engines[i]) < 0)
			return -ENOMEM;
	c->connections_max = 64;
	c->calls_per_second = 1000;
	c->containers_max = 4096;
	c->crash_pause_s = 30;
	c->audit_budget = 6000;
	return 0;
}

/* The programs may be started from any folder, and others are told these paths: keep them absolute.
 */
static int set_path(char **slot, const char *value, struct err *e)
{
	char cwd[PATH_MAX], path[PATH_MAX];
	size_t len;

	if (!*value)
		return err_set(e, -EINVAL, "a path is empty");
	if (value[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		return err_errno(e, -errno, "cannot tell the current folder");
	len = (size_t)snprintf(path, sizeof(path), "%s%s%s", value[0] == '/' ? "" : cwd,
	                       value[0] == '/' ? "" : "/", value);
	if (len >= sizeof(path))
		return err_set(e, -ENAMETOOLONG, "a path is longer than %d bytes", PATH_MAX - 1);
	while (len > 1 && path[len - 1] == '/')
		path[--len] = '\0';
	return config_set(slot, path) < 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* 1: it is there, `name` beside the program `of`, and set. */
static int find_beside(char **slot, const char *of, const char *name)
{
	const char *end = strrchr(of, '/');
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%.*s/%s", end ? (int)(end - of) : 0, of, name);

	if (!end || len < 0 || (size_t)len >= sizeof(path) || access(path, X_OK) < 0)
		return 0;
	return config_set(slot, path) < 0 ? -ENOMEM : 1;
}

/*
 * A cofferd in a build tree starts the programs of that tree, an installed one the installed: the
 * broker and its workers must be of one version. coffer-enter lies beside one of the two.
 */
static int find_programs(struct config *c, struct err *e)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int r = c->worker_path ? 1 : 0;

	if (len < 0)
		return err_errno(e, -errno, "cannot tell where cofferd lies");
	self[len] = '\0';
	if (r == 0)
		r = find_beside(&c->worker_path, self, "cofferfs");
	if (r == 0)
		r = find_beside(&c->worker_path, self, "../fuse/cofferfs");
	if (r == 0)
		r = find_beside(&c->worker_path, self, "../libexec/coffer/cofferfs");
	if (r == 0)
		r = config_set(&c->worker_path, COFFER_LIBEXEC "/cofferfs");
	if (r < 0)
		return r;
	r = find_beside(&c->enter_path, self, "coffer-enter");
	if (r == 0)
		r = find_beside(&c->enter_path, c->worker_path, "coffer-enter");
	if (r == 0)
		r = find_beside(&c->enter_path, c->worker_path, "../broker/coffer-enter");
	if (r == 0)
		r = config_set(&c->enter_path, COFFER_LIBEXEC "/coffer-enter");
	return r < 0 ? r : 0;
}

static int find_worker_user(struct config *c, struct err *e)
{
	const struct passwd *user = getpwnam(c->worker_user);

	if (user && user->pw_uid == 0)
		return err_set(
			e, -EINVAL,
			"worker user %s is root; name an unprivileged user in \"worker_user\"",
			c->worker_user);
	if (!user)
		log_warn("there is no user %s; workers run as uid %d (make the user, see "
		         "sysusers.d)",
		         c->worker_user, NOBODY);
	c->worker_uid = user ? user->pw_uid : NOBODY;
	c->worker_gid = user ? user->pw_gid : NOBODY;
	return 0;
}

/* What the command line says, before it is laid over the file's values. */
struct command_line {
	const char *state_dir, *runtime_dir, *keyfile, *config;
	bool foreground, spawner;
};

/* 0, 1 if there is nothing to start, 2 for wrong usage. */
static int read_options(int argc, char **argv, struct command_line *line)
{
	struct option table[ARRAY_LEN(options) + 1] = { 0 };
	int id;

	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		table[i].name = options[i].name;
		table[i].has_arg = options[i].argument ? required_argument : no_argument;
		table[i].val = options[i].id;
	}
	optind = 1;
	while ((id = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (id) {
		case OPTION_STATE_DIR:
			line->state_dir = optarg;
			break;
		case OPTION_RUNTIME_DIR:
			line->runtime_dir = optarg;
			break;
		case OPTION_KEYFILE:
			line->keyfile = optarg;
			break;
		case OPTION_CONFIG:
			line->config = optarg;
			break;
		case OPTION_FOREGROUND:
			line->foreground = true;
			break;
		case OPTION_SPAWNER:
			line->spawner = true;
			break;
		case OPTION_HELP:
			print_help(stdout);
			return 1;
		case OPTION_VERSION:
			printf("cofferd %s\n", COFFER_VERSION);
			return 1;
		default:
			fputs("cofferd: see cofferd --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "cofferd: takes no argument but options; see cofferd --help\n");
		return 2;
	}
	return 0;
}

/* LoadCredential(Encrypted)= of the unit: the keyfile, unless one was named. */
static int find_credential(struct config *c)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	if (c->keyfile || !folder)
		return 0;
	if (snprintf(path, sizeof(path), "%s/coffer.key", folder) >= (int)sizeof(path) ||
	    access(path, R_OK) < 0)
		return 0;
	return config_set(&c->keyfile, path);
}

static int fill(struct config *c, const struct command_line *line, struct err *e)
{
	const struct {
		char **slot;
		const char *value;
	} paths[] = {
		{ &c->state_dir, line->state_dir },
		{ &c->runtime_dir, line->runtime_dir },
		{ &c->keyfile, line->keyfile },
	};
	int r = set_defaults(c);

	if (r < 0)
		return err_set(e, r, "out of memory");
	if (line->config)
		r = config_file_read(c, line->config, e);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(paths); i++)
		if (paths[i].value)
			r = set_path(paths[i].slot, paths[i].value, e);
	if (r == 0)
		r = find_credential(c);
	if (r == 0)
		r = find_programs(c, e);
	if (r == -ENOMEM)
		return err_set(e, r, "out of memory");
	return r < 0 ? r : find_worker_user(c, e);
}

int config_load(int argc, char **argv, struct config **ret, struct err *e)
{
	struct command_line line = { 0 };
	struct config *c;
	int r = read_options(argc, argv, &line);

	if (r != 0)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->foreground = line.foreground;
	c->spawner = line.spawner;
	log_with_levels(!line.foreground);
	r = c->spawner ? 0 : fill(c, &line, e); /* a spawner is told by its broker */
	if (r < 0) {
		config_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	free(c->state_dir);
	free(c->runtime_dir);
	free(c->keyfile);
	free(c->mount_folder);
	free(c->worker_path);
	free(c->enter_path);
	free(c->worker_user);
	free(c->operator_group);
	for (size_t i = 0; i < CONFIG_ROOTS_MAX; i++) {
		free(c->runc_roots[i]);
		free(c->engine_roots[i]);
	}
	for (size_t i = 0; i < c->waits; i++) {
		free(c->wait[i].runtime);
		free(c->wait[i].container);
		free(c->wait[i].image);
		free(c->wait[i].unit);
		free(c->wait[i].label_key);
		free(c->wait[i].label_value);
	}
	free(c);
}
