#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Workers killed again and again under 100 containers with readers, many with a request in hand: no reader sees an error,
# descriptors and mappings held from before go on, sizes, times and inodes stay, each killed worker has a successor, and
# the log accounts for each open exactly once.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

containers=100
write_config '.audit_budget = 60' # above it equal opens are one line with a count
broker_options=(--keyfile "$D/key")
unsealed_broker
crowd_secrets
eager=4
crowd $containers 200000
crowd_workers | sort >"$D/workers.first"
[[ $(wc -l <"$D/workers.first") -eq $containers ]] || fail "$(wc -l <"$D/workers.first") workers serve $containers"

ended() { # [JQ-FILTER]: how many workers ended, by the broker's records
	coffer audit --json | jq -s "map(select(.event == \"worker.ended\" and (${1:-true}))) | length"
}

# Each round kills some at moments that nothing ties to what they do; among them one of the eager readers', each in its
# turn. What was killed has served since when the next round begins: dying at once, over and over, is another matter.
victims() { # COUNT ROUND
	crowd_workers >"$D/workers"
	sed -n "s/^c$(($2 % eager)) //p" "$D/workers"
	sed "/^c[0-$((eager - 1))] /d" "$D/workers" | shuf -n "$1" | cut -d' ' -f2
}
for ((round = 0; round < 40; round++)); do
	for pid in $(victims 5 $round); do
		for ((spin = RANDOM % 2000; spin > 0; spin--)); do :; done
		kill -9 "$pid" 2>>"$D/kill.log" || true # it had ended already: not counted below, either
	done
	crowd_progress 2
done
random=$(ended) by_chance=$(ended .request_in_hand)

# And some exactly between reading a request and answering it: at the entry of the call that would.
certain=0
for ((round = 0; round < 12; round++)); do
	tracers=()
	for pid in $(victims 6 $round); do
		strace -qq -o /dev/null -p "$pid" -e trace=writev -e inject=writev:signal=SIGKILL:when=1 2>>"$D/strace.log" &
		tracers+=($!)
	done
	for tracer in "${tracers[@]}"; do
		wait "$tracer" 2>/dev/null || true # ends with what it traces
		certain=$((certain + 1))
	done
	crowd_progress 3
done
all=$(ended) in_hand=$(ended .request_in_hand)
[[ $all -ge 250 ]] || fail "only $all workers were killed"
[[ $((in_hand - by_chance)) -ge 60 ]] ||
	fail "of $certain workers killed with a request in hand $((in_hand - by_chance)) had one, by the record"

crowd_progress 6
crowd_workers | sort >"$D/workers.last"
[[ $(cut -d' ' -f1 "$D/workers.last" | uniq | wc -l) -eq $containers ]] || fail "some have no worker any more"
coffer ps --json | jq -e '.attachments | all(.[]; .state == "attached")' >/dev/null || fail "some are not attached"
audit_lacks attach.failed
crowd_stop 30
crowd_accounts
crowd_report "$all workers killed ($random at random, of these $by_chance with a request in hand; $((in_hand - by_chance)) at the answer)"
