#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container that starts while the broker is sealed, or absent, starts all the same; what the hook left in
# RUNTIME/pending becomes a mount in the running container on unseal.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --runtime runc --label app=web
succeeds coffer seal
succeeds coffer status --json
says_json '.state == "sealed"'
fails 1 'sealed' coffer get db

container sealed --annotation app=web --tmpfs /run
run in_container sealed cat /run/secrets/db
[[ $status -ne 0 ]] || fail "a sealed broker gave a secret away"
succeeds coffer unseal --keyfile "$D/key"
await_audit attach '.container == "sealed"'
reads sealed /run/secrets/db value

stop_broker
container absent --annotation app=web --tmpfs /run
[[ $(stat -c '%U %a' "$RUN/pending") == 'root 700' ]] || fail "pending: $(stat -c '%U %a' "$RUN/pending")"
[[ -n $(ls -A "$RUN/pending") ]] || fail "the hook left nothing in pending"
start_broker
succeeds coffer unseal --keyfile "$D/key"
await_audit attach '.container == "absent"'
reads absent /run/secrets/db value
[[ -z $(ls -A "$RUN/pending") ]] || fail "pending still holds $(ls -A "$RUN/pending")"

# One that waited and ended before the unseal is forgotten.
succeeds coffer seal
container gone --annotation app=web --tmpfs /run
delete_container gone
succeeds coffer unseal --keyfile "$D/key"
succeeds coffer ps --json
says_json 'all(.attachments[]; .container != "gone")'
