/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ready.h"

#include <systemd/sd-daemon.h>

#include "flow/containers.h"
#include "server/config.h"

void ready_announce(struct broker *b)
{
	static const char *const words[] = {
		[VAULT_UNINITIALISED] = "Waiting for coffer init",
		[VAULT_SEALED] = "Sealed; waiting for coffer unseal",
		[VAULT_UNSEALED] = "Unsealed",
	};
	enum vault_state state = vault_state(b->vault);
	bool ready = (state != VAULT_SEALED || !b->config->keyfile) &&
	             !containers_loading(b->containers);

	/* A manager that cannot be told will say so itself; serving goes on. */
	sd_notifyf(0, "%sSTATUS=%s", ready ? "READY=1\n" : "", words[state]);
}

void ready_stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
