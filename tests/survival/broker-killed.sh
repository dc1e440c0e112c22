#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The broker killed again and again above 100 containers with readers: while it serves, while it starts, and in the
# middle of a put; and now and then stopped as a restart does it. No reader sees an error, workers are taken over, what
# put acknowledged arrives, and the log accounts for each open exactly once.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

containers=100
write_config '.audit_budget = 60' # above it equal opens are one line with a count
broker_options=(--keyfile "$D/key")
unsealed_broker
crowd_secrets
put mark 0
succeeds coffer grant mark --label crowd=1
eager=4 crowd $containers 200000
crowd_workers | sort >"$D/workers.first"
[[ $(wc -l <"$D/workers.first") -eq $containers ]] || fail "$(wc -l <"$D/workers.first") workers serve $containers"

spin() { # MOST: a moment that nothing ties to what others do
	local turns
	for ((turns = RANDOM * $1 / 32768; turns > 0; turns--)); do :; done
}

kill_while_starting() {
	(
		echo "$BASHPID" >"$BROKER_CGROUP/cgroup.procs"
		exec "$COFFER_BUILD/broker/cofferd" --state-dir "$STATE" --runtime-dir "$RUN" --config "$D/config.json" \
			--foreground "${broker_options[@]}" </dev/null >>"$LOG" 2>&1
	) 2>>"$D/kill.log" &
	broker_pid=$!
	spin 100000
	stop_broker KILL 2>>"$D/kill.log"
}

# Returns when containers that nothing ties together see it; or a later value, which a killed put may have left.
arrives() { # VALUE
	local name
	for name in $(printf '%s\n' "${CROWD[@]}" | shuf -n 3); do
		succeeds in_container "$name" cat /run/secrets/mark
		[[ $(cat "$D/out") -ge $1 ]] || fail "$name sees mark $(cat "$D/out") after the put of $1"
	done
}

kills=0 puts=0 cut=0 acknowledged=0
for ((round = 1; round <= 102; round++)); do
	putting=
	if [[ $((round % 10)) -eq 0 ]]; then
		succeeds coffer put mark --file <(printf %d $round)
		shown
		arrives $round
		acknowledged=$round puts=$((puts + 1))
	elif [[ $((round % 10)) -eq 5 ]]; then
		coffer put mark --file <(printf %d $round) >/dev/null 2>>"$D/put.log" &
		putting=$!
	fi
	spin 20000
	stop_broker KILL 2>>"$D/kill.log"
	kills=$((kills + 1))
	if [[ -n $putting ]]; then
		if wait "$putting"; then
			acknowledged=$round
		else
			cut=$((cut + 1))
		fi
	fi
	for ((more = round % 3; more > 0; more--)); do
		kill_while_starting
		kills=$((kills + 1))
	done
	start_broker 2>>"$D/kill.log"
	[[ $((round % 10)) -ne 5 ]] || arrives $acknowledged
	if [[ $((round % 20)) -eq 0 ]]; then
		stop_broker TERM
		start_broker
	fi
done
[[ $kills -ge 200 ]] || fail "the broker was killed $kills times only"

crowd_progress 6
succeeds coffer put mark --file <(printf 1000)
shown
arrives 1000
coffer ps --json | jq -e '.attachments | all(.[]; .state == "attached")' >/dev/null || fail "some are not attached"
# Workers are taken over. On a busy host one may get no turn for a second: then it is replaced as one that hangs.
crowd_workers | sort >"$D/workers.last"
coffer audit --json | jq -r 'select(.event == "worker.hung") | .container' | sort -u >"$D/hung"
comm -3 "$D/workers.first" "$D/workers.last" | awk '{ print $1 }' | sort -u | comm -23 - "$D/hung" >"$D/changed"
[[ ! -s $D/changed ]] || fail "other workers serve now: $(head "$D/changed"); $(coffer audit --json | grep '"worker\.' |
	head)"
audit_lacks attach.failed
crowd_stop 30
crowd_accounts
crowd_report "the broker killed $kills times, $puts puts between and $cut cut off; $(wc -l <"$D/hung") workers hung"
