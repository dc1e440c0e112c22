#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 3 of docs/threats.md, where the victim is weak (it shares the host's pid namespace, below which every process is):
# a process of another container that moves into the victim's cgroup gets nothing, and is recorded.
. "$(dirname "$0")/duel.sh"

duel
succeeds coffer grant victim-secret --container victim --allow-weak
weak='.linux.namespaces |= map(select(.type != "pid"))'
armed victim --jq "$weak"
succeeds coffer ps --json
says_json 'any(.attachments[]; .container == "victim" and .weak)'
attack victim ask /coffer/sock Get '{"path":"victim-secret"}'
got "$(printf '%s' "$VICTIM_VALUE" | base64 -w 0)"

refusals=0
tries() { # CONTAINER [-u]: each method that would tell something
	local method
	for method in Identity:{} List:{} 'Get:{"path":"victim-secret"}' Attach:{}; do
		attack "$1" move "${@:2}" "/cgroups/coffer-test-$TAG-victim" /coffer/sock "${method%%:*}" "${method#*:}"
		nothing_of_the_victim
		if [[ $# -eq 1 ]]; then
			got '^move SUCCEEDED$'
		elif ! grep -q '^move SUCCEEDED$' "$D/out"; then
			continue # the kernel keeps it out
		fi
		got '^answer closed$'
		refusals=$((refusals + 1))
	done
}
all_recorded() { # equal ones of a second are one record, with their count
	local found=0
	exec {follower}< <(exec "$COFFER_BUILD/client/coffer" audit --follow --json 2>>"$D/follow.log")
	local follower_pid=$!
	timeout 60 jq -n --unbuffered "first(foreach (inputs | select(.event == \"workload.refused\"
		and (.reason | test(\"not in its namespaces\")))) as \$r (0; . + (\$r.count // 1);
		select(. == $refusals))) | halt_error(7)" <&"$follower" >/dev/null 2>&1 || found=$?
	exec {follower}<&-
	kill "$follower_pid" 2>/dev/null || true
	[[ $found -eq 7 ]] || fail "of $refusals refusals the log has: $(coffer audit --json | grep workload.refused)"
}

# From pid and mount namespaces of its own, and, as weak as the victim, from the host's pid namespace.
armed attacker --mount "$CGROUP2:/cgroups" --jq "$(capable CAP_SYS_ADMIN)"
tries attacker
tries attacker -u
succeeds coffer grant own-secret --container spy --allow-weak
armed spy --mount "$CGROUP2:/cgroups" --jq "$weak" --jq "$(capable CAP_SYS_ADMIN)"
tries spy
tries spy -u
attack spy ask /coffer/sock Get '{"path":"own-secret"}'
got "$(printf '%s' "$OWN_VALUE" | base64 -w 0)"

all_recorded

# Nor by the victim's mount, which the spy, without moving, finds in /proc.
run in_container spy cat "/proc/$(container_pid victim)/root/run/secrets/victim-secret"
[[ $status -ne 0 ]] || fail "the spy reads the victim's file"
nothing_of_the_victim
attack victim ask /coffer/sock Get '{"path":"victim-secret"}'
got "$(printf '%s' "$VICTIM_VALUE" | base64 -w 0)"
all_is_well
