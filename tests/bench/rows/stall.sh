#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The longest look of a reader while its worker is killed, while the broker is killed, and while it is exchanged.
. "$(dirname "${BASH_SOURCE[0]}")/../bench-lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put_random bench/64 64
succeeds coffer grant bench/64 --container reader
mkdir "$D/shared"
container reader --mount "$D/shared:/shared" --mount "$LOOK:/look"

stalled() { # CASE COMMAND...: so often as is worth it
	local what=$1 line reader i worker
	shift
	rm -f "$D/shared/stop"
	exec {reader}< <(exec runc --root "$D/runc" exec reader /look stall /shared/stop /run/secrets/64 2>>"$D/look.log")
	read -r -u "$reader" line
	for ((i = 0; i < $(scaled 50); i++)); do
		"$@"
	done
	touch "$D/shared/stop"
	read -r -t 60 -u "$reader" line || fail "the reader says nothing"
	exec {reader}<&-
	[[ $(jq .failed <<<"$line") -eq 0 ]] || fail "reads failed: $line"
	opened=$((opened + $(jq .count <<<"$line")))
	jq -c '{ours: (.longest_ns / 1e6)}' <<<"$line" | result stall "$what" ms ''
}
kill_worker() {
	local before after
	before=$(worker_of reader)
	kill -9 "$before"
	until after=$(worker_of reader) && [[ $after != null && $after -ne $before ]]; do :; done
}
kill_broker() {
	stop_broker KILL
	start_broker
}
restart_broker() {
	stop_broker TERM
	start_broker
}
nothing() { coffer status >/dev/null; }
stalled 'nothing happens' nothing
stalled 'worker killed' kill_worker
stalled 'broker killed' kill_broker
stalled 'broker restarted' restart_broker
account
