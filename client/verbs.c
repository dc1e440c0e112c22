/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "client.h"

#define ANY_NUMBER INT_MAX

const struct option_row client_common_options[] = {
	{ "runtime-dir", "DIR", false,
	  "the broker's folder (else COFFER_RUNTIME_DIR, else " CLIENT_RUNTIME_DIR ")" },
	{ "json", NULL, false, "print the broker's answer as JSON" },
	{ "help", NULL, false, "print this help" },
	{ "version", NULL, false, "before a command: print the version" },
	{ 0 },
};

static const struct option_row init_options[] = {
	{ "keyfile", "FILE", false, "the slot's key; made (mode 0400) if it is not there" },
	{ "passphrase-file", "FILE", false, "read the passphrase instead of asking for it" },
	{ 0 },
};

static const struct option_row unseal_options[] = {
	{ "keyfile", "FILE", false, "use a keyfile's slot" },
	{ "passphrase-file", "FILE", false, "read the passphrase instead of asking for it" },
	{ "accept-rollback", NULL, false, "open a store that is older than the audit log says" },
	{ 0 },
};

#define WAIT_ADOPTED                                                                              \
	{                                                                                         \
		"wait-adopted", "TIME", false,                                                    \
			"wait until every reader has opened it, such as 30s; fail if one has not" \
	}

static const struct option_row put_options[] = {
	{ "file", "FILE", false, "read the value from FILE" },
	{ "check", NULL, false,
	  "store nothing if there is a warning; read the key stored beside a certificate" },
	{ "from-dir", "DIR", false, "store every file below DIR, named PREFIX/ and its path" },
	{ "dry-run", NULL, false, "with --from-dir: say what would be stored" },
	{ "after", "NAME", false, "with --from-dir: only what comes behind NAME" },
	{ "label", "KEY=VALUE", true, "keep a label with the version (may be repeated)" },
	{ "expires", "TIME", false, "90s, 15m, 12h, 30d, 2w from now, or an RFC 3339 time" },
	{ "if-version", "N", false, "only if N is the current version; 0: only if there is none" },
	WAIT_ADOPTED,
	{ 0 },
};

static const struct option_row get_options[] = {
	{ "version", "N", false, "an older version" },
	{ "out", "FILE", false, "write to FILE (mode 0600, in place at once or not at all)" },
	{ 0 },
};

static const struct option_row info_options[] = {
	{ "key", "NAME", false, "hold the certificate against this private key" },
	{ "certificate", NULL, false, "look for a certificate even if none is known to be in it" },
	{ "no-value", NULL, false, "only what is known without reading the value" },
	{ 0 },
};

static const struct option_row rollback_options[] = {
	{ "to", "N", false, "the version to go back to" },
	WAIT_ADOPTED,
	{ 0 },
};

static const struct option_row wait_options[] = {
	{ "newer-than", "N", false, "a version newer than N, which may be there already" },
	{ "removed", NULL, false, "wait until the name is gone (removed or expired)" },
	{ "timeout", "TIME", false, "give up after 90s, 15m, 12h; else never" },
	{ 0 },
};

#define RUNTIMES "docker podman containerd crio runc systemd nspawn"

static const struct option_row grant_options[] = {
	{ "runtime", "RUNTIME", false, RUNTIMES, RUNTIMES },
	{ "container", "CONTAINER", false, "the engine's name for it; for bare runc its id" },
	{ "image", "REF", false, "an image digest; with --allow-tag also a name and tag" },
	{ "label", "KEY=VALUE", true, "a label set by who started it (may be repeated)" },
	{ "unit", "UNIT", false, "the systemd unit it runs in" },
	{ "as", "PATH", false, "where below the mount; else the last segment of NAME" },
	{ "mode", "M", false, "octal permissions, such as 0440" },
	{ "uid", "U", false, "owner, as seen inside" },
	{ "gid", "G", false, "group, as seen inside" },
	{ "on-rotate", "WHAT", false, "root only: signal:HUP, or exec:/PATH ARGUMENT...",
	  "signal:HUP signal:USR1 signal:USR2 signal:TERM signal:INT signal:QUIT signal:WINCH "
	  "signal:CONT signal:ALRM signal:ABRT signal:URG signal:IO signal:PWR signal:CHLD "
	  "exec:/" },
	{ "allow-tag", NULL, false, "a tag is enough, though it can be moved" },
	{ "allow-weak", NULL, false, "also containers in the host's pid namespace" },
	{ "allow-unverified", NULL, false, "also containers whose state is in a user's hands" },
	{ 0 },
};

