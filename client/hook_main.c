/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "coffer/kern.h"
#include "coffer/name.h"
#include "coffer/secret.h"
#include "coffer/version.h"
#include "hook.h"
#include "options.h"

static const struct option_row hook_options[] = {
	{ "runtime-dir", "DIR", false, "the broker's folder" },
	{ "must-wait", "FILE", false, "containers that must not start without their secrets" },
	{ "version", NULL, false, "print the version" },
	{ "help", NULL, false, "print this help" },
	{ 0 },
};

static const char *choose(const struct options *o, const char *option, const char *variable,
                          const char *otherwise)
{
	const char *value = options_text(o, option, 0);

	if (!value)
		value = getenv(variable);
	return value && value[0] ? value : otherwise;
}

static int print_help(void)
{
	puts("usage: coffer-hook [--runtime-dir DIR] [--must-wait FILE] < STATE\n\n"
	     "An OCI createRuntime and poststop hook: tells the broker of a container. Its state, "
	     "as\n"
	     "JSON, is read from standard input.\n");
	for (const struct option_row *row = hook_options; row->name; row++)
		printf("  --%s %s\n      %s\n", row->name, row->argument ? row->argument : "",
		       row->help);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct hook_config config;
	struct options o;
	struct err e = { "" };

	/*
	 * Whatever the runtime left open is not ours, and must not outlive it in a child of ours.
	 */
	kern_close_range(STDERR_FILENO + 1, UINT_MAX, 0);
	options_begin(&o, hook_options);
	if (options_rest(&o, NULL, argc > 0 ? argc - 1 : 0, argv + 1, &e) < 0) {
		fprintf(stderr, "coffer-hook: %s; see: coffer-hook --help\n", e.text);
		return CLIENT_EXIT_USAGE;
	}
	if (options_has(&o, "help"))
		return print_help();
	if (options_has(&o, "version"))
		return printf("coffer-hook %s\n", COFFER_VERSION) < 0;
	config.runtime_dir = choose(&o, "runtime-dir", "COFFER_RUNTIME_DIR", CLIENT_RUNTIME_DIR);
	config.must_wait = choose(&o, "must-wait", "COFFER_MUST_WAIT", HOOK_MUST_WAIT);
	if (secret_process_init(&e) < 0) {
		fprintf(stderr, "coffer-hook: %s\n", e.text);
		return EXIT_FAILURE;
	}
	return hook_run(&config, STDIN_FILENO);
}
