#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 3, 4, 5 and 6 of docs/threats.md: an attacker that can write the host's cgroups moves into the victim's, makes
# ones with telling names below its own, and bind-mounts the victim's. It is itself, or refused.
. "$(dirname "$0")/duel.sh"

# Engines name containers by 64 hex digits.
hex=$(printf 'victim' | sha256sum | cut -d' ' -f1)
duel
succeeds coffer grant victim-secret --container "$hex"
container victim
container "$hex"
armed attacker --mount "$CGROUP2:/cgroups" --jq "$(capable CAP_SYS_ADMIN)"
own=/cgroups/coffer-test-$TAG-attacker
in_container attacker test -d "$own" || fail "the container has no cgroup of version 2 here"
on_exit+=("find $CGROUP2/coffer-test-$TAG-attacker -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null")

# 3: into the victim's cgroup, as root and from a user namespace.
attack attacker move "/cgroups/coffer-test-$TAG-victim" /coffer/sock Get '{"path":"victim-secret"}'
got '^move SUCCEEDED$'
got '^answer closed$'
await_audit workload.refused '.reason | test("not in its namespaces")'
last=$(coffer audit --json | jq -s last.seq)
attack attacker move -u "/cgroups/coffer-test-$TAG-victim" /coffer/sock Get '{"path":"victim-secret"}'
nothing_of_the_victim
if grep -q '^move SUCCEEDED$' "$D/out"; then
	got '^answer closed$'
	await_audit workload.refused ".seq > $last and (.reason | test(\"not in its namespaces\"))"
fi
# The mount goes by the connection, not by the cgroup.
run in_container attacker sh -c "echo 0 >/cgroups/coffer-test-$TAG-victim/cgroup.procs && ls /run/secrets"
says own-secret

is_itself() { # CGROUP
	attack attacker move "$1" /coffer/sock Identity '{}'
	got '^move SUCCEEDED$'
	got '^answer .*"container":"attacker"'
	attack attacker move "$1" /coffer/sock Get '{"path":"victim-secret"}'
	got 'NotFound'
}

# 4 and 5: names that would mean something to whoever reads them.
names=("docker-$hex.scope" "libpod-$hex.scope" 'a:b' ':' 'x..' '..x' "coffer-test-$TAG-victim" 'gone (deleted)' '\x2e\x2e'
	"$(head -c 255 /dev/zero | tr '\0' a)" $'tab\tand\e[31m' $'caf\xc3')
for name in "${names[@]}"; do
	succeeds in_container attacker mkdir "$own/$name"
	is_itself "$own/$name"
	succeeds in_container attacker rmdir "$own/$name"
done
run in_container attacker mkdir "$own/"$'new\nline'
[[ $status -ne 0 ]] || is_itself "$own/"$'new\nline'
deep=$own
for _ in 1 2 3 4 5 6; do deep+=/$(head -c 200 /dev/zero | tr '\0' d); done
succeeds in_container attacker mkdir -p "$deep"
is_itself "$deep"

# 6: mountinfo, seen from the container, names the victim.
succeeds in_container attacker mount --bind "/cgroups/coffer-test-$TAG-victim" "$own"
attack attacker ask /coffer/sock Identity '{}'
got '"container":"attacker"'
attack attacker ask /coffer/sock Get '{"path":"victim-secret"}'
got 'NotFound'
audit_has api.get '.container == "attacker" and .result == "ENOENT" and (.text | test("victim-secret"))'
all_is_well
