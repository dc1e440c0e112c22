#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container that unmounts the folder while no broker is there: the next one notices, says so, and attach mounts anew.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
succeeds coffer grant db --container web
container web
reads web /run/secrets/db value
stop_broker KILL
nsenter -t "$(container_pid web)" -m umount -l /run/secrets
start_broker
await_audit mount.lost '.container == "web"'
until coffer ps --json | jq -e '.attachments[0].state == "lost"' >/dev/null; do :; done
succeeds coffer attach web
reads web /run/secrets/db value
