# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A containerd of a scenario's own, with the CRI plugin that the kubelet would speak to: sourced behind lib.sh. Its
# root, state and socket are in $D; runc's state of it in $D/ctrd-runc/NAMESPACE.
#
# What an operator configures comes from the page that tells them to, so that page and test cannot drift apart.

engines=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=kubernetes-page-lib.sh
. "$engines/kubernetes-page-lib.sh"
for need in containerd ctr; do
	command -v "$need" >/dev/null || { echo "$need is missing: see tests/install-packages" >&2; exit 1; }
done
/usr/bin/python3 -c 'import grpc' || { echo "python3-grpcio is missing: see tests/install-packages" >&2; exit 1; }

SOCKET=$D/containerd.sock
POD_CGROUP=/coffer-test-$TAG # parent of the containers' cgroups

# The runtime class as the page has it, with this build's programs and a folder of our own for runc.
containerd_config() {
	cat <<-END
		version = 2
		root = "$D/containerd"
		state = "$D/containerd-state"
		disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
			"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
		[grpc]
		  address = "$SOCKET"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "registry.test/pause:1"
		  restrict_oom_score_adj = true
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    conf_dir = "$D/cni"
		  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		    runtime_type = "io.containerd.runc.v2"
		    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		      Root = "$D/ctrd-runc"
	END
	blocks kubernetes.md toml 'grpc.v1.cri.*runtimes.coffer' | sed "
		s#/usr/bin/coffer-runc#$COFFER_BUILD/client/coffer-runc#
		s#^\( *\)BinaryName.*#&\n\1Root = \"$D/ctrd-runc\"#
		s#^  runtime_type.*#&\n  pod_annotations = [\"*\"]#"
}

end_containerd() {
	local task namespace
	for namespace in k8s.io default; do
		for task in $(ctr -a "$SOCKET" -n "$namespace" tasks ls -q); do
			ctr -a "$SOCKET" -n "$namespace" tasks kill -s KILL "$task"
			ctr -a "$SOCKET" -n "$namespace" tasks delete --force "$task"
		done
	done
	end_processes "$containerd_pid"
	find "$CGROUP2$POD_CGROUP" /sys/fs/cgroup/*"$POD_CGROUP" -depth -type d -exec rmdir {} + 2>/dev/null
}

start_containerd() {
	mkdir -p "$D/cni"
	containerd_config >"$D/containerd.toml"
	# Without our descriptors, which its shims would keep; the hook's folder comes by the environment.
	(exec containerd --config "$D/containerd.toml" </dev/null >>"$D/containerd.log" 2>&1) &
	containerd_pid=$!
	on_exit+=('end_containerd >>"$D/end.log" 2>&1')
	await_containerd
	[[ -z $(ctr -a "$SOCKET" plugins ls | awk '$2 == "cri" && $NF != "ok"') ]] || fail "the CRI plugin did not load"
}

# The socket is there before it answers: `ctr version` waits for the answer, inotifywait for the socket.
await_containerd() {
	while [[ ! -S $SOCKET ]]; do
		kill -0 "$containerd_pid" || fail "containerd ended: $(tail -n 5 "$D/containerd.log")"
		timeout 1 inotifywait -qq -e create "$D" || true
	done
	timeout 60 ctr -a "$SOCKET" version >"$D/ctr-version" || fail "containerd does not answer"
}

image_root() { # FOLDER: what the images of the tests are made of
	bundle_root "$1"
	rm -rf "${1:?}/run" "${1:?}/var"
	mkdir -p "$1/run" "$1/var"
	ln -s ../run "$1/var/run"
}

import_image() { # NAMESPACE NAME [options of oci-image] -- COMMAND...: sets top, manifest and config to its digests
	local namespace=$1 name=$2 options=()
	shift 2
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	read -r top manifest config < <("$engines/oci-image" "${options[@]}" "$D/image.tar" "$name" "$D/image" "$@")
	ctr -a "$SOCKET" -n "$namespace" images import "$D/image.tar" >>"$D/ctr.log"
	rm "$D/image.tar"
}

cri() {
	"$engines/cri" "$SOCKET" "$@"
}
