#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 31 of docs/threats.md: a worker that was taken over has only its own container's secrets; what it says out of turn
# ends it; its sandbox leaves it nothing to do.
. "$(dirname "$0")/duel.sh"

# Hostile code in the worker's place, for containers whose name asks for it.
mkdir -m 1777 "$D/rogue"
install -m 755 "$TOOLS/rogue-worker" "$D/rogue/worker"
install -m 755 "$COFFER_BUILD/fuse/cofferfs" "$D/rogue/real"
chmod 755 "$D"
write_config ". + {worker_path: \"$D/rogue/worker\"}"
duel
container victim
victim_worker=$(pgrep -f '^cofferfs$' | while read -r pid; do
	! grep -qx "$pid" "$BROKER_CGROUP/cgroup.procs" || echo "$pid"
done)

put prey "$OWN_VALUE"
rogue() { # NAME: a container with a rogue worker
	succeeds coffer grant prey --container "$1"
	bundle "$1" --hook
	run runc run --detach --bundle "$D/$1.bundle" "$1" </dev/null
	grep -q "^$1 " "$D/rogue/ran" || fail "$1: the rogue did not come to run"
}
none_runs() {
	local pid
	while read -r pid; do
		[[ $(readlink "/proc/$pid/exe") != "$D/rogue/worker" ]] || fail "the rogue (process $pid) still runs"
	done <"$BROKER_CGROUP/cgroup.procs"
}
for mode in unknown-record wrong-length descriptors no-record other-protocol out-of-turn; do
	rogue "rogue-$mode"
	[[ $status -ne 0 ]] || fail "$mode: the container runs with a worker that was ended"
	audit_has attach.failed ".container == \"rogue-$mode\""
	audit_lacks attach ".container == \"rogue-$mode\""
	kill -0 "$broker_pid" "$victim_worker" || fail "$mode: the broker or the victim's worker is gone"
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
	none_runs
done
# Noise in the ring is found when it is read.
rogue rogue-bad-ring
await_audit attach.failed '.container == "rogue-bad-ring"'
reads victim /run/secrets/victim-secret "$VICTIM_VALUE"

# Records it makes up are its own container's: no other's name, no control bytes, no other's access.
rogue rogue-lies
succeeds coffer audit --json
! LC_ALL=C grep -qP '[\x00-\x08\x0b-\x1f\x7f]' "$D/out" || fail "control bytes in the log"
jq -se 'all(.[]; (.container == "rogue-lies" or .event != "open" or .container == "victim"))' "$D/out" >/dev/null ||
	fail "a record under another container's name"
audit_lacks open '.container == "rogue-lies" and .name == "victim-secret"'

# Without any sandbox: as its user alone.
delete_container rogue-bad-ring # it is tried again with each change, and would be found
cat "$BROKER_CGROUP/cgroup.procs" >"$D/rogue/targets" # the broker, its spawner, the victim's worker
rogue rogue-search
[[ -s $D/rogue/finds ]] || fail "the rogue has not searched"
cp "$D/rogue/finds" "$D/out"
got '^searched$'
got '^mem EACCES$'
never SUCCEEDED

# A worker that never says a word: given up, with a reason.
rogue rogue-silent
first=$(sed -n 's/^rogue-silent //p' "$D/rogue/ran" | head -n 1)
await_audit attach.failed '.container == "rogue-silent"'
"$here/await" end "$first"

# The sandbox, entered for real as the user of workers: each way out, in a process of its own.
succeeds setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "$TOOLS/sandbox-probe"
got '^CONTROL: SUCCEEDED$'
if grep -q COFFER_SANITIZE:BOOL=ON "$COFFER_BUILD/CMakeCache.txt" 2>/dev/null; then
	for call in open create execve; do # landlock's share: this build has no filter
		got "^$call: E"
	done
else
	while read -r name rest; do
		[[ $name == CONTROL: || $rest == "ended by SIGSYS" ]] || fail "in the sandbox: $name $rest"
	done <"$D/out"
	[[ $(wc -l <"$D/out") -ge 32 ]] || fail "not every way was tried"
fi
all_is_well
