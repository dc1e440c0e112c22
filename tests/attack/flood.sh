#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 45 of docs/threats.md: opens without end, from many processes, do not fill the log, hide no refusal, and cost no
# neighbour a record.
. "$(dirname "$0")/duel.sh"

budget=300 flood=120000 neighbour=40
write_config ". + {audit_budget: $budget}"
duel
container victim
armed attacker --mount "$CGROUP2:/cgroups" --jq "$(capable CAP_SYS_ADMIN CAP_DAC_OVERRIDE)"
armed good
put good-secret "$OWN_VALUE"
succeeds coffer grant good-secret --container good
succeeds in_container attacker mount -o remount,bind,rw /run/secrets

in_container attacker /attacker opens /run/secrets/own-secret $flood >"$D/flood.out" 2>"$D/flood.log" &
flooder=$!
for ((i = 0; i < neighbour; i++)); do
	reads good /run/secrets/good-secret "$OWN_VALUE"
	[[ $i -ne 10 ]] || run in_container attacker sh -c 'echo x >/run/secrets/own-secret'
done
kill -0 "$flooder" 2>/dev/null || echo "the flood was over before the neighbour was"
attack attacker ask /coffer/sock Get '{"path":"victim-secret"}'
wait "$flooder" || fail "the flood broke off: $(cat "$D/flood.log")"
cp "$D/flood.out" "$D/out"
got "^opens $flood$"
got '^failed 0$'

succeeds coffer audit --json
count() { # JQ-FILTER: events that the records stand for
	jq -s "map(select($1) | .count // 1) | add // 0" "$D/out"
}
[[ $(count '.event == "open" and .container == "attacker" and .result == "granted"') -eq $flood ]] ||
	fail "of $flood opens the log has $(count '.event == "open" and .container == "attacker" and .result == "granted"')"
lines=$(jq -s 'map(select(.container == "attacker")) | length' "$D/out")
minutes=$(($(jq -s 'map(.time[:16]) | unique | length' "$D/out") + 1))
[[ $lines -le $((2 * budget * minutes + 100)) ]] || fail "$lines lines of the attacker's, with a budget of $budget a minute"
echo "$flood opens: $lines lines in the log"
# The refusals are there, each.
[[ $(count '.event == "write" and .container == "attacker" and .result == "EROFS"') -ge 1 ]] || fail "the refused write is hidden"
[[ $(count '.event == "api.get" and .container == "attacker" and .result == "ENOENT"') -eq 1 ]] || fail "the refused call is hidden"
# The neighbour's records are whole, a line each.
[[ $(jq -s 'map(select(.event == "open" and .container == "good" and .name == "good-secret" and .count == 1)) | length' "$D/out") -eq $neighbour ]] ||
	fail "the neighbour's records are not whole"

# Connections that are refused, in a loop, do not fill it either: here from within the victim's cgroup.
before=$(wc -l <"$STATE/audit/log.jsonl")
succeeds in_container attacker sh -c "echo 0 >/cgroups/coffer-test-$TAG-victim/cgroup.procs &&
	/attacker garbage /coffer/sock 3000"
await_audit workload.refused '.pid > 0 and (.reason | test("not in its namespaces"))'
succeeds coffer audit --json
after=$(wc -l <"$STATE/audit/log.jsonl")
echo "3000 refused connections: $((after - before)) lines in the log"
[[ $((after - before)) -lt 300 ]] || fail "3000 refused connections made $((after - before)) lines"
all_is_well
