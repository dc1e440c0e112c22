#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Of a container that ends every open is in the log, and its end: also if the broker was away meanwhile, or is killed
# right after it has noticed the end.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
write_config '.audit_budget = 60'
unsealed_broker
put db value
succeeds coffer grant db --label job=1

opens() { # NAME: granted ones in the log
	coffer audit --json | jq -s --arg name "$1" \
		'map(select(.event == "open" and .container == $name and .result == "granted") | .count) | add // 0'
}
accounts() { # NAME OPENS
	[[ $(opens "$1") -eq $2 ]] || fail "of $2 opens of $1 the log has $(opens "$1")"
	audit_has end ".container == \"$1\""
	! compgen -G "$RUN/containers/*.json" >/dev/null || fail "a registration is left"
	! compgen -G "$RUN/workers/*.sock" >/dev/null || fail "a worker's socket is left"
}

# It reads, more than its budget of lines, and ends while nobody is there.
container away --annotation job=1
worker=$(coffer ps --json | jq '.attachments[0].worker')
reads away /run/secrets/db value
stop_broker KILL
# shellcheck disable=SC2016 # the container's shell expands it
succeeds in_container away sh -c 'for i in $(seq 200); do read -r v </run/secrets/db || [ "$v" = value ] || exit 1; done'
delete_container away
start_broker
accounts away 201
"$here/await" end "$worker"

# Its worker is killed meanwhile, too: nobody is left who has its records, but its end is told and nothing of it stays.
container alone --annotation job=1
reads alone /run/secrets/db value
worker=$(coffer ps --json | jq '.attachments[0].worker')
stop_broker KILL
end_processes "$worker"
end_processes "$(container_pid alone)"
delete_container alone
start_broker
audit_has end '.container == "alone"'
! compgen -G "$RUN/containers/*.json" >/dev/null || fail "a registration is left"

# The broker is killed when the registration has just gone.
for ((round = 1; round <= 3; round++)); do
	container "late-$round" --annotation job=1
	# shellcheck disable=SC2016
	succeeds in_container "late-$round" sh -c 'for i in $(seq 100); do read -r v </run/secrets/db || [ "$v" = value ] || exit 1; done'
	kill -9 "$(container_pid "late-$round")"
	while compgen -G "$RUN/containers/*.json" >/dev/null; do :; done
	stop_broker KILL
	start_broker
	accounts "late-$round" 100
	delete_container "late-$round"
done
succeeds coffer audit verify
