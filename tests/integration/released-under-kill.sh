#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Versions that were let go of are not held: also if their worker is killed while the log has not all of their opens.
. "$(dirname "$0")/lib.sh"

write_config '.audit_budget = 60'
unsealed_broker
put db v0
succeeds coffer grant db --container web
container web --tmpfs /tmp
# shellcheck disable=SC2016 # the container's shell expands it
runc exec web sh -c 'while [ ! -e /tmp/stop ]; do read -r v </run/secrets/db || [ -n "$v" ] || exit 1; done' >"$D/reader.log" 2>&1 </dev/null &
reader=$!
# Beyond its budget opens are counts, which become lines a second later.
until coffer audit --json | jq -se 'any(.[]; .event == "open" and .count > 1)' >/dev/null; do :; done
for i in {1..8}; do
	put db "v$i"
	end_processes "$(coffer ps --json | jq '.attachments[0].worker')"
	reads web /run/secrets/db "v$i"
done
succeeds in_container web touch /tmp/stop
wait "$reader" || fail "a read failed: $(cat "$D/reader.log")"
put db last
until=$((SECONDS + 60))
until held=$(coffer ps --json | jq -c '.attachments[0].files[0].held') && [[ $held == '[]' ]]; do
	[[ $SECONDS -lt $until ]] || fail "nobody has them open, and these are held: $held"
done
