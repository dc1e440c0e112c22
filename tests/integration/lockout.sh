#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Operators work in cgroups that others share (a session, a service). A process there that connects to the workload
# socket becomes a process group with nothing of its own; it takes the operator's door from nobody.
. "$(dirname "$0")/lib.sh"

unsealed_broker
put db value
session=$CGROUP2/coffer-test-$TAG-session
mkdir "$session"
on_exit+=("rmdir $session")

there() { # COMMAND...: from within the session
	bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' there "$session" "$@"
}
client=$COFFER_BUILD/client/coffer
operator_works() {
	succeeds there "$client" status
	succeeds there "$client" get db
	says value
	succeeds there "$client" put db --file <(printf value)
}

operator_works
before=$(coffer audit --json | jq -s 'last.seq')

# Anybody, who holds the connection; answered or closed, by then the broker has made up its mind.
mkfifo "$D/hold" "$D/answer"
there setpriv --reuid 65534 --regid 65534 --clear-groups socat -t 60 - "UNIX-CONNECT:$RUN/workload/sock" \
	<"$D/hold" >"$D/answer" 2>"$D/socat.log" &
anybody=$!
exec {hold}>"$D/hold" {answer}<"$D/answer"
printf '{"method":"io.coffer.workload.Get","parameters":{"path":"db"}}\0' >&"$hold" || true
IFS= read -r -d '' -t 30 -u "$answer" said || true
[[ -z $said ]] || jq -e '.error == "io.coffer.workload.NotFound"' <<<"$said" >/dev/null ||
	fail "anybody was answered: $said"
operator_works
audit_lacks denied ".seq > $before"
exec {hold}>&- {answer}<&-
wait "$anybody" || true
operator_works

# Root of the host, that has no container around it, is no other.
there socat -t 10 - "UNIX-CONNECT:$RUN/workload/sock" >"$D/out" \
	< <(printf '{"method":"io.coffer.workload.Get","parameters":{"path":"db"}}\0')
! grep -q "$(printf value | base64)" "$D/out" || fail "a process of the host was given a secret"
operator_works
succeeds coffer audit verify
