#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Row 33 of docs/threats.md: a container without room for one more process, by its cgroup's limit or by its pid
# namespace's: attaching works or fails cleanly, and leaves nothing.
. "$(dirname "$0")/duel.sh"

duel
container victim
succeeds coffer grant own-secret --container full
armed_bundle full --tmpfs /run --jq 'del(.hooks) | .linux.readonlyPaths = []' --jq '.linux.resources.pids.limit = 512' \
	--jq "$(capable CAP_SYS_RESOURCE CAP_SYS_ADMIN)" 2>/dev/null
jq '.process.capabilities |= map_values(map(select(. != "CAP_SYS_RESOURCE")))' "$D/full.bundle/config.json" >"$D/config.new"
mv "$D/config.new" "$D/full.bundle/config.json"
run_container full
spawner=$(pgrep -P "$broker_pid")

nothing_left() {
	mapfile -t left < <(pgrep -P "$spawner" -x coffer-spawner || true) # attachers carry its name
	"$here/await" end "${left[@]}" || fail "an attacher stayed: $(ps --ppid "$spawner" -o args)"
	reads victim /run/secrets/victim-secret "$VICTIM_VALUE"
}
fill() { # NAME: processes until none fits, until `end NAME`
	begin "$1" runc --root "$D/runc" exec full /attacker fill
	[[ $line =~ ^full\ .*\ EAGAIN$ ]] || fail "the container is not full: $line"
	echo "at the limit of its $1: $line"
}

# By the cgroup.
fill cgroup
run coffer attach full
echo "attach at the cgroup's limit: status $status $(cat "$D/err")"
[[ $status -eq 0 ]] || audit_has attach.failed '.container == "full"'
nothing_left
end cgroup
succeeds coffer attach full
reads full /run/secrets/own-secret "$OWN_VALUE"
succeeds coffer detach full

# By the pid namespace, where the kernel lets a container set that for itself.
if in_container full sh -c 'echo 310 >/proc/sys/kernel/pid_max' 2>/dev/null &&
	[[ $(cat /proc/sys/kernel/pid_max) -gt 310 ]]; then
	fill namespace
		fails 1 '.' coffer attach full
	audit_has attach.failed '.container == "full" and (.reason | test("pid namespace|process"))'
	! grep -q fuse.coffer "/proc/$(container_pid full)/mountinfo" || fail "a mount stayed"
	nothing_left
	end namespace
	succeeds coffer attach full
	reads full /run/secrets/own-secret "$OWN_VALUE"
else
	echo "this kernel has no pid_max for each pid namespace: that half was not tried"
fi
all_is_well
