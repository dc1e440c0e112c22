#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows 30 and 42 of docs/threats.md: broker, spawner and workers cannot be looked into by container root or by another
# user of the host, not even by the workers' own user; what comes into a container to make a mount has nothing to give.
. "$(dirname "$0")/duel.sh"

duel
container victim
armed attacker
workers() {
	pgrep -f '^cofferfs$' | while read -r pid; do
		! grep -qx "$pid" "$BROKER_CGROUP/cgroup.procs" || echo "$pid"
	done
}
mapfile -t targets < <(cat "$BROKER_CGROUP/cgroup.procs")
mapfile -t worker_pids < <(workers)
[[ ${#targets[@]} -ge 4 && ${#worker_pids[@]} -ge 2 ]] || fail "there are no processes to look into: ${targets[*]}"

# 30: from root in a container, which sees none of them; from one that sees them all; from users of the host.
attack attacker peek "${targets[@]}"
never SUCCEEDED
got 'ptrace ESRCH'
armed spy --jq '.linux.namespaces |= map(select(.type != "pid"))'
attack spy peek "${targets[@]}"
never SUCCEEDED
got 'ptrace EPERM'
got 'pidfd_getfd EPERM'
for uid in 65533 65534; do # any user, and the workers' own
	succeeds setpriv --reuid $uid --regid $uid --clear-groups "$TOOLS/attacker" peek "${targets[@]}"
	never SUCCEEDED
	got 'ptrace EPERM'
	got 'process_vm_readv EPERM'
	got 'mem EACCES'
	got 'pidfd_getfd EPERM'
done
# What the kernel says of them.
for pid in "${worker_pids[@]}"; do
	grep -qE '^Uid:\s65534\s65534\s65534\s65534$' "/proc/$pid/status" || fail "worker $pid is somebody else"
	for line in 'CapPrm:\s0+$' 'CapEff:\s0+$' 'CapInh:\s0+$' 'CapAmb:\s0+$' 'NoNewPrivs:\s1$' 'Groups:\s*$'; do
		grep -qE "^$line" "/proc/$pid/status" || fail "worker $pid: not $line"
	done
	[[ $(stat -c %u "/proc/$pid/mem") -eq 0 ]] || fail "worker $pid can be dumped"
	grep -q '^[0-9]*:.*' "/proc/$pid/cgroup" || fail "worker $pid has gone"
done
# The sanitizers' runtime makes calls of its own choice: their build has no filter.
if ! grep -q COFFER_SANITIZE:BOOL=ON "$COFFER_BUILD/CMakeCache.txt" 2>/dev/null; then
	for pid in "${worker_pids[@]}"; do
		grep -qE '^Seccomp:\s2$' "/proc/$pid/status" || fail "worker $pid has no system call filter"
	done
fi

# 42: the container's first process looks into whatever comes by, with every right that the host's root has over it,
# while mounts come and go.
key=$(head -c 32 "$D/key")
armed_bundle watcher --tmpfs /run --args "/attacker watch /shared/journal $VICTIM_VALUE" \
	--jq "$(capable CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH)" \
	--jq ".process.args = [\"/attacker\", \"watch\", \"/shared/journal\", $(jq -n --arg v "$VICTIM_VALUE" '$v'),
		$(jq -n --arg v "$OWN_VALUE" '$v'), $(jq -n --arg v "$key" '$v')]" --jq 'del(.hooks)'
run_container watcher
succeeds coffer grant own-secret --container watcher
for _ in {1..40}; do
	run coffer attach watcher
	put own-secret "$OWN_VALUE"
	run coffer detach watcher
done
journal=$D/shared/journal
echo "a watcher in the container saw $(grep -c '^seen' "$journal" || true) processes come in," \
	"and held $(grep -c 'ptrace SUCCEEDED' "$journal" || true) of them"
! grep -q CANARY "$journal" || fail "in memory that came into the container: $(grep CANARY "$journal")"
# By its descriptors it has nothing but the file system it makes for this very container.
while read -r _ target; do
	case $target in
	/dev/fuse | 'anon_inode:[fscontext]' | /dev/null | pipe:* | anon_inode:\[eventfd\]) ;;
	"$LOG" | "${LOG#"$D"}" | /) ;;
	*) fail "a descriptor that came into the container: $target" ;;
	esac
done < <(grep '^fd/' "$journal" || true)
run coffer attach watcher
[[ $status -eq 0 ]] || audit_has attach.failed '.container == "watcher"'
all_is_well
