#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A broker killed in the middle of telling a worker of a change, and one that comes back sealed: the worker serves on what
# it has, and after the unseal the change is made.
. "$(dirname "$0")/lib.sh"
. "$here/set-lib.sh"

unsealed_broker
put db value
succeeds coffer grant db --container web
mapfile -t names < <(printf 'many/%03d\n' {1..120})
for copy in 1 2 3 4 5 6; do
	succeeds coffer grant many/ --container web --as "copy$copy"
done
container web
reads web /run/secrets/db value
worker=$(coffer ps --json | jq '.attachments[0].worker')

# It does not listen, so that what it is told of the change stays half told.
kill -STOP "$worker"
mapfile -t values < <(set_files 1 "${names[@]}")
coffer put "${values[@]}" >"$D/put.out" 2>"$D/put.err" &
putting=$!
until jq -e .update "$RUN"/containers/*.json >/dev/null 2>&1; do :; done
stop_broker KILL
wait "$putting" || true
kill -CONT "$worker"
reads web /run/secrets/db value
start_broker
coffer status --json | jq -e '.state == "sealed"' >/dev/null || fail "the broker is not sealed"
reads web /run/secrets/db value
[[ $(coffer ps --json | jq '.attachments[0].worker') -eq $worker ]] || fail "the worker was replaced"
succeeds coffer unseal --keyfile "$D/key"
await_audit show '.container == "web" and .path == "copy6/120"'
succeeds in_container web cat /run/secrets/copy6/120
grep -q '^1 many/120' "$D/out" || fail "copy6/120 is $(cat "$D/out")"
