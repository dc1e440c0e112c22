#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container that was registered without any grant starts untouched; its mount comes live with the first grant,
# follows what is granted and revoked after that, and stays, empty, when the last grant goes.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db first
put api second
container web --tmpfs /run
run in_container web ls -A /run/secrets
[[ $status -ne 0 || -z $(cat "$D/out") ]] || fail "an ungranted container has $(cat "$D/out")"
succeeds in_container web sh -c 'grep -c " fuse" /proc/mounts || true'
says 0

succeeds coffer grant db --container web
first=$(cat "$D/out")
reads web /run/secrets/db first
succeeds coffer grant api --container web --as deep/er/token --mode 0440 --uid 1000 --gid 1000
succeeds in_container --user 1000:1000 web cat /run/secrets/deep/er/token
says second
succeeds in_container web stat -c '%a %u %g' /run/secrets/deep/er/token
says '440 1000 1000'
succeeds coffer revoke "$first"
lacks web /run/secrets/db
succeeds in_container --user 1000:1000 web cat /run/secrets/deep/er/token
says second

succeeds coffer grants --json
second=$(jq -r '.grants[0].id' "$D/out")
succeeds coffer revoke "$second"
succeeds in_container web ls -A /run/secrets
says ''
succeeds in_container web grep -c ' /run/secrets fuse' /proc/mounts
says 1

# A secret granted before it exists appears when it is put.
succeeds coffer grant not-yet --container web
lacks web /run/secrets/not-yet
put not-yet now
reads web /run/secrets/not-yet now
