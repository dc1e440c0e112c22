#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod of Podman whose containers share one pid namespace: each is registered by its own name and gets its own secrets,
# and none reads another's through its processes, though it is root and sees them. One that no hook registered is told
# apart from the pod's first too.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/podman-lib.sh"

install_hook
podman_broker
podman_root
bundle_program "$PODMAN/rootfs" socat
image localhost/shop:1
image localhost/pause:1 'ENTRYPOINT ["sleep", "infinity"]'
put db one
put key two
put infra of-the-first
coffer grant db --container front --runtime podman >/dev/null
coffer grant key --label role=back >/dev/null

succeeds podman pod create --name shop --share pid,ipc --infra-image localhost/pause:1 --label role=back
infra=$(podman pod inspect shop --format '{{.InfraContainerID}}')
infra=$(podman inspect --format '{{.Name}}' "$infra")
coffer grant infra --container "$infra" >/dev/null
succeeds podman run --detach --pod shop --name front localhost/shop:1 sleep infinity
succeeds podman run --detach --pod shop --name back --label role=back localhost/shop:1 sleep infinity
pid_namespace() { # NAME
	readlink "/proc/$(podman inspect --format '{{.State.Pid}}' "$1")/ns/pid"
}
[[ "$(pid_namespace front)" == "$(pid_namespace back)" ]] || fail "they share no pid namespace"

succeeds podman exec front cat /run/secrets/db
says one
succeeds podman exec back cat /run/secrets/key
says two
# Labels of the pod are not its containers'.
succeeds coffer explain front --json
says_json 'any(.facts[]; .name == "label role") | not'
says_json 'any(.facts[]; .name == "container" and .value == "front")'

# Root of back goes through front's processes.
inside=$(podman exec back sh -c 'for p in /proc/[0-9]*; do
	[ "$(readlink "$p/ns/mnt")" = "$(readlink /proc/self/ns/mnt)" ] || echo "${p#/proc/}"; done')
[[ $inside ]] || fail "back sees no process of another container"
for pid in $inside; do
	run podman exec --privileged back cat "/proc/$pid/root/run/secrets/db"
	[[ $status -ne 0 ]] || fail "back read front's secret: $(cat "$D/out")"
done
succeeds coffer audit --json
jq -se 'any(.[]; .container == "front" and .name == "db" and .result == "EACCES")' "$D/out" >/dev/null ||
	fail "what back tried is not on record"

# No hook: it is not the pod's first, in whose pid namespace it is, and is refused until it is attached by its name.
mkdir "$D/no-hooks"
succeeds podman --hooks-dir "$D/no-hooks" run --detach --pod shop --name late --volume "$RUN/workload:/coffer:ro" \
	localhost/shop:1 sleep infinity
ask='{"method":"io.coffer.workload.Get","parameters":{"path":"infra"}}'
run podman exec --env ask="$ask" late sh -c 'printf "%s\0" "$ask" |
	socat -t 10 - UNIX-CONNECT:/coffer/sock | tr "\0" "\n"'
! grep -q "$(printf of-the-first | base64)" "$D/out" || fail "late got what is the pod's first container's"
audit_has workload.refused '.reason | test("its cgroup is not the container")'
succeeds coffer attach late
succeeds coffer explain late --json
says_json 'any(.facts[]; .name == "container" and .value == "late")'

# The whole pod started anew: each has its own again.
succeeds podman pod kill shop
succeeds podman pod start shop
succeeds podman exec front cat /run/secrets/db
says one
succeeds podman exec back cat /run/secrets/key
says two
