#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A set that rotates while its worker is killed again and again, at any moment of a rotation, and the broker too: no
# process sees files of two rotations in one pass, and no open fails. Passes go on in the successor.
. "$(dirname "$0")/lib.sh"
. "$here/set-lib.sh"
KILLS=40
BROKER_KILLS=4
write_config '.audit_when_full = "serve"' # these readers open more than the log of an ordinary container takes
broker_options=(--keyfile "$D/key")

unsealed_broker
succeeds coffer grant tls/ --container web
rotate 0 tls/cert tls/key tls/ca/root
set_container web

worker_of() { # CONTAINER
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .worker // empty"
}

# A worker that ends sooner than this after its start counts as one that crashes, and they may be ten in a row.
has_lived() { # PID
	local -a stat
	read -r -a stat </proc/uptime
	local now=${stat[0]//./}
	read -r -a stat < <(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null || true) &&
		[[ ${#stat[@]} -gt 19 && ${stat[0]} != Z ]] &&
		((now - stat[19] > 40))
}

later() { # TURNS COMMAND...
	local turn
	for ((turn = 0; turn < $1; turn++)); do :; done
	"${@:2}"
}

start_reader loop web loop tls/cert tls/key
start_reader back web loop tls/key tls/ca/root tls/cert
start_reader fork web fork tls/cert tls/key
start_reader thread web thread tls/cert tls/key tls/ca/root
i=0
kills=0
while ((kills < KILLS)); do
	i=$((i + 1))
	worker=$(worker_of web)
	if has_lived "$worker"; then
		later $((kills % 20 * 2500)) kill -9 "$worker" 2>>"$D/kill.log" &
		killer=$!
		rotate $i tls/cert tls/key tls/ca/root
		if wait $killer; then
			kills=$((kills + 1)) # else it was one that had been killed before, and was still listed
		fi
		"$here/await" end "$worker"
	else
		rotate $i tls/cert tls/key tls/ca/root
	fi
done
# Not both at one time: without a service manager that keeps descriptors nothing would be left of the mount.
rotate $((++i)) tls/cert tls/key tls/ca/root
for ((kills = 0; kills < BROKER_KILLS; kills++)); do
	i=$((i + 1))
	mapfile -t values < <(set_files $i tls/cert tls/key tls/ca/root)
	coffer put "${values[@]}" >"$D/put.out" 2>&1 &
	putter=$!
	later $((kills * 4000)) stop_broker KILL
	wait $putter || true # it may have come too late, or be without its answer
	start_broker
	rotate $i tls/cert tls/key tls/ca/root
done
echo "$i rotations"
end_readers web $i 20
succeeds coffer audit verify
