#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container sends files whose last close blocks over connections that the broker refuses without reading, at the
# workload socket and at the operators': the broker answers all the same.
. "$(dirname "$0")/duel.sh"

duel
container victim
bundle attacker --hook --mount "$RUN:/coffer" # as bad as can be: both sockets
install -m 755 "$TOOLS/linger" "$D/attacker.bundle/rootfs/linger"
run_container attacker
mkfifo "$D/hold"

answers() { # WHERE: each of these would wait as long as the sockets linger, five minutes
	local i
	for i in 1 2 3; do
		timeout 60 "$COFFER_BUILD/client/coffer" status >"$D/out" 2>"$D/err" || fail "$1: the broker does not answer"
	done
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
}
linger() { # FOLDER: from there; the process that connects is dead before the broker can look at it
	kill -STOP "$broker_pid"
	exec {said}< <(runc exec attacker /linger "/coffer/$1" 20 <"$D/hold" 2>&1)
	exec {hold}>"$D/hold"
	read -r -t 60 -u "$said" line || fail "linger says nothing"
	kill -CONT "$broker_pid"
	[[ $line == given* ]] || fail "linger said '$line'"
	echo "$1: $line"
	answers "$1"
	exec {hold}>&- {said}<&-
}
linger workload/sock
linger operator.sock
[[ $line != 'given 0' ]] || fail "nothing was sent: that was no test"
children=$(pgrep -c -P "$broker_pid") || true
[[ $children -le 1 ]] || fail "$children children of the broker are left" # its spawner
