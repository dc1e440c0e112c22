#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A worker that hangs (here: is stopped) is replaced by a successor on the same mount, whoever waits for it: a reader,
# a change, a revocation, a new broker. Nobody gets an error, and what was to be withdrawn is.
. "$(dirname "$0")/lib.sh"

broker_options=(--keyfile "$D/key")
unsealed_broker
put db first
succeeds coffer grant db --container web
container web
reads web /run/secrets/db first

worker_of() { # CONTAINER
	coffer ps --json | jq -r ".attachments[] | select(.container == \"$1\") | .worker // empty"
}
hang() { # CONTAINER: its worker, whose pid is in $worker
	worker=$(worker_of "$1")
	[[ -n $worker ]] || fail "$1 has no worker"
	kill -STOP "$worker"
}
in_time() { # COMMAND...: not only when somebody lets the worker go on
	succeeds timeout -s KILL 20 "$@"
	[[ ! -s $D/err ]] || fail "'$*' said: $(cat "$D/err")"
}
reads_in_time() { # CONTAINER PATH VALUE
	in_time runc --root "$D/runc" exec "$1" cat "$2"
	says "$3"
}
hung() { # HOW-OFTEN: such records of web
	coffer audit --json >"$D/audit"
	[[ $(jq -s 'map(select(.event == "worker.hung" and .container == "web")) | length' "$D/audit") -eq $1 ]] ||
		fail "not $1 records worker.hung: $(grep worker.hung "$D/audit")"
}
client=$COFFER_BUILD/client/coffer

# A reader waits.
hang web
reads_in_time web /run/secrets/db first
"$here/await" end "$worker"
[[ $(worker_of web) != "$worker" ]] || fail "the hung worker is still web's"
hung 1

# A change waits: shown when put returns.
hang web
in_time "$client" put db --file <(printf second)
"$here/await" end "$worker"
reads web /run/secrets/db second
hung 2

# A revocation waits. It reaches who has the file open, though its pages are in the kernel.
head -c 8192 /dev/zero | tr '\0' k | coffer put key >/dev/null
succeeds coffer grant key --container web
grant=$(cat "$D/out")
mkfifo "$D/go" "$D/said"
runc exec web sh -c 'cat /run/secrets/key >/dev/null; exec 3</run/secrets/key; echo opened; read -r _
	cat <&3 2>&1 | tail -c 200; head -c 1 <&3; echo "status $?"' <"$D/go" >"$D/said" 2>&1 &
reader=$!
exec {go}>"$D/go" {said}<"$D/said"
read -r line <&"$said"
[[ $line == opened ]] || fail "the reader said '$line'"
hang web
in_time "$client" revoke "$grant"
"$here/await" end "$worker"
echo >&"$go"
cat <&"$said" >"$D/reader"
exec {go}>&- {said}<&-
wait "$reader"
grep -q '^status 1' "$D/reader" || fail "after the revocation the open file said: $(cat "$D/reader")"
lacks web /run/secrets/key
audit_has withdraw '.container == "web" and .name == "key"'
hung 3

# A successor that is long in coming (the host is busy) does not switch the watch off.
spawner=$(pgrep -P "$broker_pid")
worker=$(worker_of web)
kill -STOP "$spawner"
on_exit+=("kill -CONT $spawner 2>/dev/null")
kill -9 "$worker"
await_audit worker.ended '.container == "web"'
sleep 2.5 # not for something to happen: so that the watch looks twice while there is no worker
kill -CONT "$spawner"
reads_in_time web /run/secrets/db second
hang web
reads_in_time web /run/secrets/db second
"$here/await" end "$worker"
hung 4

# A new broker waits for it, but not for ever: then the container has its files by another worker.
instance=$(coffer ps --json | jq -r '.attachments[].instance')
before=$(coffer audit --json | jq -s 'last.seq')
hang web
stop_broker KILL
start_broker
await_audit worker.hung ".container == \"web\" and .seq > $before"
"$here/await" end "$worker"
await_audit attach ".container == \"web\" and .seq > $before"
reads_in_time web /run/secrets/db second
succeeds coffer ps --json
says_json ".attachments | length == 1 and .[0].instance == \"$instance\" and .[0].state == \"attached\""
succeeds in_container web grep -c ' /run/secrets ' /proc/self/mountinfo
says 1
in_time "$client" put db --file <(printf third)
reads web /run/secrets/db third
lacks web /run/secrets/key
succeeds coffer audit verify