static const struct option_row apply_options[] = {
	{ "prune", NULL, false, "also revoke what is not in FILE" },
	{ "dry-run", NULL, false, "say what would be done, and do nothing" },
	{ 0 },
};

static const struct option_row which_options[] = {
	{ "pid", "PID", false, "the container of this process" },
	{ 0 },
};

static const struct option_row audit_options[] = {
	{ "follow", NULL, false, "go on with new lines as they come" },
	{ 0 },
};

#define LISTING                                                                               \
	"On a terminal columns are aligned under a heading. Elsewhere they are separated by " \
	"tabs,\n"                                                                             \
	"without a heading; what is empty is \"-\"."

const struct verb client_verbs[] = {
	{ "init", "[--keyfile FILE | --passphrase-file FILE]",
	  "Create the store with its first unseal slot",
	  "Without options a passphrase is asked for, twice. The broker is left unsealed. Keep "
	  "the\n"
	  "keyfile or passphrase elsewhere too: without it nobody opens the store again.",
	  init_options, 0, 0, verb_init },
	{ "unseal", "[--keyfile FILE | --passphrase-file FILE] [--accept-rollback]",
	  "Open the store",
	  "Without options the passphrase is asked for. Of a store that is open already it is "
	  "only\n"
	  "seen whether the key or passphrase opens it.",
	  unseal_options, 0, 0, verb_unseal },
	{ "seal", "", "Forget the store's keys",
	  "Running containers go on being served, unless the broker's configuration says "
	  "otherwise.",
	  NULL, 0, 0, verb_seal },
	{ "status", "", "Say how the broker is", NULL, NULL, 0, 0, verb_status },
	{ "put", "NAME [--file FILE] | NAME=@FILE... | --from-dir DIR [PREFIX/]",
	  "Store values: all of them, or none",
	  "The value comes from standard input, raw; from a prompt without echo if that is a\n"
	  "terminal; or from a file. It never comes from the command line, where every user would\n"
	  "see it. At most 1 MiB. Prints NAME VERSION for each name. Returns when every attached\n"
	  "container shows the new version, or warns after 5 s and names those that do not.",
	  put_options, 0, ANY_NUMBER, verb_put },
	{ "get", "NAME [--version N] [--out FILE]", "Write a value's bytes, and nothing else", NULL,
	  get_options, 1, 1, verb_get },
	{ "ls", "[PREFIX]", "List names", LISTING, NULL, 0, 1, verb_ls },
	{ "info", "NAME [--key NAME] [--certificate | --no-value]",
	  "Say what is known of a name, and what its certificate says",
	  "Of a value that holds certificates: subject, names, days left, whether the private key\n"
	  "beside it fits. For that the value and the key are read, and the audit log says so, as\n"
	  "of any reading.",
	  info_options, 1, 1, verb_info },
	{ "history", "NAME", "List the versions that are kept, newest first", LISTING, NULL, 1, 1,
	  verb_history },
	{ "rollback", "NAME --to N", "Make a new version from an old one", "Prints NAME VERSION.",
	  rollback_options, 1, 1, verb_rollback },
	{ "rm", "NAME", "Remove a name and all its versions",
	  "It vanishes from every container, and reads of descriptors already open fail.", NULL, 1,
	  1, verb_rm },
	{ "wait", "NAME [--newer-than N | --removed] [--timeout TIME]",
	  "Wait until a name has a newer version",
	  "Newer than the one at the start; a name that is not there is waited for. Prints NAME\n"
	  "VERSION when every container that is granted it shows it.",
	  wait_options, 1, 1, verb_wait },
	{ "watch", "[NAME | PREFIX/]", "Print what happens to secrets, as it happens",
	  "One line each: \"now NAME VERSION\" for what is there, \"ready\", then \"put\", "
	  "\"remove\"\nand \"expire\" with name and version. Ends when the broker goes or is "
	  "sealed.",
	  NULL, 0, 1, verb_watch },
	{ "grant", "NAME_OR_PREFIX/ CONDITION... [OPTION]...",
	  "Give containers a secret, or all below a prefix",
	  "All conditions (--runtime, --container, --image, --label, --unit) must hold; at\n"
	  "least one is needed. The name need not exist yet. Prints the grant's id.",
	  grant_options, 1, 1, verb_grant },
	{ "revoke", "GRANT-ID", "Take a grant back",
	  "Its files vanish, and reads of descriptors already open fail.", NULL, 1, 1,
	  verb_revoke },
	{ "grants", "", "List grants, oldest first", LISTING, NULL, 0, 0, verb_grants },
	{ "apply", "FILE [--prune] [--dry-run]", "Make the grants that a file has",
	  "FILE is what \"coffer grants --json\" prints; \"-\" is standard input. All are made, "
	  "or\n"
	  "none; what is there already is left alone. Prints + for each that was made, - for each\n"
	  "that was revoked.",
	  apply_options, 1, 1, verb_apply },
	{ "diff", "FILE", "Say how the grants differ from those that a file has",
	  "Prints + for what \"apply --prune\" would make, - for what it would revoke. Exit status "
	  "0\n"
	  "if they are the same, 1 if not, 2 if that cannot be told.",
	  NULL, 1, 1, verb_diff },
	{ "attach", "CONTAINER | --pid PID", "Give a running container its mount", NULL,
	  which_options, 0, 1, verb_attach },
	{ "detach", "CONTAINER", "Take a container's mount away until it is attached again", NULL,
	  NULL, 1, 1, verb_detach },
	{ "ps", "", "List attached containers, their files and versions", LISTING, NULL, 0, 0,
	  verb_ps },
	{ "explain", "CONTAINER | --pid PID",
	  "Say who we think a container is, and what it gets and why", NULL, which_options, 0, 1,
	  verb_explain },
	{ "audit", "[--follow]", "Print the audit log",
	  "With --json the lines are printed as they stand in the log.", audit_options, 0, 0,
	  verb_audit },
	{ "audit verify", "", "Check the audit log's chain and its signed head",
	  "Names the first line that is not as it was written.", NULL, 0, 0, verb_audit_verify },
	{ "version", "", "Print the version", NULL, NULL, 0, 0, verb_version },
	{ "help", "[COMMAND]", "Print help", NULL, NULL, 0, 2, verb_help },
	{ "complete", "-- [WORD]...", "Print what a shell may put where its cursor is",
	  "For the shells' own scripts. The last word is the one to complete. One line each: a "
	  "word "
	  "and,\n"
	  "behind a tab, what it is; or \":files PREFIX\" or \":folders PREFIX\" where the shell "
	  "knows\n"
	  "better. Nothing is printed where nothing is known, and for whoever the broker does not "
	  "answer.",
	  NULL, 0, ANY_NUMBER, verb_complete },
	{ 0 },
};

const struct topic client_topics[] = {
	{ "The store", "init" },
	{ "Secrets", "put" },
	{ "Grants", "grant" },
	{ "Containers", "attach" },
	{ "Audit log", "audit" },
	{ "About", "version" },
	{ 0 },
};
