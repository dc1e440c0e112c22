# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Pods as the kubelet asks for them, by way of `cri`: sourced behind containerd-lib.sh. $SOCKET is the engine's.

declare -A sandbox=() # of pods, by NAMESPACE/POD
declare -A inside=()  # ids of containers, by NAMESPACE/POD/CONTAINER

# pod_config NAMESPACE/POD [JQ-FILTER of the PodSandboxConfig]: $D/pod.NAMESPACE.POD.json, with the labels that the
# kubelet adds and a network of the host.
pod_config() {
	local key=${1//\//.} labels
	labels=$(jq -n --arg namespace "${1%%/*}" --arg pod "${1##*/}" '{"io.kubernetes.pod.name": $pod,
		"io.kubernetes.pod.namespace": $namespace, "io.kubernetes.pod.uid": "0f1e2d3c-0000-4000-8000-\($pod)"}')
	jq -n --arg namespace "${1%%/*}" --arg pod "${1##*/}" --argjson labels "$labels" --arg logs "$D/pods/$key" \
		--arg cgroup "$POD_CGROUP" '{metadata: {name: $pod, namespace: $namespace, uid: $labels["io.kubernetes.pod.uid"]},
		log_directory: $logs, labels: $labels, annotations: {},
		linux: {cgroup_parent: $cgroup, security_context: {namespace_options: {network: 2, pid: 1}}}}
		| '"${2:-.}" >"$D/pod.$key.json"
}

pod() { # as pod_config
	pod_config "$@"
	sandbox[$1]=$(cri pod "$D/pod.${1//\//.}.json" "${handler-coffer}") || fail "pod $1 did not start"
}

# container_config NAMESPACE/POD/CONTAINER IMAGE [JQ-FILTER of the ContainerConfig]:
# $D/container.NAMESPACE.POD.CONTAINER.json
container_config() {
	local pod=${1%/*} key=${1//\//.}
	jq --arg name "${1##*/}" --arg image "$2" '{metadata: {name: $name}, image: {image: $image},
		labels: (.labels | with_entries(select(.key | startswith("io.kubernetes.")))
			+ {"io.kubernetes.container.name": $name}),
		annotations: {"io.kubernetes.container.restartCount": "0"}, log_path: "\($name).log",
		linux: {security_context: {namespace_options: .linux.security_context.namespace_options}}}
		| '"${3:-.}" "$D/pod.${pod//\//.}.json" >"$D/container.$key.json"
}

start_in_pod() { # NAMESPACE/POD/CONTAINER: of such a configuration
	local pod=${1%/*}
	cri container "${sandbox[$pod]}" "$D/container.${1//\//.}.json" "$D/pod.${pod//\//.}.json"
}

pod_container() { # as container_config
	container_config "$@"
	inside[$1]=$(start_in_pod "$1") || fail "container $1 did not start"
}

in_pod() { # NAMESPACE/POD/CONTAINER COMMAND...
	cri exec "${inside[$1]}" "${@:2}"
}

pod_reads() { # NAMESPACE/POD/CONTAINER PATH VALUE
	succeeds in_pod "$1" cat "$2"
	says "$3"
}

pod_lacks() { # NAMESPACE/POD/CONTAINER PATH
	run in_pod "$1" cat "$2"
	[[ $status -ne 0 ]] || fail "$1 can read $2"
	grep -q 'No such file' "$D/err" || fail "$1 and $2: $(cat "$D/err")"
}

runc_pid() { # NAMESPACE/POD/CONTAINER
	command runc --root "$D/ctrd-runc/k8s.io" state "${inside[$1]}" | jq .pid
}
