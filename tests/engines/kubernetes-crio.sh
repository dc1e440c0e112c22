#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kubernetes on CRI-O, which Debian has no package of: bundles with the annotations that CRI-O writes (1.25 to 1.30),
# laid out where it has them, started by runc with the hook. The grants of docs/kubernetes.md reach the container that
# they name, and not one whose pod's author claims to be it.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/kubernetes-page-lib.sh"

write_config ".engine_roots = [\"/var/lib/containerd\", \"$D/storage\"]"
unsealed_broker
STORE=/run/containers/storage/overlay-containers
made=()
on_exit+=('[[ ${#made[@]} -eq 0 ]] || rm -rf --one-file-system "${made[@]}"; rmdir -p "$STORE" 2>/dev/null')
umask 022

new_id() { # 64 hex digits
	od -An -N32 -tx1 /dev/urandom | tr -d " \n"
}

# What CRI-O puts into a container's bundle: annotations of the pod first, its own over them, the kubelet's last.
crio_annotations() { # ID SANDBOX NAMESPACE/POD/CONTAINER POD-ANNOTATIONS
	jq -n --arg id "$1" --arg sandbox "$2" --arg name "$3" --argjson pod "$4" '
		($name | split("/")) as [$namespace, $pod_name, $container] | "0f1e2d3c-0000-4000-8000-000000000001" as $uid
		| {"io.kubernetes.container.name": $container, "io.kubernetes.pod.name": $pod_name,
			"io.kubernetes.pod.namespace": $namespace, "io.kubernetes.pod.uid": $uid} as $labels
		| $pod + {
			"io.container.manager": "cri-o",
			"io.kubernetes.cri-o.Annotations": "{\"io.kubernetes.container.hash\":\"8d1f6a3c\"}",
			"io.kubernetes.cri-o.ContainerID": $id, "io.kubernetes.cri-o.ContainerType": "container",
			"io.kubernetes.cri-o.Created": "2026-11-24T10:00:00.000000000Z",
			"io.kubernetes.cri-o.IP.0": "10.85.0.4",
			"io.kubernetes.cri-o.Image": "registry.example.com/web:1",
			"io.kubernetes.cri-o.ImageName": "registry.example.com/web:1",
			"io.kubernetes.cri-o.ImageRef": $ENV.IMAGE_ID,
			"io.kubernetes.cri-o.Labels": ($labels | tojson),
			"io.kubernetes.cri-o.LogPath": "/var/log/pods/\($name).log",
			"io.kubernetes.cri-o.Metadata": ({name: $container} | tojson),
			"io.kubernetes.cri-o.Name": "k8s_\($container)_\($pod_name)_\($namespace)_\($uid)_0",
			"io.kubernetes.cri-o.SandboxID": $sandbox,
			"io.kubernetes.cri-o.SandboxName": "k8s_\($pod_name)_\($namespace)_\($uid)_0",
			"io.kubernetes.cri-o.TTY": "false", "io.kubernetes.cri-o.Stdin": "false"
		} + {"io.kubernetes.container.hash": "8d1f6a3c", "io.kubernetes.container.restartCount": "0"} + $labels'
}

# And into a sandbox's: there its own first, then the annotations of the pod, the labels last.
sandbox_annotations() { # ID NAMESPACE/POD LABELS POD-ANNOTATIONS
	jq -n --arg id "$1" --arg name "$2" --argjson labels "$3" --argjson pod "$4" '
		($name | split("/")) as [$namespace, $pod_name] | "0f1e2d3c-0000-4000-8000-000000000001" as $uid
		| ($labels + {"io.kubernetes.container.name": "POD", "io.kubernetes.pod.name": $pod_name,
			"io.kubernetes.pod.namespace": $namespace, "io.kubernetes.pod.uid": $uid}) as $labels
		| {"io.container.manager": "cri-o", "io.kubernetes.cri-o.ContainerID": $id,
			"io.kubernetes.cri-o.ContainerName": "k8s_POD_\($pod_name)_\($namespace)_\($uid)_0",
			"io.kubernetes.cri-o.ContainerType": "sandbox", "io.kubernetes.cri-o.KubeName": $pod_name,
			"io.kubernetes.cri-o.Labels": ($labels | tojson),
			"io.kubernetes.cri-o.Name": "k8s_\($pod_name)_\($namespace)_\($uid)_0",
			"io.kubernetes.cri-o.Namespace": $namespace, "io.kubernetes.cri-o.SandboxID": $id} + $pod + $labels'
}

crio_container() { # ID ANNOTATIONS [options of make_bundle]
	local bundle=$STORE/$1/userdata
	made+=("$STORE/$1")
	mkdir -p "$STORE"
	make_bundle "$bundle" "$HOOK" "$RUN" --cgroup "/coffer-test-$TAG-${1::12}" --hook --jq ".annotations = $2" "${@:3}"
	runc run --detach --bundle "$bundle" "$1" </dev/null >"$D/$1.log" 2>&1 ||
		fail "runc did not start it: $(cat "$D/$1.log")"
}

