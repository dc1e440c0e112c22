#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Containers that end at the same time, as when an engine stops, have their records written together: not each of them
# makes the broker wait for its disk.
. "$(dirname "$0")/lib.sh"

containers=16
unsealed_broker
put db value
succeeds coffer grant db --label job=1
make_bundle "$D/job.bundle" "$HOOK" "$RUN" --hook --annotation job=1
pids=()
for ((i = 0; i < containers; i++)); do
	mkdir "$D/job-$i.bundle"
	jq --arg root "$D/job.bundle/rootfs" --arg cgroup "/coffer-test-$TAG-$i" \
		'.root.path = $root | .linux.cgroupsPath = $cgroup' "$D/job.bundle/config.json" >"$D/job-$i.bundle/config.json"
	run_container "job-$i"
	reads "job-$i" /run/secrets/db value
	pids+=("$(container_pid "job-$i")")
done
succeeds coffer audit # what they opened so far is on disk

strace -q -p "$broker_pid" -e trace=fsync,fdatasync,sync_file_range -o "$D/syncs" 2>"$D/strace.log" &
tracer=$!
until [[ $(awk '/^TracerPid:/ { print $2 }' "/proc/$broker_pid/status") -ne 0 ]]; do :; done
kill -9 "${pids[@]}"
while compgen -G "$RUN/containers/*.json" >/dev/null; do :; done
kill "$tracer"
wait "$tracer" 2>/dev/null || true
syncs=$(grep -c sync "$D/syncs")
[[ $syncs -ge 1 ]] || fail "the log was not written"
[[ $syncs -lt $((2 * containers)) ]] || fail "$containers containers that end together cost $syncs synchronisations"
succeeds coffer audit --json
[[ $(jq -s 'map(select(.event == "end")) | length' "$D/out") -eq $containers ]] || fail "not every end is in the log"
echo "$containers ends, $syncs synchronisations"
