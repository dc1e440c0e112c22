#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A put that was acknowledged is there after the broker was killed with SIGKILL; the audit log verifies.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
for round in 1 2 3; do
	# Puts run until the broker dies under them; every one that said it was done goes into the list.
	: >"$D/acknowledged"
	mkfifo "$D/began"
	(
		trap - ERR EXIT
		n=0
		while printf '%s' "value-$round-$n" | coffer put "name-$n" >>"$D/acknowledged" 2>/dev/null; do
			n=$((n + 1))
			[[ $n -ne 20 ]] || echo enough >"$D/began"
		done
	) &
	writer=$!
	read -r _ <"$D/began"
	rm "$D/began"
	stop_broker KILL
	wait "$writer" || true
	end_cgroup
	start_broker
	[[ $(wc -l <"$D/acknowledged") -ge 20 ]] || fail "fewer than 20 puts were acknowledged"
	while read -r name version; do
		succeeds coffer get "$name" --version "$version"
		says "value-$round-${name#name-}"
	done <"$D/acknowledged"
	succeeds coffer audit verify
done
