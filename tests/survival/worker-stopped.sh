#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Workers that hang (SIGSTOP) under readers: the broker goes on with its own work and with everybody else's, each is
# replaced, no reader sees an error, and each open is on record once.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

unsealed_broker
crowd_secrets
put mark 0
succeeds coffer grant mark --label crowd=1
eager=2 crowd 10 20000

for round in 1 2 3 4; do
	mapfile -t hung < <(crowd_workers | grep -E '^c[0-4] ' | cut -d' ' -f2)
	[[ ${#hung[@]} -eq 5 ]] || fail "these have a worker: ${hung[*]}"
	kill -STOP "${hung[@]}"
	# The broker's own work, while they hang.
	succeeds timeout -s KILL 20 "$COFFER_BUILD/client/coffer" put beside --file <(printf %d $round)
	succeeds timeout -s KILL 20 "$COFFER_BUILD/client/coffer" get beside
	says $round
	crowd_progress 10 c5 c6 c7 c8 c9
	if [[ $round -eq 2 ]]; then # a change for the hanging ones as well
		succeeds timeout -s KILL 20 "$COFFER_BUILD/client/coffer" put mark --file <(printf %d $round)
		shown
	fi
	"$here/await" end "${hung[@]}"
	crowd_progress 10
done
records=$(coffer audit --json | jq -s 'map(select(.event == "worker.hung" and (.container | test("^c[0-4]$")))) | length')
[[ $records -ge 20 ]] || fail "of 20 workers that hung $records are on record"
reads c3 /run/secrets/mark 2
audit_lacks attach.failed
crowd_stop 30
crowd_accounts
crowd_report '20 workers stopped, each replaced'
