#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A broker that comes back sealed leaves running containers served: they read on, also by descriptors from before, and
# the account is kept. A worker that ends meanwhile has no successor before the unseal: its readers wait, and get their
# bytes. With "on_seal": "stop" nothing is served by a sealed broker, until the unseal, also if it was sealed by hand.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/crowd-lib.sh"

unsealed_broker
crowd_secrets
eager=1 crowd 3 20000
crowd_workers | sort >"$D/workers.first"

for signal in KILL TERM; do
	stop_broker $signal
	crowd_progress 30
	start_broker
	succeeds coffer status --json
	says_json '.state == "sealed"'
	crowd_progress 30
	in_container c1 cat /run/secrets/large | cmp - "$D/large.value" || fail "c1 reads something else"
	crowd_workers | sort | diff "$D/workers.first" - || fail "another worker serves"
done

# The values are sealed away with the broker, so a successor has to wait for them, and its readers with it.
kill -9 "$(crowd_workers | grep '^c2 ' | cut -d' ' -f2)"
await_audit worker.ended '.container == "c2"'
runc exec c2 cat /run/secrets/large >"$D/waited" </dev/null 2>&1 &
waiting=$!
crowd_progress 30 c0 c1
! crowd_workers | grep -q '^c2 ' || fail "c2 has a worker, though its values are not to be had"
kill -0 "$waiting" || fail "the reader did not wait: $(head -c 200 "$D/waited")"
succeeds coffer unseal --keyfile "$D/key"
wait "$waiting" || fail "the reader that waited failed: $(head -c 200 "$D/waited")"
cmp "$D/waited" "$D/large.value" || fail "the reader that waited got something else"
crowd_progress 30

# Each of these opened one file besides.
crowd_stop 30
jq -c '.opens += if .name == "c1" then 2 elif .name == "c2" then 1 else 0 end' "$D/crowd.json" >"$D/besides"
mv "$D/besides" "$D/crowd.json"
crowd_accounts
crowd_report 'a broker that comes back sealed'

# "on_seal": "stop".
bundle quiet --hook --annotation crowd=1
run_container quiet
read -r -d '' first < <(in_container quiet cat /run/secrets/first) || true
mkfifo "$D/go" "$D/open"
runc exec quiet sh -c 'exec 3</run/secrets/large; echo opened; read -r _
	if cat <&3 >/dev/null 2>&1; then echo read; else echo refused; fi' \
	<"$D/go" >"$D/open" 2>&1 &
exec {go}>"$D/go" {open}<"$D/open"
read -r line <&"$open"
[[ $line == opened ]] || fail "the process with an open file said '$line'"
is_stopped() {
	run in_container quiet cat /run/secrets/first
	[[ $status -ne 0 ]] || fail "a sealed broker serves, though it is to stop"
	audit_has attach.failed '.container == "quiet" and (.reason | test("sealed"))'
}
stop_broker TERM
write_config '.on_seal = "stop"'
start_broker
await_audit attach.failed '.container == "quiet"'
is_stopped
echo >&"$go"
read -r line <&"$open"
[[ $line == refused ]] || fail "an open file says '$line'"
exec {go}>&-
succeeds coffer unseal --keyfile "$D/key"
await_audit attach ".container == \"quiet\" and .seq > $(coffer audit --json | jq -s 'map(select(.event == "unseal")) | last.seq')"
reads quiet /run/secrets/first "$first"
before=$(coffer audit --json | jq -s 'last.seq')
succeeds coffer seal
await_audit attach.failed ".container == \"quiet\" and .seq > $before"
is_stopped
succeeds coffer audit verify
