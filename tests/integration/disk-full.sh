#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full disk: a put is refused with a sentence and leaves nothing half done, a running container goes on reading,
# and after there is room again everything works.
. "$(dirname "$0")/lib.sh"

mkdir "$STATE"
mount -t tmpfs -o size=3m,mode=700 tmpfs "$STATE"
broker_options=(--keyfile "$D/key")
unsealed_broker
put db value
succeeds coffer grant db --container web
container web
reads web /run/secrets/db value

dd if=/dev/zero of="$STATE/filler" bs=64k >/dev/null 2>&1 || true
head -c 500000 /dev/urandom >"$D/value"
fails 1 'space|full' coffer put db --file "$D/value"
fails 1 'space|full' coffer put other --file "$D/value"
reads web /run/secrets/db value
run coffer get db # given out only if the record of it can be written
[[ $status -eq 0 ]] || grep -q 'audit log.*: .*space' "$D/err" || fail "get: $(cat "$D/err")"

rm "$STATE/filler"
put db newer
reads web /run/secrets/db newer
fails 1 'not.*there|no secret|not found|unknown' coffer get other
stop_broker
start_broker
succeeds coffer get db
says newer
succeeds coffer audit verify