IMAGE_ID=$(new_id)
export IMAGE_ID
MANIFEST=$(new_id)
mkdir -p "$D/storage/overlay-images"
jq -n --arg manifest "sha256:$MANIFEST" '[{id: $ENV.IMAGE_ID, digest: $manifest, names: ["registry.example.com/web:1"],
	"big-data-names": ["manifest", "sha256:\($ENV.IMAGE_ID)"],
	"big-data-digests": {manifest: $manifest, "sha256:\($ENV.IMAGE_ID)": "sha256:\($ENV.IMAGE_ID)"}}]' \
	>"$D/storage/overlay-images/images.json"
sandbox=$(new_id) app=$(new_id) shipper=$(new_id)
POD=shop/web-7d4b9c-x2x4q
TOKEN=/run/secrets/kubernetes.io/serviceaccount
mkdir "$D/token"
echo a-token >"$D/token/token"
printf 'hunter2' >"$D/db-password.txt"
page kubernetes.md 'coffer put'
grant=$(tail -n 1 "$D/out")

# ---- a pod: its own process, two containers ----

crio_container "$sandbox" "$(sandbox_annotations "$sandbox" "$POD" '{"app": "web"}' '{"team": "a"}')"
token=(--tmpfs /run --mount "$D/token:$TOKEN")
crio_container "$app" "$(crio_annotations "$app" "$sandbox" "$POD/app" '{"team": "a"}')" "${token[@]}"
crio_container "$shipper" "$(crio_annotations "$shipper" "$sandbox" "$POD/log-shipper" '{}')" "${token[@]}"
reads "$app" /run/secrets/db-password hunter2
reads "$app" "$TOKEN/token" a-token
reads "$shipper" "$TOKEN/token" a-token
lacks "$shipper" /run/secrets/db-password
lacks "$sandbox" /run/secrets/db-password

page kubernetes.md 'coffer explain'
grep -q "^ *$grant .*matches, strong: .*io.kubernetes.pod.namespace is shop (strong); .*app is web (weak)" "$D/out" ||
	fail "explain does not say why: $(cat "$D/out")"
grep -q "^ *runtime *crio " "$D/out" || fail "$(cat "$D/out")"
succeeds coffer explain log-shipper --json
says_json "(.facts[] | select(.name == \"container\") | .value) == \"$POD/log-shipper\""
run coffer explain "$sandbox"
grep -q 'sandbox of a pod' "$D/out" || fail "$(cat "$D/out" "$D/err")"

put by-digest value
coffer grant by-digest --image "sha256:$IMAGE_ID" >/dev/null
reads "$app" /run/secrets/by-digest value
# By the digest of its manifest, which the image's store has (images.json of containers/storage).
put by-manifest value
coffer grant by-manifest --image "registry.example.com/web@sha256:$MANIFEST" >/dev/null
reads "$app" /run/secrets/by-manifest value
put by-tag value
coffer grant by-tag --image registry.example.com/web:1 --allow-tag >/dev/null
reads "$app" /run/secrets/by-tag value
put by-name value
coffer grant by-name --container "$POD/log-shipper" --runtime crio >/dev/null
reads "$shipper" /run/secrets/by-name value
lacks "$app" /run/secrets/by-name

# ---- an author's claims: of a container, and of a pod's own process ----

other=$(new_id) liar=$(new_id)
claims=$(crio_annotations "$app" "$sandbox" "$POD/app" '{}')
crio_container "$other" "$(sandbox_annotations "$other" evil/web-1 '{"app": "web"}' "$claims")"
crio_container "$liar" "$(crio_annotations "$liar" "$other" evil/web-1/app "$claims")"
lacks "$liar" /run/secrets/db-password
lacks "$other" /run/secrets/db-password
succeeds coffer explain "$liar"
grep -q 'io.kubernetes.pod.namespace is evil, and the grant wants shop' "$D/out" || fail "$(cat "$D/out")"
# The sandbox's own annotations are the author's here, and it is nobody.
succeeds coffer explain "$other"
grep -q 'does not say of which in a form' "$D/out" || fail "$(cat "$D/out")"

# ---- hooks by coffer-runc, as the page has it for CRI-O ----

wrapped=$(new_id)
made+=("$STORE/$wrapped")
make_bundle "$STORE/$wrapped/userdata" "$HOOK" "$RUN" --cgroup "/coffer-test-$TAG-wrapped" \
	--jq ".annotations = $(crio_annotations "$wrapped" "$sandbox" "$POD/app" '{}')"
"$COFFER_BUILD/client/coffer-runc" --root "$D/runc" run --detach --bundle "$STORE/$wrapped/userdata" "$wrapped" \
	</dev/null >"$D/wrapped.log" 2>&1 || fail "coffer-runc did not start it: $(cat "$D/wrapped.log")"
reads "$wrapped" /run/secrets/db-password hunter2
