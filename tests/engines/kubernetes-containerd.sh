#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Kubernetes on containerd, as docs/kubernetes.md has it: containerd's real CRI plugin makes pods of the page's runtime
# class from the page's Deployment, the page's commands grant, and the secret reaches the container that is named and no
# other: not its neighbour, not a pod whose author claims the other's namespace in every place that he can write.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/containerd-lib.sh"
. "$(dirname "$0")/cri-lib.sh"

write_config ".runc_roots = [\"$D/ctrd-runc/k8s.io\"] | .engine_roots = [\"/var/lib/docker\", \"$D/containerd\"]"
unsealed_broker
start_containerd
image_root "$D/image"
import_image k8s.io registry.test/pause:1 -- /bin/sleep infinity
WEB=registry.example.com/web:1
import_image k8s.io "$WEB" --index --label role=admin --label tier=front -- /bin/sleep infinity
web_digests=("$top" "$manifest" "$config")

# ---- the page's workload: labels, containers and their users from the manifest ----

manifest_json deployment.yaml >"$D/deployment.json"
handler=$(manifest_json runtime-class.yaml | jq -r .handler)
template() { jq -ce ".spec.template.$1" "$D/deployment.json"; }
mkdir "$D/token"
echo 'a-token' >"$D/token/token"
TOKEN=/var/run/secrets/kubernetes.io/serviceaccount
token_mount='.mounts = [{container_path: "'"$TOKEN"'", host_path: "'"$D/token"'", readonly: true}]'

