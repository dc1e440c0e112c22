#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What docs/kubernetes.md says of kinds of pods and of mistakes, with containerd's real CRI plugin: shared process
# namespaces, hostPID, a container that restarts, a pod without the runtime class, a broker that is absent or sealed,
# pods that must wait; and the DaemonSet's scripts.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/containerd-lib.sh"
. "$(dirname "$0")/cri-lib.sh"

MUST_WAIT=$(blocks kubernetes.md json 'io.kubernetes.pod.namespace')
roots=".runc_roots = [\"$D/ctrd-runc/k8s.io\"] | .engine_roots = [\"$D/containerd\"]"
write_config "$roots"
unsealed_broker
start_containerd
image_root "$D/image"
import_image k8s.io registry.test/pause:1 -- /bin/sleep infinity
import_image k8s.io registry.test/app:1 -- /bin/sleep infinity
put db hunter2
coffer grant db --label io.kubernetes.pod.namespace=shop --label io.kubernetes.container.name=app >/dev/null
put own neighbour
coffer grant own --label io.kubernetes.pod.namespace=shop --label io.kubernetes.container.name=neighbour >/dev/null

# ---- shareProcessNamespace: each its own, and nothing of the other by way of its processes ----

pod shop/shared-1 '.linux.security_context.namespace_options.pid = 0'
pod_container shop/shared-1/app registry.test/app:1
pod_container shop/shared-1/neighbour registry.test/app:1
[[ $(readlink "/proc/$(runc_pid shop/shared-1/app)/ns/pid") == \
	"$(readlink "/proc/$(runc_pid shop/shared-1/neighbour)/ns/pid")" ]] || fail "they share no pid namespace"
pod_reads shop/shared-1/app /run/secrets/db hunter2
pod_reads shop/shared-1/neighbour /run/secrets/own neighbour
pod_lacks shop/shared-1/neighbour /run/secrets/db
# The other's first process, as the neighbour sees it.
inner=$(awk '$1 == "NSpid:" { print $NF }' "/proc/$(runc_pid shop/shared-1/app)/status")
run in_pod shop/shared-1/neighbour cat "/proc/$inner/root/run/secrets/db"
[[ $status -ne 0 ]] || fail "the neighbour reads the other's secret"
grep -q hunter2 "$D/out" "$D/err" && fail "the neighbour reads the other's secret"
cri remove-pod "${sandbox[shop/shared-1]}"

# ---- hostPID: weak ----

pod shop/host-1 '.linux.security_context.namespace_options.pid = 2'
pod_container shop/host-1/app registry.test/app:1
pod_lacks shop/host-1/app /run/secrets/db
succeeds coffer explain shop/host-1/app
grep -q 'does not match: .*without --allow-weak' "$D/out" || fail "$(cat "$D/out")"
cri remove-pod "${sandbox[shop/host-1]}"

# ---- a container that the kubelet restarts is a new one ----

pod shop/again-1
pod_container shop/again-1/app registry.test/app:1
first=${inside[shop/again-1/app]}
cri stop-container "$first"
pod_container shop/again-1/app registry.test/app:1 '.metadata.attempt = 1'
[[ ${inside[shop/again-1/app]} != "$first" ]] || fail "it is the same container"
pod_reads shop/again-1/app /run/secrets/db hunter2
succeeds coffer explain shop/again-1/app --json
says_json "(.facts[] | select(.name == \"id\") | .value) == \"${inside[shop/again-1/app]}\""

# ---- no runtime class: nothing, and explain says so ----

handler='' pod shop/plain-1
pod_container shop/plain-1/app registry.test/app:1
pod_lacks shop/plain-1/app /run/secrets/db
succeeds coffer explain shop/plain-1/app
grep -q 'not registered: it was started without coffer-hook' "$D/out" || fail "$(cat "$D/out")"
succeeds coffer attach shop/plain-1/app
pod_reads shop/plain-1/app /run/secrets/db hunter2

# A runtime class that the engine does not know: what the page says that the event says.
pod_config shop/unknown-1
fails 1 'no runtime for "unknown" is configured' cri pod "$D/pod.shop.unknown-1.json" unknown

# ---- the broker absent: pods start, and get theirs when it is back; what must wait does not start ----

stop_broker
pod shop/absent-1
pod_container shop/absent-1/app registry.test/app:1
pod_lacks shop/absent-1/app /run/secrets/db
write_config "$roots | .wait = $MUST_WAIT"
start_broker # sealed
pod other/sealed-1
pod_container other/sealed-1/app registry.test/app:1
coffer unseal --keyfile "$D/key"
await_audit attach '.container == "shop/absent-1/app"'
pod_reads shop/absent-1/app /run/secrets/db hunter2
coffer seal

# The page's list: a container of that namespace waits for a sealed broker, its pod's own process does not.
mkdir -m 777 "$D/seen"
pod shop/waits-1
pod_container shop/waits-1/app registry.test/app:1 '.mounts = [{container_path: "/seen", host_path: "'"$D"'/seen"}]
	| .command = ["/bin/sh", "-c", "cat /run/secrets/db >/seen/first; sleep infinity"]' &
starting=$!
coffer unseal --keyfile "$D/key"
wait "$starting" || fail "the container that waited did not start"
[[ $(cat "$D/seen/first") == hunter2 ]] || fail "it started before its secrets"

# ---- what the hook refuses is told where an operator of the cluster looks ----

ln -s ../tmp "$D/image/run/secrets"
import_image k8s.io registry.test/linked:1 -- /bin/sleep infinity
pod shop/linked-1
container_config shop/linked-1/app registry.test/linked:1
fails 1 'coffer-hook: .*symbolic link' start_in_pod shop/linked-1/app

# ---- the DaemonSet: its readiness is the broker's ----

mkdir "$D/bin"
printf '#!/bin/bash\nwhile [[ $1 != -- ]]; do shift; done\nshift\nexec "$@"\n' >"$D/bin/nsenter"
printf '#!/bin/bash\nexec "%s" "$@"\n' "$COFFER_BUILD/client/coffer" >"$D/bin/coffer"
chmod 755 "$D/bin/nsenter" "$D/bin/coffer"
manifest_json daemon-set.yaml | jq -r '.spec.template.spec.containers[0].readinessProbe.exec.command[]' >"$D/probe"
mapfile -t probe <"$D/probe"
succeeds env PATH="$D/bin:$PATH" "${probe[@]}"
coffer seal
run env PATH="$D/bin:$PATH" "${probe[@]}"
[[ $status -ne 0 ]] || fail "the pod is ready on a node whose broker is sealed"
