/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cofferd: the broker. The order in which its parts come to life is the point of this file
 * (broker.h draws it): the spawner is forked, if it is no service of its own, while there is no key
 * in this process, capabilities go before anything is parsed, and the key is read last.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "broker.h"
#include "coffer/cleanup.h"
#include "coffer/json.h"
#include "coffer/log.h"
#include "coffer/version.h"
#include "flow/containers.h"
#include "flow/spawner.h"
#include "flow/spawner_door.h"
#include "flow/workload.h"
#include "server/audit_pump.h"
#include "server/config.h"
#include "server/feed.h"
#include "server/folders.h"
#include "server/lifecycle.h"
#include "server/privileges.h"
#include "server/ready.h"
#include "server/restore.h"
#include "server/server.h"
#include "server/sockets.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static int open_folders(struct broker *b, struct err *e)
{
	b->state_fd = folders_open(b->config->state_dir, 0700, e);
	if (b->state_fd < 0)
		return b->state_fd;
	b->runtime_fd = folders_open(b->config->runtime_dir, 0755, e);
	if (b->runtime_fd < 0)
		return b->runtime_fd;
	return folders_make_runtime(b->runtime_fd, b->config->runtime_dir, e);
}

/* SIGTERM and SIGINT end the loop; blocked first, as sd-event wants it. */
static int make_loop(struct broker *b, struct err *e)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, -errno, "cannot block signals");
	r = sd_event_new(&b->event);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(b->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_set_watchdog(b->event, true);
	return r < 0 ? err_errno(e, r, "cannot make the event loop") : 0;
}

static int open_store(struct broker *b, struct err *e)
{
	struct store *store = NULL;
	int r = audit_open(b->state_fd, &b->audit, e);

	if (r == -EAGAIN)
		return err_set(
			e, r,
			"another cofferd uses the state folder %s; stop it, or give this one a "
			"folder of its own with --state-dir",
			b->config->state_dir);
	if (r == 0)
		r = restore_clear(b, e);
	if (r == 0)
		r = audit_pump_new(b, &b->audit_pump, e);
	if (r == 0)
		r = store_sqlite_open(b->state_fd, b->config->state_dir, &store, e);
	if (r == 0)
		r = vault_open(store, &b->vault, e);
	if (r < 0)
		return r;
	b->policy = policy_new();
	return b->policy ? feed_new(b, &b->feed, e) : err_set(e, -ENOMEM, "out of memory");
}

static int open_doors(struct broker *b, struct sockets *sockets, struct err *e)
{
	int r = containers_new(b, &b->containers, e);

	if (r == 0)
		r = server_new(b, TAKE_FD(sockets->operator_fd), &b->server, e);
	if (r == 0)
		r = workload_new(b, TAKE_FD(sockets->workload_fd), &b->workload, e);
	return r;
}

/* A broker that cannot unseal by itself serves all the same: an operator can. */
static void unseal_by_keyfile(struct broker *b)
{
	struct err why = { 0 };
	int r;

	if (!b->config->keyfile || vault_state(b->vault) != VAULT_SEALED)
		return;
	r = lifecycle_unseal_keyfile(b, b->config->keyfile, &why);
	if (r < 0)
		log_error("the store stays sealed: %s; run coffer unseal", why.text);
}

static void say_state(struct broker *b)
{
	static const char *const words[] = {
		[VAULT_UNINITIALISED] = "there is no store yet; it waits for coffer init",
		[VAULT_SEALED] = "the store is sealed",
		[VAULT_UNSEALED] = "the store is unsealed",
	};

	log_info("cofferd %s serves %s: %s", COFFER_VERSION, b->config->runtime_dir,
	         words[vault_state(b->vault)]);
	ready_announce(b);
}

/* Everything up to the running loop. `lock` is set to a descriptor that is held until the end. */
static int start(struct broker *b, int *lock, struct err *e)
{
	struct sockets sockets = { -1, -1 };
	int r = open_folders(b, e);

	if (r == 0)
		r = spawner_start(b, e);
	/* Taken after the fork: a lock is held by whoever has the descriptor, and the spawner may
	 * outlive us. */
	if (r == 0)
		r = *lock = folders_lock(b->runtime_fd, b->config->runtime_dir, e);
	if (r >= 0)
		r = sockets_open(b, &sockets, e);
	if (r == 0)
		r = privileges_drop(e);
	if (r == 0)
		r = make_loop(b, e);
	if (r == 0)
		r = spawner_watch(b, e);
	if (r == 0)
		r = open_store(b, e);
	if (r == 0)
		r = open_doors(b, &sockets, e);
	sockets_close(&sockets);
	if (r < 0)
		return r;
	(void)audit_add(b->audit, "start", json_pack("{s:s}", "version", COFFER_VERSION));
	unseal_by_keyfile(b);
	say_state(b);
	return 0;
}

/* Doors first, keys last. Workers go on serving. */
static void stop(struct broker *b)
{
	ready_stopping();
	server_free(b->server);
	containers_free(b->containers);
	workload_free(b->workload);
	if (b->audit)
		(void)audit_add(b->audit, "stop", NULL);
	feed_free(b->feed);
	audit_pump_free(b->audit_pump);
	audit_close(b->audit);
	vault_free(b->vault);
	policy_free(b->policy);
	spawner_free(b->spawner);
	sd_event_unref(b->event);
	fd_close(b->state_fd);
	fd_close(b->runtime_fd);
}

static int serve(struct config *config, struct err *e)
{
	struct broker b = { .config = config, .state_fd = -1, .runtime_fd = -1 };
	SCOPED_FD int lock = -1;
	int r = start(&b, &lock, e);

	if (r == 0) {
		r = sd_event_loop(b.event);
		if (r < 0)
			err_errno(e, r, "the event loop broke off");
	}
	stop(&b);
	return r;
}

int main(int argc, char **argv)
{
	struct config *config = NULL;
	struct err e = { 0 };
	int r = secret_process_init(&e);

	if (r == 0) {
		json_use_secret_memory();
		privileges_raise_limits();
		r = config_load(argc, argv, &config, &e);
	}
	if (r == 1)
		return EXIT_DONE;
	if (r == 2)
		return EXIT_USAGE;
	if (r == 0)
		r = config->spawner ? spawner_door_serve(&e) : serve(config, &e);
	if (r != 0)
		log_error("cofferd: %s", e.text[0] ? e.text : strerror(r < 0 ? -r : r));
	config_free(config);
	return r == 0 ? EXIT_DONE : EXIT_FAILED;
}
