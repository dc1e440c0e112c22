#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 8 of docs/threats.md: a container with the name, id and cgroup path of one that is gone is a new instance that
# inherits nothing: no grant whose conditions it lacks, no mount, no connection.
. "$(dirname "$0")/duel.sh"

duel
container victim
succeeds coffer grant own-secret --label team=payments
instance() {
	coffer audit --json | jq -rs 'map(select(.event == "register" and .container == "again")) | last.instance'
}

for hooks in . 'del(.hooks.poststop)'; do
	armed again --annotation team=payments --jq "$hooks"
	reads again /run/secrets/own-secret "$OWN_VALUE"
	first=$(instance)
	delete_container again
	await_audit end ".instance == \"$first\""
	rm -r "$D/again.bundle"

	armed again --jq "$hooks"
	lacks again /run/secrets/own-secret
	attack again ask /coffer/sock Get '{"path":"own-secret"}'
	got 'NotFound'
	[[ $(instance) != "$first" ]] || fail "the second container is the first one's instance"
	audit_lacks open ".instance == \"$(instance)\" and .result == \"granted\""
	audit_has api.get ".instance == \"$(instance)\" and .result == \"ENOENT\""
	delete_container again
	rm -r "$D/again.bundle"
done

# An id that begins like the victim's is another container's.
armed victim2
lacks victim2 /run/secrets/victim-secret
all_is_well
