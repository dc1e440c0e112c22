#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/containerd.md, followed line by line with a containerd of its own; then what the page says of labels, digests and
# mistakes.
. "$(dirname "$0")/../integration/lib.sh"
. "$(dirname "$0")/containerd-lib.sh"

roots=".runc_roots = [\"$D/ctrd-runc/default\"] | .engine_roots = [\"/var/lib/docker\", \"$D/containerd\"]"
write_config "$roots"
unsealed_broker
start_containerd
image_root "$D/image"
WEB=registry.example.com/web:1
import_image default "$WEB" --index --label tier=image --label role=admin -- /bin/sleep infinity
digests=("$top" "$manifest" "$config")

# `ctr` as the page has it, with a socket, a cgroup and a folder for runc of ours, and the build's programs; the image
# is here already.
mkdir "$D/bin"
cat >"$D/bin/ctr" <<END
#!/bin/bash
set -e
[[ \$1 != images ]] || exec ctr -a "$SOCKET" images ls "name==\$3"
if [[ \$1 == run ]]; then
	name=\${*: -1}
	set -- run --null-io --runc-root "$D/ctrd-runc" --cgroup "$POD_CGROUP/\$name" "\${@:2}"
fi
PATH=\${PATH#"$D/bin:"} exec ctr -a "$SOCKET" "\${@/#\/usr\/bin\/coffer-runc/$COFFER_BUILD/client/coffer-runc}"
END
sed -i "s#exec ctr -a#exec $(command -v ctr) -a#" "$D/bin/ctr"
chmod 755 "$D/bin/ctr"
PATH=$D/bin:$PATH

printf 'hunter2' >"$D/db-password.txt"
page containerd.md 'ctr images pull'
grep -q "$WEB" "$D/out" || fail "the image is not there"
page containerd.md '--runc-binary'
says hunter2
put web/tls/key a-key
page containerd.md 'coffer explain'
grep -q 'tier is front (weak)' "$D/out" || fail "$(cat "$D/out")"
inside() { # NAME COMMAND...
	ctr tasks exec --exec-id "look-$RANDOM$RANDOM" "$@"
}
succeeds inside web cat /run/secrets/tls/key
says a-key
page containerd.md 'coffer attach other'
succeeds inside other cat /run/secrets/db-password
says hunter2
run inside other cat /run/secrets/tls/key
[[ $status -ne 0 ]] || fail "other has the secret of those with a label"

# ---- what the image says of itself, and its digests ----

put admin-only value
grant=$(coffer grant admin-only --label role=admin)
succeeds coffer explain web
grep -q "^ *$grant .*role=admin came with the image" "$D/out" || fail "$(cat "$D/out")"
for i in 0 1 2; do
	put "digest-$i" by-digest
	coffer grant "digest-$i" --image "${digests[i]}" >/dev/null
	succeeds inside web cat "/run/secrets/digest-$i"
	says by-digest
done
put tagged by-tag
coffer grant tagged --image "$WEB" --allow-tag >/dev/null
succeeds inside web cat /run/secrets/tagged
says by-tag

# The kubelet's keys are nobody's to set.
put pods-only value
coffer grant pods-only --label io.kubernetes.pod.namespace=shop >/dev/null
ctr run --detach --runc-binary /usr/bin/coffer-runc --label io.kubernetes.pod.namespace=shop --label team=a \
	--annotation io.kubernetes.cri.sandbox-namespace=shop --annotation io.kubernetes.cri.container-type=container \
	"$WEB" liar
run inside liar cat /run/secrets/pods-only
[[ $status -ne 0 ]] || fail "a label makes a container one of a pod"
succeeds coffer explain liar
grep -q 'label team ' "$D/out" || fail "$(cat "$D/out")"
grep -q 'it has no label io.kubernetes.pod.namespace' "$D/out" || fail "$(cat "$D/out")"

# ---- the name of the image goes to another one ----

printf 'other' >"$D/image/other"
import_image default "$WEB" --index -- /bin/sleep infinity
put moved of-the-new
coffer grant moved --image "$top" >/dev/null
stop_broker
start_broker --keyfile "$D/key"
succeeds coffer attach web
succeeds coffer explain web
grep -q 'is not, or no longer, the one that it was made of' "$D/out" || fail "$(cat "$D/out")"
run inside web cat /run/secrets/moved
[[ $status -ne 0 ]] || fail "a container has the digest of an image that it was not made of"
ctr run --detach --runc-binary /usr/bin/coffer-runc "$WEB" new
succeeds inside new cat /run/secrets/moved
says of-the-new

# ---- its end ----

ctr tasks kill -s KILL other
ctr tasks delete other >/dev/null 2>&1 || true
await_audit end '.container == "other"'

# ---- containerd's root is not where the broker looks ----

stop_broker
write_config "$roots | .engine_roots = [\"/var/lib/containerd\"]"
start_broker --keyfile "$D/key"
succeeds coffer explain new
grep -q "none of engine_roots has containerd's metadata" "$D/out" || fail "$(cat "$D/out")"
