#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 27 of docs/threats.md: noise, half messages and thousands of slow clients on both sockets; a good client is
# served in between and afterwards.
. "$(dirname "$0")/duel.sh"

duel
container victim
armed attacker
armed good
put good-secret "$OWN_VALUE"
succeeds coffer grant good-secret --container good
good_clients() {
	succeeds coffer get own-secret
	says "$OWN_VALUE"
	attack good ask /coffer/sock Get '{"path":"good-secret"}'
	got "$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
}

# Noise.
attack attacker garbage /coffer/sock 300
succeeds "$TOOLS/attacker" garbage "$RUN/operator.sock" 300
good_clients
await_audit api.refused '.container == "attacker" and .text == "malformed message"'
await_audit api.refused '.container == "attacker" and .text == "message too long"'

# Slow clients: half a message on each, a byte more now and then, for as long as we like.
in_time() { # COMMAND...: not behind the slow ones, who hold on for 10 s and more
	timeout 8 "$@" >"$D/out" 2>"$D/err" </dev/null || fail "'$*' is not served beside slow clients: $(cat "$D/err")"
}
ulimit -n "$(ulimit -Hn)"
begin inside runc --root "$D/runc" exec attacker /attacker slow /coffer/sock 1000
[[ $line =~ ^open\ [0-9]{2,} ]] || fail "the slow clients in the container: $line"
begin outside "$TOOLS/attacker" slow "$RUN/operator.sock" 3000
[[ $line =~ ^open\ [0-9]{2,} ]] || fail "the slow clients on the host: $line"
for _ in 1 2 3; do
	echo >&"${begun_in[inside]}"
	echo >&"${begun_in[outside]}"
	in_time "$COFFER_BUILD/client/coffer" get own-secret
	says "$OWN_VALUE"
	in_time runc --root "$D/runc" exec good /attacker ask /coffer/sock Get '{"path":"good-secret"}'
	got "$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
	in_time runc --root "$D/runc" exec attacker cat /run/secrets/own-secret
	in_time runc --root "$D/runc" exec victim cat /run/secrets/victim-secret
done
# More than a container's share was closed with a record, long before anyone lost patience.
await_audit api.refused '.container == "attacker" and .text == "too many connections"'
for where in inside outside; do
	end $where
	got '^ended [0-9]{3,}$'
	echo "of the slow clients $where the broker $(cat "$D/out")"
done
good_clients
all_is_well
