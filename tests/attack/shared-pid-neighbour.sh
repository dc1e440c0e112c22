#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 3 of docs/threats.md, where attacker and victim share a pid namespace, as the containers of a pod may: one that
# moves into the other's cgroup gets nothing, and is recorded; the mount, too, tells them apart.
. "$(dirname "$0")/duel.sh"

duel
armed victim
pid=$(container_pid victim)
armed attacker --mount "$CGROUP2:/cgroups" --jq "$(capable CAP_SYS_ADMIN)" \
	--jq ".linux.namespaces |= map(if .type == \"pid\" then .path = \"/proc/$pid/ns/pid\" else . end)"
[[ $(readlink "/proc/$pid/ns/pid") == "$(readlink "/proc/$(container_pid attacker)/ns/pid")" ]] ||
	fail "the containers share no pid namespace"

each_has_its_own() {
	attack victim ask /coffer/sock Get '{"path":"victim-secret"}'
	got "$(printf '%s' "$VICTIM_VALUE" | base64 -w 0)"
	attack attacker ask /coffer/sock Get '{"path":"own-secret"}'
	got "$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
	attack attacker ask /coffer/sock Get '{"path":"victim-secret"}'
	got NotFound
	reads attacker /run/secrets/own-secret "$OWN_VALUE"
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
}
each_has_its_own

for method in 'Get:{"path":"victim-secret"}' List:{} Identity:{}; do
	attack attacker move "/cgroups/coffer-test-$TAG-victim" /coffer/sock "${method%%:*}" "${method#*:}"
	got '^move SUCCEEDED$'
	got '^answer closed$'
	nothing_of_the_victim
done
await_audit workload.refused '.reason | test("not in its namespaces")'

# The victim's file by way of its first process, which the attacker sees as its own.
run in_container attacker cat /proc/1/root/run/secrets/victim-secret
[[ $status -ne 0 ]] || fail "the attacker reads the victim's file"
nothing_of_the_victim

# Nor from a user namespace.
attack attacker move -u "/cgroups/coffer-test-$TAG-victim" /coffer/sock Get '{"path":"victim-secret"}'
nothing_of_the_victim
each_has_its_own
all_is_well
