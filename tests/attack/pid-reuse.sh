#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 1, 2, 11 and 12 of docs/threats.md: whoever connected is who asks, whatever became of its pid, whatever
# credentials it sends, whoever holds the connection now.
. "$(dirname "$0")/duel.sh"

duel
container victim
armed attacker
attacker=$(container_pid attacker)
victim=$(container_pid victim)

reuse() { # MODE: sets asker
	succeeds "$TOOLS/attacker" reuse "$1" /coffer/sock "$broker_pid" "$attacker" "$victim" "$CGROUP2" "$2"
	asker=$(sed -n 's/^asker //p' "$D/out")
	nothing_of_the_victim
}

# The control: alive, it is the attacker's container and gets what is the attacker's.
reuse alive own-secret
got "^answer .*$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
reuse alive victim-secret
got 'answer .*NotFound'

# 1: dead before the broker looked; then its pid is a process in the victim's namespaces and cgroup.
for mode in dead reused; do
	reuse $mode victim-secret
	got '^answer closed$'
	await_audit workload.refused ".pid == $asker and (.reason | test(\"ended|cannot be seen\"))"
done

# Root of a user namespace may send any of its ids, and choose pids.
put mapped-secret "$OWN_VALUE"
succeeds coffer grant mapped-secret --container mapped
armed mapped --userns --jq "$(capable CAP_CHECKPOINT_RESTORE CAP_SYS_ADMIN)"
attack mapped ask /coffer/sock Get '{"path":"mapped-secret"}'
got "^answer .*$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
# 2: the message comes with the credentials, and a pidfd, of pid 1.
attack mapped forge /coffer/sock Get '{"path":"mapped-secret"}'
got "^answer .*$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
audit_has api.get ".container == \"mapped\" and .name == \"mapped-secret\" and .uid == 100000 and
	.pid > 1 and .pid != $(container_pid mapped)"
attack mapped forge /coffer/sock Get '{"path":"victim-secret"}'
got 'NotFound'
audit_has api.get '.container == "mapped" and .result == "ENOENT" and (.text | test("victim-secret"))'

# 12: in a user namespace of its own, where its root may choose pids, a dead asker's pid is another process.
kill -STOP "$broker_pid"
exec {attempt}< <(in_container mapped /attacker respawn /coffer/sock mapped-secret 2>&1)
read -r -u "$attempt" line
kill -CONT "$broker_pid"
[[ $line == ready* ]] || fail "the pid was not used again: $line"
cat <&"$attempt" >"$D/out"
got '^answer closed$'
await_audit workload.refused '.uid == 100000 and (.reason | test("ended|cannot be seen"))'

# 11: the attacker's connection in the hands of another container speaks for the attacker, while it lives.
put other-secret other
succeeds coffer grant other-secret --container other
armed other
exec {borrower}< <(in_container other /attacker borrow /shared/via own-secret other-secret victim-secret 2>&1)
read -r -u "$borrower" line
[[ $line == listening ]] || fail "the borrower: $line"
attack attacker lend /coffer/sock /shared/via
cat <&"$borrower" >"$D/out"
got '^identity .*"container":"attacker"'
got "^own-secret .*$(printf '%s' "$OWN_VALUE" | base64 -w 0)"
got '^other-secret .*NotFound'
got '^victim-secret .*NotFound'
audit_lacks api.get '.container == "other"'
got '^after closed$'
await_audit api.refused '.container == "attacker" and .result == "ESRCH"'
all_is_well