pod_of_the_page() { # NAMESPACE/POD [JQ-FILTER]
	local name
	pod "$1" ".labels += $(template metadata.labels) | ${2:-.}"
	for name in app log-shipper; do
		pod_container "$1/$name" "$WEB" "$token_mount | $(template "spec.containers[] | select(.name == \"$name\")") as \$c
			| (\$c.securityContext // {}) as \$s | if \$c.command then .command = \$c.command else . end
			| .linux.security_context += (if \$s.runAsUser then {run_as_user: {value: \$s.runAsUser}} else {} end)
			| .linux.security_context.readonly_rootfs = (\$s.readOnlyRootFilesystem // false)"
	done
}
POD=shop/web-7d4b9c-x2x4q
pod_of_the_page "$POD"
pod_lacks "$POD/app" /run/secrets/db-password
pod_reads "$POD/app" "$TOKEN/token" a-token

# ---- the page's commands ----

printf 'hunter2' >"$D/db-password.txt"
page kubernetes.md 'coffer put'
grant=$(tail -n 1 "$D/out")
pod_reads "$POD/app" /run/secrets/db-password hunter2
pod_reads "$POD/app" "$TOKEN/token" a-token
succeeds in_pod "$POD/app" stat -c '%u %a' /run/secrets/db-password
says '1000 400'
pod_lacks "$POD/log-shipper" /run/secrets/db-password
pod_reads "$POD/log-shipper" "$TOKEN/token" a-token

page kubernetes.md 'coffer explain'
grep -q "^ *$grant .*matches, strong: .*io.kubernetes.pod.namespace is shop (strong); .*app is web (weak)" "$D/out" ||
	fail "explain does not say why: $(cat "$D/out")"
grep -q "^ *container *$POD/app " "$D/out" || fail "explain does not give the name: $(cat "$D/out")"
# The attribute is called service account in the message where somebody looks for one.
coffer grant web/db-password --label io.kubernetes.pod.serviceaccount=web >"$D/grant-account"
succeeds coffer explain "$POD/app"
grep -q "no engine is told a pod's service account: use io.kubernetes.pod.namespace" "$D/out" || fail "$(cat "$D/out")"
coffer revoke "$(cat "$D/grant-account")"

# A new container of the pod finds it at its first step, and a new version reaches all.
pod_of_the_page shop/web-7d4b9c-b7k2m
pod_reads shop/web-7d4b9c-b7k2m/app /run/secrets/db-password hunter2
succeeds coffer put web/db-password="@$(printf 'hunter3' >"$D/v2" && echo "$D/v2")"
shown
pod_reads "$POD/app" /run/secrets/db-password hunter3
pod_reads shop/web-7d4b9c-b7k2m/app /run/secrets/db-password hunter3

# ---- who writes what he likes into a pod of his own ----

claims='"io.kubernetes.pod.namespace": "shop", "io.kubernetes.cri.sandbox-namespace": "shop",
	"io.kubernetes.cri.container-name": "app", "io.kubernetes.container.name": "app"'
pod_of_the_page evil/web-1 ".annotations = {$claims, team: \"a\"} | .labels = ({$claims} + .labels)"
# containerd really lets the annotations through here, and writes its own over them.
ctr -a "$SOCKET" -n k8s.io containers info "${inside[evil/web-1/app]}" | jq -e '.Spec.annotations
	| .["io.kubernetes.pod.namespace"] == "shop" and .["io.kubernetes.cri.sandbox-namespace"] == "evil"' >/dev/null ||
	fail "the pod's annotations did not come through"
pod_lacks evil/web-1/app /run/secrets/db-password
succeeds coffer explain evil/web-1/app
grep -q 'io.kubernetes.pod.namespace is evil, and the grant wants shop' "$D/out" || fail "$(cat "$D/out")"
# Annotations that the runtime lets through are conditions like labels of the pod.
put team/note for-a
coffer grant team/note --label team=a --label io.kubernetes.pod.namespace=evil >/dev/null
pod_reads evil/web-1/app /run/secrets/note for-a

# ---- the pod's own process ----

run coffer explain "${sandbox[$POD]}"
grep -q 'sandbox of a pod: secrets are for the pod.s containers' "$D/out" || fail "$(cat "$D/out" "$D/err")"
succeeds coffer ps --json
says_json ".attachments | map(select(.container == \"${sandbox[$POD]}\")) | length == 1 and .[0].files == []"

# ---- names ----

succeeds coffer explain web-7d4b9c-x2x4q/app --json
says_json "(.facts[] | select(.name == \"container\") | .value) == \"$POD/app\""
succeeds coffer explain "$(head -c 12 <<<"${inside[$POD/app]}")" --json
says_json "(.facts[] | select(.name == \"container\") | .value) == \"$POD/app\""
fails 1 "app may be .*/app or .*/app or another; give NAMESPACE/POD/CONTAINER" coffer explain app
fails 1 'no running container is called' coffer explain shop/web-7d4b9c-x2x4q/none

put named by-name
coffer grant named --container "$POD/log-shipper" >/dev/null
pod_reads "$POD/log-shipper" /run/secrets/named by-name
pod_lacks shop/web-7d4b9c-b7k2m/log-shipper /run/secrets/named

# ---- the image: every digest that it has, and what it says of itself ----

for i in 0 1 2; do
	put "digest-$i" by-digest
	coffer grant "digest-$i" --image "registry.example.com/web@${web_digests[i]}" >/dev/null
	pod_reads "$POD/app" "/run/secrets/digest-$i" by-digest
done
succeeds coffer explain "$POD/app" --json
says_json '[.matches[] | select(.name | startswith("digest-")) | .strength] == ["strong", "strong", "strong"]'
put tagged by-tag
coffer grant tagged --image "$WEB" --allow-tag >/dev/null
pod_reads "$POD/app" /run/secrets/tagged by-tag
put admin-only of-the-image
image_grant=$(coffer grant admin-only --label role=admin)
pod_lacks "$POD/app" /run/secrets/admin-only
succeeds coffer explain "$POD/app"
grep -q "^ *$image_grant .*role=admin came with the image" "$D/out" || fail "$(cat "$D/out")"
# The pod's label counts where the image has the same key.
put front of-the-pod
coffer grant front --label tier=back >/dev/null
pod_of_the_page shop/web-back-1 '.labels.tier = "back"'
pod_reads shop/web-back-1/app /run/secrets/front of-the-pod

# A tag that is given to another image takes nothing from the containers of the first, nor gives them its digest; also
# after a restart of the broker, which asks anew who they are.
printf 'other' >"$D/image/other"
import_image k8s.io "$WEB" --index -- /bin/sleep infinity
put moved of-the-new
coffer grant moved --image "$top" >/dev/null
pod_of_the_page shop/web-new-1
pod_reads shop/web-new-1/app /run/secrets/moved of-the-new
pod_lacks shop/web-new-1/app /run/secrets/digest-0
stop_broker
start_broker --keyfile "$D/key"
succeeds coffer attach "$POD/app"
pod_reads "$POD/app" /run/secrets/digest-2 by-digest
pod_lacks "$POD/app" /run/secrets/moved
pod_reads shop/web-new-1/app /run/secrets/moved of-the-new

cri remove-pod "${sandbox[$POD]}"
await_audit end ".container == \"$POD/app\""
